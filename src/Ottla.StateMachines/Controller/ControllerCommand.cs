using Ottla.Kernel;
using Ottla.Configuration;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Metadata;

namespace Ottla.StateMachines.Controller;

/// <summary>Where the controller stands when it decides.</summary>
/// <param name="Image">Everything that was decided so far, committed or not.</param>
/// <param name="NextOffset">The offset that the first record of the decision would get.</param>
/// <param name="Now">The present.</param>
public readonly record struct ControllerState(Metadata.MetadataImage Image, long NextOffset, Instant Now);

/// <summary>Something that the active controller is asked to do.</summary>
/// <typeparam name="TReply">What it is answered with.</typeparam>
public abstract record ControllerCommand<TReply>
{
    /// <summary>Decides about the command; reads only.</summary>
    /// <exception cref="ApiException">The command fails as a whole.</exception>
    internal abstract Decision<MetadataRecord, TReply> Decide(QuorumController controller, in ControllerState state);
}

/// <summary>Who may do what, asked by topic name; everything is allowed where it is null.</summary>
/// <param name="name">The topic's name.</param>
public delegate bool TopicPermission(string name);

/// <summary>CreateTopics (KIP-4). Fails per topic.</summary>
/// <param name="Request">The request.</param>
public sealed record CreateTopicsCommand(CreateTopicsRequest Request) : ControllerCommand<CreateTopicsResponse>
{
    /// <summary>Which topics the client may create.</summary>
    public TopicPermission? MayCreate { get; init; }

    /// <summary>Of which topics the client may be told the configs (KIP-525).</summary>
    public TopicPermission? MayDescribeConfigs { get; init; }

    internal override Decision<MetadataRecord, CreateTopicsResponse> Decide(QuorumController controller, in ControllerState state) =>
        controller.Topics.Create(this, state);
}

/// <summary>DeleteTopics (KIP-4, KIP-516). Fails per topic.</summary>
/// <param name="Request">The request.</param>
/// <param name="Version">Its version: what is answered when deletion is disabled depends on it.</param>
public sealed record DeleteTopicsCommand(DeleteTopicsRequest Request, short Version) : ControllerCommand<DeleteTopicsResponse>
{
    /// <summary>Which topics the client may know of.</summary>
    public TopicPermission? MayDescribe { get; init; }

    /// <summary>Which topics the client may delete.</summary>
    public TopicPermission? MayDelete { get; init; }

    internal override Decision<MetadataRecord, DeleteTopicsResponse> Decide(QuorumController controller, in ControllerState state) =>
        controller.Topics.Delete(this, state);
}

/// <summary>CreatePartitions (KIP-195). Fails per topic.</summary>
/// <param name="Request">The request.</param>
public sealed record CreatePartitionsCommand(CreatePartitionsRequest Request) : ControllerCommand<CreatePartitionsResponse>
{
    /// <summary>Which topics the client may alter.</summary>
    public TopicPermission? MayAlter { get; init; }

    internal override Decision<MetadataRecord, CreatePartitionsResponse> Decide(QuorumController controller, in ControllerState state) =>
        controller.Topics.CreatePartitions(this, state);
}

/// <summary>ElectLeaders (KIP-183, KIP-460). Fails per partition.</summary>
/// <param name="Request">The request.</param>
public sealed record ElectLeadersCommand(ElectLeadersRequest Request) : ControllerCommand<ElectLeadersResponse>
{
    internal override Decision<MetadataRecord, ElectLeadersResponse> Decide(QuorumController controller, in ControllerState state) =>
        ElectionDecisions.Elect(this, controller, state);
}

/// <summary>AlterPartitionReassignments (KIP-455). Fails per partition.</summary>
/// <param name="Request">The request.</param>
public sealed record AlterPartitionReassignmentsCommand(AlterPartitionReassignmentsRequest Request)
    : ControllerCommand<AlterPartitionReassignmentsResponse>
{
    internal override Decision<MetadataRecord, AlterPartitionReassignmentsResponse> Decide(
        QuorumController controller, in ControllerState state) =>
        ReassignmentDecisions.Alter(this, controller, state);
}

