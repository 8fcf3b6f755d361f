using System.Buffers.Binary;
using Ottla.Network.Buffers;
using Ottla.Network.Transport;

namespace Ottla.Network.Security;

/// <summary>A connection as the stream that .NET's TLS wants. Owned by one <see cref="TlsConnection"/>.</summary>
/// <remarks>
/// TLS writes records of 16 KiB one by one. Between <see cref="BeginCollecting"/> and <see cref="SendCollectedAsync"/> they are collected,
/// and leave in few calls. The peer's first record can be received before there is anything of TLS: who only connects, or begins a
/// handshake and leaves it at that, costs no more than the bytes that it has sent.
/// </remarks>
internal sealed class TransportStream(ITransportConnection connection, BufferPool pool) : Stream
{
    /// <summary>Collected bytes are sent when there are as many.</summary>
    private const int CollectedBytesMax = 128 * 1024;

    /// <summary>The first byte of a handshake.</summary>
    private const byte HandshakeRecord = 22;

    private const int RecordHeaderBytes = 5;

    /// <summary>Bytes of a record behind its header. What announces more is left to TLS to refuse.</summary>
    private const int RecordBytesMax = 16 * 1024;

    private PooledBuffer _collected;
    private int _collectedBytes;
    private bool _isCollecting;
    private PooledBuffer _ahead;
    private int _aheadStart;
    private int _aheadEnd;

    /// <summary>
    /// Where code goes on that has received something, so that a handshake's arithmetic does not hold a network loop up; null on the loop.
    /// </summary>
    public Action<IThreadPoolWorkItem>? Scheduler { get; set; }

    /// <summary>Whether the first bytes were no handshake, so that the peer does not speak TLS.</summary>
    public bool IsNotTls { get; private set; }

    /// <summary>Receives the peer's first record, which the next reads return, and goes on where the scheduler says.</summary>
    /// <exception cref="EndOfStreamException">The peer closed the connection before.</exception>
    public async ValueTask ReceiveFirstRecordAsync(CancellationToken cancellationToken)
    {
        while (FirstRecordBytes() is var wanted && _aheadEnd < wanted)
        {
            await connection.ReceiveAsync(Memory<byte>.Empty, cancellationToken); // without memory until there is something
            if (_ahead.Length < wanted)
                GrowAhead(wanted);
            var received = await connection.ReceiveAsync(_ahead.Memory[_aheadEnd..], cancellationToken);
            if (received == 0)
                throw new EndOfStreamException("the peer closed the connection before its first TLS record was complete");
            _aheadEnd += received;
        }

        IsNotTls = _ahead.Span[0] != HandshakeRecord;
        if (Scheduler is { } scheduler)
            await new Switch(scheduler);
    }

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    /// <summary>Collects what is written from now on.</summary>
    public void BeginCollecting() => _isCollecting = true;

    /// <summary>Sends what was collected.</summary>
    public async ValueTask SendCollectedAsync(CancellationToken cancellationToken)
    {
        _isCollecting = false;
        try
        {
            if (_collectedBytes > 0)
                await connection.SendAsync(_collected.Memory[.._collectedBytes], cancellationToken);
        }
        finally
        {
            _collectedBytes = 0;
            _collected.Dispose();
        }
    }

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
        !_ahead.IsEmpty ? ValueTask.FromResult(ReadAhead(buffer.Span))
            : Scheduler is null ? connection.ReceiveAsync(buffer, cancellationToken) : ReadInHandshakeAsync(buffer, cancellationToken);

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (!_isCollecting)
            return connection.SendAsync(buffer, cancellationToken);
        if (_collected.IsEmpty)
            _collected = pool.Rent(CollectedBytesMax);
        return buffer.Length <= _collected.Length - _collectedBytes ? Collect(buffer) : SendAndCollectAsync(buffer, cancellationToken);
    }

    public override Task FlushAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public override void Flush()
    {
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        _collected.Dispose();
        _ahead.Dispose();
        base.Dispose(disposing);
    }

    private async ValueTask<int> ReadInHandshakeAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        var received = await connection.ReceiveAsync(buffer, cancellationToken);
        if (Scheduler is { } scheduler)
            await new Switch(scheduler);
        return received;
    }

    /// <summary>How many bytes to receive before TLS begins: the first record, as far as its header says how long it is.</summary>
    private int FirstRecordBytes()
    {
        if (_aheadEnd == 0)
            return 1;
        var ahead = _ahead.Span[.._aheadEnd];
        if (ahead[0] != HandshakeRecord)
            return 0;
        if (ahead.Length < RecordHeaderBytes)
            return RecordHeaderBytes;
        var length = BinaryPrimitives.ReadUInt16BigEndian(ahead[(RecordHeaderBytes - sizeof(ushort))..]);
        return length <= RecordBytesMax ? RecordHeaderBytes + length : 0;
    }

    private void GrowAhead(int bytes)
    {
        var grown = pool.Rent(bytes);
        _ahead.Span[.._aheadEnd].CopyTo(grown.Span);
        _ahead.Dispose();
        _ahead = grown;
    }

    private int ReadAhead(Span<byte> buffer)
    {
        var count = Math.Min(buffer.Length, _aheadEnd - _aheadStart);
        _ahead.Span.Slice(_aheadStart, count).CopyTo(buffer);
        _aheadStart += count;
        if (_aheadStart == _aheadEnd)
            _ahead.Dispose();
        return count;
    }

    private ValueTask Collect(ReadOnlyMemory<byte> buffer)
    {
        buffer.Span.CopyTo(_collected.Span[_collectedBytes..]);
        _collectedBytes += buffer.Length;
        return ValueTask.CompletedTask;
    }

    private async ValueTask SendAndCollectAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken)
    {
        if (_collectedBytes > 0)
            await connection.SendAsync(_collected.Memory[.._collectedBytes], cancellationToken);
        _collectedBytes = 0;
        if (buffer.Length > _collected.Length)
            await connection.SendAsync(buffer, cancellationToken);
        else
            await Collect(buffer);
    }

    /// <summary>Goes on where the scheduler says.</summary>
    private readonly struct Switch(Action<IThreadPoolWorkItem> scheduler) : System.Runtime.CompilerServices.INotifyCompletion
    {
        public bool IsCompleted => false;

        public Switch GetAwaiter() => this;

        public void OnCompleted(Action continuation) => scheduler(new WorkItem(continuation));

        public void GetResult()
        {
        }
    }

    private sealed class WorkItem(Action continuation) : IThreadPoolWorkItem
    {
        public void Execute() => continuation();
    }
}
