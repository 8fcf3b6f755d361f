using Ottla.Broker.Hosts;
using Ottla.Broker.Hosts.Coordinators;
using Ottla.Broker.Hosts.Share;
using Ottla.Broker.Hosts.Transactions;
using Ottla.Broker.Metadata;
using Ottla.Broker.Peers;
using Ottla.Broker.Replicas;
using Ottla.Broker.Replicas.Followers;
using Ottla.Broker.Server;
using Ottla.Broker.Telemetry;
using Ottla.Configuration;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Groups;
using Ottla.StateMachines.Metadata;
using Ottla.StateMachines.Share.Coordinator;
using Ottla.StateMachines.Transactions;
using Ottla.Storage.Upkeep;

namespace Ottla.Broker.Api;

/// <summary>What the handlers of a broker work with.</summary>
internal sealed record BrokerServices
{
    public required Func<BrokerConfig> Config { get; init; }

    public required ClusterView Cluster { get; init; }

    public required HostedTopics Topics { get; init; }

    public required LogManager Logs { get; init; }

    public required Forwarder Forwarder { get; init; }

    public required ProducerIds ProducerIds { get; init; }

    public required CoordinatorHost<GroupCommand> Groups { get; init; }

    public required CoordinatorHost<TransactionCommand> Transactions { get; init; }

    public required TopicAutoCreation TopicCreation { get; init; }

    public required CoordinatorHost<ShareCoordinatorCommand> ShareCoordinators { get; init; }

    public required IShareStateStore ShareStates { get; init; }

    public required ShareGroupState ShareGroupState { get; init; }

    public required LatestOffsets LatestOffsets { get; init; }

    public required SharePartitions SharePartitions { get; init; }

    public required TransactionVerifier TransactionVerifier { get; init; }

    public required TransactionMarkers TransactionMarkers { get; init; }

    public required FetchSessions FetchSessions { get; init; }

    public required FollowerSessions FollowerSessions { get; init; }

    public required SupportedFeatures SupportedFeatures { get; init; }

    public required Func<QuorumState> Quorum { get; init; }

    public required LeveledLoggers Loggers { get; init; }

    public required Authorizer Authorizer { get; init; }

    public required ClientQuotas Quotas { get; init; }

    public required ClientTelemetry Telemetry { get; init; }

    public required TimeProvider Time { get; init; }

    /// <summary>Refuses a configuration to which the TLS and the logins of this node cannot change.</summary>
    public required Action<BrokerConfig> CheckSecurity { get; init; }
}

/// <summary>The one list of the APIs that a broker serves: to add an API, write its handler and name it here.</summary>
internal static class BrokerApis
{
    /// <summary>
    /// A batch as large as a producer sends by default (<c>max.request.size</c>), and the rest of the request. Its records are not decoded,
    /// and other connections wait for the disk anyway.
    /// </summary>
    private const int ProduceBodyBytesOnLoopMax = 1_100_000;

    /// <summary>A full fetch of a thousand partitions.</summary>
    private const int FetchBodyBytesOnLoopMax = 64 * 1024;

