using System.Net;
using System.Net.Sockets;
using Microsoft.Win32.SafeHandles;
using Ottla.Network.Transport;

namespace Ottla.UnitTests.Network;

/// <summary>A connection that completes everything at once: receives a script of chunks, records what is sent and how.</summary>
internal sealed class FakeConnection(IEnumerable<byte[]> chunks, bool canSendFile = false) : ITransportConnection
{
    private readonly Queue<ReadOnlyMemory<byte>> _chunks = new(
        chunks.Where(chunk => chunk.Length > 0).Select(chunk => (ReadOnlyMemory<byte>)chunk));

    public FakeConnection(bool canSendFile = false)
        : this([], canSendFile)
    {
    }

    /// <summary>What was sent, one entry per call: "send N" or "file H+N".</summary>
    public List<string> Calls { get; } = [];

    public MemoryStream Sent { get; } = new();

    /// <summary>The number of the call (from 1) that fails; 0 = none.</summary>
    public int FailingCall { get; init; }

    public int Aborts { get; private set; }

    public IPEndPoint? RemoteEndPoint => null;

    public IPEndPoint? LocalEndPoint => null;

    public bool CanSendFile => canSendFile;

    public long SentBytes => Sent.Length;

    public ValueTask<int> ReceiveAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        if (_chunks.Count == 0 || buffer.IsEmpty)
            return new(0);
        var chunk = _chunks.Dequeue();
        var count = Math.Min(chunk.Length, buffer.Length);
        chunk.Span[..count].CopyTo(buffer.Span);
        if (count < chunk.Length)
        {
            var rest = _chunks.ToArray();
            _chunks.Clear();
            _chunks.Enqueue(chunk[count..]);
            foreach (var later in rest)
                _chunks.Enqueue(later);
        }

        return new(count);
    }

    public ValueTask SendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        Record($"send {bytes.Length}");
        Sent.Write(bytes.Span);
        return default;
    }

    public ValueTask SendFileAsync(
        ReadOnlyMemory<byte> header, SafeFileHandle source, long position, int length, CancellationToken cancellationToken)
    {
        Record($"file {header.Length}+{length}");
        Sent.Write(header.Span);
        var bytes = new byte[length];
        Assert.Equal(length, RandomAccess.Read(source, bytes, position));
        Sent.Write(bytes);
        return default;
    }

    public void Abort() => Aborts++;

    public ValueTask DisposeAsync() => default;

    private void Record(string call)
    {
        Calls.Add(call);
        if (Calls.Count == FailingCall)
            throw new SocketException((int)SocketError.ConnectionReset);
    }
}
