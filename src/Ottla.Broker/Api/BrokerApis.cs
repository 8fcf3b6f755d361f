using Ottla.Broker.Hosts;
using Ottla.Broker.Hosts.Coordinators;
using Ottla.Broker.Hosts.Transactions;
using Ottla.Broker.Metadata;
using Ottla.Broker.Replicas;
using Ottla.Broker.Server;
using Ottla.Configuration;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Groups;
using Ottla.StateMachines.Metadata;
using Ottla.StateMachines.Raft;
using Ottla.StateMachines.Transactions;
using Ottla.Storage.Upkeep;

namespace Ottla.Broker.Api;

/// <summary>What the handlers of a broker work with.</summary>
public sealed record BrokerServices
{
    public required Func<BrokerConfig> Config { get; init; }

    public required ClusterView Cluster { get; init; }

    public required HostedTopics Topics { get; init; }

    public required LogManager Logs { get; init; }

    public required ControllerChannel Controller { get; init; }

    public required ProducerIds ProducerIds { get; init; }

    public required CoordinatorHost<GroupCommand> Groups { get; init; }

    public required CoordinatorHost<TransactionCommand> Transactions { get; init; }

    public required TransactionVerifier TransactionVerifier { get; init; }

    public required TransactionMarkers TransactionMarkers { get; init; }

    public required FetchSessions FetchSessions { get; init; }

    public required SupportedFeatures SupportedFeatures { get; init; }

    public required Func<QuorumInfo> Quorum { get; init; }

    public required LeveledLoggers Loggers { get; init; }

    public required TimeProvider Time { get; init; }
}

/// <summary>The one list of the APIs that a broker serves: to add an API, write its handler and name it here.</summary>
public static class BrokerApis
{
    /// <summary>
    /// A batch of a producer's largest default (<c>max.request.size</c>) and what goes around it: its records are not decoded, and others
    /// wait for the disk anyway.
    /// </summary>
    private const int ProduceBodyBytesOnLoopMax = 1_100_000;

    /// <summary>A full fetch of a thousand partitions.</summary>
    private const int FetchBodyBytesOnLoopMax = 64 * 1024;