    /// <summary>The table for the listeners of a broker.</summary>
    public static ApiTable CreateTable(BrokerServices broker)
    {
        var leaders = new LeaderHints(() => broker.Cluster.Image, broker.Topics);
        var racks = broker.Config().ReplicaSelectorClass == RackAwareReplicas.KafkaClass
            ? new RackAwareReplicas(() => broker.Cluster.Image) : null;
        var authorizer = broker.Authorizer;
        var tokens = new DelegationTokens(broker.Config, authorizer);
        var tokenKey = DelegationTokenKey.From(broker.Config().DelegationTokenSecretKey);
        Func<int> fetchBytesMax = () => broker.Config().FetchMaxBytes;
        var loggers = new LoggerLevels(broker.Config().NodeId, broker.Loggers);
        var configs = new ConfigAlterer(broker.Forwarder, broker.Config, broker.CheckSecurity, loggers, authorizer);
        var shareSessions = new ShareSessions(broker.SharePartitions, broker.Config);
        var shareAcknowledgements = new ShareAcknowledgements(broker.SharePartitions, broker.Cluster, authorizer);
        ApiTable? table = null;
        table = new ApiTable(ApiListeners.Broker,
        [
            ReusingEntry<ProduceRequest, ProduceResponse>(
                new ProduceHandler(broker.Topics, leaders, broker.TransactionVerifier, authorizer, broker.Time),
                ProduceBodyBytesOnLoopMax,
                overlapsItself: true),
            ReusingEntry<FetchRequest, FetchResponse>(
                new FetchHandler(
                    new FetchPlanner(broker.Topics, leaders, racks, broker.Time), broker.FetchSessions,
                    new ReplicaFetchHandler(broker.FollowerSessions, fetchBytesMax, broker.Time), leaders, authorizer,
                    broker.Quotas, fetchBytesMax, broker.Time),
                FetchBodyBytesOnLoopMax),
            Entry<ListOffsetsRequest, ListOffsetsResponse>(new ListOffsetsHandler(broker.Topics, leaders, authorizer)),
            Entry<MetadataRequest, MetadataResponse>(
                new MetadataHandler(broker.Config().NodeId, broker.Cluster, broker.TopicCreation, authorizer)),
            Entry<OffsetCommitRequest, OffsetCommitResponse>(new OffsetCommitHandler(broker.Groups, broker.Cluster, authorizer)),
            Entry<OffsetFetchRequest, OffsetFetchResponse>(new OffsetFetchHandler(broker.Groups, broker.Cluster, authorizer)),
            Entry<FindCoordinatorRequest, FindCoordinatorResponse>(
                new FindCoordinatorHandler(broker.Cluster, broker.TopicCreation, authorizer)),
            Entry<JoinGroupRequest, JoinGroupResponse>(new JoinGroupHandler(broker.Groups, authorizer)),
            Entry<HeartbeatRequest, HeartbeatResponse>(new HeartbeatHandler(broker.Groups, authorizer)),
            Entry<LeaveGroupRequest, LeaveGroupResponse>(new LeaveGroupHandler(broker.Groups, authorizer)),
            Entry<SyncGroupRequest, SyncGroupResponse>(new SyncGroupHandler(broker.Groups, authorizer)),
            Entry<DescribeGroupsRequest, DescribeGroupsResponse>(new DescribeGroupsHandler(broker.Groups, authorizer)),
            HeavyEntry<ListGroupsRequest, ListGroupsResponse>(new ListGroupsHandler(broker.Groups, authorizer)),
            Entry<SaslHandshakeRequest, SaslHandshakeResponse>(new SaslHandshakeHandler()),
            Entry<ApiVersionsRequest, ApiVersionsResponse>(
                new ApiVersionsHandler(
                    () => table!, broker.Cluster, broker.Config().NodeId, broker.SupportedFeatures, () => broker.Quorum().KRaftVersion,
                    key => broker.Forwarder.ControllerVersionsOf(key))),
            Forwarded<CreateTopicsRequest, CreateTopicsResponse>(typeof(CreateTopicsHandler), broker),
            Forwarded<DeleteTopicsRequest, DeleteTopicsResponse>(typeof(DeleteTopicsHandler), broker),
            HeavyEntry<DeleteRecordsRequest, DeleteRecordsResponse>(
                new DeleteRecordsHandler(broker.Topics, leaders, authorizer, broker.Time)),
            Entry<InitProducerIdRequest, InitProducerIdResponse>(
                new InitProducerIdHandler(broker.ProducerIds, broker.Transactions, authorizer)),
            Entry<OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse>(
                new OffsetForLeaderEpochHandler(broker.Topics, leaders, authorizer)),
            Entry<AddPartitionsToTxnRequest, AddPartitionsToTxnResponse>(
                new AddPartitionsToTxnHandler(broker.Transactions, broker.Cluster, authorizer)),
            Entry<AddOffsetsToTxnRequest, AddOffsetsToTxnResponse>(
                new AddOffsetsToTxnHandler(broker.Transactions, broker.Groups, broker.Config, authorizer)),
            Entry<EndTxnRequest, EndTxnResponse>(new EndTxnHandler(broker.Transactions, authorizer)),
            Entry<WriteTxnMarkersRequest, WriteTxnMarkersResponse>(new WriteTxnMarkersHandler(broker.TransactionMarkers)),
            Entry<TxnOffsetCommitRequest, TxnOffsetCommitResponse>(
                new TxnOffsetCommitHandler(broker.Groups, broker.Cluster, broker.Topics, broker.TransactionVerifier, authorizer)),
            Entry<DescribeAclsRequest, DescribeAclsResponse>(new DescribeAclsHandler(authorizer)),
            Forwarded<CreateAclsRequest, CreateAclsResponse>(typeof(CreateAclsHandler), broker),
            Forwarded<DeleteAclsRequest, DeleteAclsResponse>(typeof(DeleteAclsHandler), broker),
            Entry<DescribeConfigsRequest, DescribeConfigsResponse>(
                new DescribeConfigsHandler(broker.Cluster, broker.Config, broker.Loggers, authorizer)),
            Shared<AlterConfigsRequest, AlterConfigsResponse>(new AlterConfigsHandler(configs)),
            HeavyEntry<AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse>(
                new AlterReplicaLogDirsHandler(broker.Logs, broker.Cluster)),
            HeavyEntry<DescribeLogDirsRequest, DescribeLogDirsResponse>(
                new DescribeLogDirsHandler(
                    broker.Logs, () => broker.Cluster.Image.Features.MetadataVersion?.SupportsCordonedLogDirs ?? false)),
            Entry<SaslAuthenticateRequest, SaslAuthenticateResponse>(new SaslAuthenticateHandler()),
            Forwarded<CreatePartitionsRequest, CreatePartitionsResponse>(typeof(CreatePartitionsHandler), broker),
            Shared<CreateDelegationTokenRequest, CreateDelegationTokenResponse>(
                new CreateDelegationTokenHandler(tokens, (context, request) =>
                    broker.Forwarder.ForwardAsync<CreateDelegationTokenRequest, CreateDelegationTokenResponse>(context, request))),
            Shared<RenewDelegationTokenRequest, RenewDelegationTokenResponse>(
                new RenewDelegationTokenHandler(tokens, (context, request) =>
                    broker.Forwarder.ForwardAsync<RenewDelegationTokenRequest, RenewDelegationTokenResponse>(context, request))),
            Shared<ExpireDelegationTokenRequest, ExpireDelegationTokenResponse>(
                new ExpireDelegationTokenHandler(tokens, (context, request) =>
                    broker.Forwarder.ForwardAsync<ExpireDelegationTokenRequest, ExpireDelegationTokenResponse>(context, request))),
            HeavyEntry<DescribeDelegationTokenRequest, DescribeDelegationTokenResponse>(
                new DescribeDelegationTokenHandler(broker.Cluster, tokens, () => tokenKey)),
            HeavyEntry<DeleteGroupsRequest, DeleteGroupsResponse>(
                new DeleteGroupsHandler(broker.Groups, broker.ShareGroupState, authorizer)),
            Forwarded<ElectLeadersRequest, ElectLeadersResponse>(typeof(ElectLeadersHandler), broker),
            Shared<IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse>(new IncrementalAlterConfigsHandler(configs)),
            Forwarded<AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse>(
                typeof(AlterPartitionReassignmentsHandler), broker),
            Forwarded<ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse>(
                typeof(ListPartitionReassignmentsHandler), broker),
            Entry<OffsetDeleteRequest, OffsetDeleteResponse>(new OffsetDeleteHandler(broker.Groups, broker.Cluster, authorizer)),
            Entry<DescribeClientQuotasRequest, DescribeClientQuotasResponse>(new DescribeClientQuotasHandler(broker.Cluster)),
            Forwarded<AlterClientQuotasRequest, AlterClientQuotasResponse>(typeof(AlterClientQuotasHandler), broker),
            Entry<DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse>(
                new DescribeUserScramCredentialsHandler(broker.Cluster)),
            Forwarded<AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse>(
                typeof(AlterUserScramCredentialsHandler), broker),
            Forwarded<DescribeQuorumRequest, DescribeQuorumResponse>(typeof(DescribeQuorumHandler), broker),
            Forwarded<UpdateFeaturesRequest, UpdateFeaturesResponse>(typeof(UpdateFeaturesHandler), broker),
            Entry<DescribeClusterRequest, DescribeClusterResponse>(
                new DescribeClusterHandler(
                    broker.Cluster, EndpointType.Broker, () => broker.Cluster.NextBrokerForController(), authorizer)),
            HeavyEntry<DescribeProducersRequest, DescribeProducersResponse>(
                new DescribeProducersHandler(broker.Topics, broker.Cluster, authorizer)),
            Forwarded<UnregisterBrokerRequest, UnregisterBrokerResponse>(typeof(UnregisterBrokerHandler), broker),
            Entry<DescribeTransactionsRequest, DescribeTransactionsResponse>(
                new DescribeTransactionsHandler(broker.Transactions, authorizer)),
            HeavyEntry<ListTransactionsRequest, ListTransactionsResponse>(new ListTransactionsHandler(broker.Transactions, authorizer)),
            Entry<ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse>(
                new ConsumerGroupHeartbeatHandler(broker.Groups, broker.Cluster, broker.Config, authorizer)),
            Entry<ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse>(
                new ConsumerGroupDescribeHandler(broker.Groups, broker.Cluster, broker.Config, authorizer)),
            new PlainApiEntry<GetTelemetrySubscriptionsRequest, GetTelemetrySubscriptionsResponse>(
                new GetTelemetrySubscriptionsHandler(broker.Telemetry)) { IsAlwaysHeavy = true, IsOffered = broker.Telemetry.IsOffered },
            new PlainApiEntry<PushTelemetryRequest, PushTelemetryResponse>(new PushTelemetryHandler(broker.Telemetry))
            {
                IsAlwaysHeavy = true,
                IsOffered = broker.Telemetry.IsOffered,
            },
            Entry<ListConfigResourcesRequest, ListConfigResourcesResponse>(new ListConfigResourcesHandler(broker.Cluster)),
            Entry<DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse>(
                new DescribeTopicPartitionsHandler(broker.Cluster, broker.Config, authorizer)),
            Entry<ShareGroupHeartbeatRequest, ShareGroupHeartbeatResponse>(
                new ShareGroupHeartbeatHandler(broker.Groups, broker.Cluster, authorizer)),
            Entry<ShareGroupDescribeRequest, ShareGroupDescribeResponse>(
                new ShareGroupDescribeHandler(broker.Groups, broker.Cluster, authorizer)),
            Entry<ShareFetchRequest, ShareFetchResponse>(
                new ShareFetchHandler(
                    broker.SharePartitions, shareSessions, shareAcknowledgements, new ShareFetcher(broker.SharePartitions, broker.Time),
                    leaders, broker.Cluster, authorizer, broker.Quotas, fetchBytesMax, broker.Time)),
            Entry<ShareAcknowledgeRequest, ShareAcknowledgeResponse>(
                new ShareAcknowledgeHandler(broker.SharePartitions, shareSessions, shareAcknowledgements, broker.Cluster, authorizer)),
            Forwarded<AddRaftVoterRequest, AddRaftVoterResponse>(typeof(AddRaftVoterHandler), broker),
            Forwarded<RemoveRaftVoterRequest, RemoveRaftVoterResponse>(typeof(RemoveRaftVoterHandler), broker),
            Entry<InitializeShareGroupStateRequest, InitializeShareGroupStateResponse>(
                new InitializeShareGroupStateHandler(broker.ShareCoordinators)),
            Entry<ReadShareGroupStateRequest, ReadShareGroupStateResponse>(new ReadShareGroupStateHandler(broker.ShareCoordinators)),
            Entry<WriteShareGroupStateRequest, WriteShareGroupStateResponse>(new WriteShareGroupStateHandler(broker.ShareCoordinators)),
            Entry<DeleteShareGroupStateRequest, DeleteShareGroupStateResponse>(new DeleteShareGroupStateHandler(broker.ShareCoordinators)),
            Entry<ReadShareGroupStateSummaryRequest, ReadShareGroupStateSummaryResponse>(
                new ReadShareGroupStateSummaryHandler(broker.ShareCoordinators)),
            Entry<DescribeShareGroupOffsetsRequest, DescribeShareGroupOffsetsResponse>(
                new DescribeShareGroupOffsetsHandler(
                    broker.Groups, broker.ShareStates, broker.LatestOffsets, broker.Cluster, authorizer)),
            Entry<AlterShareGroupOffsetsRequest, AlterShareGroupOffsetsResponse>(
                new AlterShareGroupOffsetsHandler(broker.Groups, broker.ShareGroupState, broker.Cluster, authorizer)),
            Entry<DeleteShareGroupOffsetsRequest, DeleteShareGroupOffsetsResponse>(
                new DeleteShareGroupOffsetsHandler(broker.Groups, broker.ShareGroupState, broker.Cluster, authorizer)),
            Forwarded<UnregisterControllerRequest, UnregisterControllerResponse>(typeof(UnregisterControllerHandler), broker),
        ], authorizer);
        return table;
    }

