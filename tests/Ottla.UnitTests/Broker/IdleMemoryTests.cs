using Ottla.Cli;

namespace Ottla.UnitTests.Broker;

/// <summary>When the process gives memory back.</summary>
public sealed class IdleMemoryTests
{
    private readonly ManualTimeProvider _time = new();
    private long _allocated;
    private long _heap;
    private int _collections;

    [Fact]
    public void NothingIsCollectedWhileMuchIsAllocated()
    {
        using var memory = Watch();
        for (var second = 0; second < 100; second++)
            Pass(IdleMemory.WorthwhileBytesMin);
        Assert.Equal(0, _collections);
    }

    [Fact]
    public void RestAfterMuchWasAllocatedIsUsedOnce()
    {
        using var memory = Watch();
        Pass(IdleMemory.WorthwhileBytesMin);
        Pass(0);
        Assert.Equal(1, _collections);
        for (var second = 0; second < 100; second++)
            Pass(1_000);
        Assert.Equal(1, _collections);
    }

    [Fact]
    public void LittleIsNotWorthIt()
    {
        using var memory = Watch();
        Pass(IdleMemory.WorthwhileBytesMin - 1);
        Pass(0);
        Assert.Equal(0, _collections);
    }

    [Fact]
    public void ALargeHeapWaitsForMore()
    {
        _heap = 4 * IdleMemory.WorthwhileBytesMin;
        using var memory = Watch();
        Pass(IdleMemory.WorthwhileBytesMin);
        Pass(0);
        Assert.Equal(0, _collections);
        Pass(IdleMemory.WorthwhileBytesMin);
        Pass(0);
        Assert.Equal(1, _collections);
    }

    private IdleMemory Watch() => new(_time, () => _allocated, () => _heap, () => _collections++);

    private void Pass(long allocatedBytes)
    {
        _allocated += allocatedBytes;
        _time.Advance(TimeSpan.FromSeconds(1));
    }
}