    /// <summary>The table for the listeners of a broker.</summary>
    public static ApiTable CreateTable(BrokerServices broker)
    {
        var topicCreation = new TopicAutoCreation(broker.Controller, broker.Config, broker.Loggers.CreateLogger(nameof(TopicAutoCreation)));
        var leaders = new LeaderHints(() => broker.Cluster.Image, broker.Topics);
        var configs = new ConfigAlterer(broker.Controller, broker.Config, new LoggerLevels(broker.Config().NodeId, broker.Loggers));
        ApiTable? table = null;
        table = new ApiTable(ApiListeners.Broker,
        [
            ReusingEntry<ProduceRequest, ProduceResponse>(
                new ProduceHandler(broker.Topics, leaders, broker.TransactionVerifier, broker.Time),
                ProduceBodyBytesOnLoopMax,
                overlapsItself: true),
            ReusingEntry<FetchRequest, FetchResponse>(
                new FetchHandler(
                    new FetchPlanner(broker.Topics, leaders, broker.Time), broker.FetchSessions, leaders,
                    () => broker.Config().FetchMaxBytes, broker.Time),
                FetchBodyBytesOnLoopMax),
            Entry<ListOffsetsRequest, ListOffsetsResponse>(new ListOffsetsHandler(broker.Topics)),
            Entry<MetadataRequest, MetadataResponse>(new MetadataHandler(broker.Cluster, topicCreation)),
            Entry<OffsetCommitRequest, OffsetCommitResponse>(new OffsetCommitHandler(broker.Groups, broker.Cluster)),
            Entry<OffsetFetchRequest, OffsetFetchResponse>(new OffsetFetchHandler(broker.Groups, broker.Cluster)),
            Entry<FindCoordinatorRequest, FindCoordinatorResponse>(new FindCoordinatorHandler(broker.Cluster, topicCreation)),
            Entry<JoinGroupRequest, JoinGroupResponse>(new JoinGroupHandler(broker.Groups)),
            Entry<HeartbeatRequest, HeartbeatResponse>(new HeartbeatHandler(broker.Groups)),
            Entry<LeaveGroupRequest, LeaveGroupResponse>(new LeaveGroupHandler(broker.Groups)),
            Entry<SyncGroupRequest, SyncGroupResponse>(new SyncGroupHandler(broker.Groups)),
            Entry<DescribeGroupsRequest, DescribeGroupsResponse>(new DescribeGroupsHandler(broker.Groups)),
            HeavyEntry<ListGroupsRequest, ListGroupsResponse>(new ListGroupsHandler(broker.Groups)),
            Entry<SaslHandshakeRequest, SaslHandshakeResponse>(new SaslHandshakeHandler()),
            Entry<ApiVersionsRequest, ApiVersionsResponse>(
                new ApiVersionsHandler(() => table!, broker.Cluster, broker.Config().NodeId, broker.SupportedFeatures, () => broker.Quorum().KRaftVersion)),
            HeavyEntry<CreateTopicsRequest, CreateTopicsResponse>(new CreateTopicsHandler(broker.Controller)),
            HeavyEntry<DeleteTopicsRequest, DeleteTopicsResponse>(new DeleteTopicsHandler(broker.Controller)),
            HeavyEntry<DeleteRecordsRequest, DeleteRecordsResponse>(new DeleteRecordsHandler(broker.Topics)),
            Entry<InitProducerIdRequest, InitProducerIdResponse>(new InitProducerIdHandler(broker.ProducerIds, broker.Transactions)),
            Entry<OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse>(new OffsetForLeaderEpochHandler(broker.Topics)),
            Entry<AddPartitionsToTxnRequest, AddPartitionsToTxnResponse>(new AddPartitionsToTxnHandler(broker.Transactions, broker.Cluster)),
            Entry<AddOffsetsToTxnRequest, AddOffsetsToTxnResponse>(new AddOffsetsToTxnHandler(broker.Transactions, broker.Groups, broker.Config)),
            Entry<EndTxnRequest, EndTxnResponse>(new EndTxnHandler(broker.Transactions)),
            Entry<WriteTxnMarkersRequest, WriteTxnMarkersResponse>(new WriteTxnMarkersHandler(broker.TransactionMarkers)),
            Entry<TxnOffsetCommitRequest, TxnOffsetCommitResponse>(new TxnOffsetCommitHandler(broker.Groups, broker.Cluster, broker.Topics, broker.TransactionVerifier)),
            Entry<DescribeAclsRequest, DescribeAclsResponse>(new DescribeAclsHandler()),
            Entry<CreateAclsRequest, CreateAclsResponse>(new CreateAclsHandler()),
            Entry<DeleteAclsRequest, DeleteAclsResponse>(new DeleteAclsHandler()),
            Entry<DescribeConfigsRequest, DescribeConfigsResponse>(new DescribeConfigsHandler(broker.Cluster, broker.Config, broker.Loggers)),
            HeavyEntry<AlterConfigsRequest, AlterConfigsResponse>(new AlterConfigsHandler(configs)),
            HeavyEntry<AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse>(
                new AlterReplicaLogDirsHandler(broker.Logs, broker.Cluster)),
            HeavyEntry<DescribeLogDirsRequest, DescribeLogDirsResponse>(
                new DescribeLogDirsHandler(broker.Logs, () => broker.Cluster.Image.Features.MetadataVersion?.SupportsCordonedLogDirs ?? false)),
            Entry<SaslAuthenticateRequest, SaslAuthenticateResponse>(new SaslAuthenticateHandler()),
            HeavyEntry<CreatePartitionsRequest, CreatePartitionsResponse>(new CreatePartitionsHandler(broker.Controller)),
            Entry<CreateDelegationTokenRequest, CreateDelegationTokenResponse>(new CreateDelegationTokenHandler(broker.Config)),
            Entry<RenewDelegationTokenRequest, RenewDelegationTokenResponse>(new RenewDelegationTokenHandler(broker.Config)),
            Entry<ExpireDelegationTokenRequest, ExpireDelegationTokenResponse>(new ExpireDelegationTokenHandler(broker.Config)),
            Entry<DescribeDelegationTokenRequest, DescribeDelegationTokenResponse>(new DescribeDelegationTokenHandler(broker.Config)),
            HeavyEntry<DeleteGroupsRequest, DeleteGroupsResponse>(new DeleteGroupsHandler(broker.Groups)),
            HeavyEntry<ElectLeadersRequest, ElectLeadersResponse>(new ElectLeadersHandler(broker.Controller)),
            HeavyEntry<IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse>(new IncrementalAlterConfigsHandler(configs)),
            HeavyEntry<AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse>(
                new AlterPartitionReassignmentsHandler(broker.Controller)),
            HeavyEntry<ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse>(
                new ListPartitionReassignmentsHandler(broker.Controller)),
            Entry<OffsetDeleteRequest, OffsetDeleteResponse>(new OffsetDeleteHandler(broker.Groups, broker.Cluster)),
            Entry<DescribeClientQuotasRequest, DescribeClientQuotasResponse>(new DescribeClientQuotasHandler(broker.Cluster)),
            Entry<AlterClientQuotasRequest, AlterClientQuotasResponse>(new AlterClientQuotasHandler()),
            Entry<DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse>(
                new DescribeUserScramCredentialsHandler(broker.Cluster)),
            Entry<AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse>(new AlterUserScramCredentialsHandler()),
            Entry<DescribeQuorumRequest, DescribeQuorumResponse>(new DescribeQuorumHandler(broker.Quorum)),
            HeavyEntry<UpdateFeaturesRequest, UpdateFeaturesResponse>(new UpdateFeaturesHandler(broker.Controller)),
            Entry<DescribeClusterRequest, DescribeClusterResponse>(
                new DescribeClusterHandler(
                    broker.Cluster,
                    EndpointType.Broker,
                    listener => ClusterView.Brokers(broker.Cluster.Image, listener).FirstOrDefault(each => !each.IsFenced)?.Id ?? -1)),
            HeavyEntry<DescribeProducersRequest, DescribeProducersResponse>(new DescribeProducersHandler(broker.Topics, broker.Cluster)),
            HeavyEntry<UnregisterBrokerRequest, UnregisterBrokerResponse>(new UnregisterBrokerHandler(broker.Controller)),
            Entry<DescribeTransactionsRequest, DescribeTransactionsResponse>(new DescribeTransactionsHandler(broker.Transactions)),
            HeavyEntry<ListTransactionsRequest, ListTransactionsResponse>(new ListTransactionsHandler(broker.Transactions)),
            Entry<ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse>(new ConsumerGroupHeartbeatHandler(broker.Groups, broker.Cluster, broker.Config)),
            Entry<ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse>(new ConsumerGroupDescribeHandler(broker.Groups, broker.Cluster, broker.Config)),
            Entry<ListConfigResourcesRequest, ListConfigResourcesResponse>(new ListConfigResourcesHandler(broker.Cluster)),
            Entry<DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse>(new DescribeTopicPartitionsHandler(broker.Cluster, broker.Config)),
            HeavyEntry<UnregisterControllerRequest, UnregisterControllerResponse>(new UnregisterControllerHandler(broker.Controller)),
        ]);
        return table;
    }

