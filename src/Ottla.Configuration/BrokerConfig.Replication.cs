namespace Ottla.Configuration;

// Replication, the quorum and the metadata log.
public sealed partial class BrokerConfig
{
    /// <summary>
    /// <c>initial.broker.registration.timeout.ms</c>: How long a starting broker tries to register with the controller before it gives up
    /// and exits.
    /// </summary>
    public int InitialBrokerRegistrationTimeoutMs { get; private set; }

    /// <summary><c>broker.heartbeat.interval.ms</c>: Time between a broker's heartbeats to the controller.</summary>
    public int BrokerHeartbeatIntervalMs { get; private set; }

    /// <summary><c>broker.session.timeout.ms</c>: How long the controller waits for a heartbeat before it fences a broker.</summary>
    public int BrokerSessionTimeoutMs { get; private set; }

    /// <summary>
    /// <c>controller.quorum.election.timeout.ms</c>: How long a candidate waits for votes before it starts another election.
    /// </summary>
    public int ControllerQuorumElectionTimeoutMs { get; private set; }

    /// <summary>
    /// <c>controller.quorum.fetch.timeout.ms</c>: How long a follower goes without a successful fetch, or a leader without fetches from a
    /// majority, before an election.
    /// </summary>
    public int ControllerQuorumFetchTimeoutMs { get; private set; }

    /// <summary>
    /// <c>controller.quorum.election.backoff.max.ms</c>: Longest random wait before another election, which keeps candidates from
    /// colliding.
    /// </summary>
    public int ControllerQuorumElectionBackoffMaxMs { get; private set; }

    /// <summary>
    /// <c>controller.quorum.append.linger.ms</c>: How long the quorum leader gathers metadata records before it writes them out.
    /// </summary>
    public int ControllerQuorumAppendLingerMs { get; private set; }

    /// <summary><c>controller.quorum.request.timeout.ms</c>: How long a node waits for the answer to a quorum request.</summary>
    public int ControllerQuorumRequestTimeoutMs { get; private set; }

    /// <summary><c>controller.quorum.retry.backoff.ms</c>: Wait before a failed quorum request is tried again.</summary>
    public int ControllerQuorumRetryBackoffMs { get; private set; }

    /// <summary><c>controller.quorum.auto.join.enable</c>: Whether a controller that is not a voter asks to become one.</summary>
    public bool ControllerQuorumAutoJoinEnable { get; private set; }

    /// <summary>
    /// <c>ottla.quorum.election.on.process.end.enable</c>: Whether voters hold an election as soon as the leader's process has ended.
    /// </summary>
    public bool QuorumElectionOnProcessEndEnable { get; private set; }

    /// <summary>
    /// <c>ottla.broker.fencing.on.process.end.enable</c>: Whether the controller fences a broker as soon as its process has ended.
    /// </summary>
    public bool BrokerFencingOnProcessEndEnable { get; private set; }

    /// <summary><c>controller.quorum.fetch.snapshot.max.bytes</c>: Most bytes of a metadata snapshot in one answer.</summary>
    public int ControllerQuorumFetchSnapshotMaxBytes { get; private set; }

    /// <summary><c>controller.quorum.fetch.max.bytes</c>: Most bytes of the metadata log in one answer.</summary>
    public int ControllerQuorumFetchMaxBytes { get; private set; }

    /// <summary>
    /// <c>metadata.log.max.record.bytes.between.snapshots</c>: Bytes of new metadata records after which a snapshot is made.
    /// </summary>
    public long MetadataLogMaxRecordBytesBetweenSnapshots { get; private set; }

    /// <summary>
    /// <c>metadata.log.max.snapshot.interval.ms</c>: Longest time between snapshots while there are records not yet in one; 0 turns this
    /// off.
    /// </summary>
    public long MetadataLogMaxSnapshotIntervalMs { get; private set; }

    /// <summary><c>metadata.log.segment.bytes</c>: Largest size of a segment of the metadata log.</summary>
    public int MetadataLogSegmentBytes { get; private set; }

