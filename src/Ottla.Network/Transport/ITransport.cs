using System.Net;
using System.Net.Sockets;
using Microsoft.Win32.SafeHandles;

namespace Ottla.Network.Transport;

/// <summary>Where connections come from: real sockets, memory, or a simulated network. Stateless or thread-safe; lives as long as the process.</summary>
public interface ITransport
{
    /// <summary>Begins to listen; connections may come in before the first accept.</summary>
    /// <param name="endpoint">Address and port; port 0 lets the transport choose (see <see cref="ITransportListener.LocalEndPoint"/>).</param>
    /// <param name="backlog">Connections that may wait for an accept (<c>socket.listen.backlog.size</c>); at least 1.</param>
    /// <param name="sizes">The accepted connections' socket buffers.</param>
    /// <exception cref="SocketException">The endpoint is taken or not ours.</exception>
    ITransportListener Listen(IPEndPoint endpoint, int backlog, SocketBufferSizes sizes);

    /// <summary>Opens a connection.</summary>
    /// <param name="endpoint">An <see cref="IPEndPoint"/>, or a <see cref="DnsEndPoint"/> that the transport resolves.</param>
    /// <param name="cancellationToken">Gives up; the only bound on how long this takes.</param>
    /// <exception cref="SocketException">Nobody answers there.</exception>
    ValueTask<ITransportConnection> ConnectAsync(EndPoint endpoint, CancellationToken cancellationToken);
}

/// <summary>A listening endpoint. Owned by the accept loop; disposing it fails the pending accept and refuses what was not accepted yet.</summary>
public interface ITransportListener : IAsyncDisposable
{
    /// <summary>The endpoint listened on, with the port chosen when 0 was asked for.</summary>
    IPEndPoint LocalEndPoint { get; }

    /// <summary>The next connection. Errors of single clients and a lack of file descriptors are dealt with inside.</summary>
    /// <exception cref="SocketException">The listener itself is broken: no further accept can succeed.</exception>
    /// <exception cref="ObjectDisposedException">The listener was disposed.</exception>
    ValueTask<ITransportConnection> AcceptAsync(CancellationToken cancellationToken);
}

/// <summary>A byte stream in both directions. One task receives and one task sends at a time; <see cref="Abort"/> may come from any thread.</summary>
/// <remarks>
/// Operations fail with <see cref="SocketException"/> or <see cref="IOException"/>: <see cref="SocketError.ConnectionReset"/> when the peer broke off,
/// <see cref="SocketError.OperationAborted"/> when this side aborted or disposed. After a failed or cancelled send the stream is broken off.
/// <see cref="IAsyncDisposable.DisposeAsync"/> ends both directions in order.
/// </remarks>
public interface ITransportConnection : IAsyncDisposable
{
    /// <summary>The peer's address; null when the peer was gone before it could be asked for.</summary>
    IPEndPoint? RemoteEndPoint { get; }

    /// <summary>Our address on this connection; null when the peer was gone before it could be asked for.</summary>
    IPEndPoint? LocalEndPoint { get; }

    /// <summary>Receives what there is, at least one byte. A zero-length buffer waits until a receive would not wait, and returns 0.</summary>
    /// <returns>Bytes received; 0 = end of stream (for a buffer that is not empty).</returns>
    ValueTask<int> ReceiveAsync(Memory<byte> buffer, CancellationToken cancellationToken);

    /// <summary>Sends all of <paramref name="bytes"/>. The memory may be reused when this completes.</summary>
    ValueTask SendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken);

    /// <summary>Sends <paramref name="header"/> and then a range of a file, without the file's bytes passing through user space.</summary>
    /// <param name="header">Bytes that go first; may be empty.</param>
    /// <param name="source">The file; its own position is neither used nor moved.</param>
    /// <param name="position">Where the range begins in the file, in bytes.</param>
    /// <param name="length">Bytes of the range; at least 1.</param>
    /// <param name="cancellationToken">Breaks the connection off.</param>
    /// <exception cref="IOException">The file ended early: the stream is incomplete, the caller must abort.</exception>
    /// <exception cref="NotSupportedException"><see cref="CanSendFile"/> is false.</exception>
    ValueTask SendFileAsync(ReadOnlyMemory<byte> header, SafeFileHandle source, long position, int length, CancellationToken cancellationToken);

    /// <summary>Whether <see cref="SendFileAsync"/> works here: Linux's plain sockets only, not TLS and not memory.</summary>
    bool CanSendFile { get; }

    /// <summary>Bytes that were sent since the connection began, as the operating system took them: a peer that does not read stops them. Any thread.</summary>
    long SentBytes { get; }

    /// <summary>Breaks the connection off at once (TCP: a reset). Pending operations of both sides fail. Idempotent.</summary>
    void Abort();
}

/// <summary>Socket buffers as configured by <c>socket.send.buffer.bytes</c> and <c>socket.receive.buffer.bytes</c>.</summary>
/// <param name="SendBytes">SO_SNDBUF in bytes; -1 leaves it to the operating system.</param>
/// <param name="ReceiveBytes">SO_RCVBUF in bytes; -1 leaves it to the operating system.</param>
public readonly record struct SocketBufferSizes(int SendBytes, int ReceiveBytes)
{
    /// <summary>The value that leaves a size to the operating system.</summary>
    public const int OperatingSystemDefault = -1;

    /// <summary>Both sizes left to the operating system.</summary>
    public static SocketBufferSizes OperatingSystemDefaults => new(OperatingSystemDefault, OperatingSystemDefault);
}
