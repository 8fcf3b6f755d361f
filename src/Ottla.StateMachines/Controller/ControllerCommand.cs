using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Metadata;

namespace Ottla.StateMachines.Controller;

/// <summary>The state on which the controller bases a decision.</summary>
/// <param name="Image">The image after all decisions so far, committed or not.</param>
/// <param name="NextOffset">The offset of the first record of this decision.</param>
/// <param name="Now">The current time, of a clock that never jumps.</param>
/// <param name="Quorum">The quorum.</param>
public readonly record struct ControllerState(Metadata.MetadataImage Image, long NextOffset, Instant Now, ControllerQuorum Quorum);

/// <summary>A request to the active controller.</summary>
/// <typeparam name="TReply">The type of the answer.</typeparam>
public abstract record ControllerCommand<TReply>
{
    /// <summary>Decides about the command without changing anything.</summary>
    /// <exception cref="ApiException">The command fails as a whole.</exception>
    internal abstract Decision<MetadataRecord, TReply> Decide(QuorumController controller, in ControllerState state);
}

/// <summary>CreateTopics (KIP-4). Fails per topic.</summary>
/// <param name="Request">The request.</param>
public sealed record CreateTopicsCommand(CreateTopicsRequest Request) : ControllerCommand<CreateTopicsResponse>
{
    /// <summary>Takes permits for partitions from the client's quota, if it has one; false refuses the topic.</summary>
    public Func<int, bool>? TryTake { get; init; }

    internal override Decision<MetadataRecord, CreateTopicsResponse> Decide(QuorumController controller, in ControllerState state) =>
        controller.Topics.Create(this, state);
}

/// <summary>What a client may do with topics, by their names. The controller asks when it has found the names of ids.</summary>
/// <param name="Describes">Whether it may know of a topic.</param>
/// <param name="Deletes">Whether it may delete a topic.</param>
public sealed record TopicDeletionAccess(Func<string, bool> Describes, Func<string, bool> Deletes);

/// <summary>DeleteTopics (KIP-4, KIP-516). Fails per topic.</summary>
/// <param name="Request">The request.</param>
/// <param name="Version">The version of the request: it determines the error when deletion is disabled.</param>
public sealed record DeleteTopicsCommand(DeleteTopicsRequest Request, short Version) : ControllerCommand<DeleteTopicsResponse>
{
    /// <inheritdoc cref="CreateTopicsCommand.TryTake"/>
    public Func<int, bool>? TryTake { get; init; }

    /// <summary>The topics that the client may delete; null for all.</summary>
    public TopicDeletionAccess? Access { get; init; }

    internal override Decision<MetadataRecord, DeleteTopicsResponse> Decide(QuorumController controller, in ControllerState state) =>
        controller.Topics.Delete(this, state);
}

/// <summary>CreatePartitions (KIP-195). Fails per topic.</summary>
/// <param name="Request">The request.</param>
public sealed record CreatePartitionsCommand(CreatePartitionsRequest Request) : ControllerCommand<CreatePartitionsResponse>
{
    /// <inheritdoc cref="CreateTopicsCommand.TryTake"/>
    public Func<int, bool>? TryTake { get; init; }

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

/// <summary>AlterPartition (KIP-497): a leader proposes new in-sync replicas. Fails per partition.</summary>
/// <param name="Request">The request.</param>
/// <param name="Version">The version of the request: from version 3 on it tells the replicas' broker epochs.</param>
public sealed record AlterPartitionCommand(AlterPartitionRequest Request, short Version) : ControllerCommand<AlterPartitionResponse>
{
    internal override Decision<MetadataRecord, AlterPartitionResponse> Decide(QuorumController controller, in ControllerState state) =>
        IsrDecisions.Alter(this, controller, state);
}

/// <summary>A change to one config.</summary>
/// <param name="Name">The config.</param>
/// <param name="Operation">The operation.</param>
/// <param name="Value">The operand; unused for a deletion.</param>
public readonly record struct ConfigAlteration(string Name, AlterConfigOperation Operation, string? Value);

/// <summary>The changes to the configs of one resource.</summary>
/// <param name="Resource">The resource.</param>
/// <param name="Alterations">The changes of its configs.</param>
/// <param name="ReplacesAll">Whether configs that are not named are deleted, as in AlterConfigs.</param>
public sealed record ConfigChange(Metadata.ConfigResource Resource, IReadOnlyList<ConfigAlteration> Alterations, bool ReplacesAll);

/// <summary>
/// AlterConfigs (KIP-133) and IncrementalAlterConfigs (KIP-339), except for broker loggers. Fails per resource: the reply has one result
/// for each change, in order.
/// </summary>
/// <param name="Changes">The changes.</param>
/// <param name="ValidateOnly">Whether to validate the changes only.</param>
public sealed record AlterConfigsCommand(IReadOnlyList<ConfigChange> Changes, bool ValidateOnly)
    : ControllerCommand<IReadOnlyList<ApiError>>
{
    /// <summary>Whether a broker forwards the request, which has checked what only it can know.</summary>
    public bool IsForwarded { get; init; } = true;

    internal override Decision<MetadataRecord, IReadOnlyList<ApiError>> Decide(QuorumController controller, in ControllerState state) =>
        controller.Configs.Alter(this, state);
}

/// <summary>UpdateFeatures (KIP-584).</summary>
/// <param name="Request">The request.</param>
/// <param name="Version">The version of the request: below 2 each feature gets a result of its own.</param>
public sealed record UpdateFeaturesCommand(UpdateFeaturesRequest Request, short Version) : ControllerCommand<UpdateFeaturesResponse>
{
    /// <summary>What is said before the error of a feature.</summary>
    public const string FailurePrefix = "The update failed for all features since the following feature had an error: ";

