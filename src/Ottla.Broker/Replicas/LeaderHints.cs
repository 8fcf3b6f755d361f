using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.StateMachines.Metadata;

namespace Ottla.Broker.Replicas;

/// <summary>Where to find a partition that is not led here (KIP-951).</summary>
/// <param name="LeaderId">The leader's node id; -1 when there is none.</param>
/// <param name="LeaderEpoch">The leader's epoch.</param>
/// <param name="Node">How to reach the leader over the listener of the request; null when it cannot be.</param>
public sealed record LeaderHint(int LeaderId, int LeaderEpoch, LeaderNode? Node);

/// <summary>A broker's address on one listener.</summary>
public sealed record LeaderNode(int Id, string Host, int Port, string? Rack);

/// <summary>Tells clients that ask the wrong broker whom to ask, from the committed metadata.</summary>
public sealed class LeaderHints(Func<MetadataImage> image, HostedTopics hosted)
{
    /// <summary>Why a partition of a fetch is not found here.</summary>
    /// <remarks>A topic that the fetch has found by its id before may be gone, or another may have its name by now.</remarks>
    public ErrorCode ErrorForMissing(bool usesTopicIds, string topic, Uuid topicId, string? knownName, int partition)
    {
        var error = ErrorForMissing(usesTopicIds, topic, topicId, partition);
        if (error != ErrorCode.UnknownTopicId || knownName is not { } name)
            return error;
        return image().Topics.Find(name)?.Partition(partition) is null ? ErrorCode.UnknownTopicOrPartition : ErrorCode.InconsistentTopicId;
    }

    /// <summary>The name of a topic; null when no topic has the id.</summary>
    public string? NameOf(Uuid topicId) => image().Topics.Find(topicId)?.Name;

    /// <summary>Why a partition, called by its name, is not found here.</summary>
    public ErrorCode ErrorForMissing(string topic, int partition) => ErrorForMissing(usesTopicIds: false, topic, Uuid.Zero, partition);

    /// <summary>Why a partition is not found here: it does not exist, its log cannot be used, or it is elsewhere.</summary>
    public ErrorCode ErrorForMissing(bool usesTopicIds, string topic, Uuid topicId, int partition)
    {
        var topics = image().Topics;
        if (usesTopicIds && topics.Find(topicId) is null)
            return ErrorCode.UnknownTopicId;
        var found = usesTopicIds ? topics.Find(topicId) : topics.Find(topic);
        return found?.Partition(partition) is null ? ErrorCode.UnknownTopicOrPartition
            : hosted.IsOffline(found.Name, partition) ? ErrorCode.KafkaStorageError
            : ErrorCode.NotLeaderOrFollower;
    }

    /// <summary>The leader of a partition; null when the partition does not exist.</summary>
    public LeaderHint? Find(string topic, Uuid topicId, int partition, string listener)
    {
        var current = image();
        var found = topicId == Uuid.Zero ? current.Topics.Find(topic) : current.Topics.Find(topicId);
        if (found?.Partition(partition) is not { } registration)
            return null;
        var broker = current.Cluster.Broker(registration.Leader);
        var node = broker?.EndpointAt(listener) is { } endpoint ? new LeaderNode(broker.Id, endpoint.Host, endpoint.Port, broker.Rack)
            : null;
        return new LeaderHint(registration.Leader, registration.LeaderEpoch, node);
    }
}