/// <summary>ListPartitionReassignments (KIP-455): asked of the controller, which has decided the newest ones.</summary>
/// <param name="Request">The request.</param>
public sealed record ListPartitionReassignmentsCommand(ListPartitionReassignmentsRequest Request)
    : ControllerCommand<ListPartitionReassignmentsResponse>
{
    internal override Decision<MetadataRecord, ListPartitionReassignmentsResponse> Decide(
        QuorumController controller, in ControllerState state) =>
        ReassignmentDecisions.List(this, state);
}

/// <summary>Tells whether the configs of a resource may be altered; <see cref="ApiError.None"/> when they may.</summary>
/// <param name="resource">The resource.</param>
public delegate ApiError ConfigPermission(Metadata.ConfigResource resource);

/// <summary>A change of one config.</summary>
/// <param name="Name">The config.</param>
/// <param name="Operation">What to do with it.</param>
/// <param name="Value">The operand; not used to delete.</param>
public readonly record struct ConfigAlteration(string Name, AlterConfigOperation Operation, string? Value);

/// <summary>A change of the configs of one resource.</summary>
/// <param name="Resource">The resource.</param>
/// <param name="Alterations">The changes of its configs.</param>
/// <param name="ReplacesAll">Whether configs that are not named are deleted, as AlterConfigs does.</param>
public sealed record ConfigChange(Metadata.ConfigResource Resource, IReadOnlyList<ConfigAlteration> Alterations, bool ReplacesAll);

/// <summary>AlterConfigs (KIP-133) and IncrementalAlterConfigs (KIP-339), except of broker loggers. Fails per resource: an answer for each change, in their order.</summary>
/// <param name="Changes">The changes.</param>
/// <param name="ValidateOnly">Whether they are only checked.</param>
public sealed record AlterConfigsCommand(IReadOnlyList<ConfigChange> Changes, bool ValidateOnly) : ControllerCommand<IReadOnlyList<ApiError>>
{
    /// <summary>Which configs the client may alter.</summary>
    public ConfigPermission? MayAlter { get; init; }

    internal override Decision<MetadataRecord, IReadOnlyList<ApiError>> Decide(QuorumController controller, in ControllerState state) =>
        controller.Configs.Alter(this, state);
}

/// <summary>UpdateFeatures (KIP-584).</summary>
/// <param name="Request">The request.</param>
/// <param name="Version">Its version: below 2 every feature is answered by itself.</param>
public sealed record UpdateFeaturesCommand(UpdateFeaturesRequest Request, short Version) : ControllerCommand<UpdateFeaturesResponse>
{
    internal override Decision<MetadataRecord, UpdateFeaturesResponse> Decide(QuorumController controller, in ControllerState state) =>
        controller.Features.Update(this, state);
}

/// <summary>BrokerRegistration (KIP-631): a broker's process is new, or its registration changed.</summary>
/// <param name="Request">The request.</param>
/// <param name="DetectCleanShutdown">Whether the request says at which epoch the broker last shut down cleanly (version 3 on); otherwise it did not.</param>
public sealed record RegisterBrokerCommand(BrokerRegistrationRequest Request, bool DetectCleanShutdown = true) : ControllerCommand<BrokerRegistrationResponse>
{
    internal override Decision<MetadataRecord, BrokerRegistrationResponse> Decide(QuorumController controller, in ControllerState state) =>
        controller.Brokers.Register(this, state);
}

/// <summary>What a broker is answered to its heartbeat.</summary>
/// <param name="IsCaughtUp">It has read its own registration.</param>
/// <param name="IsFenced">It is fenced.</param>
/// <param name="InControlledShutdown">Its leaderships are being moved.</param>
/// <param name="ShouldShutDown">It may shut down now.</param>
public sealed record BrokerHeartbeatReply(bool IsCaughtUp, bool IsFenced, bool InControlledShutdown, bool ShouldShutDown);

