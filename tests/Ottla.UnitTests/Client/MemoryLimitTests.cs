using Ottla.Client;

namespace Ottla.UnitTests.Client;

/// <summary>Who gets memory, and when.</summary>
public sealed class MemoryLimitTests
{
    [Fact]
    public async Task Waits_in_turn_until_there_is_room()
    {
        var memory = new MemoryLimit(10);
        Assert.True(memory.TryTake(8));
        Assert.False(memory.TryTake(3));
        var large = memory.TakeAsync(6, default);
        var small = memory.TakeAsync(1, default);
        Assert.False(memory.TryTake(1)); // somebody waits
        Assert.False(large.IsCompleted || small.IsCompleted);
        memory.Return(4);
        await large;
        Assert.False(small.IsCompleted);
        memory.Return(4);
        await small;
        Assert.Equal(7, memory.TakenBytes);
    }

    [Fact]
    public async Task Who_gives_up_lets_the_next_one_through()
    {
        var memory = new MemoryLimit(10);
        Assert.True(memory.TryTake(8));
        using var giveUp = new CancellationTokenSource();
        var large = memory.TakeAsync(6, giveUp.Token);
        var small = memory.TakeAsync(2, default);
        Assert.True(memory.IsWaitedFor);
        await giveUp.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => large);
        await small;
        Assert.Equal((10L, false), (memory.TakenBytes, memory.IsWaitedFor));
    }

    [Fact]
    public async Task Who_waits_is_let_on_when_there_is_room_for_more_than_one()
    {
        const int megabyte = 1024 * 1024;
        var memory = new MemoryLimit(64 * megabyte);
        Assert.True(memory.TryTake(64 * megabyte));
        var first = memory.TakeAsync(megabyte, default);
        var second = memory.TakeAsync(megabyte, default);
        memory.Return(megabyte);
        memory.Return(megabyte);
        Assert.False(first.IsCompleted || second.IsCompleted);
        memory.Return(megabyte);
        await first;
        await second;
        Assert.True(memory.TryTake(megabyte)); // nobody waits, and all may be used
    }

    [Fact]
    public void More_than_the_limit_is_given_to_who_is_alone()
    {
        var memory = new MemoryLimit(10);
        Assert.True(memory.TryTake(50));
        Assert.False(memory.TryTake(1));
        memory.Return(50);
        Assert.True(memory.TryTake(1));
        Assert.False(memory.TryTake(50));
    }
}
