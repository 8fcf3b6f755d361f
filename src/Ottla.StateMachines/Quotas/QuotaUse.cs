namespace Ottla.StateMachines.Quotas;

/// <summary>
/// What those who share a quota have used lately: a rate, or the credit of a token bucket. Any thread may use it; it is locked briefly.
/// </summary>
/// <remarks>
/// It keeps no limit: a quota that changes bounds what was used before the change too. Once nothing counts any more it may be forgotten
/// (<see cref="TryForget"/>): a new one takes its place, and whoever still has it looks for that.
/// </remarks>
/// <param name="kind">The kind of the quota.</param>
/// <param name="samples">How many samples a rate has: <c>quota.window.num</c>.</param>
/// <param name="sampleMs">How long a sample is: <c>quota.window.size.seconds</c>, in milliseconds.</param>
public sealed class QuotaUse(QuotaKind kind, int samples, long sampleMs)
{
    private readonly Lock _lock = new();
    private readonly SampledRate _rate = new();
    private double _credit = double.PositiveInfinity;
    private long _lastMs;
    private volatile bool _isForgotten;

    /// <summary>Whether another one has taken its place.</summary>
    public bool IsForgotten => _isForgotten;

    /// <summary>Counts what is used, also beyond the limit.</summary>
    /// <returns>How long the client must wait until the rate is at the limit again, in milliseconds.</returns>
    public long Record(double value, double limit, long nowMs)
    {
        lock (_lock)
        {
            _lastMs = nowMs;
            _rate.Record(value, nowMs, samples, sampleMs);
            return _rate.WaitMs(limit, nowMs, kind == QuotaKind.Request ? sampleMs : int.MaxValue);
        }
    }

    /// <summary>Takes back what was counted, because it was not sent.</summary>
    public void TakeBack(double value, long nowMs)
    {
        lock (_lock)
            _rate.Record(-value, nowMs, samples, sampleMs);
    }

    /// <summary>Takes permits from a token bucket. Its credit may go below zero once.</summary>
    /// <param name="permits">How many.</param>
    /// <param name="limit">How many come back per second.</param>
    /// <param name="nowMs">The time in milliseconds.</param>
    /// <param name="isStrict">Whether nothing is taken while there is no credit.</param>
    /// <param name="waitMs">How long until there is credit again, in milliseconds; 0 if it was within the limit.</param>
    /// <returns>Whether the permits were taken.</returns>
    public bool TryTake(double permits, double limit, long nowMs, bool isStrict, out long waitMs)
    {
        lock (_lock)
        {
            var burst = limit * samples * sampleMs / 1000;
            _credit = Math.Min(burst, _credit + (limit * Math.Max(nowMs - _lastMs, 0) / 1000));
            _lastMs = nowMs;
            waitMs = 0;
            if (isStrict && _credit < 0)
            {
                waitMs = WaitMs(limit);
                return false;
            }

            _credit -= permits;
            if (!isStrict && _credit < 0)
                waitMs = WaitMs(limit);
            return true;
        }
    }

    /// <summary>Forgets what was used, if none of it counts any more.</summary>
    public bool TryForget(long nowMs)
    {
        lock (_lock)
        {
            // A bucket that is below zero needs its time; the limit is not known here, so it is given an hour as in Kafka.
            _isForgotten = nowMs - _lastMs > (kind == QuotaKind.ControllerMutation ? 3_600_000 : (samples + 1) * sampleMs);
            return _isForgotten;
        }
    }

    private long WaitMs(double limit) => (long)Math.Min(Math.Round(-_credit / limit * 1000), int.MaxValue);
}
