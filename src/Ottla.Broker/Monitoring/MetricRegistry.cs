using Ottla.Kernel;

namespace Ottla.Broker.Monitoring;

/// <summary>The metrics of a node. Its parts add what they know while the node is made; a scrape reads all of it.</summary>
public sealed class MetricRegistry
{
    private readonly Lock _lock = new();

    // Replaced as a whole under _lock.
    private volatile IMetricSource[] _sources = [];

    // The end of the last call that was begun; guarded by _lock.
    private Task _lastTurn = Task.CompletedTask;

    /// <summary>All families that the node may give, in the order in which it gives them.</summary>
    public IReadOnlyList<MetricFamily> Families => [.. _sources.SelectMany(source => source.Families)];

    /// <summary>Adds a source.</summary>
    public void Add(IMetricSource source)
    {
        lock (_lock)
            _sources = [.. _sources, source];
    }

    /// <summary>Gives all samples to an output. Callers take turns.</summary>
    /// <param name="output">Takes the samples.</param>
    /// <param name="isDetailed">Whether series of single partitions are wanted as well.</param>
    /// <param name="cancellation">Ends the wait for the turn.</param>
    public async Task CollectAsync(IMetricOutput output, bool isDetailed, CancellationToken cancellation = default)
    {
        var turn = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Task before;
        lock (_lock)
            (before, _lastTurn) = (_lastTurn, Task.WhenAll(_lastTurn, turn.Task));
        try
        {
            await before.UntilCanceled(cancellation);
            foreach (var source in _sources)
                await source.CollectAsync(output, isDetailed);
        }
        finally
        {
            turn.SetResult();
        }
    }
}