    private static PlainApiEntry<TRequest, TResponse> Entry<TRequest, TResponse>(IApiHandler<TRequest, TResponse> handler)
        where TRequest : IRequestMessage<TRequest>, IFailableRequest<TResponse>
        where TResponse : class, IResponseMessage<TResponse> => new(handler);

    /// <summary>
    /// An API whose work does not follow from the size of its request: the controller decides, files are deleted, or all there is is
    /// listed.
    /// </summary>
    private static PlainApiEntry<TRequest, TResponse> HeavyEntry<TRequest, TResponse>(IApiHandler<TRequest, TResponse> handler)
        where TRequest : IRequestMessage<TRequest>, IFailableRequest<TResponse>
        where TResponse : class, IResponseMessage<TResponse> => new(handler) { IsAlwaysHeavy = true };

    private static ReusingApiEntry<TRequest, TResponse> ReusingEntry<TRequest, TResponse>(
        IReusingApiHandler<TRequest, TResponse> handler, int bodyBytesOnLoopMax, bool overlapsItself = false)
        where TRequest : class, IRequestMessage<TRequest>, IFailableRequest<TResponse>, IReusableMessage, new()
        where TResponse : class, IResponseMessage<TResponse>, IReusableMessage, new() =>
        new(handler) { BodyBytesOnLoopMax = bodyBytesOnLoopMax, OverlapsItself = overlapsItself };
}
