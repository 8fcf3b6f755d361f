using Microsoft.Extensions.Time.Testing;
using Ottla.Cli;

namespace Ottla.UnitTests.Cli;

/// <summary>When the process gives memory back.</summary>
public sealed class HeapTrimmerTests
{
    private const int RestMs = 5;
    private const int LoadMs = 300;

    private readonly FakeTimeProvider _time = new();
    private TimeSpan _processorTime;
    private long _allocated;
    private long _released;
    private long _heap;
    private int _collections;

    [Fact]
    public void NothingIsCollectedUnderLoad()
    {
        using var trimmer = Watch();
        for (var second = 0; second < 100; second++)
            Pass(HeapTrimmer.WorthwhileBytesMin, LoadMs);
        Assert.Equal(0, _collections);
    }

    /// <summary>The hot path allocates hardly anything: load is not rest because of that.</summary>
    [Fact]
    public void LoadThatAllocatesLittleIsNoRest()
    {
        using var trimmer = Watch();
        Pass(HeapTrimmer.WorthwhileBytesMin, LoadMs);
        for (var second = 0; second < 100; second++)
            Pass(50_000, LoadMs);
        Assert.Equal(0, _collections);
        Pass(0);
        Assert.Equal(1, _collections);
    }

    [Fact]
    public void RestAfterMuchWasAllocatedIsUsedOnce()
    {
        using var trimmer = Watch();
        Pass(HeapTrimmer.WorthwhileBytesMin, LoadMs);
        Pass(0);
        Assert.Equal(1, _collections);
        for (var second = 0; second < 100; second++)
            Pass(1_000);
        Assert.Equal(1, _collections);
    }

    /// <summary>
    /// Buffers that were held at the first look are given back once they are let go of, though nothing is allocated any more.
    /// </summary>
    [Fact]
    public void BuffersReleasedAfterTheFirstCollectionMakeASecond()
    {
        using var trimmer = Watch();
        _heap = 1000 * HeapTrimmer.WorthwhileBytesMin;
        Pass(_heap, LoadMs);
        Pass(0);
        Assert.Equal(1, _collections);
        Pass(0);
        Assert.Equal(1, _collections);
        _released += HeapTrimmer.WorthwhileBytesMin;
        Pass(0);
        Pass(0);
        Assert.Equal(2, _collections);
    }

    [Fact]
    public void LittleIsNotWorthIt()
    {
        using var trimmer = Watch();
        _released = HeapTrimmer.WorthwhileBytesMin - 1;
        Pass(HeapTrimmer.WorthwhileBytesMin - 1);
        Pass(0);
        Assert.Equal(0, _collections);
    }

    [Fact]
    public void ALargeHeapWaitsForMore()
    {
        _heap = 4 * HeapTrimmer.WorthwhileBytesMin;
        using var trimmer = Watch();
        Pass(HeapTrimmer.WorthwhileBytesMin);
        Pass(0);
        Assert.Equal(0, _collections);
        Pass(HeapTrimmer.WorthwhileBytesMin);
        Pass(0);
        Assert.Equal(1, _collections);
    }

    private HeapTrimmer Watch() => new(
        _time, new HeapTrimmer.Readings(() => _processorTime, () => _allocated, () => _heap, () => _released), () => _collections++);

    private void Pass(long allocatedBytes, int processorMs = RestMs)
    {
        _allocated += allocatedBytes;
        _processorTime += TimeSpan.FromMilliseconds(processorMs);
        _time.Advance(TimeSpan.FromSeconds(1));
    }
}
