using Microsoft.Extensions.Logging;
using Ottla.Broker.Metadata;
using Ottla.Broker.Replicas.Fetching;
using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.StateMachines.Metadata;
using Ottla.Storage.Log;
using Ottla.Storage.Upkeep;

namespace Ottla.Broker.Replicas;

/// <summary>
/// Applies the metadata to the replicas of this broker: opens, leads, follows and deletes them, and updates their configuration.
/// </summary>
/// <remarks>Only the metadata publisher calls it, one call at a time.</remarks>
public sealed partial class ReplicaManager(
    int nodeId, LogManager logs, HostedTopics topics, IReplicaFetchers fetchers, Func<BrokerConfig> config, ILogger logger) : IMetadataPublisher
{
    private BrokerConfig? _configInForce;

    /// <summary>The settings of all topics without configuration of their own, and the broker configuration they were made from.</summary>
    private (BrokerConfig? MadeFrom, TopicSettings? Settings) _defaults;
    private bool _hasLookedForStrays;

    /// <inheritdoc/>
    public string Name => "replica manager";

    /// <inheritdoc/>
    public void Publish(MetadataDelta delta)
    {
        SetStraysAside(delta.New);
        DeleteTopics(delta.Topics.Where(topic => topic.New is null).Select(topic => topic.Id));
        var changes = delta.LocalChanges(nodeId);
        var settings = (Topic: "", Of: (TopicSettings?)null);
        foreach (var partition in changes.Leaders.Concat(changes.Followers))
        {
            if (settings.Topic != partition.Partition.Topic)
                settings = (partition.Partition.Topic, null);
            Follow(delta.New, partition, ref settings.Of);
        }

        UpdateSettings(delta);
        TellFetchers(changes);
    }

    private void TellFetchers(LocalReplicaChanges changes)
    {
        List<PartitionReplica> stopped = [];
        List<FollowedPartition> followed = [];
        foreach (var change in changes.Leaders.Concat(changes.Followers))
        {
            if (topics.Find(change.TopicId)?.Find(change.Partition.Partition) is not { } replica)
                continue;
            var (old, now) = (change.Old, change.New!);
            if (old is not null && old.Leader == now.Leader && old.LeaderEpoch == now.LeaderEpoch)
                continue;
            if (now.Leader == nodeId || now.Leader == PartitionRegistration.NoLeader)
                stopped.Add(replica);
            else
                followed.Add(new FollowedPartition(replica, now.Leader, now.LeaderEpoch));
        }

        if (stopped.Count > 0)
            fetchers.Stop(stopped);
        if (followed.Count > 0)
            fetchers.Follow(followed);
    }

    /// <summary>Deletes topics that the metadata no longer has, with their logs.</summary>
    private void DeleteTopics(IEnumerable<Uuid> ids)
    {
        var deleted = new List<TopicPartition>();
        foreach (var id in ids)
        {
            var count = deleted.Count;
            deleted.AddRange(topics.RemoveOffline(id));
            if (topics.Find(id) is { } topic)
            {
                topics.Remove(topic);
                foreach (var replica in topic.Replicas)
                {
                    replica.Retire();
                    deleted.Add(replica.Partition);
                }
            }

            if (deleted.Count > count)
                LogDeleted(deleted[count].Topic, deleted.Count - count);
        }

        if (deleted.Count > 0)
            logs.Delete(deleted, LogFailed);
    }

    /// <param name="image">The metadata.</param>
    /// <param name="change">The change of the partition.</param>
    /// <param name="settings">The topic's settings, created when they are first needed.</param>
    private void Follow(MetadataImage image, PartitionDelta change, ref TopicSettings? settings)
    {
        var registration = change.New!;
        var leadership = new PartitionLeadership(
            registration.Leader, registration.LeaderEpoch, registration.PartitionEpoch, registration.Replicas, registration.Isr,
            registration.Leader == nodeId);
        try
        {
            if (topics.Find(change.TopicId)?.Find(change.Partition.Partition) is { } known)
            {
                known.Update(leadership);
                return;
            }

            settings ??= SettingsOf(image, change.Partition.Topic);
            var log = logs.Find(change.Partition) ?? MakeLog(change, registration.DirectoryOf(nodeId));
            log.AssignTopicId(change.TopicId);
            log.Config = settings.Log;
            topics.Add(new PartitionReplica(change.TopicId, log, leadership, settings));
        }
        catch (LogException e)
        {
            topics.AddOffline(change.TopicId, change.Partition); // only this partition answers KAFKA_STORAGE_ERROR
            LogFailed(change.Partition, e);
        }
    }

    /// <summary>
    /// Creates an empty log, unless the log may exist in a directory that is offline: to lead an empty log elsewhere would lose
    /// acknowledged records.
    /// </summary>
    private PartitionLog MakeLog(PartitionDelta change, Uuid directoryId)
    {
        var directory = logs.Directories.FirstOrDefault(directory => directory.Properties?.DirectoryId == directoryId);
        if (directory is null && directoryId != DirectoryIds.Unassigned && logs.Directories.Any(each => each.IsOffline))
            throw new LogException(
                ErrorCode.KafkaStorageError,
                $"{change.Partition} belongs into the log directory with the id {directoryId}, which may be among those that are offline.");
        return logs.GetOrCreate(change.Partition, change.TopicId, directory?.Path);
    }

    private void UpdateSettings(MetadataDelta delta)
    {
        var haveDefaultsChanged = !ReferenceEquals(_configInForce, config());
        _configInForce = config();
        foreach (var topic in topics.Topics)
        {
            if (!haveDefaultsChanged && !delta.Configs.Contains(ConfigResource.Topic(topic.Name)))
                continue;
            var settings = SettingsOf(delta.New, topic.Name);
            foreach (var replica in topic.Replicas)
                replica.Update(settings);
        }
    }

    private TopicSettings SettingsOf(MetadataImage image, string topic)
    {
        var overrides = image.Configs.Of(ConfigResource.Topic(topic));
        if (overrides.Count == 0)
            return DefaultSettings();
        try
        {
            return new TopicSettings(TopicConfig.Create(config(), overrides), config());
        }
        catch (ConfigException e)
        {
            LogInvalidConfig(topic, e.Message); // a version with other rules wrote it: the topic must stay readable
            return DefaultSettings();
        }
    }

    private TopicSettings DefaultSettings()
    {
        var current = config();
        if (!ReferenceEquals(_defaults.MadeFrom, current))
            _defaults = (current, new TopicSettings(current.TopicDefaults, current));
        return _defaults.Settings!;
    }

    /// <summary>
    /// Sets aside the logs of topics that were deleted, or deleted and created again, while this broker was down. Runs once, before any log
    /// is created.
    /// </summary>
    private void SetStraysAside(MetadataImage image)
    {
        if (_hasLookedForStrays)
            return;
        _hasLookedForStrays = true;
        foreach (var log in logs.Logs)
        {
            var topic = image.Topics.Find(log.Partition.Topic);
            var isHere = topic?.Partition(log.Partition.Partition)?.Replicas.Contains(nodeId) ?? false;
            if (isHere && (log.TopicId is null || log.TopicId == topic!.Id))
                continue;
            try
            {
                logs.MarkStray(log.Partition);
                LogStray(log.Partition, log.TopicId);
            }
            catch (LogException e)
            {
                LogFailed(log.Partition, e);
            }
        }
    }

    [LoggerMessage(
        Level = LogLevel.Information, Message = "Topic {Topic} was deleted: deleting the logs of its {Count} partitions on this broker")]
    private partial void LogDeleted(string topic, int count);

    [LoggerMessage(
        Level = LogLevel.Warning, Message =
            "Renamed the log of {Partition} (topic id {TopicId}) to a stray directory: the metadata assigns no such replica to this "
                + "broker. Delete the directory if the records are not needed")]
    private partial void LogStray(TopicPartition partition, Uuid? topicId);

    [LoggerMessage(Level = LogLevel.Error, Message = "Cannot open the log of {Partition}: this broker does not serve the partition")]
    private partial void LogFailed(TopicPartition partition, Exception e);

    [LoggerMessage(
        Level = LogLevel.Error,
            Message = "Topic {Topic} has an invalid config and uses the broker's defaults until it is corrected: {Reason}")]
    private partial void LogInvalidConfig(string topic, string reason);
}
