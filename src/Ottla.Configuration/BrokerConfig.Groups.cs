namespace Ottla.Configuration;

// Groups, offsets and share groups.
public sealed partial class BrokerConfig
{
    /// <summary><c>group.coordinator.rebalance.protocols</c>: The group protocols that are switched on.</summary>
    public IReadOnlyList<string> GroupCoordinatorRebalanceProtocols { get; private set; } = [];

    /// <summary><c>group.coordinator.threads</c>: Threads of the group coordinator.</summary>
    public int GroupCoordinatorThreads { get; private set; }

    /// <summary>
    /// <c>group.coordinator.append.linger.ms</c>: How long the group coordinator gathers records before it writes them; -1 adapts by
    /// itself.
    /// </summary>
    public int GroupCoordinatorAppendLingerMs { get; private set; }

    /// <summary><c>group.coordinator.cached.buffer.max.bytes</c>: Largest write buffer the group coordinator keeps for reuse.</summary>
    public int GroupCoordinatorCachedBufferMaxBytes { get; private set; }

    /// <summary><c>offsets.commit.timeout.ms</c>: How long an offset commit may take to be replicated.</summary>
    public int OffsetsCommitTimeoutMs { get; private set; }

    /// <summary><c>offsets.load.buffer.size</c>: Bytes read at once when offsets and groups are loaded.</summary>
    public int OffsetsLoadBufferSize { get; private set; }

    /// <summary><c>offsets.topic.replication.factor</c>: Replicas of the offsets topic.</summary>
    public short OffsetsTopicReplicationFactor { get; private set; }

    /// <summary><c>offsets.topic.num.partitions</c>: Partitions of the offsets topic; not to be changed once it exists.</summary>
    public int OffsetsTopicNumPartitions { get; private set; }

    /// <summary><c>offsets.topic.segment.bytes</c>: Segment size of the offsets topic.</summary>
    public int OffsetsTopicSegmentBytes { get; private set; }

    /// <summary><c>offsets.topic.compression.codec</c>: Codec id of the offsets topic's batches.</summary>
    public int OffsetsTopicCompressionCodec { get; private set; }

    /// <summary><c>offset.metadata.max.bytes</c>: Longest metadata text of an offset commit.</summary>
    public int OffsetMetadataMaxBytes { get; private set; }

    /// <summary><c>offsets.retention.minutes</c>: How long the offsets of an empty group are kept.</summary>
    public int OffsetsRetentionMinutes { get; private set; }

    /// <summary><c>offsets.retention.check.interval.ms</c>: Time between checks for expired offsets.</summary>
    public long OffsetsRetentionCheckIntervalMs { get; private set; }

    /// <summary><c>group.min.session.timeout.ms</c>: Shortest session timeout of a classic group's member.</summary>
    public int GroupMinSessionTimeoutMs { get; private set; }

    /// <summary><c>group.max.session.timeout.ms</c>: Longest session timeout of a classic group's member.</summary>
    public int GroupMaxSessionTimeoutMs { get; private set; }

    /// <summary>
    /// <c>group.initial.rebalance.delay.ms</c>: How long an empty classic group waits for more members before its first rebalance.
    /// </summary>
    public int GroupInitialRebalanceDelayMs { get; private set; }

    /// <summary><c>group.max.size</c>: Most members of a classic group.</summary>
    public int GroupMaxSize { get; private set; }

    /// <summary><c>group.consumer.session.timeout.ms</c>: How long a consumer group waits for a member's heartbeat.</summary>
    public int GroupConsumerSessionTimeoutMs { get; private set; }

    /// <summary><c>group.consumer.min.session.timeout.ms</c>: Smallest session timeout a consumer group may be given.</summary>
    public int GroupConsumerMinSessionTimeoutMs { get; private set; }

    /// <summary><c>group.consumer.max.session.timeout.ms</c>: Largest session timeout a consumer group may be given.</summary>
    public int GroupConsumerMaxSessionTimeoutMs { get; private set; }

