using System.Net;
using System.Net.Sockets;
using Microsoft.Win32.SafeHandles;
using Ottla.Kernel;

namespace Ottla.Network.Transport;

/// <summary>
/// Makes listeners and connections: over real sockets, in memory, or over a simulated network. Thread-safe; lives as long as the process.
/// </summary>
public interface ITransport
{
    /// <summary>How busy its threads are; null when it has none of its own.</summary>
    ThreadLoad? Load => null;

    /// <summary>Begins to listen. Connections may arrive before the first accept.</summary>
    /// <param name="endpoint">
    /// Address and port. With port 0 the transport chooses one (see <see cref="ITransportListener.LocalEndPoint"/>).
    /// </param>
    /// <param name="backlog">Connections that may wait for an accept (<c>socket.listen.backlog.size</c>); at least 1.</param>
    /// <param name="sizes">The socket buffer sizes of accepted connections.</param>
    /// <exception cref="SocketException">The endpoint is taken, or the address is not one of this machine.</exception>
    ITransportListener Listen(IPEndPoint endpoint, int backlog, SocketBufferSizes sizes);

    /// <summary>Opens a connection.</summary>
    /// <param name="endpoint">An <see cref="IPEndPoint"/>, or a <see cref="DnsEndPoint"/> that the transport resolves.</param>
    /// <param name="cancellationToken">Cancels the attempt; nothing else limits how long it takes.</param>
    /// <exception cref="SocketException">The peer cannot be reached.</exception>
    ValueTask<ITransportConnection> ConnectAsync(EndPoint endpoint, CancellationToken cancellationToken);

    /// <inheritdoc cref="ConnectAsync(EndPoint, CancellationToken)"/>
    /// <param name="endpoint">An <see cref="IPEndPoint"/>, or a <see cref="DnsEndPoint"/> that the transport resolves.</param>
    /// <param name="sizes">The buffer sizes of the socket. Transports without sockets have none.</param>
    /// <param name="cancellationToken">Cancels the attempt; nothing else limits how long it takes.</param>
    ValueTask<ITransportConnection> ConnectAsync(EndPoint endpoint, SocketBufferSizes sizes, CancellationToken cancellationToken) =>
        ConnectAsync(endpoint, cancellationToken);
}

/// <summary>
/// A listening endpoint. The accept loop owns it. Disposing it fails the pending accept and refuses connections that were not accepted.
/// </summary>
public interface ITransportListener : IAsyncDisposable
{
    /// <summary>The endpoint, with the chosen port if 0 was asked for.</summary>
    IPEndPoint LocalEndPoint { get; }

    /// <summary>Returns the next connection. It handles errors of single clients and a lack of file descriptors itself.</summary>
    /// <exception cref="SocketException">The listener itself failed: no further accept can succeed.</exception>
    /// <exception cref="ObjectDisposedException">The listener was disposed.</exception>
    ValueTask<ITransportConnection> AcceptAsync(CancellationToken cancellationToken);
}

/// <summary>
/// A byte stream in both directions. One task receives and one task sends at a time; <see cref="Abort"/> may come from any thread.
/// </summary>
/// <remarks>
/// Operations fail with <see cref="SocketException"/> or <see cref="IOException"/>: <see cref="SocketError.ConnectionReset"/> when the peer
/// aborted the connection, <see cref="SocketError.OperationAborted"/> when this side aborted or disposed it. A failed or cancelled send
/// aborts the stream. <see cref="IAsyncDisposable.DisposeAsync"/> closes both directions in order.
/// </remarks>
public interface ITransportConnection : IAsyncDisposable
{
    /// <summary>The peer's address; null when the peer disconnected before the address was read.</summary>
    IPEndPoint? RemoteEndPoint { get; }

    /// <summary>The local address; null when the peer disconnected before the address was read.</summary>
    IPEndPoint? LocalEndPoint { get; }

