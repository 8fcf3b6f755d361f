using Ottla.Broker.Hosts;
using Ottla.Broker.Metadata;
using Ottla.StateMachines.Metadata;

namespace Ottla.Broker.Monitoring;

/// <summary>
/// The cluster as its controllers see it, and the elections that this node decided while it was the active controller: Kafka's
/// KafkaController and ControllerStats. A metadata publisher.
/// </summary>
/// <param name="host">The controller.</param>
/// <param name="metadata">The committed metadata.</param>
internal sealed class ControllerMetrics(ControllerHost host, Func<MetadataImage> metadata) : MetricSource, IMetadataPublisher
{
    private static readonly MetricFamily Active =
        OfController("activecontrollercount", "1 on the active controller, 0 on the others: the sum over the cluster has to be 1.");
    private static readonly MetricFamily ActiveBrokers = OfController("activebrokercount", "Brokers that may lead.");
    private static readonly MetricFamily FencedBrokers = OfController("fencedbrokercount", "Registered brokers that are fenced.");
    private static readonly MetricFamily ShuttingDown =
        OfController("controlledshutdownbrokercount", "Brokers that are in a controlled shutdown.");
    private static readonly MetricFamily Topics = OfController("globaltopiccount", "Topics of the cluster.");
    private static readonly MetricFamily Partitions = OfController("globalpartitioncount", "Partitions of the cluster.");
    private static readonly MetricFamily Offline =
        OfController("offlinepartitionscount", "Partitions without a leader: nobody can write to them or read from them.");
    private static readonly MetricFamily Imbalance =
        OfController("preferredreplicaimbalancecount", "Partitions that are not led by their preferred replica.");
    private static readonly MetricFamily NewActive =
        OfController("newactivecontrollerscount", "How often the active controller has changed since this node began.");
    private static readonly MetricFamily LastCommitted =
        OfController("lastcommittedrecordoffset", "The last offset of the metadata log that is committed.");
    private static readonly MetricFamily LastApplied =
        OfController("lastappliedrecordoffset", "The last offset of the metadata log that this node has taken over.");
    private static readonly MetricFamily Silent = OfController(
        "timedoutbrokerheartbeatcount",
        "Brokers that were fenced because they fell silent or their process ended, while this node was active.");
    private static readonly MetricFamily Elections = MetricFamily.Counter(
        "kafka_controller_controllerstats_leaderelections_total", "Partitions that got another leader while this node was active.");
    private static readonly MetricFamily Unclean = MetricFamily.Counter(
        "kafka_controller_controllerstats_uncleanleaderelections_total",
        "Partitions that got a leader which may lack records, while this node was active.");
    private static readonly MetricFamily FromEligible = MetricFamily.Counter(
        "kafka_controller_controllerstats_electionfromeligibleleaderreplicas_total",
        "Partitions that got a leader from their eligible leader replicas while this node was active.");

    private long _elections;
    private long _uncleanElections;
    private long _eligibleElections;
    private long _activeChanges;
    private long _silentBrokers;
    private int _lastActive = -1;

    /// <inheritdoc/>
    public string Name => "the controller's metrics";

    /// <inheritdoc/>
    public override IReadOnlyList<MetricFamily> Families { get; } =
    [
        Active, ActiveBrokers, FencedBrokers, ShuttingDown, Topics, Partitions, Offline, Imbalance, NewActive, LastCommitted,
        LastApplied, Silent, Elections, Unclean, FromEligible,
    ];

    /// <inheritdoc/>
    public void Publish(MetadataDelta delta)
    {
        var active = host.ActiveControllerId;
        if (active >= 0 && active != _lastActive)
            Interlocked.Increment(ref _activeChanges);
        _lastActive = active;
        if (!host.IsActive)
            return;
        foreach (var change in delta.Topics.SelectMany(topic => topic.Partitions()))
            CountElection(change.Old, change.New);
        foreach (var broker in delta.Brokers)
            CountFencing(delta.Old.Cluster.Broker(broker), delta.New.Cluster.Broker(broker));
    }

    /// <inheritdoc/>
    protected override void Collect(IMetricOutput output, bool isDetailed)
    {
        var image = metadata();
        var (partitions, offline, imbalance) = (0, 0, 0);
        foreach (var topic in image.Topics.ById.Values)
        {
            partitions += topic.Partitions.Length;
            foreach (var partition in topic.Partitions)
            {
                offline += partition.Leader == PartitionRegistration.NoLeader ? 1 : 0;
                imbalance += partition.Leader != partition.PreferredLeader ? 1 : 0;
            }
        }

        var brokers = image.Cluster.Brokers.Values;
        Give(output, Active, host.IsActive ? 1 : 0);
        Give(output, ActiveBrokers, brokers.Count(broker => broker.IsActive));
        Give(output, FencedBrokers, brokers.Count(broker => broker.Fenced));
        Give(output, ShuttingDown, brokers.Count(broker => broker is { Fenced: false, InControlledShutdown: true }));
        Give(output, Topics, image.Topics.ById.Count);
        Give(output, Partitions, partitions);
        Give(output, Offline, offline);
        Give(output, Imbalance, imbalance);
        Give(output, NewActive, Interlocked.Read(ref _activeChanges));
        Give(output, LastCommitted, host.CommittedOffset);
        Give(output, LastApplied, metadata().Provenance.LastOffset);
        Give(output, Silent, Interlocked.Read(ref _silentBrokers));
        Give(output, Elections, Interlocked.Read(ref _elections));
        Give(output, Unclean, Interlocked.Read(ref _uncleanElections));
        Give(output, FromEligible, Interlocked.Read(ref _eligibleElections));
    }

    private void CountFencing(BrokerRegistration? before, BrokerRegistration? after)
    {
        if (before is { Fenced: false, InControlledShutdown: false } && after is { Fenced: true } && after.Epoch == before.Epoch)
            Interlocked.Increment(ref _silentBrokers);
    }

    private void CountElection(PartitionRegistration? before, PartitionRegistration? after)
    {
        if (before is null || after is null || after.Leader == before.Leader || after.Leader == PartitionRegistration.NoLeader)
            return;
        Interlocked.Increment(ref _elections);
        if (before.Isr.Contains(after.Leader))
            return;
        if (after.LeaderRecoveryState == LeaderRecoveryState.Recovering)
            Interlocked.Increment(ref _uncleanElections);
        else if (before.EligibleLeaderReplicas.Contains(after.Leader))
            Interlocked.Increment(ref _eligibleElections);
    }

    private static MetricFamily OfController(string what, string help) =>
        MetricFamily.Gauge($"kafka_controller_kafkacontroller_{what}", help);
}
