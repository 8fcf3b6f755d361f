using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Metadata;
using Ottla.StateMachines.Metadata;

namespace Ottla.StateMachines.Controller;

/// <summary>Decides all changes to the cluster's metadata. Pure: it takes commands and an image, and returns records and a reply.</summary>
/// <remarks>
/// The loop of the active controller owns it. The metadata is in the image, and applying records belongs to the image: so a controller that
/// loses its leadership has nothing to undo. Its own state is a random sequence, the last parsed configuration, and what is true of an
/// active controller only: what it hears of brokers (<see cref="BrokerSessions"/>) and when it does what by itself
/// (<see cref="PeriodicWork"/>). <see cref="Activate"/> begins both anew.
/// </remarks>
public sealed class QuorumController
{
    /// <summary>The most records that one client operation may write.</summary>
    public const int UserOperationRecordsMax = 10_000;

    /// <summary>Producer ids in a block.</summary>
    public const int ProducerIdBlockSize = 1000;

    /// <summary>
    /// How soon a broker that has no connection is suspected again, if its process was there the last time: it may end before it comes.
    /// </summary>
    public const int SuspicionIntervalMs = 1_000;

    private readonly PeriodicWork _work;
    private Tuple<object, object, BrokerConfig>? _effectiveConfig;

    /// <summary>Makes a controller.</summary>
    public QuorumController(ControllerSettings settings)
    {
        Settings = settings;
        Random = new Prng(settings.Seed);
        Partitions = new PartitionDecisions(this);
        Configs = new ConfigDecisions(this);
        Topics = new TopicDecisions(this);
        Brokers = new BrokerDecisions(this);
        Heartbeats = new HeartbeatDecisions(this);
        Features = new FeatureDecisions(this);
        Tokens = new TokenDecisions(this);
        Sessions = new BrokerSessions(settings.Config.BrokerSessionTimeoutMs);
        _work = new PeriodicWork(this);
    }

    /// <summary>When <see cref="OnDeadline"/> is due; null while this controller is not active.</summary>
    public Instant? NextDeadline => _work.NextDeadline;

    internal ControllerSettings Settings { get; }

    internal Prng Random { get; }

    internal PartitionDecisions Partitions { get; }

    internal ConfigDecisions Configs { get; }

    internal TopicDecisions Topics { get; }

    internal BrokerDecisions Brokers { get; }

    internal HeartbeatDecisions Heartbeats { get; }

    internal FeatureDecisions Features { get; }

    internal TokenDecisions Tokens { get; }

    internal BrokerSessions Sessions { get; }

    /// <summary>Decides about a command.</summary>
    /// <exception cref="ApiException">The command fails as a whole.</exception>
    public Decision<MetadataRecord, TReply> Decide<TReply>(ControllerCommand<TReply> command, in ControllerState state)
    {
        ArgumentNullException.ThrowIfNull(command);
        return command.Decide(this, state);
    }

    /// <summary>Takes note of a heartbeat, at once and whatever is decided about it later: the broker lives.</summary>
    /// <param name="heartbeat">The heartbeat.</param>
    /// <param name="arrivedAt">When it came in.</param>
    /// <param name="connection">What it came over; only compared.</param>
    /// <returns>Whether the broker is registered.</returns>
    public bool Hear(BrokerHeartbeatRequest heartbeat, Instant arrivedAt, object connection) =>
        Sessions.Hear(heartbeat, arrivedAt, connection);

    /// <summary>Takes note that a connection which heartbeats came over is closed.</summary>
    public void Disconnect(int brokerId, object connection) => Sessions.Disconnect(brokerId, connection);

    /// <summary>
    /// The unfenced brokers whose process may have ended: no connection is open that their heartbeats came over. Each is named again after
    /// a while, until it is heard of or fenced.
    /// </summary>
    public IReadOnlyList<BrokerRegistration> SuspectBrokers(MetadataImage image, Instant now) => [.. Sessions.Suspect(image.Cluster, now)];

