using System.Collections.Frozen;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using static Ottla.Protocol.AclOperation;
using static Ottla.Protocol.ResourceType;

namespace Ottla.Broker.Server;

/// <summary>The kinds of listeners that serve an API.</summary>
[Flags]
public enum ApiListeners
{
    /// <summary>No listener.</summary>
    None = 0,

    /// <summary>The listeners of brokers.</summary>
    Broker = 1,

    /// <summary>The listeners of controllers.</summary>
    Controller = 2,
}

/// <summary>The requests of an API that the request quota (<c>request_percentage</c>) applies to.</summary>
/// <remarks>A request without a response (Produce with acks=0) is always exempt.</remarks>
public enum RequestQuota
{
    /// <summary>All requests.</summary>
    All,

    /// <summary>Requests of clients. Followers and controllers are exempt.</summary>
    Clients,

    /// <summary>Requests that a broker answers. Those that a controller answers are exempt.</summary>
    OnBroker,

    /// <summary>No requests.</summary>
    None,
}

/// <summary>An operation that access control entries must allow the sender of a request.</summary>
/// <param name="Operation">The operation.</param>
/// <param name="Resource">
/// The kind of resource. Except for the cluster, the sender needs the operation on each resource that the request names.
/// </param>
public sealed record RequiredOperation(AclOperation Operation, ResourceType Resource)
{
    /// <summary>Another operation that is enough; null for none.</summary>
    public RequiredOperation? Or { get; init; }

    /// <summary>The requests, or the parts of them, that need the operation; null for all.</summary>
    public string? When { get; init; }

    /// <summary>The listeners on which the sender needs it.</summary>
    public ApiListeners On { get; init; } = ApiListeners.Broker | ApiListeners.Controller;
}