    /// <summary><c>group.consumer.heartbeat.interval.ms</c>: Time between the heartbeats of a consumer group's members.</summary>
    public int GroupConsumerHeartbeatIntervalMs { get; private set; }

    /// <summary><c>group.consumer.min.heartbeat.interval.ms</c>: Smallest heartbeat interval a consumer group may be given.</summary>
    public int GroupConsumerMinHeartbeatIntervalMs { get; private set; }

    /// <summary><c>group.consumer.max.heartbeat.interval.ms</c>: Largest heartbeat interval a consumer group may be given.</summary>
    public int GroupConsumerMaxHeartbeatIntervalMs { get; private set; }

    /// <summary><c>group.consumer.max.size</c>: Most members of a consumer group.</summary>
    public int GroupConsumerMaxSize { get; private set; }

    /// <summary><c>group.consumer.assignors</c>: Server-side assignors of consumer groups; the first is the default.</summary>
    public IReadOnlyList<string> GroupConsumerAssignors { get; private set; } = [];

    /// <summary>
    /// <c>group.consumer.migration.policy</c>: Whether groups may go from the classic to the consumer protocol, back, both or neither.
    /// </summary>
    public string GroupConsumerMigrationPolicy { get; private set; } = "";

    /// <summary><c>group.consumer.assignment.interval.ms</c>: Shortest time between two assignments of a consumer group.</summary>
    public int GroupConsumerAssignmentIntervalMs { get; private set; }

    /// <summary>
    /// <c>group.consumer.regex.refresh.interval.ms</c>: Time between refreshes of the topics a regular expression matches.
    /// </summary>
    public int GroupConsumerRegexRefreshIntervalMs { get; private set; }

    /// <summary><c>group.share.session.timeout.ms</c>: How long a share group waits for a member's heartbeat.</summary>
    public int GroupShareSessionTimeoutMs { get; private set; }

    /// <summary><c>group.share.heartbeat.interval.ms</c>: Time between the heartbeats of a share group's members.</summary>
    public int GroupShareHeartbeatIntervalMs { get; private set; }

    /// <summary><c>group.share.max.size</c>: Most members of a share group.</summary>
    public int GroupShareMaxSize { get; private set; }

    /// <summary><c>group.share.assignment.interval.ms</c>: Shortest time between two assignments of a share group.</summary>
    public int GroupShareAssignmentIntervalMs { get; private set; }

    /// <summary><c>group.share.delivery.count.limit</c>: How often a record is delivered to a share group before it is given up.</summary>
    public int GroupShareDeliveryCountLimit { get; private set; }

    /// <summary><c>group.share.record.lock.duration.ms</c>: How long a record is held for the consumer it was delivered to.</summary>
    public int GroupShareRecordLockDurationMs { get; private set; }

    /// <summary><c>group.share.partition.max.record.locks</c>: Most records in flight per partition of a share group.</summary>
    public int GroupSharePartitionMaxRecordLocks { get; private set; }

    /// <summary><c>group.share.max.share.sessions</c>: Most share sessions of a broker.</summary>
    public int GroupShareMaxShareSessions { get; private set; }

    /// <summary><c>group.streams.session.timeout.ms</c>: How long a streams group waits for a member's heartbeat.</summary>
    public int GroupStreamsSessionTimeoutMs { get; private set; }

    /// <summary><c>group.streams.heartbeat.interval.ms</c>: Time between the heartbeats of a streams group's members.</summary>
    public int GroupStreamsHeartbeatIntervalMs { get; private set; }

    /// <summary><c>group.streams.max.size</c>: Most members of a streams group.</summary>
    public int GroupStreamsMaxSize { get; private set; }

    /// <summary><c>group.streams.num.standby.replicas</c>: Standby replicas of each task with state.</summary>
    public int GroupStreamsNumStandbyReplicas { get; private set; }

    /// <summary>
    /// <c>group.streams.initial.rebalance.delay.ms</c>: How long an empty streams group waits for more members before its first assignment.
    /// </summary>
    public int GroupStreamsInitialRebalanceDelayMs { get; private set; }

