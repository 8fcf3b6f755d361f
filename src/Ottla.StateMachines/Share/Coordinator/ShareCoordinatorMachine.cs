using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Coordinators;
using Ottla.StateMachines.Metadata;

namespace Ottla.StateMachines.Share.Coordinator;

/// <summary>
/// The coordinator of the share partitions in one partition of <c>__share_group_state</c> (KIP-932): it keeps what leaders of share
/// partitions write, so that the next leader goes on from there. Pure.
/// </summary>
/// <remarks>
/// A write becomes an update; after <c>share.coordinator.snapshot.update.records.per.snapshot</c> of them the next one becomes a snapshot
/// of the whole state. The log is not compacted: its beginning is deleted up to the oldest snapshot that still counts. Partitions that are
/// written no more would hold that up, so they are snapshotted now and then. Two epochs fence: the state epoch (the group began anew) and
/// the leader epoch (another leader has read the state).
/// </remarks>
public sealed class ShareCoordinatorMachine : ICoordinatorMachine<ShareCoordinatorCommand>
{
    /// <summary>The wait before an interrupted sweep goes on.</summary>
    public const int SweepPauseMs = 100;

    /// <summary>The most share partitions that one step of a sweep changes.</summary>
    private const int SweepPartitionsMax = 100;

    private const short ValueVersion = 0;
    private const string UnknownTopicText = "This server does not host this topic-partition.";
    private const string FencedLeaderEpochText = "The leader epoch in the request is older than the epoch on the broker.";
    private const string FencedStateEpochText = "The coordinator rejected the request because the state epoch did not match.";

    private readonly Dictionary<SharePartitionKey, Entry> _entries = [];

    /// <summary>The offset of the last record that deleted a share partition; -1 for none.</summary>
    private long _lastTombstone = -1;

    private MetadataImage _image = MetadataImage.Empty;
    private BrokerConfig? _config;
    private Instant _nextSnapshots;
    private Instant _nextPruning;
    private Instant? _nextCleanup;

    /// <inheritdoc/>
    public Instant? NextDeadline
    {
        get
        {
            if (_config is null)
                return null;
            var next = _nextSnapshots < _nextPruning ? _nextSnapshots : _nextPruning;
            return _nextCleanup is { } cleanup && cleanup < next ? cleanup : next;
        }
    }

    /// <summary>The state of each share partition, as the log has it.</summary>
    public IEnumerable<KeyValuePair<SharePartitionKey, ShareState>> States =>
        _entries.Select(entry => KeyValuePair.Create(entry.Key, entry.Value.State));

    private BrokerConfig Config => _config ?? throw new InvalidOperationException("OnLoaded must be called before the first command.");

    /// <inheritdoc/>
    public void Decide(ShareCoordinatorCommand command, ReplyTo replyTo, Instant now, CoordinatorEffects effects)
    {
        switch (command)
        {
            case InitializeShareStateCommand initialize:
                Initialize(initialize, now, effects);
                effects.Reply(replyTo.For(initialize), initialize.Key);
                break;
            case ReadShareStateCommand read:
                effects.Reply(replyTo.For(read), Read(read, now, effects));
                break;
            case WriteShareStateCommand write:
                Write(write, now, effects);
                effects.Reply(replyTo.For(write), write.Key);
                break;
            case DeleteShareStateCommand delete:
                Delete(delete, effects);
                effects.Reply(replyTo.For(delete), delete.Key);
                break;
            case ReadShareStateSummaryCommand summary:
                effects.Reply(replyTo.For(summary), ReadSummary(summary));
                break;
            default:
                throw new InvalidOperationException($"{command.GetType().Name} is not a command of share coordinators.");
        }
    }

    /// <inheritdoc/>
    public void OnDeadline(Instant now, CoordinatorEffects effects)
    {
        if (_nextCleanup <= now)
            _nextCleanup = DeleteStatesOfDeletedTopics(effects) ? null : now.AddMilliseconds(SweepPauseMs);
        else if (_nextSnapshots <= now)
            _nextSnapshots = now.AddMilliseconds(
                SnapshotCold(now, effects) ? Config.ShareCoordinatorColdPartitionSnapshotIntervalMs : SweepPauseMs);
        else if (_nextPruning <= now)
            Prune(now, effects);
    }

