using Ottla.Client.Admins;
using Ottla.Client.Calls;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.Client;

public sealed partial class Admin
{
    private const sbyte BrokerEndpoints = 1;
    private const sbyte ControllerEndpoints = 2;
    private const string MetadataTopic = "__cluster_metadata";

    private static readonly CallOptions UnregisterRetry = new() { IsRetriable = error => error == ErrorCode.RequestTimedOut };

    /// <inheritdoc/>
    public async Task<ClusterDescription> DescribeClusterAsync(
        bool includeFencedBrokers = false, bool includeAuthorizedOperations = false, CancellationToken cancellation = default)
    {
        var answer = await Calls.ToAnyNodeAsync<DescribeClusterRequest, DescribeClusterResponse>(
            _ => new DescribeClusterRequest
            {
                EndpointType = _client.Options.UsesControllers ? ControllerEndpoints : BrokerEndpoints,
                IncludeFencedBrokers = includeFencedBrokers,
                IncludeClusterAuthorizedOperations = includeAuthorizedOperations,
            },
            answer => ErrorOf(answer.ErrorCode, answer.ErrorMessage), AdminErrors.NoRetry, cancellation);
        return new ClusterDescription(
            answer.ClusterId, answer.ControllerId >= 0 ? answer.ControllerId : null,
            [
                .. answer.Brokers.OrderBy(broker => broker.BrokerId).Select(broker =>
                    new BrokerDescription(broker.BrokerId, broker.Host, broker.Port, broker.Rack, broker.IsFenced)),
            ],
            Operations(answer.ClusterAuthorizedOperations));
    }

    /// <inheritdoc/>
    public async Task<FeatureMetadata> DescribeFeaturesAsync(CancellationToken cancellation = default)
    {
        var answer = await Calls.ToAnyNodeAsync<ApiVersionsRequest, ApiVersionsResponse>(
            _ => VersionsRequest(), answer => ErrorOf(answer.ErrorCode), AdminErrors.NoRetry, cancellation);
        return ToFeatures(answer);
    }

    /// <inheritdoc/>
    public async Task<FeatureMetadata> DescribeFeaturesAsync(int nodeId, CancellationToken cancellation = default) =>
        ToFeatures(await AskVersionsAsync(nodeId, cancellation));

    /// <inheritdoc/>
    public async Task<IReadOnlyList<ApiVersion>> ListApiVersionsAsync(int nodeId, CancellationToken cancellation = default) =>
    [
        .. (await AskVersionsAsync(nodeId, cancellation)).ApiKeys.Select(
            each => new ApiVersion(each.ApiKey, each.MinVersion, each.MaxVersion)),
    ];

    private Task<ApiVersionsResponse> AskVersionsAsync(int nodeId, CancellationToken cancellation) =>
        Calls.ToNodeAsync<ApiVersionsRequest, ApiVersionsResponse>(
            nodeId, _ => VersionsRequest(), answer => ErrorOf(answer.ErrorCode), AdminErrors.NoRetry, cancellation);

    private static ApiVersionsRequest VersionsRequest() => new() { ClientSoftwareName = "ottla", ClientSoftwareVersion = "1" };

    private static FeatureMetadata ToFeatures(ApiVersionsResponse answer) => new(
        answer.FinalizedFeatures.ToDictionary(
            feature => feature.Name, feature => new FeatureRange(feature.MinVersionLevel, feature.MaxVersionLevel)),
        answer.FinalizedFeaturesEpoch >= 0 ? answer.FinalizedFeaturesEpoch : null,
        answer.SupportedFeatures.ToDictionary(
            feature => feature.Name, feature => new FeatureRange(feature.MinVersion, feature.MaxVersion)));

    /// <inheritdoc/>
    public async Task<AdminResults<string>> UpdateFeaturesAsync(
        IReadOnlyDictionary<string, FeatureUpdate> updates, bool validateOnly = false, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(updates);
        if (updates.Count == 0)
            throw new ArgumentException("Name at least one feature.", nameof(updates));
        return Outcomes(await Items.RunAsync(
            new ItemCall<string, Done, UpdateFeaturesRequest, UpdateFeaturesResponse>
            {
                IsRetriable = error => error == ErrorCode.NotController,
                Request = (version, features, left) => version == 0 && validateOnly
                    ? throw new UnsupportedVersionException("The cluster is too old to validate features: UpdateFeatures 1 is needed.")
                    : new UpdateFeaturesRequest
                    {
                        TimeoutMs = Milliseconds(left),
                        ValidateOnly = validateOnly,
                        FeatureUpdates = [.. features.Select(feature => ToRequest(feature, updates[feature], version))],
                    },
                Read = (answer, answers) =>
                {
                    // From version 2 on there is one error for all (KIP-1022).
                    foreach (var feature in answers.Asked)
                        answers.Take(feature, answer.ErrorCode, answer.ErrorMessage, () => default);
                    if (answer.ErrorCode != 0)
                        return;
                    foreach (var feature in answer.Results)
                        answers.Take(feature.Feature, feature.ErrorCode, feature.ErrorMessage, () => default);
                },
            },
            updates.Keys, ToController<string>(), cancellation));
    }

