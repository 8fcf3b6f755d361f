using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Metadata;
using Ottla.StateMachines.Metadata;

namespace Ottla.StateMachines.Controller;

/// <summary>Decides what happens to the cluster's metadata. Pure: commands and an image in, records and a reply out.</summary>
/// <remarks>
/// Owned by the loop of the active controller. It keeps no state of its own but a random sequence (and what it has parsed of the configuration): the state is
/// the image, and applying records is the image's. So a controller that loses its leadership has nothing to undo.
/// </remarks>
public sealed class QuorumController
{
    /// <summary>Records that one operation of a client may write.</summary>
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

    /// <summary>Begins to be active: see <see cref="ActivateCommand"/>.</summary>
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

        // With eligible leader replicas the cluster, not each broker, says how many replicas must be in sync (KIP-966).
        if (bootstrapped.Features.IsElrEnabled)
            records.Add(ConfigDecisions.Record(ConfigResource.DefaultBroker, ConfigDecisions.MinInsyncReplicas, Text(Settings.Config.MinInsyncReplicas)));
        if (inTransaction)
            records.Add(new MetadataRecord(new EndTransactionRecord(), 0));
        return new Decision<MetadataRecord, Done>(records, Done.Instance, true);
    }

    /// <summary>Refuses an operation that would write too much at once.</summary>
    internal static void CheckSize(List<MetadataRecord> records)
    {
        if (records.Count > UserOperationRecordsMax)
            throw new ApiException(ErrorCode.PolicyViolation, "Unable to perform excessively large batch operation.");
    }

    /// <summary>The configuration that the controller sees: its static values under the dynamic ones of the image.</summary>
    /// <summary>Made anew only when one of the dynamic configurations is another: making it parses every config there is.</summary>
    internal BrokerConfig EffectiveConfig(MetadataImage image)
    {
        var defaults = image.Configs.Of(ConfigResource.DefaultBroker);
        var own = image.Configs.Of(ConfigResource.Broker(Settings.NodeId));
        if (_effectiveConfig is var (madeFromDefaults, madeFromOwn, config) && ReferenceEquals(madeFromDefaults, defaults) && ReferenceEquals(madeFromOwn, own))
            return config;
        config = Settings.Config.WithDynamic(defaults, own);
        _effectiveConfig = Tuple.Create<object, object, BrokerConfig>(defaults, own, config);
        return config;
    }

    internal static string Text(long number) => number.ToString(System.Globalization.CultureInfo.InvariantCulture);
}