    /// <summary><c>group.streams.assignment.interval.ms</c>: Shortest time between two assignments of a streams group.</summary>
    public int GroupStreamsAssignmentIntervalMs { get; private set; }

    /// <summary>
    /// <c>share.coordinator.state.topic.num.partitions</c>: Partitions of the share state topic; not to be changed once it exists.
    /// </summary>
    public int ShareCoordinatorStateTopicNumPartitions { get; private set; }

    /// <summary><c>share.coordinator.state.topic.replication.factor</c>: Replicas of the share state topic.</summary>
    public short ShareCoordinatorStateTopicReplicationFactor { get; private set; }

    /// <summary><c>share.coordinator.state.topic.min.isr</c>: In-sync replicas the share state topic needs to be written.</summary>
    public short ShareCoordinatorStateTopicMinIsr { get; private set; }

    /// <summary><c>share.coordinator.state.topic.segment.bytes</c>: Segment size of the share state topic.</summary>
    public int ShareCoordinatorStateTopicSegmentBytes { get; private set; }

    /// <summary>
    /// <c>share.coordinator.snapshot.update.records.per.snapshot</c>: Update records between two snapshots of a share partition's state.
    /// </summary>
    public int ShareCoordinatorSnapshotUpdateRecordsPerSnapshot { get; private set; }

    /// <summary><c>share.coordinator.write.timeout.ms</c>: How long a write of share state may take to be replicated.</summary>
    public int ShareCoordinatorWriteTimeoutMs { get; private set; }

    /// <summary>
    /// <c>share.coordinator.append.linger.ms</c>: How long the share coordinator gathers records before it writes them; -1 adapts by
    /// itself.
    /// </summary>
    public int ShareCoordinatorAppendLingerMs { get; private set; }

    /// <summary><c>share.coordinator.load.buffer.size</c>: Bytes read at once when share state is loaded.</summary>
    public int ShareCoordinatorLoadBufferSize { get; private set; }

    /// <summary><c>share.coordinator.state.topic.compression.codec</c>: Codec id of the share state topic's batches.</summary>
    public int ShareCoordinatorStateTopicCompressionCodec { get; private set; }

    /// <summary><c>share.coordinator.cached.buffer.max.bytes</c>: Largest write buffer the share coordinator keeps for reuse.</summary>
    public int ShareCoordinatorCachedBufferMaxBytes { get; private set; }

    /// <summary>
    /// <c>share.coordinator.cold.partition.snapshot.interval.ms</c>: From which age on the last snapshot of a share partition is renewed.
    /// </summary>
    public int ShareCoordinatorColdPartitionSnapshotIntervalMs { get; private set; }

    /// <summary><c>share.coordinator.state.topic.prune.interval.ms</c>: Time between prunings of the share state topic.</summary>
    public int ShareCoordinatorStateTopicPruneIntervalMs { get; private set; }

