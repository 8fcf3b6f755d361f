using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.StateMachines.Metadata;

namespace Ottla.Broker.Api;

/// <summary>
/// How an API about a group's committed offsets names topics and partitions. The messages of OffsetCommit, TxnOffsetCommit and OffsetDelete
/// have the same shape, and types of their own.
/// </summary>
/// <param name="Read">A topic of the request: its name, its id (zero where the request has names) and its partitions.</param>
/// <param name="IndexOf">The index of a partition of the request.</param>
/// <param name="Keep">Makes a topic for the coordinator, with those of its partitions that exist.</param>
/// <param name="Answer">Makes a topic of the response, with an error for each partition.</param>
internal sealed record OffsetMessages<TTopic, TPartition, TAnswer>(
    Func<TTopic, (string Name, Uuid Id, TPartition[] Partitions)> Read,
    Func<TPartition, int> IndexOf,
    Func<TopicImage, TPartition[], TTopic> Keep,
    Func<TTopic, (int Index, short ErrorCode)[], TAnswer> Answer);

/// <summary>
/// The partitions of a request about a group's committed offsets: this broker answers for those that do not exist or that the client may
/// not read, the group's coordinator for the others. Lives for one request.
/// </summary>
internal sealed class OffsetPartitions<TTopic, TPartition, TAnswer>
{
    private readonly OffsetMessages<TTopic, TPartition, TAnswer> _messages;
    private readonly TTopic[] _topics;

    /// <summary>The error of each partition, in the order of the request; null for those that exist.</summary>
    private readonly List<ErrorCode?> _errors = [];

    /// <summary>Splits the partitions of a request.</summary>
    /// <param name="messages">The messages of the API.</param>
    /// <param name="image">The metadata.</param>
    /// <param name="byId">Whether the request names topics by id.</param>
    /// <param name="topics">The topics of the request.</param>
    /// <param name="isAllowed">Whether the client may read a topic.</param>
    public OffsetPartitions(
        OffsetMessages<TTopic, TPartition, TAnswer> messages, MetadataImage image, bool byId, TTopic[] topics,
        Func<string, bool> isAllowed)
    {
        _messages = messages;
        _topics = topics;
        var known = new List<TTopic>(topics.Length);
        foreach (var topic in topics)
        {
            var (name, id, partitions) = messages.Read(topic);
            var found = byId ? image.Topics.Find(id) : image.Topics.Find(name);
            var isUnknownId = byId && found is null;
            var kept = isUnknownId || isAllowed(found?.Name ?? name)
                ? KeepKnown(found, partitions, isUnknownId ? ErrorCode.UnknownTopicId : ErrorCode.UnknownTopicOrPartition)
                : KeepKnown(null, partitions, ErrorCode.TopicAuthorizationFailed);
            if (kept.Length > 0)
                known.Add(messages.Keep(found!, kept));
        }

        Known = [.. known];
    }

    /// <summary>The topics to ask the coordinator about, with the partitions that exist.</summary>
    public TTopic[] Known { get; }

    /// <summary>How many partitions exist.</summary>
    public int KnownCount { get; private set; }

    /// <summary>One error for all partitions that exist.</summary>
    public IReadOnlyList<ErrorCode> FailKnown(ErrorCode error) => [.. Enumerable.Repeat(error, KnownCount)];

    /// <summary>The topics of the response, in the order of the request.</summary>
    /// <param name="known">The errors of the partitions that exist.</param>
    public TAnswer[] Answer(IReadOnlyList<ErrorCode> known)
    {
        Invariant.Check(known.Count == KnownCount, "the coordinator answers every partition that it is asked about");
        var next = 0;
        var errors = new Queue<ErrorCode>(_errors.Select(error => error ?? known[next++]));
        return [.. _topics.Select(topic => _messages.Answer(
            topic, [.. _messages.Read(topic).Partitions.Select(partition => (_messages.IndexOf(partition), (short)errors.Dequeue()))]))];
    }

    private TPartition[] KeepKnown(TopicImage? topic, TPartition[] partitions, ErrorCode missing)
    {
        var kept = new List<TPartition>(partitions.Length);
        foreach (var partition in partitions)
        {
            var exists = topic?.Partition(_messages.IndexOf(partition)) is not null;
            _errors.Add(exists ? null : missing);
            if (exists)
                kept.Add(partition);
        }

        KnownCount += kept.Count;
        return [.. kept];
    }
}
