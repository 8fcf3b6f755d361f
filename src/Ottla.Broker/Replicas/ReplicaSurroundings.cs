using Microsoft.Extensions.Logging;
using Ottla.Configuration;
using Ottla.StateMachines.Metadata;

namespace Ottla.Broker.Replicas;

/// <summary>What all replicas of a broker share. Lives as long as the broker; thread-safe.</summary>
public sealed class ReplicaSurroundings
{
    private volatile ClusterImage _cluster = ClusterImage.Empty;
    private CommitDeadlines? _commitDeadlines;

    /// <summary>This broker.</summary>
    public required int NodeId { get; init; }

    /// <summary>The configuration in force.</summary>
    public required Func<BrokerConfig> Config { get; init; }

    /// <summary>The epoch of this broker's registration.</summary>
    public required Func<long> BrokerEpoch { get; init; }

    /// <summary>Asks the controller for changes of ISRs.</summary>
    public required IIsrChanges IsrChanges { get; init; }

    /// <summary>The clock.</summary>
    public required TimeProvider Time { get; init; }

    /// <summary>The deadlines of requests that wait for a commit.</summary>
    public CommitDeadlines CommitDeadlines =>
        _commitDeadlines ?? Interlocked.CompareExchange(ref _commitDeadlines, new CommitDeadlines(Time), null) ?? _commitDeadlines!;

    /// <summary>Counts how ISRs change.</summary>
    internal IsrCounters IsrCounters { get; } = new();

    /// <summary>Counts what is wrong with records that are refused.</summary>
    internal RecordFaultCounters RecordFaults { get; } = new();

    /// <summary>Where it is told how leaders and ISRs change.</summary>
    public required ILogger Logger { get; init; }

    /// <summary>
    /// The brokers, as the metadata has them that the replicas are being told of. The metadata publisher sets it before it changes
    /// replicas.
    /// </summary>
    public ClusterImage Cluster
    {
        get => _cluster;
        set => _cluster = value;
    }
}

/// <summary>Asks the controller for what leaders propose. Called from any thread, outside of the locks of the replicas.</summary>
public interface IIsrChanges
{
    /// <summary>
    /// The replica has a proposal: <see cref="PartitionReplica.OpenProposal"/>. It is told the answer
    /// (<see cref="PartitionReplica.OnAnswer"/>), and asked for what is open then.
    /// </summary>
    void Request(PartitionReplica replica);
}