/// <summary>
/// Kafka's rules for the requests of an API: the operations that the sender must be allowed, and whether the request quota applies.
/// </summary>
/// <remarks>
/// Immutable data, for every API of the schemas. The checks are those of Kafka's KafkaApis and ControllerApis. A broker that forwards a
/// request leaves its check to the controller. What every request needs on the cluster is checked by <see cref="ApiEntry"/>, the rest by
/// the handlers; all ask the <see cref="Authorizer"/>.
/// </remarks>
/// <param name="Quota">The requests that the request quota applies to.</param>
/// <param name="Operations">The operations that the sender needs, all of them; empty when everybody may send the request.</param>
public sealed record ApiRules(RequestQuota Quota, IReadOnlyList<RequiredOperation> Operations)
{
    private static readonly FrozenDictionary<ApiKey, ApiRules> s_all = new Dictionary<ApiKey, ApiRules>
    {
        [ApiKey.Produce] = Needs([new(Write, TransactionalId) { When = "transactional batches" }, new(Write, Topic)]),
        [ApiKey.Fetch] = new(
            RequestQuota.Clients,
            [
                new(Read, Topic) { When = "consumers", On = ApiListeners.Broker },
                new(ClusterAction, Cluster) { When = "followers", On = ApiListeners.Broker },
                new(ClusterAction, Cluster) { On = ApiListeners.Controller },
            ]),
        [ApiKey.ListOffsets] = Needs([new(Describe, Topic)]),
        [ApiKey.Metadata] = Needs(
            [
                new(Describe, Topic),
                new(Create, Cluster) { Or = new(Create, Topic), When = "topics that the broker creates" },
            ]),
        [ApiKey.OffsetCommit] = Needs([new(Read, Group), new(Read, Topic)]),
        [ApiKey.OffsetFetch] = Needs([new(Describe, Group), new(Describe, Topic)]),
        [ApiKey.FindCoordinator] = Needs(
            [
                new(Describe, Group) { When = "groups" },
                new(Describe, TransactionalId) { When = "transactional ids" },
                new(ClusterAction, Cluster) { When = "share partitions" },
            ]),
        [ApiKey.JoinGroup] = Needs([new(Read, Group)]),
        [ApiKey.Heartbeat] = Needs([new(Read, Group)]),
        [ApiKey.LeaveGroup] = Needs([new(Read, Group)]),
        [ApiKey.SyncGroup] = Needs([new(Read, Group)]),
        [ApiKey.DescribeGroups] = Needs([new(Describe, Group)]),
        [ApiKey.ListGroups] = Needs([new(Describe, Cluster) { Or = new(Describe, Group) }]),
        [ApiKey.SaslHandshake] = Needs([]),
        [ApiKey.ApiVersions] = Needs([]),
        [ApiKey.CreateTopics] = Needs(
            [
                new(Create, Cluster) { Or = new(Create, Topic) },
                new(DescribeConfigs, Topic) { When = "configs in the answer" },
            ]),
        [ApiKey.DeleteTopics] = Needs(
            [
                new(Delete, Cluster) { Or = new(Delete, Topic) },
                new(Describe, Topic) { When = "names in the answer, for ids" },
            ]),
        [ApiKey.DeleteRecords] = Needs([new(Delete, Topic)]),
        [ApiKey.InitProducerId] = Needs(
            [
                new(Write, TransactionalId) { When = "transactional ids" },
                new(TwoPhaseCommit, TransactionalId) { When = "two-phase commits" },
                new(IdempotentWrite, Cluster) { Or = new(Write, Topic), When = "no transactional id; any topic will do" },
            ]),
        [ApiKey.OffsetForLeaderEpoch] = Needs([new(ClusterAction, Cluster) { Or = new(Describe, Topic) }]),
        [ApiKey.AddPartitionsToTxn] = Needs(
            [
                new(Write, TransactionalId) { When = "below version 4" },
                new(Write, Topic) { When = "below version 4" },
                new(ClusterAction, Cluster) { When = "from version 4 on" },
            ]),
        [ApiKey.AddOffsetsToTxn] = Needs([new(Write, TransactionalId), new(Read, Group)]),
        [ApiKey.EndTxn] = Needs([new(Write, TransactionalId)]),
        [ApiKey.WriteTxnMarkers] = new(RequestQuota.None, [new(Alter, Cluster) { Or = new(ClusterAction, Cluster) }]),
        [ApiKey.TxnOffsetCommit] = Needs([new(Write, TransactionalId), new(Read, Group), new(Read, Topic)]),
        [ApiKey.DescribeAcls] = Needs([new(Describe, Cluster)]),
        [ApiKey.CreateAcls] = Needs([new(Alter, Cluster)]),
        [ApiKey.DeleteAcls] = Needs([new(Alter, Cluster)]),
        [ApiKey.DescribeConfigs] = Needs(
            [
                new(DescribeConfigs, Topic) { When = "topics" },
                new(DescribeConfigs, Group) { When = "groups" },
                new(DescribeConfigs, Cluster) { When = "brokers, loggers and client metrics" },
            ]),
        [ApiKey.AlterConfigs] = Needs(
            [
                new(AlterConfigs, Topic) { When = "topics" },
                new(AlterConfigs, Group) { When = "groups" },
                new(AlterConfigs, Cluster) { When = "brokers and client metrics" },
            ]),
        [ApiKey.AlterReplicaLogDirs] = Needs([new(Alter, Cluster)]),
        [ApiKey.DescribeLogDirs] = Needs([new(Describe, Cluster)]),
        [ApiKey.SaslAuthenticate] = Needs([]),
        [ApiKey.CreatePartitions] = Needs([new(Alter, Topic)]),
        [ApiKey.CreateDelegationToken] = Needs([new(CreateTokens, User) { When = "tokens for somebody else" }]),
        [ApiKey.RenewDelegationToken] = Needs([]),
        [ApiKey.ExpireDelegationToken] = Needs([]),
        [ApiKey.DescribeDelegationToken] = Needs(
            [
                new(Describe, DelegationToken) { Or = new(DescribeTokens, User), When = "tokens of somebody else" },
            ]),
        [ApiKey.DeleteGroups] = Needs([new(Delete, Group)]),
        [ApiKey.ElectLeaders] = Needs([new(Alter, Cluster)]),
        [ApiKey.IncrementalAlterConfigs] = Needs(
            [
                new(AlterConfigs, Topic) { When = "topics" },
                new(AlterConfigs, Group) { When = "groups" },
                new(AlterConfigs, Cluster) { When = "brokers and client metrics" },
                new(AlterConfigs, Cluster) { When = "loggers", On = ApiListeners.Broker },
                new(ClusterAction, Cluster) { When = "loggers", On = ApiListeners.Controller },
            ]),
        [ApiKey.AlterPartitionReassignments] = Needs([new(Alter, Cluster)]),
        [ApiKey.ListPartitionReassignments] = Needs([new(Describe, Cluster)]),
        [ApiKey.OffsetDelete] = Needs([new(Delete, Group), new(Read, Topic)]),
        [ApiKey.DescribeClientQuotas] = Needs([new(DescribeConfigs, Cluster)]),
        [ApiKey.AlterClientQuotas] = Needs([new(AlterConfigs, Cluster)]),
        [ApiKey.DescribeUserScramCredentials] = Needs([new(Describe, Cluster)]),
        [ApiKey.AlterUserScramCredentials] = Needs([new(Alter, Cluster)]),
        [ApiKey.Vote] = AmongControllers(),
        [ApiKey.BeginQuorumEpoch] = AmongControllers(),
        [ApiKey.EndQuorumEpoch] = AmongControllers(),
        [ApiKey.DescribeQuorum] = new(RequestQuota.OnBroker, [new(Describe, Cluster)]),
        [ApiKey.AlterPartition] = AmongControllers(),
        [ApiKey.UpdateFeatures] = Needs([new(Alter, Cluster)]),
        [ApiKey.Envelope] = Needs([new(ClusterAction, Cluster)]),
        [ApiKey.FetchSnapshot] = AmongControllers(),
        [ApiKey.DescribeCluster] = Needs([new(Alter, Cluster) { On = ApiListeners.Controller }]),
        [ApiKey.DescribeProducers] = Needs([new(Read, Topic)]),
        [ApiKey.BrokerRegistration] = Needs([new(ClusterAction, Cluster)]),
        [ApiKey.BrokerHeartbeat] = Needs([new(ClusterAction, Cluster)]),
        [ApiKey.UnregisterBroker] = Needs([new(Alter, Cluster)]),
        [ApiKey.DescribeTransactions] = Needs([new(Describe, TransactionalId), new(Describe, Topic) { When = "topics in the answer" }]),
        [ApiKey.ListTransactions] = Needs([new(Describe, TransactionalId)]),
        [ApiKey.AllocateProducerIds] = Needs([new(ClusterAction, Cluster)]),
        [ApiKey.ConsumerGroupHeartbeat] = Needs([new(Read, Group), new(Describe, Topic) { When = "topics that it names" }]),
        [ApiKey.ConsumerGroupDescribe] = Needs([new(Describe, Group), new(Describe, Topic) { When = "assigned topics" }]),
        [ApiKey.ControllerRegistration] = Needs([new(ClusterAction, Cluster)]),
        [ApiKey.GetTelemetrySubscriptions] = Needs([]),
        [ApiKey.PushTelemetry] = Needs([]),
        [ApiKey.AssignReplicasToDirs] = Needs([new(ClusterAction, Cluster)]),
        [ApiKey.ListConfigResources] = Needs([new(DescribeConfigs, Cluster)]),
        [ApiKey.DescribeTopicPartitions] = Needs([new(Describe, Topic)]),
        [ApiKey.ShareGroupHeartbeat] = Needs([new(Read, Group), new(Describe, Topic) { When = "topics that it names" }]),
        [ApiKey.ShareGroupDescribe] = Needs([new(Describe, Group), new(Describe, Topic) { When = "assigned topics" }]),
        [ApiKey.ShareFetch] = Needs([new(Read, Group), new(Read, Topic)]),
        [ApiKey.ShareAcknowledge] = Needs([new(Read, Group), new(Read, Topic)]),
        [ApiKey.AddRaftVoter] = new(RequestQuota.OnBroker, [new(Alter, Cluster)]),
        [ApiKey.RemoveRaftVoter] = new(RequestQuota.OnBroker, [new(Alter, Cluster)]),
        [ApiKey.UpdateRaftVoter] = AmongControllers(),
        [ApiKey.InitializeShareGroupState] = Needs([new(ClusterAction, Cluster)]),
        [ApiKey.ReadShareGroupState] = Needs([new(ClusterAction, Cluster)]),
        [ApiKey.WriteShareGroupState] = Needs([new(ClusterAction, Cluster)]),
        [ApiKey.DeleteShareGroupState] = Needs([new(ClusterAction, Cluster)]),
        [ApiKey.ReadShareGroupStateSummary] = Needs([new(ClusterAction, Cluster)]),
        [ApiKey.StreamsGroupHeartbeat] = Needs(
            [
                new(Read, Group),
                new(Describe, Topic) { When = "topics of the topology" },
                new(Create, Cluster) { Or = new(Create, Topic), When = "internal topics" },
            ]),
        [ApiKey.StreamsGroupDescribe] = Needs([new(Describe, Group), new(Describe, Topic) { When = "topics of the topology" }]),
        [ApiKey.DescribeShareGroupOffsets] = Needs([new(Describe, Group), new(Describe, Topic)]),
        [ApiKey.AlterShareGroupOffsets] = Needs([new(Read, Group), new(Read, Topic)]),
        [ApiKey.DeleteShareGroupOffsets] = Needs([new(Delete, Group), new(Read, Topic)]),
        [ApiKey.StreamsGroupTopologyDescriptionUpdate] = Needs([new(Read, Group)]),
        [ApiKey.UnregisterController] = Needs([new(Alter, Cluster)]),
    }.ToFrozenDictionary();