    /// <inheritdoc/>
    public void Apply(long offset, in CoordinatorRecord record, ProducerIdAndEpoch transaction)
    {
        switch (record.Key)
        {
            case ShareSnapshotKey key:
                ApplySnapshot(new SharePartitionKey(key.GroupId, key.TopicId, key.Partition), record.Value as ShareSnapshotValue, offset);
                break;
            case ShareUpdateKey key when record.Value is ShareUpdateValue update:
                ApplyUpdate(new SharePartitionKey(key.GroupId, key.TopicId, key.Partition), update, offset);
                break;
            case ShareUpdateKey:
                break; // nobody writes a tombstone of an update, and it would say nothing
            default:
                throw new InvalidDataException(
                    $"The record at offset {offset} of the share state log has a key of the unexpected type {record.Key.RecordKey}.");
        }
    }

    /// <inheritdoc/>
    /// <remarks>The coordinator's log has no transactions.</remarks>
    public void ApplyMarker(ProducerIdAndEpoch transaction, bool isCommit)
    {
    }

    /// <inheritdoc/>
    public void OnLoaded(MetadataImage image, BrokerConfig config, Instant now, CoordinatorEffects effects)
    {
        _image = image;
        _config = config;
        _nextSnapshots = now.AddMilliseconds(config.ShareCoordinatorColdPartitionSnapshotIntervalMs);
        _nextPruning = now.AddMilliseconds(config.ShareCoordinatorStateTopicPruneIntervalMs);
        if (_entries.Keys.Any(key => image.Topics.Find(key.TopicId) is null))
            _nextCleanup = now; // a topic was deleted while nobody coordinated
    }

    /// <inheritdoc/>
    public void OnMetadata(MetadataDelta delta, BrokerConfig config, Instant now, CoordinatorEffects effects)
    {
        _image = delta.New;
        _config = config;
        var deleted = delta.Topics.Where(topic => topic.New is null).Select(topic => topic.Id).ToHashSet();
        if (deleted.Count > 0 && _entries.Keys.Any(key => deleted.Contains(key.TopicId)))
            _nextCleanup = now;
    }

    /// <inheritdoc/>
    public void OnUnloading()
    {
        // No request waits here.
    }

    private void Initialize(InitializeShareStateCommand command, Instant now, CoordinatorEffects effects)
    {
        CheckPartition(command.Key);
        if (command.StateEpoch < 0)
            throw new ApiException(ErrorCode.InvalidRequest, "The state epoch cannot be a negative number.");
        var entry = _entries.GetValueOrDefault(command.Key);
        if (entry is not null && entry.StateEpochMax > command.StateEpoch)
            throw new ApiException(ErrorCode.FencedStateEpoch, FencedStateEpochText);
        CheckIsThere(command.Key);
        if (entry is not null && entry.State.StateEpoch == command.StateEpoch && entry.State.StartOffset == command.StartOffset)
            return; // a repeated request must not undo what was written since the first one
        var state = new ShareState
        {
            SnapshotEpoch = entry is null ? 0 : entry.State.SnapshotEpoch + 1,
            StateEpoch = command.StateEpoch,
            StartOffset = command.StartOffset,
            DeliveryCompleteCount = command.StartOffset == ShareState.UnsetStartOffset ? ShareState.UnsetCompleteCount : 0,
            CreateTimestampMs = now.UnixMilliseconds,
            WriteTimestampMs = now.UnixMilliseconds,
        };
        effects.Write(Snapshot(command.Key, state));
    }

    private ShareState Read(ReadShareStateCommand command, Instant now, CoordinatorEffects effects)
    {
        CheckPartition(command.Key);
        CheckLeaderEpoch(command.LeaderEpoch);
        if (!_entries.TryGetValue(command.Key, out var entry))
            throw new ApiException(ErrorCode.InvalidRequest, "Read operation on uninitialized share partition not allowed.");
        if (entry.LeaderEpochMax > command.LeaderEpoch)
            throw new ApiException(ErrorCode.FencedLeaderEpoch, FencedLeaderEpochText);
        CheckIsThere(command.Key);
        if (entry.LeaderEpochMax < command.LeaderEpoch)
            effects.Write(Change(command.Key, entry, entry.State with { LeaderEpoch = command.LeaderEpoch }, [], now));
        return entry.State;
    }