    /// <summary>
    /// Takes note that the process of a broker has ended (docs/adr/0017): its session is over, and <see cref="OnDeadline"/> fences it. One
    /// that was heard of meanwhile lives.
    /// </summary>
    public void EndSession(int brokerId, long brokerEpoch, Instant now)
    {
        if (Sessions.End(brokerId, brokerEpoch))
            _work.FenceAt(now);
    }

    /// <summary>Takes note of records that it decided, now that they are in the log.</summary>
    /// <param name="records">The records of a batch.</param>
    /// <param name="lastOffset">The offset of the last one.</param>
    public void Apply(IReadOnlyList<MetadataRecord> records, long lastOffset) => Sessions.Apply(records, lastOffset);

    /// <summary>Does what is due by itself, one thing at a time.</summary>
    /// <returns>The records, and what the log tells operators of them.</returns>
    public Decision<MetadataRecord, string?> OnDeadline(in ControllerState state) => _work.OnDeadline(state);

    /// <summary>Another node is the active controller, or nobody: what was heard from brokers counts no more.</summary>
    public void Resign()
    {
        Sessions.End();
        _work.End();
    }

    /// <summary>Handles <see cref="ActivateCommand"/>.</summary>
    internal Decision<MetadataRecord, Done> Activate(ActivateCommand command, in ControllerState state)
    {
        Sessions.Begin(state.Image, state.Now);
        _work.Begin(state.Now);
        List<MetadataRecord> records = [];
        if (command.TransactionStartOffset >= 0)
            records.Add(new MetadataRecord(new AbortTransactionRecord { Reason = "Controller failover" }, 0));
        if (state.Image.Features.MetadataVersion is not null)
            return new Decision<MetadataRecord, Done>(records, Done.Instance, true);

        var bootstrapped = MetadataImage.Empty.Apply(command.Bootstrap, 0, MetadataProvenance.Empty);
        var inTransaction = bootstrapped.Features.MetadataVersionOrThrow.SupportsTransactions;
        if (inTransaction)
            records.Add(new MetadataRecord(new BeginTransactionRecord { Name = "Bootstrap records" }, 0));
        records.AddRange(command.Bootstrap);

        // With eligible leader replicas, min.insync.replicas is set for the cluster, not for each broker (KIP-966).
        if (bootstrapped.Features.IsElrEnabled)
            records.Add(
                ConfigDecisions.Record(
                    ConfigResource.DefaultBroker, ConfigDecisions.MinInsyncReplicas, Text(Settings.Config.MinInsyncReplicas)));
        if (inTransaction)
            records.Add(new MetadataRecord(new EndTransactionRecord(), 0));
        return new Decision<MetadataRecord, Done>(records, Done.Instance, true);
    }

    /// <summary>Rejects an operation that writes too many records at once.</summary>
    internal static void CheckSize(List<MetadataRecord> records)
    {
        if (records.Count > UserOperationRecordsMax)
            throw new ApiException(ErrorCode.PolicyViolation, "Unable to perform excessively large batch operation.");
    }

    /// <summary>The controller's effective configuration: its static values, overridden by the dynamic values of the image.</summary>
    /// <remarks>Cached until a dynamic configuration changes, because making it parses every config.</remarks>
    internal BrokerConfig EffectiveConfig(MetadataImage image)
    {
        var defaults = image.Configs.Of(ConfigResource.DefaultBroker);
        var own = image.Configs.Of(ConfigResource.Broker(Settings.NodeId));
        if (_effectiveConfig is var (madeFromDefaults, madeFromOwn, config) && ReferenceEquals(madeFromDefaults, defaults)
            && ReferenceEquals(madeFromOwn, own))
            return config;
        config = Settings.Config.WithDynamic(defaults, own);
        _effectiveConfig = Tuple.Create<object, object, BrokerConfig>(defaults, own, config);
        return config;
    }

    internal static string Text(long number) => number.ToString(System.Globalization.CultureInfo.InvariantCulture);
}
