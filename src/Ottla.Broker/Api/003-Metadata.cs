using Ottla.Broker.Metadata;
using Ottla.Broker.Server;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Controller;
using Ottla.StateMachines.Metadata;
using PartitionResponse = Ottla.Protocol.Messages.MetadataResponse.MetadataResponsePartition;
using TopicRequest = Ottla.Protocol.Messages.MetadataRequest.MetadataRequestTopic;
using TopicResponse = Ottla.Protocol.Messages.MetadataResponse.MetadataResponseTopic;

namespace Ottla.Broker.Api;

/// <summary>Metadata (key 3), versions 0 to 13: brokers, topics and partition leaders, as reached over the listener of the request.</summary>
/// <remarks>
/// No topics named: all of them (v0: an empty list; later: null). Missing topics are created before the answer where the client and
/// auto.create.topics.enable allow it. Topics can be named by id from version 12 on. The controller id is a live broker: clients send admin requests there.
/// Errors per topic: UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC_ID, INVALID_TOPIC_EXCEPTION, INVALID_REQUEST, and those of auto-creation.
/// Errors per partition: LEADER_NOT_AVAILABLE, LISTENER_NOT_FOUND.
/// </remarks>
internal sealed class MetadataHandler(ClusterView cluster, TopicAutoCreation autoCreation) : IApiHandler<MetadataRequest, MetadataResponse>
{
    private const short FirstVersionWithTopicIdsInRequest = 12;
    private const short FirstVersionWithListenerNotFound = 6;
    private const short LastVersionWithClusterOperations = 10;
    private const short FirstVersionWithOperations = 8;

    public ValueTask<MetadataResponse?> HandleAsync(RequestContext context, MetadataRequest request)
    {
        var missing = Missing(request);
        return missing.Count > 0 && request.AllowAutoTopicCreation && autoCreation.IsEnabled
            ? CreateAndRespondAsync(context, request, missing)
            : ValueTask.FromResult<MetadataResponse?>(Respond(context, request, created: null));
    }

    private async ValueTask<MetadataResponse?> CreateAndRespondAsync(RequestContext context, MetadataRequest request, List<string> missing) =>
        Respond(context, request, await autoCreation.CreateAsync(missing));

    private List<string> Missing(MetadataRequest request)
    {
        var topics = cluster.Image.Topics;
        return [.. (request.Topics ?? []).Where(topic => topic.Name is not null && topics.Find(topic.Name) is null).Select(topic => topic.Name!).Distinct()];
    }

    private MetadataResponse Respond(RequestContext context, MetadataRequest request, IReadOnlyDictionary<string, ErrorCode>? created)
    {
        var image = cluster.Image;
        var version = context.ApiVersion;
        var brokers = ClusterView.ActiveBrokers(image, context.Connection.ListenerName);
        var isAll = version == 0 ? request.Topics is null or { Length: 0 } : request.Topics is null;
        var topics = isAll
            ? image.Topics.ByName.Values.Select(topic => Describe(context, image, topic))
            : request.Topics!.DistinctBy(topic => (topic.Name, topic.TopicId)).Select(topic => Find(context, image, topic, created));
        var response = new MetadataResponse
        {
            Brokers = [.. brokers.Select(broker => new MetadataResponse.MetadataResponseBroker { NodeId = broker.Id, Host = broker.Host, Port = broker.Port, Rack = broker.Rack })],
            ClusterId = cluster.ClusterId,
            ControllerId = brokers.Count > 0 ? brokers[0].Id : -1,
            Topics = [.. topics],
        };
        if (request.IncludeClusterAuthorizedOperations && version is >= FirstVersionWithOperations and <= LastVersionWithClusterOperations)
            response.ClusterAuthorizedOperations = AuthorizedOperations.Cluster;
        if (request.IncludeTopicAuthorizedOperations && version >= FirstVersionWithOperations)
        {
            foreach (var topic in response.Topics.Where(topic => topic.ErrorCode == (short)ErrorCode.None))
                topic.TopicAuthorizedOperations = AuthorizedOperations.Topic;
        }

        return response;
    }

    private static TopicResponse Find(RequestContext context, MetadataImage image, TopicRequest request, IReadOnlyDictionary<string, ErrorCode>? created)
    {
        if (request.Name is null)
        {
            return context.ApiVersion < FirstVersionWithTopicIdsInRequest ? Failed(ErrorCode.InvalidRequest, "", request.TopicId)
                : image.Topics.Find(request.TopicId) is { } byId ? Describe(context, image, byId)
                : Failed(ErrorCode.UnknownTopicId, null, request.TopicId);
        }

        if (image.Topics.Find(request.Name) is { } topic)
            return Describe(context, image, topic);
        var error = created is not null && created.TryGetValue(request.Name, out var code) && code != ErrorCode.None ? code
            : TopicNames.ReasonInvalid(request.Name) is null ? ErrorCode.UnknownTopicOrPartition : ErrorCode.InvalidTopicException;
        return Failed(error, request.Name, Uuid.Zero);
    }

    private static TopicResponse Failed(ErrorCode error, string? name, Uuid id) => new() { ErrorCode = (short)error, Name = name, TopicId = id };

    private static TopicResponse Describe(RequestContext context, MetadataImage image, TopicImage topic)
    {
        var partitions = new PartitionResponse[topic.Partitions.Length];
        for (var i = 0; i < partitions.Length; i++)
        {
            var partition = topic.Partitions[i];
            partitions[i] = new PartitionResponse
            {
                ErrorCode = (short)ClusterView.ErrorOf(image, partition, context.Connection.ListenerName, knowsListenerNotFound: context.ApiVersion >= FirstVersionWithListenerNotFound),
                PartitionIndex = i,
                LeaderId = partition.Leader,
                LeaderEpoch = partition.LeaderEpoch,
                ReplicaNodes = [.. partition.Replicas],
                IsrNodes = [.. partition.Isr],
                OfflineReplicas = ClusterView.OfflineReplicas(image, partition),
            };
        }

        return new TopicResponse { Name = topic.Name, TopicId = topic.Id, IsInternal = TopicNames.IsInternal(topic.Name), Partitions = partitions };
    }
}