    private void ReadGroups()
    {
        GroupCoordinatorRebalanceProtocols = List("group.coordinator.rebalance.protocols");
        GroupCoordinatorThreads = Int("group.coordinator.threads");
        GroupCoordinatorAppendLingerMs = Int("group.coordinator.append.linger.ms");
        GroupCoordinatorCachedBufferMaxBytes = Int("group.coordinator.cached.buffer.max.bytes");
        OffsetsCommitTimeoutMs = Int("offsets.commit.timeout.ms");
        OffsetsLoadBufferSize = Int("offsets.load.buffer.size");
        OffsetsTopicReplicationFactor = Short("offsets.topic.replication.factor");
        OffsetsTopicNumPartitions = Int("offsets.topic.num.partitions");
        OffsetsTopicSegmentBytes = Int("offsets.topic.segment.bytes");
        OffsetsTopicCompressionCodec = Int("offsets.topic.compression.codec");
        OffsetMetadataMaxBytes = Int("offset.metadata.max.bytes");
        OffsetsRetentionMinutes = Int("offsets.retention.minutes");
        OffsetsRetentionCheckIntervalMs = Long("offsets.retention.check.interval.ms");
        GroupMinSessionTimeoutMs = Int("group.min.session.timeout.ms");
        GroupMaxSessionTimeoutMs = Int("group.max.session.timeout.ms");
        GroupInitialRebalanceDelayMs = Int("group.initial.rebalance.delay.ms");
        GroupMaxSize = Int("group.max.size");
        GroupConsumerSessionTimeoutMs = Int("group.consumer.session.timeout.ms");
        GroupConsumerMinSessionTimeoutMs = Int("group.consumer.min.session.timeout.ms");
        GroupConsumerMaxSessionTimeoutMs = Int("group.consumer.max.session.timeout.ms");
        GroupConsumerHeartbeatIntervalMs = Int("group.consumer.heartbeat.interval.ms");
        GroupConsumerMinHeartbeatIntervalMs = Int("group.consumer.min.heartbeat.interval.ms");
        GroupConsumerMaxHeartbeatIntervalMs = Int("group.consumer.max.heartbeat.interval.ms");
        GroupConsumerMaxSize = Int("group.consumer.max.size");
        GroupConsumerAssignors = List("group.consumer.assignors");
        GroupConsumerMigrationPolicy = Text("group.consumer.migration.policy")!;
        GroupConsumerAssignmentIntervalMs = Int("group.consumer.assignment.interval.ms");
        GroupConsumerRegexRefreshIntervalMs = Int("group.consumer.regex.refresh.interval.ms");
        GroupShareSessionTimeoutMs = Int("group.share.session.timeout.ms");
        GroupShareHeartbeatIntervalMs = Int("group.share.heartbeat.interval.ms");
        GroupShareMaxSize = Int("group.share.max.size");
        GroupShareAssignmentIntervalMs = Int("group.share.assignment.interval.ms");
        GroupShareDeliveryCountLimit = Int("group.share.delivery.count.limit");
        GroupShareRecordLockDurationMs = Int("group.share.record.lock.duration.ms");
        GroupSharePartitionMaxRecordLocks = Int("group.share.partition.max.record.locks");
        GroupShareMaxShareSessions = Int("group.share.max.share.sessions");
        GroupStreamsSessionTimeoutMs = Int("group.streams.session.timeout.ms");
        GroupStreamsHeartbeatIntervalMs = Int("group.streams.heartbeat.interval.ms");
        GroupStreamsMaxSize = Int("group.streams.max.size");
        GroupStreamsNumStandbyReplicas = Int("group.streams.num.standby.replicas");
        GroupStreamsInitialRebalanceDelayMs = Int("group.streams.initial.rebalance.delay.ms");
        GroupStreamsAssignmentIntervalMs = Int("group.streams.assignment.interval.ms");
        ShareCoordinatorStateTopicNumPartitions = Int("share.coordinator.state.topic.num.partitions");
        ShareCoordinatorStateTopicReplicationFactor = Short("share.coordinator.state.topic.replication.factor");
        ShareCoordinatorStateTopicMinIsr = Short("share.coordinator.state.topic.min.isr");
        ShareCoordinatorStateTopicSegmentBytes = Int("share.coordinator.state.topic.segment.bytes");
        ShareCoordinatorSnapshotUpdateRecordsPerSnapshot = Int("share.coordinator.snapshot.update.records.per.snapshot");
        ShareCoordinatorWriteTimeoutMs = Int("share.coordinator.write.timeout.ms");
        ShareCoordinatorAppendLingerMs = Int("share.coordinator.append.linger.ms");
        ShareCoordinatorLoadBufferSize = Int("share.coordinator.load.buffer.size");
        ShareCoordinatorStateTopicCompressionCodec = Int("share.coordinator.state.topic.compression.codec");
        ShareCoordinatorCachedBufferMaxBytes = Int("share.coordinator.cached.buffer.max.bytes");
        ShareCoordinatorColdPartitionSnapshotIntervalMs = Int("share.coordinator.cold.partition.snapshot.interval.ms");
        ShareCoordinatorStateTopicPruneIntervalMs = Int("share.coordinator.state.topic.prune.interval.ms");
    }
}
