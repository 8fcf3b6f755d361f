using Ottla.Broker.Server;

namespace Ottla.UnitTests.Broker;

/// <summary>The threads of requests that take long: how many there are, and in which order they work.</summary>
public sealed class HeavyRequestsTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public async Task No_more_run_at_once_than_may_and_all_run(int threadsMax)
    {
        using var heavy = new HeavyRequests(() => threadsMax);
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
        using var heavy = new HeavyRequests(static () => 1);
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