    /// <summary>Whether the request is only checked, because the quorum has to raise kraft.version before it is decided.</summary>
    public bool ChecksOnly { get; init; }

    /// <summary>The level of kraft.version to which the quorum has raised it for this request; 0 if it has not.</summary>
    public short RaisedKRaftVersion { get; init; }

    internal override Decision<MetadataRecord, UpdateFeaturesResponse> Decide(QuorumController controller, in ControllerState state) =>
        controller.Features.Update(this, state);
}

/// <summary>BrokerRegistration (KIP-631): a broker's process started, or its registration changed.</summary>
/// <param name="Request">The request.</param>
/// <param name="DetectCleanShutdown">
/// Whether the request tells the broker epoch of the last clean shutdown (from version 3 on). Without it the shutdown counts as unclean.
/// </param>
public sealed record RegisterBrokerCommand(BrokerRegistrationRequest Request, bool DetectCleanShutdown = true)
    : ControllerCommand<BrokerRegistrationResponse>
{
    internal override Decision<MetadataRecord, BrokerRegistrationResponse> Decide(QuorumController controller, in ControllerState state) =>
        controller.Brokers.Register(this, state);
}

/// <summary>The reply to a broker's heartbeat.</summary>
/// <param name="IsCaughtUp">Whether the broker has read its own registration.</param>
/// <param name="IsFenced">Whether the broker is fenced.</param>
/// <param name="InControlledShutdown">Whether its leaderships are being moved to other brokers.</param>
/// <param name="ShouldShutDown">Whether it may shut down now.</param>
public sealed record BrokerHeartbeatReply(bool IsCaughtUp, bool IsFenced, bool InControlledShutdown, bool ShouldShutDown);

/// <summary>BrokerHeartbeat (KIP-631): a broker is alive. It may ask to be fenced, unfenced or shut down.</summary>
/// <param name="Request">The request.</param>
public sealed record BrokerHeartbeatCommand(BrokerHeartbeatRequest Request) : ControllerCommand<BrokerHeartbeatReply>
{
    internal override Decision<MetadataRecord, BrokerHeartbeatReply> Decide(QuorumController controller, in ControllerState state) =>
        controller.Heartbeats.Heartbeat(this, state);
}

/// <summary>AssignReplicasToDirs (KIP-858): a broker reports the log directories of its replicas.</summary>
/// <param name="Request">The request.</param>
public sealed record AssignReplicasToDirsCommand(AssignReplicasToDirsRequest Request) : ControllerCommand<AssignReplicasToDirsResponse>
{
    internal override Decision<MetadataRecord, AssignReplicasToDirsResponse> Decide(
        QuorumController controller, in ControllerState state) =>
        DirectoryDecisions.Assign(this, controller, state);
}

/// <summary>The empty reply of a command that succeeded.</summary>
public sealed record Done
{
    /// <summary>The only instance.</summary>
    public static readonly Done Instance = new();

    private Done()
    {
    }
}

/// <summary>UnregisterBroker (KIP-746): removes a broker that will not come back.</summary>
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
        controller.Brokers.UnregisterController(ControllerId, state);
}

/// <summary>A range of producer ids that one broker may assign.</summary>
/// <param name="First">The first id.</param>
/// <param name="Count">The number of ids.</param>
public sealed record ProducerIdBlock(long First, int Count);

/// <summary>AllocateProducerIds (KIP-730).</summary>
/// <param name="BrokerId">The broker that asks.</param>
/// <param name="BrokerEpoch">Its epoch.</param>
public sealed record AllocateProducerIdsCommand(int BrokerId, long BrokerEpoch) : ControllerCommand<ProducerIdBlock>
{
    internal override Decision<MetadataRecord, ProducerIdBlock> Decide(QuorumController controller, in ControllerState state) =>
        BrokerDecisions.AllocateProducerIds(this, state);
}

/// <summary>
/// The first command of a new active controller: it writes the bootstrap records, or ends an unfinished transaction of its predecessor.
/// </summary>
/// <param name="Bootstrap">The bootstrap records for an empty log.</param>
/// <param name="TransactionStartOffset">The offset at which an unfinished metadata transaction began; -1 when there is none.</param>
public sealed record ActivateCommand(IReadOnlyList<MetadataRecord> Bootstrap, long TransactionStartOffset) : ControllerCommand<Done>
{
    internal override Decision<MetadataRecord, Done> Decide(QuorumController controller, in ControllerState state) =>
        controller.Activate(this, state);
}