    /// <summary><c>metadata.log.segment.ms</c>: Longest age of the active segment of the metadata log before it is rolled.</summary>
    public long MetadataLogSegmentMs { get; private set; }

    /// <summary><c>metadata.max.retention.bytes</c>: Size of the metadata log and snapshots beyond which old ones are deleted.</summary>
    public long MetadataMaxRetentionBytes { get; private set; }

    /// <summary><c>metadata.max.retention.ms</c>: Age beyond which metadata log segments and snapshots are deleted.</summary>
    public long MetadataMaxRetentionMs { get; private set; }

    /// <summary>
    /// <c>metadata.max.idle.interval.ms</c>: How often the active controller writes a no-op record when nothing else happens; 0 for never.
    /// </summary>
    public int MetadataMaxIdleIntervalMs { get; private set; }

    /// <summary><c>replica.lag.time.max.ms</c>: How long a follower may go without catching up before it leaves the in-sync set.</summary>
    public long ReplicaLagTimeMaxMs { get; private set; }

    /// <summary><c>replica.socket.timeout.ms</c>: Socket timeout of a follower's requests.</summary>
    public int ReplicaSocketTimeoutMs { get; private set; }

    /// <summary><c>replica.socket.receive.buffer.bytes</c>: Receive buffer of a follower's sockets.</summary>
    public int ReplicaSocketReceiveBufferBytes { get; private set; }

    /// <summary><c>replica.fetch.max.bytes</c>: Most bytes a follower asks for per partition.</summary>
    public int ReplicaFetchMaxBytes { get; private set; }

    /// <summary><c>replica.fetch.wait.max.ms</c>: Longest time a leader holds a follower's fetch.</summary>
    public int ReplicaFetchWaitMaxMs { get; private set; }

    /// <summary><c>replica.fetch.backoff.ms</c>: Wait before a follower's failed fetch is tried again.</summary>
    public int ReplicaFetchBackoffMs { get; private set; }

    /// <summary><c>replica.fetch.min.bytes</c>: Bytes a leader gathers before it answers a follower's fetch.</summary>
    public int ReplicaFetchMinBytes { get; private set; }

    /// <summary><c>replica.fetch.response.max.bytes</c>: Most bytes a follower asks for in one answer.</summary>
    public int ReplicaFetchResponseMaxBytes { get; private set; }

    /// <summary><c>num.replica.fetchers</c>: Fetchers per leader that replicate in parallel.</summary>
    public int NumReplicaFetchers { get; private set; }

    /// <summary><c>replica.high.watermark.checkpoint.interval.ms</c>: Time between writes of the high watermark checkpoint.</summary>
    public long ReplicaHighWatermarkCheckpointIntervalMs { get; private set; }

    /// <summary><c>auto.leader.rebalance.enable</c>: Whether leadership goes back to the preferred replicas by itself.</summary>
    public bool AutoLeaderRebalanceEnable { get; private set; }

    /// <summary>
    /// <c>leader.imbalance.check.interval.seconds</c>: Time between checks for leaders that are not the preferred replica.
    /// </summary>
    public long LeaderImbalanceCheckIntervalSeconds { get; private set; }

    /// <summary><c>unclean.leader.election.interval.ms</c>: Time between checks for partitions that may elect an unclean leader.</summary>
    public long UncleanLeaderElectionIntervalMs { get; private set; }

    /// <summary><c>replica.selector.class</c>: What chooses the replica a consumer fetches from; the leader when not set.</summary>
    public string? ReplicaSelectorClass { get; private set; }

    /// <summary><c>leader.replication.throttled.rate</c>: Bytes per second a leader sends for throttled replicas.</summary>
    public long LeaderReplicationThrottledRate { get; private set; }

    /// <summary><c>follower.replication.throttled.rate</c>: Bytes per second a follower fetches for throttled replicas.</summary>
    public long FollowerReplicationThrottledRate { get; private set; }

