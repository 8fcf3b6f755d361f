using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.Client.Consumers.Fetching;

/// <summary>Where to fetch a partition from.</summary>
/// <param name="TopicId">The topic's id; zero when the cluster does not say.</param>
/// <param name="Offset">The offset.</param>
/// <param name="LeaderEpoch">The leader epoch as the metadata has it; -1 for unknown.</param>
/// <param name="BytesMax">The most bytes to fetch at once.</param>
internal readonly record struct FetchPosition(Uuid TopicId, long Offset, int LeaderEpoch, int BytesMax);

/// <summary>
/// What one node remembers of this consumer's fetches (KIP-227), so that requests name only what changes. Pure; owned by the fetcher.
/// </summary>
internal sealed class FetchSession
{
    private const int NoSession = 0;
    private const int FirstEpoch = 0;

    private readonly Dictionary<TopicPartition, FetchPosition> _known = [];
    private readonly Dictionary<Uuid, string> _namesById = [];
    private int _id = NoSession;
    private int _epoch = FirstEpoch;
    private bool _usesTopicIds;

    /// <summary>Whether the last request built names every partition.</summary>
    public bool IsFull => _epoch == FirstEpoch;

    /// <summary>Makes the next request's partitions and session fields. Every request is answered before the next one is made.</summary>
    /// <param name="wanted">What to fetch, in the order in which it is to be read.</param>
    /// <param name="usesTopicIds">Whether the request will name topics by id; a session cannot change that.</param>
    /// <returns>A request without the fields that are the same for all.</returns>
    public FetchRequest Build(IReadOnlyList<(TopicPartition Partition, FetchPosition Position)> wanted, bool usesTopicIds)
    {
        if (_usesTopicIds != usesTopicIds)
            Restart();
        _usesTopicIds = usesTopicIds;
        _namesById.Clear();
        foreach (var (partition, position) in wanted)
            _namesById[position.TopicId] = partition.Topic;
        var request = new FetchRequest { SessionId = _id, SessionEpoch = _epoch };
        if (IsFull)
        {
            _known.Clear();
            foreach (var (partition, position) in wanted)
                _known[partition] = position;
            request.Topics = ToTopics(wanted);
            return request;
        }

        var asked = wanted.ToDictionary(each => each.Partition, each => each.Position);
        var forgotten = _known
            .Where(known => !asked.TryGetValue(known.Key, out var position) || position.TopicId != known.Value.TopicId).ToList();
        foreach (var (partition, _) in forgotten)
            _known.Remove(partition);
        request.ForgottenTopicsData = [.. forgotten.GroupBy(each => (each.Key.Topic, each.Value.TopicId))
            .Select(topic => new FetchRequest.ForgottenTopic
            {
                Topic = topic.Key.Topic,
                TopicId = topic.Key.TopicId,
                Partitions = [.. topic.Select(each => each.Key.Partition)],
            })];
        var changed = wanted.Where(each => !_known.TryGetValue(each.Partition, out var known) || known != each.Position).ToList();
        foreach (var (partition, position) in changed)
            _known[partition] = position;
        request.Topics = ToTopics(changed);
        return request;
    }

    /// <summary>The partition of an answer, which names its topic by id or by name; null when it was not asked for.</summary>
    public TopicPartition? Find(Uuid topicId, string topic, int partition)
    {
        if (topic.Length == 0 && !_namesById.TryGetValue(topicId, out topic!))
            return null;
        var found = new TopicPartition(topic, partition);
        return _known.ContainsKey(found) ? found : null;
    }

    /// <summary>Takes an answer without an error.</summary>
    public void OnAnswer(int sessionId)
    {
        if (sessionId == NoSession)
        {
            Restart();
            _id = NoSession; // the node has no room for a session: every request names everything
            return;
        }

        _id = sessionId;
        _epoch = _epoch == int.MaxValue ? 1 : _epoch + 1;
    }

    /// <summary>Takes an error of the whole answer.</summary>
    public void OnRefused(ErrorCode error)
    {
        Restart();
        if (error == ErrorCode.FetchSessionIdNotFound)
            _id = NoSession;
    }

    /// <summary>
    /// The next request begins a new session and ends this one: no answer came, or the node has lost count.
    /// </summary>
    public void Restart() => _epoch = FirstEpoch;

    private static FetchRequest.FetchTopic[] ToTopics(IEnumerable<(TopicPartition Partition, FetchPosition Position)> partitions) =>
        [.. partitions.GroupBy(each => (each.Partition.Topic, each.Position.TopicId)).Select(topic => new FetchRequest.FetchTopic
        {
            Topic = topic.Key.Topic,
            TopicId = topic.Key.TopicId,
            Partitions = [.. topic.Select(each => new FetchRequest.FetchPartition
            {
                Partition = each.Partition.Partition,
                CurrentLeaderEpoch = each.Position.LeaderEpoch,
                FetchOffset = each.Position.Offset,
                PartitionMaxBytes = each.Position.BytesMax,
            })],
        })];
}
