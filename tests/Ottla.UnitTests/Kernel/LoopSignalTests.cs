using Microsoft.Extensions.Time.Testing;
using Ottla.Kernel;

namespace Ottla.UnitTests.Kernel;

public sealed class LoopSignalTests
{
    private readonly FakeTimeProvider _clock = new();

    [Fact]
    public async Task A_signal_is_kept_until_the_loop_waits_and_counts_once()
    {
        var signal = new LoopSignal(_clock);
        signal.Set();
        signal.Set();
        await signal.WaitAsync(null, default);
        var waiting = signal.WaitAsync(null, default);
        Assert.False(waiting.IsCompleted);
        signal.Set();
        await waiting;
    }

    [Fact]
    public async Task A_wait_ends_at_its_time()
    {
        var signal = new LoopSignal(_clock);
        var waiting = signal.WaitAsync(Instant.Now(_clock).AddMilliseconds(10), default);
        _clock.AdvanceMs(9);
        Assert.False(waiting.IsCompleted);
        _clock.AdvanceMs(1);
        await waiting;
        var longer = signal.WaitAsync(Instant.Now(_clock).AddMilliseconds(10), default);
        signal.Set();
        await longer;
    }

    [Fact]
    public async Task A_wait_can_be_cancelled()
    {
        using var cancellation = new CancellationTokenSource();
        var signal = new LoopSignal(_clock);
        var waiting = signal.WaitAsync(null, cancellation.Token);
        await cancellation.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
    }
}
