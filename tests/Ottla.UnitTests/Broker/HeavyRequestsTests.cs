using Microsoft.Extensions.Time.Testing;
using Ottla.Broker.Server;
using Ottla.Kernel;

namespace Ottla.UnitTests.Broker;

/// <summary>The threads of requests that take long: how many there are, and in which order they work.</summary>
public sealed class HeavyRequestsTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public async Task No_more_run_at_once_than_may_and_all_run(int threadsMax)
    {
        using var heavy = new HeavyRequests(() => threadsMax, TimeProvider.System);
        const int count = 50;
        using var atOnce = new CountdownEvent(threadsMax);
        using var goOn = new ManualResetEventSlim();
        var (running, most, started) = (0, 0, 0);
        var all = await WithoutContextAsync(() => Enumerable.Range(0, count).Select(_ => heavy.RunAsync(() =>
        {
            InterlockedMax(ref most, Interlocked.Increment(ref running));
            if (Interlocked.Increment(ref started) <= threadsMax)
                atOnce.Signal();
            Assert.True(goOn.Wait(TestNode.Patience));
            Interlocked.Decrement(ref running);
        })).ToArray());
        Assert.True(atOnce.Wait(TestNode.Patience));
        goOn.Set();
        await Task.WhenAll(all).WaitAsync(TestNode.Patience);
        Assert.Equal((threadsMax, count), (most, started));
    }

    [Fact]
    public async Task One_thread_works_in_the_order_of_the_queue_and_outlives_exceptions()
    {
        using var heavy = new HeavyRequests(static () => 1, TimeProvider.System);
        var order = new List<int>();
        var all = await WithoutContextAsync(() => Enumerable.Range(0, 20).Select(i => heavy.RunAsync(() =>
        {
            order.Add(i);
            if (i % 2 == 0)
                throw new InvalidOperationException($"{i}");
        })).ToArray());
        for (var i = 0; i < all.Length; i++)
        {
            if (i % 2 == 0)
                Assert.Equal($"{i}", (await Assert.ThrowsAsync<InvalidOperationException>(() => all[i])).Message);
            else
                await all[i].WaitAsync(TestNode.Patience);
        }

        Assert.Equal(Enumerable.Range(0, 20), order);
    }

    [Fact]
    public async Task How_busy_the_threads_are_is_told_while_they_work_too()
    {
        var clock = new FakeTimeProvider();
        using var heavy = new HeavyRequests(static () => 2, clock);
        Assert.Equal(new ThreadLoad(2, TimeSpan.Zero), heavy.Load);
        using var running = new CountdownEvent(2);
        using var goOn = new ManualResetEventSlim();
        var all = await WithoutContextAsync(() => Enumerable.Range(0, 3).Select(_ => heavy.RunAsync(() =>
        {
            if (!running.IsSet)
                running.Signal();
            Assert.True(goOn.Wait(TestNode.Patience));
        })).ToArray());
        Assert.True(running.Wait(TestNode.Patience));
        clock.Advance(TimeSpan.FromSeconds(3));
        Assert.Equal((TimeSpan.FromSeconds(6), 1), (heavy.Load.BusyTime, heavy.QueueLength));
        goOn.Set();
        await Task.WhenAll(all).WaitAsync(TestNode.Patience);
        await Waiting.UntilAsync(() =>
        {
            var before = heavy.Load.BusyTime; // a thread may be about to note that it is done
            clock.Advance(TimeSpan.FromSeconds(1));
            return heavy.Load.BusyTime == before;
        });
        Assert.Equal(0, heavy.QueueLength);
    }

    /// <summary>The tests' own synchronization context is no thread of the broker's.</summary>
    private static Task<T> WithoutContextAsync<T>(Func<T> work) => Task.Run(work).WaitAsync(TestNode.Patience);

    private static void InterlockedMax(ref int target, int value)
    {
        for (var seen = Volatile.Read(ref target); seen < value;)
        {
            var before = Interlocked.CompareExchange(ref target, value, seen);
            if (before == seen)
                return;
            seen = before;
        }
    }
}
