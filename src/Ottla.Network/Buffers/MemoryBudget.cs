using System.Threading.Tasks.Sources;

namespace Ottla.Network.Buffers;

/// <summary>A bound on the memory that several connections hold together for what they receive. Thread-safe.</summary>
/// <remarks>
/// Whoever is to receive much first takes as many bytes from the budget, and waits in turn while there are not enough: what it does not
/// receive meanwhile stays with its peer. One that wants more than the whole budget gets it when nobody else holds anything.
/// </remarks>
/// <param name="bytesMax">The bound.</param>
public sealed class MemoryBudget(long bytesMax)
{
    private readonly Lock _lock = new();
    private readonly Queue<Waiter> _waiting = [];
    private long _takenBytes;

    /// <summary>Bytes that are taken.</summary>
    public long TakenBytes
    {
        get
        {
            lock (_lock)
                return _takenBytes;
        }
    }

    /// <summary>Takes bytes, to be given back with <see cref="Return"/>; waits while there are not enough.</summary>
    public ValueTask TakeAsync(int bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        lock (_lock)
        {
            if (_waiting.Count == 0 && Fits(bytes))
            {
                _takenBytes += bytes;
                return ValueTask.CompletedTask;
            }

            var waiter = new Waiter(bytes);
            _waiting.Enqueue(waiter);
            return new ValueTask(waiter, 0);
        }
    }

    /// <summary>Gives bytes back.</summary>
    public void Return(int bytes)
    {
        lock (_lock)
            _takenBytes -= bytes;
        while (true)
        {
            Waiter? next;
            lock (_lock)
            {
                if (!_waiting.TryPeek(out next) || !Fits(next.Bytes))
                    return;
                _waiting.Dequeue();
                _takenBytes += next.Bytes;
            }

            next.Grant();
        }
    }

    private bool Fits(int bytes) => _takenBytes == 0 || _takenBytes + bytes <= bytesMax;

    /// <summary>Who waits; once it has its bytes it goes on elsewhere, so that whoever gave them back is not held up.</summary>
    private sealed class Waiter(int bytes) : IValueTaskSource
    {
        private ManualResetValueTaskSourceCore<bool> _granted = new() { RunContinuationsAsynchronously = true };

        public int Bytes => bytes;

        public void Grant() => _granted.SetResult(true);

        public void GetResult(short token) => _granted.GetResult(token);

        public ValueTaskSourceStatus GetStatus(short token) => _granted.GetStatus(token);

        public void OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
            _granted.OnCompleted(continuation, state, token, flags);
    }
}
