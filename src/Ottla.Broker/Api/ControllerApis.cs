using Ottla.Broker.Hosts;
using Ottla.Broker.Metadata;
using Ottla.Broker.Server;
using Ottla.Configuration;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Metadata;
using Ottla.StateMachines.Raft;

namespace Ottla.Broker.Api;

/// <summary>What the handlers of a controller work with.</summary>
public sealed record ControllerServices
{
    public required Func<BrokerConfig> Config { get; init; }

    public required ClusterView Cluster { get; init; }

    public required ControllerHost Controller { get; init; }

    public required SupportedFeatures SupportedFeatures { get; init; }

    public required Func<QuorumState> Quorum { get; init; }

    /// <summary>Describes the quorum with how far each replica is.</summary>
    public required Func<Task<QuorumInfo>> DescribeQuorum { get; init; }

    public required LeveledLoggers Loggers { get; init; }

    public required Authorizer Authorizer { get; init; }

    public required ClientQuotas Quotas { get; init; }

    /// <summary>The metadata quorum; null leaves its APIs out.</summary>
    public RaftServices? Raft { get; init; }
}

/// <summary>
/// The one list of the APIs that a controller serves: to brokers, to other controllers, and to tools that ask it directly (KIP-919).
/// </summary>
public static class ControllerApis
{
    /// <summary>The table for the listeners of a controller.</summary>
    public static ApiTable CreateTable(ControllerServices services)
    {
        var controller = services.Controller;
        var authorizer = services.Authorizer;
        var tokens = new DelegationTokens(services.Config, authorizer);
        var tokenKey = DelegationTokenKey.From(services.Config().DelegationTokenSecretKey);
        var configs = new ControllerConfigAlterer(controller, new LoggerLevels(services.Config().NodeId, services.Loggers), authorizer);
        ApiTable? table = null;
        table = new ApiTable(
            ApiListeners.Controller,
        [
            Entry<SaslHandshakeRequest, SaslHandshakeResponse>(new SaslHandshakeHandler()),
            Entry<ApiVersionsRequest, ApiVersionsResponse>(
                new ApiVersionsHandler(
                    () => table!, services.Cluster, services.Config().NodeId, services.SupportedFeatures, () =>
                    services.Quorum().KRaftVersion)),
            HeavyEntry<CreateTopicsRequest, CreateTopicsResponse>(new CreateTopicsHandler(controller, authorizer, services.Quotas)),
            HeavyEntry<DeleteTopicsRequest, DeleteTopicsResponse>(new DeleteTopicsHandler(controller, authorizer, services.Quotas)),
            Entry<DescribeAclsRequest, DescribeAclsResponse>(new DescribeAclsHandler(authorizer)),
            HeavyEntry<CreateAclsRequest, CreateAclsResponse>(new CreateAclsHandler(controller, authorizer)),
            HeavyEntry<DeleteAclsRequest, DeleteAclsResponse>(new DeleteAclsHandler(controller, authorizer)),
            Entry<DescribeConfigsRequest, DescribeConfigsResponse>(
                new DescribeConfigsHandler(services.Cluster, services.Config, services.Loggers, authorizer)),
            HeavyEntry<AlterConfigsRequest, AlterConfigsResponse>(new AlterConfigsHandler(configs)),
            Entry<SaslAuthenticateRequest, SaslAuthenticateResponse>(new SaslAuthenticateHandler()),
            HeavyEntry<CreatePartitionsRequest, CreatePartitionsResponse>(
                new CreatePartitionsHandler(controller, authorizer, services.Quotas)),
            HeavyEntry<CreateDelegationTokenRequest, CreateDelegationTokenResponse>(
                new CreateDelegationTokenHandler(tokens, CreateDelegationTokenHandler.By(controller, () => tokenKey))),
            HeavyEntry<RenewDelegationTokenRequest, RenewDelegationTokenResponse>(
                new RenewDelegationTokenHandler(tokens, RenewDelegationTokenHandler.By(controller))),
            HeavyEntry<ExpireDelegationTokenRequest, ExpireDelegationTokenResponse>(
                new ExpireDelegationTokenHandler(tokens, ExpireDelegationTokenHandler.By(controller))),
            HeavyEntry<DescribeDelegationTokenRequest, DescribeDelegationTokenResponse>(
                new DescribeDelegationTokenHandler(services.Cluster, tokens, () => tokenKey)),
            HeavyEntry<ElectLeadersRequest, ElectLeadersResponse>(new ElectLeadersHandler(controller)),
            HeavyEntry<IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse>(new IncrementalAlterConfigsHandler(configs)),
            HeavyEntry<AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse>(
                new AlterPartitionReassignmentsHandler(controller)),
            HeavyEntry<ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse>(
                new ListPartitionReassignmentsHandler(controller)),
            HeavyEntry<AlterClientQuotasRequest, AlterClientQuotasResponse>(new AlterClientQuotasHandler(controller)),
            Entry<DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse>(
                new DescribeUserScramCredentialsHandler(services.Cluster)),
            HeavyEntry<AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse>(
                new AlterUserScramCredentialsHandler(controller)),
            Entry<DescribeQuorumRequest, DescribeQuorumResponse>(new DescribeQuorumHandler(services.DescribeQuorum)),
            HeavyEntry<AlterPartitionRequest, AlterPartitionResponse>(new AlterPartitionHandler(controller)),
            HeavyEntry<UpdateFeaturesRequest, UpdateFeaturesResponse>(
                new UpdateFeaturesHandler(controller, (level, validateOnly) => controller.RaiseKRaftVersionAsync(level, validateOnly))),
            HeavyEntry<EnvelopeRequest, EnvelopeResponse>(
                new EnvelopeHandler(() => table!, controller, services.Loggers.CreateLogger(nameof(EnvelopeHandler)))),
            Entry<DescribeClusterRequest, DescribeClusterResponse>(
                new DescribeClusterHandler(services.Cluster, EndpointType.Controller, () => services.Quorum().LeaderId, authorizer)),
            HeavyEntry<BrokerRegistrationRequest, BrokerRegistrationResponse>(new BrokerRegistrationHandler(controller)),
            Entry<BrokerHeartbeatRequest, BrokerHeartbeatResponse>(new BrokerHeartbeatHandler(controller)),
            HeavyEntry<UnregisterBrokerRequest, UnregisterBrokerResponse>(new UnregisterBrokerHandler(controller)),
            Entry<AllocateProducerIdsRequest, AllocateProducerIdsResponse>(new AllocateProducerIdsHandler(controller)),
            Entry<ControllerRegistrationRequest, ControllerRegistrationResponse>(new ControllerRegistrationHandler(controller)),
            HeavyEntry<AssignReplicasToDirsRequest, AssignReplicasToDirsResponse>(new AssignReplicasToDirsHandler(controller)),
            HeavyEntry<UnregisterControllerRequest, UnregisterControllerResponse>(new UnregisterControllerHandler(controller)),
            .. services.Raft is { } raft ? RaftApis.Entries(raft) : [],
        ], authorizer);
        return table;
    }

    private static PlainApiEntry<TRequest, TResponse> Entry<TRequest, TResponse>(IApiHandler<TRequest, TResponse> handler)
        where TRequest : IRequestMessage<TRequest>, IFailableRequest<TResponse>
        where TResponse : class, IResponseMessage<TResponse> => new(handler);

    /// <summary>An API whose work the size of its request does not tell: the controller decides about everything that exists.</summary>
    private static PlainApiEntry<TRequest, TResponse> HeavyEntry<TRequest, TResponse>(IApiHandler<TRequest, TResponse> handler)
        where TRequest : IRequestMessage<TRequest>, IFailableRequest<TResponse>
        where TResponse : class, IResponseMessage<TResponse> => new(handler) { IsAlwaysHeavy = true };
}
