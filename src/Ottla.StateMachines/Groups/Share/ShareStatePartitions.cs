using System.Collections.Immutable;
using Ottla.Kernel;
using Ottla.Protocol.Messages;
using TopicPartitionsInfo = Ottla.Protocol.Messages.ShareGroupStatePartitionMetadataValue.TopicPartitionsInfo;

namespace Ottla.StateMachines.Groups.Share;

/// <summary>A topic of which a share group has partitions.</summary>
/// <param name="Name">Its name when the record was written.</param>
/// <param name="Partitions">The partitions.</param>
public sealed record ShareTopic(string Name, ImmutableSortedSet<int> Partitions);

/// <summary>
/// For which partitions the share coordinators have state of a group: only these can be assigned, and must be deleted with the group.
/// Immutable.
/// </summary>
public sealed record ShareStatePartitions
{
    /// <summary>A group without state.</summary>
    public static readonly ShareStatePartitions None = new();

    /// <summary>The name of a topic that is not known any more.</summary>
    internal const string UnknownName = "<UNKNOWN>";

    /// <summary>Partitions whose share coordinators are being told to begin.</summary>
    public ImmutableSortedDictionary<Uuid, ShareTopic> Initializing { get; init; } = ImmutableSortedDictionary<Uuid, ShareTopic>.Empty;

    /// <summary>Partitions that can be assigned.</summary>
    public ImmutableSortedDictionary<Uuid, ShareTopic> Initialized { get; init; } = ImmutableSortedDictionary<Uuid, ShareTopic>.Empty;

    /// <summary>Topics whose state is being deleted, with their names.</summary>
    public ImmutableSortedDictionary<Uuid, string> Deleting { get; init; } = ImmutableSortedDictionary<Uuid, string>.Empty;

    /// <summary>Whether a topic has state, or will have.</summary>
    public bool Knows(Uuid topicId) => Initializing.ContainsKey(topicId) || Initialized.ContainsKey(topicId);

    /// <summary>Whether a partition has state.</summary>
    public bool IsInitialized(TopicIdPartition partition) =>
        Initialized.TryGetValue(partition.TopicId, out var topic) && topic.Partitions.Contains(partition.Partition);

    /// <summary>Partitions begin.</summary>
    public ShareStatePartitions Begin(Uuid topicId, ShareTopic topic) => this with
    {
        Initializing = Add(Initializing, topicId, topic),
        Deleting = Deleting.Remove(topicId),
    };

    /// <summary>Share coordinators have begun with partitions.</summary>
    public ShareStatePartitions Complete(Uuid topicId, ShareTopic topic) =>
        Abandon(topicId, topic.Partitions) with { Initialized = Add(Initialized, topicId, topic) };

    /// <summary>Share coordinators have not begun with partitions.</summary>
    public ShareStatePartitions Abandon(Uuid topicId, IEnumerable<int> partitions)
    {
        if (!Initializing.TryGetValue(topicId, out var topic))
            return this;
        var rest = topic.Partitions.Except(partitions);
        return this with
        {
            Initializing = rest.IsEmpty ? Initializing.Remove(topicId) : Initializing.SetItem(topicId, topic with { Partitions = rest }),
        };
    }

    /// <summary>The state of a topic is to be deleted.</summary>
    public ShareStatePartitions Delete(Uuid topicId, string name) => this with
    {
        Initialized = Initialized.Remove(topicId),
        Deleting = Deleting.SetItem(topicId, name),
    };

    /// <summary>A topic is gone, or its state is deleted.</summary>
    public ShareStatePartitions Forget(Uuid topicId) => new()
    {
        Initializing = Initializing.Remove(topicId),
        Initialized = Initialized.Remove(topicId),
        Deleting = Deleting.Remove(topicId),
    };

    /// <summary>Reads a record.</summary>
    public static ShareStatePartitions From(ShareGroupStatePartitionMetadataValue value) => new()
    {
        Initializing = From(value.InitializingTopics),
        Initialized = From(value.InitializedTopics),
        Deleting = value.DeletingTopics.ToImmutableSortedDictionary(topic => topic.TopicId, topic => topic.TopicName),
    };

    /// <summary>All of it as a record's value.</summary>
    public ShareGroupStatePartitionMetadataValue ToValue() => new()
    {
        InitializingTopics = ToInfo(Initializing),
        InitializedTopics = ToInfo(Initialized),
        DeletingTopics =
        [
            .. Deleting.Select(topic => new ShareGroupStatePartitionMetadataValue.TopicInfo
            {
                TopicId = topic.Key,
                TopicName = topic.Value,
            }),
        ],
    };

    private static ImmutableSortedDictionary<Uuid, ShareTopic> Add(
        ImmutableSortedDictionary<Uuid, ShareTopic> topics, Uuid topicId, ShareTopic added) => topics.SetItem(
        topicId,
        topics.TryGetValue(topicId, out var known) ? added with { Partitions = known.Partitions.Union(added.Partitions) } : added);

    private static ImmutableSortedDictionary<Uuid, ShareTopic> From(TopicPartitionsInfo[] topics) =>
        topics.ToImmutableSortedDictionary(topic => topic.TopicId, topic => new ShareTopic(topic.TopicName, [.. topic.Partitions]));

    private static TopicPartitionsInfo[] ToInfo(ImmutableSortedDictionary<Uuid, ShareTopic> topics) =>
    [
        .. topics.Select(topic => new TopicPartitionsInfo
        {
            TopicId = topic.Key,
            TopicName = topic.Value.Name,
            Partitions = [.. topic.Value.Partitions],
        }),
    ];
}
