using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.StateMachines.Metadata;

namespace Ottla.Broker.Api;

/// <summary>The topics that offsets are committed for: by name, or by id from some version on.</summary>
internal static class CommittedTopics
{
    /// <summary>Finds a topic.</summary>
    /// <param name="image">The metadata.</param>
    /// <param name="byId">Whether the request names topics by id.</param>
    /// <param name="name">The name; empty where ids are used.</param>
    /// <param name="id">The id; zero where names are used.</param>
    /// <param name="error">The error of the topic, or else of those of its partitions that do not exist.</param>
    /// <returns>Null when there is no such topic.</returns>
    public static TopicImage? Find(MetadataImage image, bool byId, string name, Uuid id, out ErrorCode error)
    {
        var topic = byId ? image.Topics.Find(id) : image.Topics.Find(name);
        error = topic is null && byId ? ErrorCode.UnknownTopicId : ErrorCode.UnknownTopicOrPartition;
        return topic;
    }
}
