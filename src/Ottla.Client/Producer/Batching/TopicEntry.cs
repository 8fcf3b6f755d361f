using Ottla.Kernel;

namespace Ottla.Client.Producing;

/// <summary>What a producer has of a topic, also before it knows the topic's partitions. Thread-safe.</summary>
/// <remarks>
/// Records that cannot be appended at once, for want of metadata or memory, wait in turn; as long as one waits, all others of the topic
/// wait behind it. So records keep the order of the calls.
/// </remarks>
internal sealed class TopicEntry
{
    private readonly AsyncTurn _turn = new();
    private volatile TopicQueues? _queues;
    private int _waiting;

    /// <summary>The queues of its partitions; null while these are not known.</summary>
    public TopicQueues? Queues
    {
        get => _queues;
        set => _queues = value;
    }

    /// <summary>Whether records wait, so that another one must not be appended before them.</summary>
    public bool HasWaiting => Volatile.Read(ref _waiting) > 0;

    /// <summary>Takes a place behind the records that wait. The first part runs on the caller.</summary>
    /// <exception cref="OperationCanceledException">The wait was cancelled; there is nothing to end.</exception>
    public async Task BeginAsync(CancellationToken cancellation)
    {
        Interlocked.Increment(ref _waiting);
        try
        {
            await _turn.WaitAsync(cancellation);
        }
        catch
        {
            Interlocked.Decrement(ref _waiting);
            throw;
        }
    }

    /// <summary>Lets the next one go on.</summary>
    public void End()
    {
        Interlocked.Decrement(ref _waiting);
        _turn.Release();
    }
}
