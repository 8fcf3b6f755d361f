using Ottla.Kernel;

namespace Ottla.Requests;

/// <summary>How long to wait before the next attempt: twice as long after each failure, up to a bound, and a little random.</summary>
/// <remarks>The randomness keeps nodes that failed together from trying again together. Not thread-safe: one owner.</remarks>
/// <param name="initial">The wait after the first failure; zero for none at all.</param>
/// <param name="max">The longest wait before the random part is added.</param>
/// <param name="jitter">The random part: a delay varies by this fraction in both directions; 0.2 is Kafka's for connections.</param>
/// <param name="random">Where the random part comes from; used by nobody else at the same time.</param>
public sealed class ExponentialBackoff(TimeSpan initial, TimeSpan max, double jitter, Prng random)
{
    /// <summary>More doublings than this exceed every bound.</summary>
    private const int DoublingsMax = 40;

    private const int JitterSteps = 1 << 20;

    /// <summary>The wait after this many failures in a row.</summary>
    /// <param name="failures">At least 1.</param>
    public TimeSpan DelayAfter(int failures)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(failures, 1);
        var ticks = Math.Min(initial.Ticks * Math.Pow(2, Math.Min(failures - 1, DoublingsMax)), max.Ticks);
        var position = (2.0 * random.NextInt(JitterSteps) / JitterSteps) - 1;
        return TimeSpan.FromTicks((long)(ticks * (1 + (jitter * position))));
    }
}
