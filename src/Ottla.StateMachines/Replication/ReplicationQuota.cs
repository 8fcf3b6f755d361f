using Ottla.Kernel;

namespace Ottla.StateMachines.Replication;

/// <summary>
/// The rate at which throttled replicas were sent or fetched lately, in samples of one window each, as Kafka measures it.
/// </summary>
/// <remarks>
/// Pure; its owner guards it. What is recorded counts even above the quota: who exceeds it pauses until the average has come down.
/// </remarks>
/// <param name="windows"><c>replication.quota.window.num</c>.</param>
/// <param name="windowSeconds"><c>replication.quota.window.size.seconds</c>.</param>
public sealed class ReplicationQuota(int windows, int windowSeconds)
{
    private readonly (Instant Start, long Bytes)[] _samples = new (Instant, long)[Math.Max(windows, 1)];
    private readonly long _windowMs = windowSeconds * 1000L;
    private int _current = -1;
    private int _count;

    /// <summary>Counts bytes.</summary>
    public void Record(long bytes, Instant now)
    {
        Expire(now);
        if (_count == 0 || now.MillisecondsSince(_samples[_current].Start) >= _windowMs)
        {
            _current = (_current + 1) % _samples.Length;
            _samples[_current] = (now, 0);
            _count = Math.Min(_count + 1, _samples.Length);
        }

        _samples[_current].Bytes += bytes;
    }

    /// <summary>Whether the average of the last windows is above a quota.</summary>
    /// <param name="bytesPerSecond">The quota.</param>
    /// <param name="now">The time.</param>
    public bool IsExceeded(long bytesPerSecond, Instant now)
    {
        Expire(now);
        if (_count == 0)
            return false;
        var bytes = 0.0;
        for (var i = 0; i < _count; i++)
            bytes += _samples[Back(i)].Bytes;
        var elapsedMs = Math.Max(now.MillisecondsSince(_samples[Back(_count - 1)].Start), _windowMs);
        return bytes * 1000 / elapsedMs > bytesPerSecond;
    }

    private int Back(int steps) => (_current - steps + _samples.Length) % _samples.Length;

    /// <summary>Drops samples that are too old, and those of a clock that was set back since.</summary>
    private void Expire(Instant now)
    {
        while (_count > 0 && now.MillisecondsSince(_samples[Back(_count - 1)].Start) is var ageMs
            && (ageMs >= _samples.Length * _windowMs || ageMs < 0))
            _count--;
    }
}
