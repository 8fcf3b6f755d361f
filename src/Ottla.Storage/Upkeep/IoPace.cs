using Ottla.Kernel;

namespace Ottla.Storage.Upkeep;

/// <summary>Limits a kind of background work to a number of bytes per second, and yields to other work.</summary>
/// <remarks>Thread-safe. The cleaner has one for all its logs, and so has the mover. Lives as long as the node.</remarks>
internal sealed class IoPace(TimeProvider time, Func<double> bytesPerSecondMax)
{
    /// <summary>Shorter waits are added up, because a timer is no more exact than this.</summary>
    private static readonly TimeSpan WaitMin = TimeSpan.FromMilliseconds(10);

    /// <summary>The longest time before a change of the limit takes effect.</summary>
    private static readonly TimeSpan s_nap = TimeSpan.FromSeconds(1);

    private readonly ScheduledLock _lock = new();
    private readonly long _start = time.GetTimestamp();
    private TimeSpan _paidUntil;

    /// <summary>
    /// Waits until <paramref name="bytes"/>, read and written, are within the limit; without a limit it only yields.
    /// </summary>
    public async ValueTask SpendAsync(long bytes, CancellationToken cancellation)
    {
        var rate = bytesPerSecondMax();
        var wait = Charge(bytes, rate);
        if (wait <= TimeSpan.Zero)
            await Task.Yield();
        for (; wait > TimeSpan.Zero; wait -= s_nap)
        {
            await Task.Delay(wait < s_nap ? wait : s_nap, time, CancellationToken.None).UntilCanceled(cancellation);
            if (bytesPerSecondMax().Equals(rate))
                continue;
            Forgive(); // the debt at the old rate no longer counts
            break;
        }

        cancellation.ThrowIfCancellationRequested();
    }

    private void Forgive()
    {
        using (_lock.EnterScope())
            _paidUntil = TimeSpan.Zero;
    }

    private TimeSpan Charge(long bytes, double rate)
    {
        if (rate <= 0 || rate >= double.MaxValue)
            return TimeSpan.Zero;
        using (_lock.EnterScope())
        {
            var now = time.GetElapsedTime(_start);
            var seconds = Math.Min(bytes / rate, TimeSpan.FromHours(1).TotalSeconds);
            _paidUntil = (_paidUntil > now ? _paidUntil : now) + TimeSpan.FromSeconds(seconds);
            return _paidUntil - now is var wait && wait >= WaitMin ? wait : TimeSpan.Zero;
        }
    }
}