    /// <summary>
    /// The operation on the cluster that every request needs on a kind of listener, whatever it says; null for none. An alternative is on
    /// the cluster too.
    /// </summary>
    public RequiredOperation? NeededOnCluster(ApiListeners listener) => Operations.FirstOrDefault(
        needed => needed.Resource == Cluster && needed.When is null && needed.On.HasFlag(listener)
            && needed.Or is null or { Resource: Cluster });

    /// <summary>Whether the rules name an operation on a kind of resource, be it as an alternative or for some requests only.</summary>
    public bool Declares(AclOperation operation, ResourceType resource) => Operations.Any(
        needed => IsFor(needed, operation, resource) || (needed.Or is { } other && IsFor(other, operation, resource)));

    private static bool IsFor(RequiredOperation needed, AclOperation operation, ResourceType resource) =>
        needed.Operation == operation && needed.Resource == resource;

    /// <summary>The rules of an API.</summary>
    public static ApiRules Of(ApiKey key) => s_all.TryGetValue(key, out var rules) ? rules
        : throw new InvalidOperationException($"{key} has no entry in {nameof(ApiRules)}.");

    private static ApiRules Needs(RequiredOperation[] operations) => new(RequestQuota.All, operations);

    /// <summary>The rules of the quorum's own requests, and of AlterPartition.</summary>
    private static ApiRules AmongControllers() => new(RequestQuota.None, [new(ClusterAction, Cluster)]);
}