    private void Write(WriteShareStateCommand command, Instant now, CoordinatorEffects effects)
    {
        CheckPartition(command.Key);
        CheckLeaderEpoch(command.LeaderEpoch);
        if (command.StateEpoch < 0)
            throw new ApiException(ErrorCode.InvalidRequest, "The state epoch cannot be a negative number.");
        if (!_entries.TryGetValue(command.Key, out var entry))
            throw new ApiException(ErrorCode.InvalidRequest, "Write operation on uninitialized share partition not allowed.");
        if (entry.LeaderEpochMax > command.LeaderEpoch)
            throw new ApiException(ErrorCode.FencedLeaderEpoch, FencedLeaderEpochText);
        if (entry.StateEpochMax > command.StateEpoch)
            throw new ApiException(ErrorCode.FencedStateEpoch, FencedStateEpochText);
        CheckIsThere(command.Key);
        foreach (var batch in command.Batches)
        {
            if (batch.FirstOffset > batch.LastOffset || batch.LastOffset == long.MaxValue)
                throw new ApiException(ErrorCode.InvalidRequest, "The offsets of a state batch are out of order or out of range.");
        }

        var known = entry.State;
        effects.Write(Change(
            command.Key, entry,
            known with
            {
                StartOffset = Math.Max(command.StartOffset, known.StartOffset),
                DeliveryCompleteCount = command.StartOffset.CompareTo(known.StartOffset) switch
                {
                    > 0 => command.DeliveryCompleteCount,
                    0 => Math.Max(command.DeliveryCompleteCount, known.DeliveryCompleteCount),
                    _ => known.DeliveryCompleteCount, // a count is only right with its start offset
                },
            },
            command.Batches, now));
    }

    private void Delete(DeleteShareStateCommand command, CoordinatorEffects effects)
    {
        CheckPartition(command.Key);
        CheckIsThere(command.Key);
        if (_entries.ContainsKey(command.Key))
            effects.Write(Tombstone(command.Key));
    }

    private ShareState ReadSummary(ReadShareStateSummaryCommand command)
    {
        CheckPartition(command.Key);
        CheckIsThere(command.Key);
        return _entries.TryGetValue(command.Key, out var entry) ? entry.State : ShareState.None;
    }

    /// <summary>The record of a change: an update with the changed batches alone, or a snapshot when it is time for one.</summary>
    private CoordinatorRecord Change(
        SharePartitionKey key, Entry entry, ShareState changed, IReadOnlyList<DeliveryBatch> batches, Instant now)
    {
        if (entry.UpdatesSinceSnapshot < Config.ShareCoordinatorSnapshotUpdateRecordsPerSnapshot)
        {
            var update = changed with { Batches = DeliveryBatch.Combine([], batches, changed.StartOffset) };
            return new CoordinatorRecord(
                new ShareUpdateKey { GroupId = key.GroupId, TopicId = key.TopicId, Partition = key.Partition }, update.ToUpdate(),
                ValueVersion);
        }

        return Snapshot(key, changed with
        {
            SnapshotEpoch = changed.SnapshotEpoch + 1,
            Batches = DeliveryBatch.Combine(changed.Batches, batches, changed.StartOffset),
            CreateTimestampMs = now.UnixMilliseconds,
            WriteTimestampMs = now.UnixMilliseconds,
        });
    }

    private void ApplySnapshot(SharePartitionKey key, ShareSnapshotValue? value, long offset)
    {
        if (value is null)
        {
            _entries.Remove(key);
            _lastTombstone = offset;
            return;
        }

        if (!_entries.TryGetValue(key, out var entry))
            _entries.Add(key, entry = new Entry());
        entry.State = ShareState.From(value);
        entry.SnapshotOffset = offset;
        entry.UpdatesSinceSnapshot = 0;
        entry.LeaderEpochMax = Math.Max(entry.LeaderEpochMax, value.LeaderEpoch);
        entry.StateEpochMax = Math.Max(entry.StateEpochMax, value.StateEpoch);
    }

