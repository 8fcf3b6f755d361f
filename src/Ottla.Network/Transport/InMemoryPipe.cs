using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Threading.Tasks.Sources;

namespace Ottla.Network.Transport;

/// <summary>
/// One direction of an in-memory connection: a bounded ring of bytes with one reader and one writer. Guarded by its own lock.
/// </summary>
/// <remarks>The ring starts empty and grows to its bound, so that simulations of many connections need little memory.</remarks>
internal sealed class InMemoryPipe(int capacityBytes)
{
    private const int FirstRingBytes = 4096;

    private readonly Lock _lock = new();
    private readonly Signal _readable = new();
    private readonly Signal _writable = new();
    private byte[] _ring = [];
    private int _head;
    private int _count;
    private long _writtenBytes;
    private bool _isWriterDone;
    private SocketError _readerError;
    private SocketError _writerError;

    /// <summary>Bytes written since the beginning.</summary>
    public long WrittenBytes => Interlocked.Read(ref _writtenBytes);

    /// <summary>Reads the available bytes into <paramref name="buffer"/>. An empty buffer waits until there are some.</summary>
    public ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        lock (_lock)
        {
            if (TryRead(buffer.Span, out var count))
                return new ValueTask<int>(count);
            _readable.Arm();
        }

        return WaitAndReadAsync(buffer, cancellationToken);
    }

    /// <summary>Writes all of <paramref name="bytes"/>, and waits while the ring is full.</summary>
    public ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        lock (_lock)
        {
            bytes = bytes[Write(bytes.Span)..];
            if (bytes.IsEmpty)
                return ValueTask.CompletedTask;
            _writable.Arm();
        }

        return WaitAndWriteAsync(bytes, cancellationToken);
    }

    /// <summary>Ends the stream in order: the reader gets the remaining bytes, then the end. The writer cannot write any more.</summary>
    public void CompleteWriter()
    {
        lock (_lock)
        {
            _isWriterDone = true;
            _writerError = SocketError.OperationAborted;
            _readable.Fire();
            _writable.Fire();
        }
    }

    /// <summary>Aborts the stream: buffered bytes are lost, and both sides fail from now on. The first call decides the errors.</summary>
    public void Break(SocketError readerError, SocketError writerError)
    {
        lock (_lock)
        {
            if (_readerError == SocketError.Success)
                _readerError = readerError;
            if (_writerError == SocketError.Success)
                _writerError = writerError;
            _count = 0;
            _ring = [];
            _head = 0;
            _readable.Fire();
            _writable.Fire();
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<int> WaitAndReadAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        while (true)
        {
            await _readable.WaitAsync(cancellationToken);
            cancellationToken.ThrowIfCancellationRequested();
            lock (_lock)
            {
                if (TryRead(buffer.Span, out var count))
                    return count;
                _readable.Arm();
            }
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask WaitAndWriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        while (true)
        {
            await _writable.WaitAsync(cancellationToken);
            cancellationToken.ThrowIfCancellationRequested();
            lock (_lock)
            {
                bytes = bytes[Write(bytes.Span)..];
                if (bytes.IsEmpty)
                    return;
                _writable.Arm();
            }
        }
    }

    private bool TryRead(Span<byte> buffer, out int count)
    {
        if (_readerError != SocketError.Success)
            throw new SocketException((int)_readerError);
        count = Math.Min(_count, buffer.Length);
        if (count == 0)
            return _count > 0 || _isWriterDone;
        var first = Math.Min(count, _ring.Length - _head);
        _ring.AsSpan(_head, first).CopyTo(buffer);
        _ring.AsSpan(0, count - first).CopyTo(buffer[first..]);
        _head = (_head + count) % _ring.Length;
        _count -= count;
        _writable.Fire();
        return true;
    }

    private int Write(ReadOnlySpan<byte> bytes)
    {
        if (_writerError != SocketError.Success)
            throw new SocketException((int)_writerError);
        var count = Math.Min(bytes.Length, capacityBytes - _count);
        if (count == 0)
            return 0;
        if (_count + count > _ring.Length)
            Grow(_count + count);
        var tail = (_head + _count) % _ring.Length;
        var first = Math.Min(count, _ring.Length - tail);
        bytes[..first].CopyTo(_ring.AsSpan(tail));
        bytes[first..count].CopyTo(_ring);
        _count += count;
        Interlocked.Add(ref _writtenBytes, count);
        _readable.Fire();
        return count;
    }

    private void Grow(int needed)
    {
        var grown = new byte[Math.Min(capacityBytes, Math.Max(needed, Math.Max(FirstRingBytes, 2 * _ring.Length)))];
        var first = Math.Min(_count, _ring.Length - _head);
        _ring.AsSpan(_head, first).CopyTo(grown);
        _ring.AsSpan(0, _count - first).CopyTo(grown.AsSpan(first));
        _ring = grown;
        _head = 0;
    }

    /// <summary>
    /// Wakes one waiter; reusable. A wake-up without a cause does no harm: the waiter tests its condition and waits again.
    /// </summary>
    private sealed class Signal : IValueTaskSource
    {
        // The caller of Fire holds the pipe's lock, so the waiter must continue asynchronously, on its own task scheduler.
        private ManualResetValueTaskSourceCore<bool> _core = new() { RunContinuationsAsynchronously = true };
        private int _isArmed;

        public void Arm()
        {
            _core.Reset();
            Volatile.Write(ref _isArmed, 1);
        }

        public void Fire()
        {
            if (Interlocked.Exchange(ref _isArmed, 0) == 1)
                _core.SetResult(true);
        }

        [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
        public async ValueTask WaitAsync(CancellationToken cancellationToken)
        {
            using (cancellationToken.UnsafeRegister(static state => ((Signal)state!).Fire(), this))
                await new ValueTask(this, _core.Version);
        }

        public void GetResult(short token) => _core.GetResult(token);

        public ValueTaskSourceStatus GetStatus(short token) => _core.GetStatus(token);

        public void OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
            _core.OnCompleted(continuation, state, token, flags);
    }
}
