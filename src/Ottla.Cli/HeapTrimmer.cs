using Ottla.Broker;

namespace Ottla.Cli;

/// <summary>
/// Gives memory back to the system when the process is idle after it has allocated or released much: at a start with many logs, for topics
/// with thousands of partitions, for large frames. The runtime collects only when its budget is used up. On a machine with large caches
/// that takes hundreds of megabytes, which an idle broker never allocates. Owned by the command that started it, for the life of the
/// process; works on a timer's thread.
/// </summary>
internal sealed class HeapTrimmer : IDisposable
{
    /// <summary>A collection is not worth its cost for less than this.</summary>
    public const long WorthwhileBytesMin = 16 * 1024 * 1024;

    /// <summary>
    /// The process is idle while it uses less than this share of one processor. Its allocations do not tell: the hot path allocates almost
    /// nothing under full load, and a collection then would stop all clients meanwhile.
    /// </summary>
    public const double RestShare = 0.02;

    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    private readonly TimeProvider _time;
    private readonly Readings _readings;
    private readonly Action _collect;
    private readonly ITimer _timer;
    private long _lookedAt;
    private TimeSpan _lastProcessorTime;
    private long _collectedAtAllocatedBytes;
    private long _collectedAtReleasedBytes;

    /// <summary>Watches a process.</summary>
    /// <param name="time">The clock.</param>
    /// <param name="readings">The readings of the process.</param>
    /// <param name="collect">Collects garbage, compacts the heap, and gives free memory back.</param>
    public HeapTrimmer(TimeProvider time, Readings readings, Action collect)
    {
        _time = time;
        _readings = readings;
        _collect = collect;
        _lookedAt = time.GetTimestamp();
        _lastProcessorTime = readings.ProcessorTime();
        _timer = time.CreateTimer(static self => ((HeapTrimmer)self!).Look(), this, Interval, Interval);
    }

    /// <summary>Watches this process.</summary>
    public static HeapTrimmer Start(BrokerNode node, TimeProvider time) => new(
        time,
        new Readings(
            static () => Environment.CpuUsage.TotalTime,
            static () => GC.GetTotalAllocatedBytes(),
            static () => GC.GetTotalMemory(forceFullCollection: false),
            () => node.ReleasedBufferBytes),
        static () => GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true));

    /// <inheritdoc/>
    public void Dispose() => _timer.Dispose();

    private void Look()
    {
        var isRest = IsRest();
        var allocated = _readings.AllocatedBytes();
        var released = _readings.ReleasedBytes();
        // Allocated bytes may still be in use. Buffers that the pool has released are garbage, no matter when they were allocated.
        var isWorthwhile = released - _collectedAtReleasedBytes >= WorthwhileBytesMin
            || allocated - _collectedAtAllocatedBytes >= Math.Max(WorthwhileBytesMin, _readings.HeapBytes() / 2);
        if (!isRest || !isWorthwhile)
            return;
        _collectedAtAllocatedBytes = allocated;
        _collectedAtReleasedBytes = released;
        _collect();
    }

    private bool IsRest()
    {
        var elapsed = _time.GetElapsedTime(_lookedAt);
        _lookedAt = _time.GetTimestamp();
        var processorTime = _readings.ProcessorTime();
        var used = processorTime - _lastProcessorTime;
        _lastProcessorTime = processorTime;
        return used < elapsed * RestShare;
    }

    /// <summary>The readings that the trimmer decides by.</summary>
    /// <param name="ProcessorTime">Processor time that the process has used since it began.</param>
    /// <param name="AllocatedBytes">All bytes allocated since the process began.</param>
    /// <param name="HeapBytes">Bytes of the heap, garbage included.</param>
    /// <param name="ReleasedBytes">
    /// All bytes of buffers that the pool has released to the garbage collector since the process began.
    /// </param>
    public sealed record Readings(Func<TimeSpan> ProcessorTime, Func<long> AllocatedBytes, Func<long> HeapBytes, Func<long> ReleasedBytes);
}
