using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.StateMachines.Metadata;

namespace Ottla.Broker.Api;

/// <summary>The topics of requests about committed offsets: what does not exist is answered by the broker, the rest by the coordinator.</summary>
internal static class CommittedTopics
{
    /// <summary>Finds a topic, by name, or by id where the request's version has ids.</summary>
    /// <param name="image">The metadata.</param>
    /// <param name="byId">Whether the request names topics by id.</param>
    /// <param name="name">The name; empty where ids are used.</param>
    /// <param name="id">The id; zero where names are used.</param>
    /// <param name="error">The error of those of its partitions that do not exist.</param>
    /// <returns>Null when there is no such topic.</returns>
    public static TopicImage? Find(MetadataImage image, bool byId, string name, Uuid id, out ErrorCode error)
    {
        var topic = byId ? image.Topics.Find(id) : image.Topics.Find(name);
        error = topic is null && byId ? ErrorCode.UnknownTopicId : ErrorCode.UnknownTopicOrPartition;
        return topic;
    }

    /// <summary>Answers a topic's partitions: those that exist without an error for now.</summary>
    /// <param name="topic">The topic; null when it does not exist.</param>
    /// <param name="error">The error of partitions that do not exist.</param>
    /// <param name="partitions">The partitions of the request.</param>
    /// <param name="indexOf">Their indexes.</param>
    /// <param name="answer">Makes an answer.</param>
    /// <param name="pending">Gets the answers that the coordinator has the word on, in the order of <paramref name="known"/>.</param>
    /// <param name="known">The partitions that exist.</param>
    public static TAnswer[] Answer<TPartition, TAnswer>(
        TopicImage? topic, ErrorCode error, TPartition[] partitions, Func<TPartition, int> indexOf, Func<int, ErrorCode, TAnswer> answer, List<TAnswer> pending, out TPartition[] known)
    {
        var existing = new List<TPartition>(partitions.Length);
        var answers = new TAnswer[partitions.Length];
        for (var i = 0; i < partitions.Length; i++)
        {
            var index = indexOf(partitions[i]);
            var exists = topic?.Partition(index) is not null;
            answers[i] = answer(index, exists ? ErrorCode.None : error);
            if (!exists)
                continue;
            existing.Add(partitions[i]);
            pending.Add(answers[i]);
        }

        known = [.. existing];
        return answers;
    }
}