    /// <summary><c>replica.alter.log.dirs.io.max.bytes.per.second</c>: Bytes per second of moves between log directories.</summary>
    public long ReplicaAlterLogDirsIoMaxBytesPerSecond { get; private set; }

    private void ReadReplication()
    {
        InitialBrokerRegistrationTimeoutMs = Int("initial.broker.registration.timeout.ms");
        BrokerHeartbeatIntervalMs = Int("broker.heartbeat.interval.ms");
        BrokerSessionTimeoutMs = Int("broker.session.timeout.ms");
        ControllerQuorumElectionTimeoutMs = Int("controller.quorum.election.timeout.ms");
        ControllerQuorumFetchTimeoutMs = Int("controller.quorum.fetch.timeout.ms");
        ControllerQuorumElectionBackoffMaxMs = Int("controller.quorum.election.backoff.max.ms");
        ControllerQuorumAppendLingerMs = Int("controller.quorum.append.linger.ms");
        ControllerQuorumRequestTimeoutMs = Int("controller.quorum.request.timeout.ms");
        ControllerQuorumRetryBackoffMs = Int("controller.quorum.retry.backoff.ms");
        ControllerQuorumAutoJoinEnable = Boolean("controller.quorum.auto.join.enable");
        QuorumElectionOnProcessEndEnable = Boolean("ottla.quorum.election.on.process.end.enable");
        BrokerFencingOnProcessEndEnable = Boolean("ottla.broker.fencing.on.process.end.enable");
        ControllerQuorumFetchSnapshotMaxBytes = Int("controller.quorum.fetch.snapshot.max.bytes");
        ControllerQuorumFetchMaxBytes = Int("controller.quorum.fetch.max.bytes");
        MetadataLogMaxRecordBytesBetweenSnapshots = Long("metadata.log.max.record.bytes.between.snapshots");
        MetadataLogMaxSnapshotIntervalMs = Long("metadata.log.max.snapshot.interval.ms");
        MetadataLogSegmentBytes = Int("metadata.log.segment.bytes");
        MetadataLogSegmentMs = Long("metadata.log.segment.ms");
        MetadataMaxRetentionBytes = Long("metadata.max.retention.bytes");
        MetadataMaxRetentionMs = Long("metadata.max.retention.ms");
        MetadataMaxIdleIntervalMs = Int("metadata.max.idle.interval.ms");
        ReplicaLagTimeMaxMs = Long("replica.lag.time.max.ms");
        ReplicaSocketTimeoutMs = Int("replica.socket.timeout.ms");
        ReplicaSocketReceiveBufferBytes = Int("replica.socket.receive.buffer.bytes");
        ReplicaFetchMaxBytes = Int("replica.fetch.max.bytes");
        ReplicaFetchWaitMaxMs = Int("replica.fetch.wait.max.ms");
        ReplicaFetchBackoffMs = Int("replica.fetch.backoff.ms");
        ReplicaFetchMinBytes = Int("replica.fetch.min.bytes");
        ReplicaFetchResponseMaxBytes = Int("replica.fetch.response.max.bytes");
        NumReplicaFetchers = Int("num.replica.fetchers");
        ReplicaHighWatermarkCheckpointIntervalMs = Long("replica.high.watermark.checkpoint.interval.ms");
        AutoLeaderRebalanceEnable = Boolean("auto.leader.rebalance.enable");
        LeaderImbalanceCheckIntervalSeconds = Long("leader.imbalance.check.interval.seconds");
        UncleanLeaderElectionIntervalMs = Long("unclean.leader.election.interval.ms");
        ReplicaSelectorClass = Text("replica.selector.class");
        LeaderReplicationThrottledRate = Long("leader.replication.throttled.rate");
        FollowerReplicationThrottledRate = Long("follower.replication.throttled.rate");
        ReplicaAlterLogDirsIoMaxBytesPerSecond = Long("replica.alter.log.dirs.io.max.bytes.per.second");
    }
}
