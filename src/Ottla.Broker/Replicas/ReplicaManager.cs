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
/// <remarks>
/// Only the metadata publisher calls it, one call at a time; <see cref="BeginControlledShutdown"/> may be called by others.
/// </remarks>
/// <param name="logs">The logs of this broker.</param>
/// <param name="topics">The replicas of this broker, for others to find.</param>
/// <param name="fetchers">Fetch for the replicas that follow.</param>
/// <param name="surroundings">What the replicas share.</param>
public sealed partial class ReplicaManager(
    LogManager logs, HostedTopics topics, IReplicaFetchers fetchers, ReplicaSurroundings surroundings) : IMetadataPublisher
{
    private readonly int _nodeId = surroundings.NodeId;
    private readonly ILogger _logger = surroundings.Logger;
    private volatile bool _isShuttingDown;
    private BrokerConfig? _configInForce;

    /// <summary>The settings of all topics without configuration of their own, and the broker configuration they were made from.</summary>
    private (BrokerConfig? MadeFrom, TopicSettings? Settings) _defaults;
    private bool _hasLookedForStrays;

    /// <inheritdoc/>
    public string Name => "replica manager";

    /// <summary>
    /// From now on a partition that this broker has left the ISR of, or that has no leader, is not fetched any more when the metadata says
    /// so: the controller is moving everything away from this broker.
    /// </summary>
    public void BeginControlledShutdown() => _isShuttingDown = true;

    /// <inheritdoc/>
    public void Publish(MetadataDelta delta)
    {
        SetStraysAside(delta.New);
        surroundings.Cluster = delta.New.Cluster;
        var changes = delta.LocalChanges(_nodeId);
        DeleteTopics(delta.Topics.Where(topic => topic.New is null).Select(topic => topic.Id));
        DeleteReplicas(changes.Deleted.Where(partition => partition.New is not null));
        TakeRoles(delta.New, changes);
        UpdateSettings(delta);
        if (delta.Brokers.Count > 0)
            TellOfBrokers();
    }

    private void TakeRoles(MetadataImage image, LocalReplicaChanges changes)
    {
        var settings = (Topic: "", Of: (TopicSettings?)null);
        List<PartitionReplica> unfollowed = [];
        List<FollowedPartition> followed = [];
        foreach (var change in changes.Leaders)
            surroundings.IsrCounters.CountChange(change.Old, change.New!);
        foreach (var change in changes.Leaders.Concat(changes.Followers))
        {
            if (settings.Topic != change.Partition.Topic)
                settings = (change.Partition.Topic, null);
            if (TakeRole(image, change, ref settings.Of) is not { } replica)
                continue;
            if (IsFollowed(change.New!))
                followed.Add(new FollowedPartition(replica, change.New!.Leader, change.New.LeaderEpoch));
            else
                unfollowed.Add(replica);
        }

        if (unfollowed.Count > 0)
            fetchers.Stop(unfollowed);
        if (followed.Count > 0)
            fetchers.Follow(followed);
    }

    private bool IsFollowed(PartitionRegistration partition) =>
        partition.Leader != _nodeId && partition.Leader != PartitionRegistration.NoLeader
            && !(_isShuttingDown && !partition.Isr.Contains(_nodeId));

    /// <summary>Others are alive than were before: leaders look again whom they can take into the ISR, and whom they wait for.</summary>
    private void TellOfBrokers()
    {
        foreach (var replica in topics.Replicas)
            replica.OnBrokersChanged();
    }

    /// <summary>Deletes replicas that this broker is not assigned any more, with their logs: a reassignment has ended.</summary>
    private void DeleteReplicas(IEnumerable<PartitionDelta> changes)
    {
        var unassigned = changes.ToList();
        if (unassigned.Count == 0)
            return;
        var replicas = unassigned.Select(change => topics.Find(change.TopicId)?.Find(change.Partition.Partition)).OfType<PartitionReplica>()
            .ToList();
        fetchers.Stop(replicas);
        foreach (var replica in replicas)
        {
            topics.Remove(replica);
            replica.Retire();
        }

        foreach (var change in unassigned)
            topics.RemoveOffline(change.Partition);
        LogUnassigned(unassigned.Count, string.Join(", ", unassigned.Select(change => change.Partition)));
        logs.Delete([.. unassigned.Select(change => change.Partition)], LogFailed);
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
                fetchers.Stop([.. topic.Replicas]);
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
    /// <returns>The replica, if it has another leader or leader epoch now, and its fetcher must be told.</returns>
    private PartitionReplica? TakeRole(MetadataImage image, PartitionDelta change, ref TopicSettings? settings)
    {
        var registration = change.New!;
        try
        {
            if (topics.Find(change.TopicId)?.Find(change.Partition.Partition) is { } known)
                return known.Update(registration) || (_isShuttingDown && !IsFollowed(registration)) ? known : null;
            settings ??= SettingsOf(image, change.Partition.Topic);
            var log = logs.Find(change.Partition) ?? MakeLog(change, registration.DirectoryOf(_nodeId));
            log.AssignTopicId(change.TopicId);
            log.Config = settings.Log;
            var replica = new PartitionReplica(change.TopicId, log, registration, settings, surroundings);
            topics.Add(replica);
            return replica;
        }
        catch (LogException e)
        {
            topics.AddOffline(change.TopicId, change.Partition); // only this partition answers KAFKA_STORAGE_ERROR
            LogFailed(change.Partition, e);
            return null;
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
        var haveDefaultsChanged = !ReferenceEquals(_configInForce, surroundings.Config());
        _configInForce = surroundings.Config();
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
            return new TopicSettings(TopicConfig.Create(surroundings.Config(), overrides), surroundings.Config());
        }
        catch (ConfigException e)
        {
            LogInvalidConfig(topic, e.Message); // a version with other rules wrote it: the topic must stay readable
            return DefaultSettings();
        }
    }

    private TopicSettings DefaultSettings()
    {
        var current = surroundings.Config();
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
            var isHere = topic?.Partition(log.Partition.Partition)?.Replicas.Contains(_nodeId) ?? false;
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
        Level = LogLevel.Information,
        Message = "This broker is no replica of {Count} partitions any more: deleting their logs. They are {Partitions}")]
    private partial void LogUnassigned(int count, string partitions);

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