    /// <inheritdoc/>
    public async Task<QuorumDescription> DescribeMetadataQuorumAsync(CancellationToken cancellation = default)
    {
        var answer = await ToQuorumLeaderAsync<DescribeQuorumRequest, DescribeQuorumResponse>(
            _ => new DescribeQuorumRequest
            {
                Topics = [new() { TopicName = MetadataTopic, Partitions = [new() { PartitionIndex = 0 }] }],
            },
            ErrorOf, CallOptions.Default, cancellation);
        var partition = answer.Topics[0].Partitions[0];
        return new QuorumDescription(
            partition.LeaderId, partition.LeaderEpoch, partition.HighWatermark, [.. partition.CurrentVoters.Select(ToReplica)],
            [.. partition.Observers.Select(ToReplica)],
            answer.Nodes.ToDictionary(node => node.NodeId, IReadOnlyList<RaftVoterEndpoint> (node) =>
                [.. node.Listeners.Select(listener => new RaftVoterEndpoint(listener.Name, listener.Host, listener.Port))]));
    }

    /// <inheritdoc/>
    public Task AddRaftVoterAsync(
        int voterId, Uuid directoryId, IReadOnlyCollection<RaftVoterEndpoint> endpoints, string? clusterId = null,
        CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(endpoints);
        if (endpoints.FirstOrDefault(endpoint => endpoint.Port is < 0 or > ushort.MaxValue) is { } wrong)
            throw new ArgumentException($"{wrong.Port} is no port.", nameof(endpoints));
        return ToQuorumLeaderAsync<AddRaftVoterRequest, AddRaftVoterResponse>(
            _ => new AddRaftVoterRequest
            {
                ClusterId = clusterId,
                TimeoutMs = RequestTimeoutMs,
                VoterId = voterId,
                VoterDirectoryId = directoryId,
                Listeners = [.. endpoints.Select(endpoint => new AddRaftVoterRequest.Listener
                {
                    Name = endpoint.Listener,
                    Host = endpoint.Host,
                    Port = (ushort)endpoint.Port,
                })],
            },
            answer => ErrorOf(answer.ErrorCode, answer.ErrorMessage), AdminErrors.ControllerRetry, cancellation);
    }

    /// <inheritdoc/>
    public Task RemoveRaftVoterAsync(int voterId, Uuid directoryId, string? clusterId = null, CancellationToken cancellation = default) =>
        ToQuorumLeaderAsync<RemoveRaftVoterRequest, RemoveRaftVoterResponse>(
            _ => new RemoveRaftVoterRequest { ClusterId = clusterId, VoterId = voterId, VoterDirectoryId = directoryId },
            answer => ErrorOf(answer.ErrorCode, answer.ErrorMessage), AdminErrors.ControllerRetry, cancellation);

    /// <inheritdoc/>
    public Task UnregisterBrokerAsync(int brokerId, CancellationToken cancellation = default) =>
        Calls.ToAnyNodeAsync<UnregisterBrokerRequest, UnregisterBrokerResponse>(
            _ => new UnregisterBrokerRequest { BrokerId = brokerId }, answer => ErrorOf(answer.ErrorCode, answer.ErrorMessage),
            UnregisterRetry, cancellation);

    /// <inheritdoc/>
    public Task UnregisterControllerAsync(int controllerId, CancellationToken cancellation = default) =>
        Calls.ToAnyNodeAsync<UnregisterControllerRequest, UnregisterControllerResponse>(
            _ => new UnregisterControllerRequest { ControllerId = controllerId },
            answer => ErrorOf(answer.ErrorCode, answer.ErrorMessage), UnregisterRetry, cancellation);

    /// <summary>Asks the leader of the quorum of controllers. A broker finds it by itself; another controller refuses.</summary>
    private Task<TResponse> ToQuorumLeaderAsync<TRequest, TResponse>(
        Func<short, TRequest> makeRequest, Func<TResponse, ApiError> errorOf, CallOptions options, CancellationToken cancellation)
        where TRequest : IRequestMessage<TRequest>
        where TResponse : IResponseMessage<TResponse> =>
        _client.Options.UsesControllers
            ? Calls.ToControllerAsync(makeRequest, errorOf, options, cancellation)
            : Calls.ToAnyNodeAsync(makeRequest, errorOf, options, cancellation);

    private static UpdateFeaturesRequest.FeatureUpdateKey ToRequest(string feature, FeatureUpdate update, short version) => new()
    {
        Feature = feature,
        MaxVersionLevel = update.MaxVersionLevel,
        AllowDowngrade = version == 0 && update.UpgradeType != FeatureUpgradeType.Upgrade,
        UpgradeType = (sbyte)(version == 0 ? FeatureUpgradeType.Upgrade : update.UpgradeType),
    };

    private static ApiError ErrorOf(DescribeQuorumResponse answer)
    {
        if (answer.ErrorCode != 0)
            return ErrorOf(answer.ErrorCode, answer.ErrorMessage);
        return answer.Topics is [{ TopicName: MetadataTopic, Partitions: [{ PartitionIndex: 0 } partition] }]
            ? ErrorOf(partition.ErrorCode, partition.ErrorMessage)
            : new ApiError(ErrorCode.UnknownServerError, "The answer does not describe the metadata log");
    }

    private static QuorumReplica ToReplica(DescribeQuorumResponse.ReplicaState replica) => new(
        replica.ReplicaId, replica.ReplicaDirectoryId, replica.LogEndOffset, ToTime(replica.LastFetchTimestamp),
        ToTime(replica.LastCaughtUpTimestamp));

    /// <summary>A time of the wire; null for the marks below zero.</summary>
    private static DateTimeOffset? ToTime(long milliseconds) =>
        milliseconds < 0 ? null : DateTimeOffset.FromUnixTimeMilliseconds(Math.Min(milliseconds, LastMillisecond));

    private static readonly long LastMillisecond = DateTimeOffset.MaxValue.ToUnixTimeMilliseconds();
}
