namespace Ottla.Broker.Monitoring;

/// <summary>Takes the samples of a node, family by family.</summary>
public interface IMetricOutput
{
    /// <summary>Begins a family: what is added next belongs to it. Each family comes once.</summary>
    void Begin(MetricFamily family);

    /// <summary>Adds a sample of a counter or a gauge.</summary>
    /// <param name="value">The value.</param>
    /// <param name="labels">The values of the family's labels. An empty one is as good as none.</param>
    void Add(double value, params ReadOnlySpan<string> labels);

    /// <summary>Adds a sample of a summary.</summary>
    /// <param name="summary">The times.</param>
    /// <param name="labels">The values of the family's labels.</param>
    void Add(in TimeSummary summary, params ReadOnlySpan<string> labels);
}

/// <summary>Knows some families of a node, and reads their samples when they are asked for: nothing is collected otherwise.</summary>
public interface IMetricSource
{
    /// <summary>The families that it may give.</summary>
    IReadOnlyList<MetricFamily> Families { get; }

    /// <summary>Gives all samples. One call at a time, on any thread.</summary>
    /// <param name="output">Takes them.</param>
    /// <param name="isDetailed">Whether series of single partitions are wanted as well.</param>
    ValueTask CollectAsync(IMetricOutput output, bool isDetailed);
}

/// <summary>A source that need not wait for anything.</summary>
public abstract class MetricSource : IMetricSource
{
    /// <inheritdoc/>
    public abstract IReadOnlyList<MetricFamily> Families { get; }

    /// <inheritdoc/>
    public ValueTask CollectAsync(IMetricOutput output, bool isDetailed)
    {
        Collect(output, isDetailed);
        return ValueTask.CompletedTask;
    }

    /// <inheritdoc cref="CollectAsync"/>
    protected abstract void Collect(IMetricOutput output, bool isDetailed);

    /// <summary>Gives a family that has one sample, without labels.</summary>
    protected static void Give(IMetricOutput output, MetricFamily family, double value)
    {
        output.Begin(family);
        output.Add(value);
    }
}