    private static PlainApiEntry<TRequest, TResponse> Entry<TRequest, TResponse>(IApiHandler<TRequest, TResponse> handler)
        where TRequest : IRequestMessage<TRequest>, IFailableRequest<TResponse>
        where TResponse : class, IResponseMessage<TResponse> => new(handler);

    /// <summary>An API that the active controller answers, by a handler of its own.</summary>
    private static PlainApiEntry<TRequest, TResponse> Forwarded<TRequest, TResponse>(Type handler, BrokerServices broker)
        where TRequest : IRequestMessage<TRequest>, IFailableRequest<TResponse>
        where TResponse : class, IResponseMessage<TResponse> =>
        new(new ForwardingHandler<TRequest, TResponse>(broker.Forwarder)) { HandlerType = handler, IsForwarded = true };

    /// <summary>An API that the broker handles in part, and forwards in part.</summary>
    private static PlainApiEntry<TRequest, TResponse> Shared<TRequest, TResponse>(IApiHandler<TRequest, TResponse> handler)
        where TRequest : IRequestMessage<TRequest>, IFailableRequest<TResponse>
        where TResponse : class, IResponseMessage<TResponse> => new(handler) { IsAlwaysHeavy = true, IsForwarded = true };

    /// <summary>
    /// An API whose work the size of its request does not tell: the controller decides, files are deleted, or the answer lists everything.
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