    private void ApplyUpdate(SharePartitionKey key, ShareUpdateValue update, long offset)
    {
        if (!_entries.TryGetValue(key, out var entry))
        {
            // The snapshot is gone, which nothing does by itself. What is left counts, as in Kafka.
            _entries.Add(key, entry = new Entry { SnapshotOffset = offset });
            entry.State = new ShareState { SnapshotEpoch = update.SnapshotEpoch };
        }

        entry.State = entry.State.With(update);
        entry.UpdatesSinceSnapshot++;
        entry.LeaderEpochMax = Math.Max(entry.LeaderEpochMax, update.LeaderEpoch);
    }

    /// <summary>Takes snapshots of partitions whose last one is old. If nothing was written since all have one, it does nothing.</summary>
    /// <returns>Whether all that was due is done.</returns>
    private bool SnapshotCold(Instant now, CoordinatorEffects effects)
    {
        if (_entries.Values.All(entry => entry.State.CreateTimestampMs != entry.State.WriteTimestampMs))
            return true;
        effects.IsAtomic = false;
        var due = now.AddMilliseconds(-Config.ShareCoordinatorColdPartitionSnapshotIntervalMs).UnixMilliseconds;
        foreach (var (key, entry) in _entries)
        {
            if (entry.State.WriteTimestampMs > due)
                continue;
            if (effects.Records.Count == SweepPartitionsMax)
                return false;
            effects.Write(Snapshot(
                key, entry.State with { SnapshotEpoch = entry.State.SnapshotEpoch + 1, WriteTimestampMs = now.UnixMilliseconds }));
        }

        return true;
    }

    /// <summary>Deletes the states of topics that are gone.</summary>
    /// <returns>Whether none is left.</returns>
    private bool DeleteStatesOfDeletedTopics(CoordinatorEffects effects)
    {
        effects.IsAtomic = false;
        var wasComplete = true;
        foreach (var key in _entries.Keys.Where(key => _image.Topics.Find(key.TopicId) is null))
        {
            if (effects.Records.Count == SweepPartitionsMax)
                return false;
            effects.Write(Tombstone(key));
            wasComplete = false; // it is, once these are written: they may be refused
        }

        return wasComplete;
    }

    private void Prune(Instant now, CoordinatorEffects effects)
    {
        _nextPruning = now.AddMilliseconds(Config.ShareCoordinatorStateTopicPruneIntervalMs);
        var keepFrom = _entries.Count == 0 ? _lastTombstone : _entries.Values.Min(entry => entry.SnapshotOffset);
        if (keepFrom > 0)
            effects.Output(new PruneShareLogOutput(keepFrom));
    }

    private static void CheckPartition(SharePartitionKey key)
    {
        if (key.Partition < 0)
            throw new ApiException(ErrorCode.InvalidRequest, "The partition id cannot be a negative number.");
    }

    private static void CheckLeaderEpoch(int leaderEpoch)
    {
        if (leaderEpoch < 0)
            throw new ApiException(ErrorCode.InvalidRequest, "The leader epoch cannot be a negative number.");
    }

    private void CheckIsThere(SharePartitionKey key)
    {
        if (_image.Topics.Find(key.TopicId)?.Partition(key.Partition) is null)
            throw new ApiException(ErrorCode.UnknownTopicOrPartition, UnknownTopicText);
    }

    private static CoordinatorRecord Snapshot(SharePartitionKey key, ShareState state) =>
        new(SnapshotKey(key), state.ToSnapshot(), ValueVersion);

    private static CoordinatorRecord Tombstone(SharePartitionKey key) => CoordinatorRecord.Tombstone(SnapshotKey(key));

    private static ShareSnapshotKey SnapshotKey(SharePartitionKey key) =>
        new() { GroupId = key.GroupId, TopicId = key.TopicId, Partition = key.Partition };

    /// <summary>What is known of a share partition.</summary>
    private sealed class Entry
    {
        public ShareState State { get; set; } = ShareState.None;

        /// <summary>Where its last snapshot is: the log is needed from there on.</summary>
        public long SnapshotOffset { get; set; }

        public int UpdatesSinceSnapshot { get; set; }

        /// <summary>The highest leader epoch that has read; a new beginning does not lower it.</summary>
        public int LeaderEpochMax { get; set; }

        /// <summary>The highest state epoch.</summary>
        public int StateEpochMax { get; set; }
    }
}
