namespace Ottla.Cli;

/// <summary>
/// Gives memory back once there is rest after much was allocated: a start on many logs, topics with thousands of partitions. The runtime collects
/// only when its budget is used up, which on a machine with large caches is after hundreds of megabytes, and an idle broker never comes to that.
/// Owned by the command that started it, for the life of the process; works on a timer's thread.
/// </summary>
internal sealed class IdleMemory : IDisposable
{
    /// <summary>Less than this since the last time is not worth a collection, nor is less than half of the heap.</summary>
    public const long WorthwhileBytesMin = 16 * 1024 * 1024;

    /// <summary>Less than this in a second is rest.</summary>
    public const long RestBytes = 256 * 1024;

    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    private readonly Func<long> _allocatedBytes;
    private readonly Func<long> _heapBytes;
    private readonly Action _collect;
    private readonly ITimer _timer;
    private long _lastAllocatedBytes;
    private long _collectedAtBytes;

    /// <summary>Watches what the process allocates.</summary>
    /// <param name="time">The clock.</param>
    /// <param name="allocatedBytes">All bytes allocated since the process began.</param>
    /// <param name="heapBytes">Bytes of the heap, garbage included.</param>
    /// <param name="collect">Collects, compacts, and gives back what is free.</param>
    public IdleMemory(TimeProvider time, Func<long> allocatedBytes, Func<long> heapBytes, Action collect)
    {
        _allocatedBytes = allocatedBytes;
        _heapBytes = heapBytes;
        _collect = collect;
        _timer = time.CreateTimer(static self => ((IdleMemory)self!).Look(), this, Interval, Interval);
    }

    /// <summary>Watches this process.</summary>
    public static IdleMemory Start(TimeProvider time) => new(
        time,
        static () => GC.GetTotalAllocatedBytes(),
        static () => GC.GetTotalMemory(forceFullCollection: false),
        static () => GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true));

    /// <inheritdoc/>
    public void Dispose() => _timer.Dispose();

    private void Look()
    {
        var allocated = _allocatedBytes();
        var isRest = allocated - _lastAllocatedBytes < RestBytes;
        _lastAllocatedBytes = allocated;
        if (!isRest || allocated - _collectedAtBytes < Math.Max(WorthwhileBytesMin, _heapBytes() / 2))
            return;
        _collectedAtBytes = allocated;
        _collect();
    }
}
