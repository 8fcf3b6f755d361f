using Ottla.Broker.Metadata;
using Ottla.Broker.Server;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Authorization;
using Ottla.StateMachines.Metadata;
using PartitionResponse = Ottla.Protocol.Messages.MetadataResponse.MetadataResponsePartition;
using TopicResponse = Ottla.Protocol.Messages.MetadataResponse.MetadataResponseTopic;

namespace Ottla.Broker.Api;

/// <summary>
/// Metadata (key 3), versions 0 to 13: brokers, topics and partition leaders, with the addresses of the listener that the request came in
/// on.
/// </summary>
/// <remarks>
/// No topics named: all of them (v0: an empty list; later: null). Topics can be named by id from version 12 on: as soon as one id is not
/// zero, ids count and names are ignored. The controller id is any live broker: clients send admin requests there. A missing topic is
/// UNKNOWN_TOPIC_OR_PARTITION, also when the broker begins to create it because the client and auto.create.topics.enable allow it: the
/// client asks again. All topics are those that the client may describe. Errors per topic: TOPIC_AUTHORIZATION_FAILED,
/// UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC_ID, INVALID_TOPIC_EXCEPTION, and INVALID_REQUEST for all topics of a request that uses ids
/// before version 12. Errors per partition: LEADER_NOT_AVAILABLE, LISTENER_NOT_FOUND.
/// </remarks>
internal sealed class MetadataHandler(int brokerId, ClusterView cluster, TopicAutoCreation autoCreation, Authorizer authorizer)
    : IApiHandler<MetadataRequest, MetadataResponse>
{
    private const short FirstVersionWithTopicIdsInRequest = 12;
    private const short FirstVersionWithListenerNotFound = 6;
    private const short LastVersionWithClusterOperations = 10;
    private const short FirstVersionWithOperations = 8;

    /// <summary>With more topics than this, the network loop does not even count their partitions.</summary>
    private const int TopicsOnLoopMax = 1_000;

    /// <summary>About how long it takes to describe and encode a partition.</summary>
    private const double MicrosecondsPerPartition = 0.5;

    /// <inheritdoc/>
    public int EstimateMicroseconds(RequestContext context, MetadataRequest request)
    {
        var topics = cluster.Image.Topics;
        var partitions = 0;
        if (request.Topics is not { Length: > 0 } asked)
            return topics.ById.Count > TopicsOnLoopMax
                ? HeavyRequests.Unbounded
                : Cost(topics.ById.Values.Sum(topic => topic.Partitions.Length));
        foreach (var topic in asked)
            partitions += 1 + ((topic.Name is { } name ? topics.Find(name) : topics.Find(topic.TopicId))?.Partitions.Length ?? 0);
        return Cost(partitions);

        static int Cost(int partitions) => (int)(partitions * MicrosecondsPerPartition);
    }

    public ValueTask<MetadataResponse?> HandleAsync(RequestContext context, MetadataRequest request)
    {
        if (context.ApiVersion < FirstVersionWithTopicIdsInRequest
            && request.Topics?.Any(topic => topic.Name is null || topic.TopicId != Uuid.Zero) == true)
            return ValueTask.FromResult<MetadataResponse?>(Refuse(request));
        var image = cluster.Image;
        var response = Respond(context, image, request, out var missing);
        if (missing.Count > 0 && request.AllowAutoTopicCreation && autoCreation.IsEnabled)
            autoCreation.Begin(context, missing);
        return ValueTask.FromResult<MetadataResponse?>(response);
    }

    /// <summary>The answer to a request that uses topic ids before version 12.</summary>
    private static MetadataResponse Refuse(MetadataRequest request) => new()
    {
        Topics = [.. request.Topics!.Select(topic => Failed(ErrorCode.InvalidRequest, topic.Name ?? "", topic.TopicId))],
    };

    private MetadataResponse Respond(RequestContext context, MetadataImage image, MetadataRequest request, out List<string> missing)
    {
        var version = context.ApiVersion;
        var brokers = ClusterView.BrokersToName(image, context.Connection.ListenerName, brokerId);
        var response = new MetadataResponse
        {
            Brokers = [.. brokers.Select(
                broker => new MetadataResponse.MetadataResponseBroker { NodeId = broker.Id, Host = broker.Host, Port = broker.Port,
                    Rack = broker.Rack })],
            ClusterId = cluster.ClusterId,
            ControllerId = cluster.NextBrokerForController(),
            Topics = [.. FindTopics(context, image, request, out missing)],
        };
        if (request.IncludeClusterAuthorizedOperations && version is >= FirstVersionWithOperations and <= LastVersionWithClusterOperations)
            response.ClusterAuthorizedOperations = AuthorizedOperations.OfCluster(authorizer, context);
        if (request.IncludeTopicAuthorizedOperations && version >= FirstVersionWithOperations)
        {
            foreach (var topic in response.Topics)
            {
                if (topic.Name is { } name && topic.ErrorCode != (short)ErrorCode.TopicAuthorizationFailed)
                    topic.TopicAuthorizedOperations = authorizer.Operations(context, ResourceType.Topic, name, AuthorizedOperations.Topic);
            }
        }

        return response;
    }

    /// <summary>The topics that a request asks for.</summary>
    /// <param name="context">The context of the request.</param>
    /// <param name="image">The metadata.</param>
    /// <param name="request">The request.</param>
    /// <param name="missing">Receives the names of missing topics that could be created.</param>
    private List<TopicResponse> FindTopics(
        RequestContext context, MetadataImage image, MetadataRequest request, out List<string> missing)
    {
        missing = [];
        if (request.Topics is null || (context.ApiVersion == 0 && request.Topics.Length == 0))
        {
            return
            [
                .. image.Topics.ByName.Values.Where(topic => authorizer.SeesTopic(context, topic.Name))
                    .Select(topic => Describe(context, image, topic)),
            ];
        }

        var found = new List<TopicResponse>(request.Topics.Length);
        var ids = request.Topics.Select(topic => topic.TopicId).Where(id => id != Uuid.Zero).Distinct().ToList();
        if (ids.Count > 0)
        {
            found.AddRange(ids.Select(id => image.Topics.Find(id) is not { } topic ? Failed(ErrorCode.UnknownTopicId, null, id)
                : MayDescribe(context, topic.Name) ? Describe(context, image, topic)
                : Failed(ErrorCode.TopicAuthorizationFailed, null, id)));
            return found;
        }

        foreach (var name in request.Topics.Select(topic => topic.Name).Distinct())
        {
            if (name is null)
            {
                found.Add(Failed(ErrorCode.UnknownTopicId, null, Uuid.Zero)); // neither a name nor an id
            }
            else if (!MayDescribe(context, name))
            {
                // Whether it exists is not told.
                found.Add(new TopicResponse { ErrorCode = (short)ErrorCode.TopicAuthorizationFailed, Name = name });
            }
            else if (image.Topics.Find(name) is { } topic)
            {
                found.Add(Describe(context, image, topic));
            }
            else if (request.AllowAutoTopicCreation && autoCreation.IsEnabled && !MayCreate(context, name))
            {
                found.Add(Failed(ErrorCode.TopicAuthorizationFailed, name, Uuid.Zero));
            }
            else if (TopicNames.ReasonInvalid(name) is not null)
            {
                found.Add(Failed(ErrorCode.InvalidTopicException, name, Uuid.Zero));
            }
            else
            {
                missing.Add(name);
                found.Add(Failed(ErrorCode.UnknownTopicOrPartition, name, Uuid.Zero));
            }
        }

        return found;
    }

    private bool MayDescribe(in RequestContext context, string name) =>
        authorizer.Allows(context, AclOperation.Describe, ResourceType.Topic, name);

    private bool MayCreate(in RequestContext context, string name) =>
        authorizer.Sees(context, AclOperation.Create, ResourceType.Cluster, AclBinding.ClusterName)
        || authorizer.Allows(context, AclOperation.Create, ResourceType.Topic, name);

    /// <summary>Clients of version 0 are not told of offline replicas: they see the others only.</summary>
    private static void LeaveOutUnreachable(
        MetadataImage image, PartitionRegistration partition, string listener, PartitionResponse response)
    {
        response.ReplicaNodes = ClusterView.Reachable(image, partition.Replicas, listener);
        response.IsrNodes = ClusterView.Reachable(image, partition.Isr, listener);
        var areAllThere = response.ReplicaNodes.Length == partition.Replicas.Length && response.IsrNodes.Length == partition.Isr.Length;
        if (response.ErrorCode == 0 && !areAllThere)
            response.ErrorCode = (short)ErrorCode.ReplicaNotAvailable;
    }

    private static TopicResponse Failed(ErrorCode error, string? name, Uuid id) =>
        new() { ErrorCode = (short)error, Name = name, TopicId = id, IsInternal = name is not null && TopicNames.IsInternal(name) };

    private static TopicResponse Describe(RequestContext context, MetadataImage image, TopicImage topic)
    {
        var listener = context.Connection.ListenerName;
        var partitions = new PartitionResponse[topic.Partitions.Length];
        for (var i = 0; i < partitions.Length; i++)
        {
            var partition = topic.Partitions[i];
            partitions[i] = new PartitionResponse
            {
                ErrorCode = (short)ClusterView.ErrorOf(
                    image, partition, listener, knowsListenerNotFound: context.ApiVersion >= FirstVersionWithListenerNotFound),
                PartitionIndex = i,
                LeaderId = ClusterView.LeaderOf(image, partition, listener),
                LeaderEpoch = partition.LeaderEpoch,
                ReplicaNodes = [.. partition.Replicas],
                IsrNodes = [.. partition.Isr],
                OfflineReplicas = ClusterView.OfflineReplicas(image, partition, listener),
            };
            if (context.ApiVersion == 0)
                LeaveOutUnreachable(image, partition, listener, partitions[i]);
        }

        return new TopicResponse
        {
            Name = topic.Name,
            TopicId = topic.Id,
            IsInternal = TopicNames.IsInternal(topic.Name),
            Partitions = partitions
        };
    }
}
