using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Metadata;
using Ottla.StateMachines.Metadata;

namespace Ottla.StateMachines.Controller;

/// <summary>Decides all changes to the cluster's metadata. Pure: it takes commands and an image, and returns records and a reply.</summary>
/// <remarks>
/// The loop of the active controller owns it. Its only own state is a random sequence and the last parsed configuration: the metadata is in
/// the image, and applying records belongs to the image. So a controller that loses its leadership has nothing to undo.
/// </remarks>
public sealed class QuorumController
{
    /// <summary>The most records that one client operation may write.</summary>
    public const int UserOperationRecordsMax = 10_000;

    /// <summary>Producer ids in a block.</summary>
    public const int ProducerIdBlockSize = 1000;

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
        Features = new FeatureDecisions(this);
    }

    internal ControllerSettings Settings { get; }

    internal Prng Random { get; }

    internal PartitionDecisions Partitions { get; }

    internal ConfigDecisions Configs { get; }

    internal TopicDecisions Topics { get; }

    internal BrokerDecisions Brokers { get; }

    internal FeatureDecisions Features { get; }

    /// <summary>Decides about a command.</summary>
    /// <exception cref="ApiException">The command fails as a whole.</exception>
    public Decision<MetadataRecord, TReply> Decide<TReply>(ControllerCommand<TReply> command, in ControllerState state)
    {
        ArgumentNullException.ThrowIfNull(command);
        return command.Decide(this, state);
    }

    /// <summary>Handles <see cref="ActivateCommand"/>.</summary>
    internal Decision<MetadataRecord, Done> Activate(ActivateCommand command, in ControllerState state)
    {
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
