using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Ottla.Broker.Replicas;
using Ottla.Broker.Server;
using Ottla.Configuration;
using Ottla.Protocol;
using Ottla.StateMachines.Groups.Share;
using Ottla.StateMachines.Metadata;
using Ottla.StateMachines.Share;

namespace Ottla.Broker.Hosts.Share;

/// <summary>The share partitions that are led by this broker and that members have asked for.</summary>
/// <remarks>Thread-safe; lives as long as the broker.</remarks>
internal sealed class SharePartitions : IDisposable
{
    private readonly ConcurrentDictionary<SharePartitionKey, SharePartitionLeader> _leaders = new();
    private readonly HostedTopics _topics;
    private readonly LeaderHints _leaderHints;
    private readonly SharePartitionSurroundings _surroundings;
    private readonly LimitedLogger _logger;
    private volatile bool _isClosed;

    /// <param name="topics">The replicas of this broker.</param>
    /// <param name="store">Keeps the state of share partitions.</param>
    /// <param name="image">The metadata, with the configs of groups.</param>
    /// <param name="config">The configuration in force.</param>
    /// <param name="background">Watches what nobody awaits.</param>
    /// <param name="time">The clock.</param>
    /// <param name="logger">The logger.</param>
    public SharePartitions(
        HostedTopics topics, IShareStateStore store, Func<MetadataImage> image, Func<BrokerConfig> config, BackgroundWork background,
        TimeProvider time, ILogger logger)
    {
        _topics = topics;
        _leaderHints = new LeaderHints(image, topics);
        _logger = new LimitedLogger(logger, time);
        SettingsOf = groupId => new ShareGroupSettings(image(), config(), groupId);
        _surroundings = new SharePartitionSurroundings
        {
            Store = store,
            SettingsOf = SettingsOf,
            Watch = background.Watch,
            OnClosed = leader => _leaders.TryRemove(KeyValuePair.Create(leader.Key, leader)),
            Time = time,
            Logger = _logger,
        };
    }

    /// <summary>The settings of a group, as they are now.</summary>
    public Func<string, ShareGroupSettings> SettingsOf { get; }

    /// <summary>How many there are.</summary>
    public int Count => _leaders.Count;

    /// <summary>The leader of a share partition that was asked for before; null otherwise.</summary>
    public SharePartitionLeader? Find(SharePartitionKey key) => _leaders.GetValueOrDefault(key);

    /// <summary>The leader of a share partition. It is made, and begins to take over the state, if need be.</summary>
    /// <exception cref="ApiException">
    /// NOT_LEADER_OR_FOLLOWER, KAFKA_STORAGE_ERROR, UNKNOWN_TOPIC_ID, UNKNOWN_TOPIC_OR_PARTITION: this broker does not lead the partition.
    /// </exception>
    public SharePartitionLeader Get(SharePartitionKey key)
    {
        if (_leaders.TryGetValue(key, out var known))
        {
            known.CloseWhenIdle(false);
            return known;
        }

        if (_topics.Find(key.TopicId)?.Find(key.Partition) is not { } replica)
            throw new ApiException(_leaderHints.ErrorForMissing(usesTopicIds: true, "", key.TopicId, key.Partition));
        if (_isClosed)
            throw new ApiException(ErrorCode.NotLeaderOrFollower);
        if (replica.CheckReader(currentLeaderEpoch: -1, needsLeader: true) is not ErrorCode.None and var error)
            throw new ApiException(error);
        var made = new SharePartitionLeader(key, replica, replica.Leadership.LeaderEpoch, _surroundings);
        var leader = _leaders.GetOrAdd(key, made);
        if (ReferenceEquals(leader, made))
            made.Open();
        return leader;
    }

    /// <summary>
    /// Lets go of all partitions of a group once they are written: no session of it is here any more, so its state may be deleted and made
    /// anew.
    /// </summary>
    public void Forget(string groupId)
    {
        foreach (var leader in _leaders.Values.Where(leader => leader.Key.GroupId == groupId))
            leader.CloseWhenIdle(true);
    }

    /// <summary>Lets go of everything. What is held stays held in the state, with its count.</summary>
    public void Dispose()
    {
        _isClosed = true;
        foreach (var leader in _leaders.Values)
            leader.Close(new ApiError(ErrorCode.NotLeaderOrFollower));
        _logger.Dispose();
    }
}
