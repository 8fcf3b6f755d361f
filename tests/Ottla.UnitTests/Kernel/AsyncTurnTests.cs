using Ottla.Kernel;

namespace Ottla.UnitTests.Kernel;

public sealed class AsyncTurnTests
{
    private readonly AsyncTurn _turn = new();

    [Fact]
    public async Task Callers_go_in_one_at_a_time_in_their_order()
    {
        await _turn.WaitAsync();
        var second = _turn.WaitAsync();
        var third = _turn.WaitAsync();
        Assert.False(second.IsCompleted || third.IsCompleted);
        _turn.Release();
        await second;
        Assert.False(third.IsCompleted);
        _turn.Release();
        await third;
        _turn.Release();
        Assert.True(_turn.WaitAsync().IsCompletedSuccessfully);
    }

    [Fact]
    public async Task Who_gives_up_is_passed_over()
    {
        using var cancellation = new CancellationTokenSource();
        await _turn.WaitAsync();
        var second = _turn.WaitAsync(cancellation.Token);
        var third = _turn.WaitAsync();
        await cancellation.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => second);
        _turn.Release();
        await third;
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => _turn.WaitAsync(cancellation.Token));
    }
}
