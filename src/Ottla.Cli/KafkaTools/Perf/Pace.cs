namespace Ottla.Cli.KafkaTools.Perf;

/// <summary>Keeps a sender at a number of records per second.</summary>
/// <param name="perSecond">The number; not positive for no limit.</param>
internal sealed class Pace(double perSecond)
{
    private readonly TimeProvider _time = TimeProvider.System;
    private readonly long _startedAt = TimeProvider.System.GetTimestamp();

    /// <summary>Waits until a record is due.</summary>
    /// <param name="index">How many were sent before.</param>
    /// <param name="cancellation">Ends the wait.</param>
    public async ValueTask WaitAsync(long index, CancellationToken cancellation)
    {
        if (perSecond <= 0)
            return;
        var due = TimeSpan.FromSeconds(index / perSecond) - _time.GetElapsedTime(_startedAt);
        if (due > TimeSpan.FromMilliseconds(1))
            await Task.Delay(due, _time, cancellation);
    }
}
