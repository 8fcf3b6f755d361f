using Ottla.Kernel;

namespace Ottla.Broker.Monitoring;

/// <summary>
/// Says which part of the last minutes threads had nothing to do: of the time since an earlier reading, the newest one that is at least
/// <see cref="TimeWindow.WindowMin"/> old.
/// </summary>
/// <param name="time">The clock.</param>
internal sealed class IdleWindow(TimeProvider time)
{
    private Reading _base = new(TimeSpan.Zero, time.GetTimestamp());
    private Reading? _next;

    /// <summary>Reads it. One call at a time.</summary>
    /// <returns>From 0, when they were busy all the time, to 1.</returns>
    public double Read(in ThreadLoad load)
    {
        var now = new Reading(load.BusyTime, time.GetTimestamp());
        if (_next is not { } next)
            _next = now;
        else if (time.GetElapsedTime(next.At) >= TimeWindow.WindowMin)
            (_base, _next) = (next, now);
        var whole = time.GetElapsedTime(_base.At, now.At) * load.ThreadCount;
        return whole > TimeSpan.Zero ? Math.Clamp(1 - ((now.Busy - _base.Busy) / whole), 0, 1) : 1;
    }

    private readonly record struct Reading(TimeSpan Busy, long At);
}