/// <summary>BrokerHeartbeat (KIP-631): a broker is alive, and may want to be unfenced, fenced or let go.</summary>
/// <param name="Request">The request.</param>
public sealed record BrokerHeartbeatCommand(BrokerHeartbeatRequest Request) : ControllerCommand<BrokerHeartbeatReply>
{
    internal override Decision<MetadataRecord, BrokerHeartbeatReply> Decide(QuorumController controller, in ControllerState state) =>
        controller.Brokers.Heartbeat(this, state);
}

/// <summary>AssignReplicasToDirs (KIP-858): the log directories that a broker put replicas in.</summary>
/// <param name="Request">The request.</param>
public sealed record AssignReplicasToDirsCommand(AssignReplicasToDirsRequest Request) : ControllerCommand<AssignReplicasToDirsResponse>
{
    internal override Decision<MetadataRecord, AssignReplicasToDirsResponse> Decide(QuorumController controller, in ControllerState state) =>
        DirectoryDecisions.Assign(this, controller, state);
}

/// <summary>Nothing to say but that it is done.</summary>
public sealed record Done
{
    /// <summary>The only one.</summary>
    public static readonly Done Instance = new();

    private Done()
    {
    }
}

/// <summary>UnregisterBroker (KIP-746): forget a broker that will not come back.</summary>
/// <param name="BrokerId">The broker.</param>
public sealed record UnregisterBrokerCommand(int BrokerId) : ControllerCommand<Done>
{
    internal override Decision<MetadataRecord, Done> Decide(QuorumController controller, in ControllerState state) =>
        controller.Brokers.Unregister(BrokerId, state);
}

/// <summary>ControllerRegistration (KIP-919).</summary>
/// <param name="Request">The request.</param>
public sealed record RegisterControllerCommand(ControllerRegistrationRequest Request) : ControllerCommand<Done>
{
    internal override Decision<MetadataRecord, Done> Decide(QuorumController controller, in ControllerState state) =>
        BrokerDecisions.RegisterController(Request, state);
}

/// <summary>UnregisterController (KIP-1312).</summary>
/// <param name="ControllerId">The controller.</param>
public sealed record UnregisterControllerCommand(int ControllerId) : ControllerCommand<Done>
{
    internal override Decision<MetadataRecord, Done> Decide(QuorumController controller, in ControllerState state) =>
        BrokerDecisions.UnregisterController(ControllerId, state);
}

/// <summary>A run of producer ids that one broker may hand out.</summary>
/// <param name="First">The first id.</param>
/// <param name="Count">How many.</param>
public sealed record ProducerIdBlock(long First, int Count);

/// <summary>AllocateProducerIds (KIP-730).</summary>
/// <param name="BrokerId">The broker that asks.</param>
/// <param name="BrokerEpoch">Its epoch.</param>
public sealed record AllocateProducerIdsCommand(int BrokerId, long BrokerEpoch) : ControllerCommand<ProducerIdBlock>
{
    internal override Decision<MetadataRecord, ProducerIdBlock> Decide(QuorumController controller, in ControllerState state) =>
        BrokerDecisions.AllocateProducerIds(this, state);
}

/// <summary>The first thing that an active controller does: write the bootstrap records, or clean up after its predecessor.</summary>
/// <param name="Bootstrap">The bootstrap records, for an empty log.</param>
/// <param name="TransactionStartOffset">Where an unfinished metadata transaction began; -1 when there is none.</param>
public sealed record ActivateCommand(IReadOnlyList<MetadataRecord> Bootstrap, long TransactionStartOffset) : ControllerCommand<Done>
{
    internal override Decision<MetadataRecord, Done> Decide(QuorumController controller, in ControllerState state) =>
        controller.Activate(this, state);
}
