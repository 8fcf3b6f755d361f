using Ottla.Kernel;

namespace Ottla.Cli.Monitoring.Otlp;

/// <summary>
/// Metrics of clients that wait to be handed on. Any thread adds, one task takes. When there is no room, the oldest ones go: the newest
/// tell more.
/// </summary>
/// <param name="bytesMax">The most bytes that wait.</param>
internal sealed class PushQueue(int bytesMax)
{
    private readonly Lock _lock = new();

    // Guarded by _lock.
    private readonly Queue<byte[]> _waiting = new();
    private long _bytes;
    private long _dropped;
    private TaskCompletionSource _arrival = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Bytes that wait.</summary>
    public long Bytes
    {
        get
        {
            lock (_lock)
                return _bytes;
        }
    }

    /// <summary>Pushes that went because there was no room.</summary>
    public long Dropped
    {
        get
        {
            lock (_lock)
                return _dropped;
        }
    }

    /// <summary>Adds a push. Never waits.</summary>
    public void Add(byte[] push)
    {
        lock (_lock)
        {
            _waiting.Enqueue(push);
            _bytes += push.Length;
            while (_bytes > bytesMax)
            {
                _bytes -= _waiting.Dequeue().Length;
                _dropped++;
            }

            if (_waiting.Count > 0)
                _arrival.TrySetResult();
        }
    }

    /// <summary>Takes the oldest pushes, once there are any.</summary>
    /// <param name="batchBytes">No further one is taken beyond as many bytes.</param>
    /// <param name="cancellation">Ends the wait.</param>
    public async Task<List<byte[]>> TakeAsync(int batchBytes, CancellationToken cancellation)
    {
        while (true)
        {
            Task arrival;
            lock (_lock)
            {
                var taken = new List<byte[]>();
                var bytes = 0;
                while (_waiting.TryPeek(out var next) && (taken.Count == 0 || bytes + next.Length <= batchBytes))
                {
                    taken.Add(_waiting.Dequeue());
                    bytes += next.Length;
                }

                _bytes -= bytes;
                if (taken.Count > 0)
                    return taken;
                if (_arrival.Task.IsCompleted)
                    _arrival = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                arrival = _arrival.Task;
            }

            await arrival.UntilCanceled(cancellation);
        }
    }
}