    /// <summary>
    /// Receives the bytes that have arrived, at least one. With an empty buffer it waits until bytes have arrived, and returns 0.
    /// </summary>
    /// <returns>Bytes received; 0 means end of stream, unless the buffer is empty.</returns>
    ValueTask<int> ReceiveAsync(Memory<byte> buffer, CancellationToken cancellationToken);

    /// <summary>Sends all of <paramref name="bytes"/>. The caller may reuse the memory when this completes.</summary>
    ValueTask SendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken);

    /// <summary>
    /// As <see cref="SendAsync"/>, when more follows at once: a transport may keep what fills no packet until then, so that the peer is not
    /// woken for a few bytes.
    /// </summary>
    ValueTask SendWithMoreAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken) => SendAsync(bytes, cancellationToken);

    /// <summary>Sends <paramref name="header"/>, then a range of a file without copying the file's bytes to user space.</summary>
    /// <param name="header">Bytes to send first; may be empty.</param>
    /// <param name="source">The file. Its own position is neither used nor moved.</param>
    /// <param name="position">Where the range begins in the file, in bytes.</param>
    /// <param name="length">Bytes of the range; at least 1.</param>
    /// <param name="cancellationToken">Aborts the connection.</param>
    /// <exception cref="IOException">The file is too short: the stream is incomplete, and the caller must abort the connection.</exception>
    /// <exception cref="NotSupportedException"><see cref="CanSendFile"/> is false.</exception>
    ValueTask SendFileAsync(
        ReadOnlyMemory<byte> header, SafeFileHandle source, long position, int length, CancellationToken cancellationToken);

    /// <summary>Whether <see cref="SendFileAsync"/> works here: only plain sockets on Linux, not TLS and not memory.</summary>
    bool CanSendFile { get; }

    /// <summary>
    /// Bytes that the operating system has accepted since the connection began. It stops growing when the peer does not read. Any thread
    /// may read it.
    /// </summary>
    long SentBytes { get; }

    /// <summary>
    /// Says that the peer has proved who it is, or need not. Until then a transport may serve connections from elsewhere only after all
    /// those that were admitted, so that strangers slow nobody down.
    /// </summary>
    /// <exception cref="SocketException">The operating system cannot watch more connections.</exception>
    void Admit()
    {
        // Most transports make no difference.
    }

    /// <summary>
    /// Lets the other connections that the same thread serves have their turn, if there are any. For the task that receives, when what it
    /// has received takes long.
    /// </summary>
    ValueTask YieldAsync() => ValueTask.CompletedTask; // most transports have no turns

    /// <summary>Breaks the connection off at once (TCP: a reset). Pending operations of both sides fail. Idempotent.</summary>
    void Abort();
}

/// <summary>
/// Socket buffers as configured by <c>socket.send.buffer.bytes</c>, <c>socket.receive.buffer.bytes</c> and
/// <c>replica.socket.receive.buffer.bytes</c>.
/// </summary>
/// <param name="SendBytes">SO_SNDBUF in bytes; -1 keeps the default of the operating system.</param>
/// <param name="ReceiveBytes">SO_RCVBUF in bytes; -1 keeps the default of the operating system.</param>
public readonly record struct SocketBufferSizes(int SendBytes, int ReceiveBytes)
{
    /// <summary>The value that keeps the default of the operating system.</summary>
    public const int OperatingSystemDefault = -1;

    /// <summary>Both sizes at the default of the operating system.</summary>
    public static SocketBufferSizes OperatingSystemDefaults => new(OperatingSystemDefault, OperatingSystemDefault);

    /// <summary>Gives a socket these sizes: before it connects, because TCP agrees then on what a window can be.</summary>
    internal void ApplyTo(Socket socket)
    {
        if (SendBytes != OperatingSystemDefault)
            socket.SendBufferSize = SendBytes;
        if (ReceiveBytes != OperatingSystemDefault)
            socket.ReceiveBufferSize = ReceiveBytes;
    }
}
