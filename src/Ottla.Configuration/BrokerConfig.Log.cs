namespace Ottla.Configuration;

// Logs, their checkpoints and their cleaning.
public sealed partial class BrokerConfig
{
    /// <summary><c>num.partitions</c>: Partitions of a topic created without a number.</summary>
    public int NumPartitions { get; private set; }

    /// <summary><c>default.replication.factor</c>: Replicas of a topic created without a number.</summary>
    public int DefaultReplicationFactor { get; private set; }

    /// <summary><c>auto.create.topics.enable</c>: Whether asking for a topic that does not exist creates it.</summary>
    public bool AutoCreateTopicsEnable { get; private set; }

    /// <summary><c>min.insync.replicas</c>: In-sync replicas without which acks=all writes are refused.</summary>
    public int MinInsyncReplicas { get; private set; }

    /// <summary>
    /// <c>unclean.leader.election.enable</c>: Whether a replica out of the in-sync set may become leader, losing records.
    /// </summary>
    public bool UncleanLeaderElectionEnable { get; private set; }

    /// <summary><c>log.segment.bytes</c>: Largest size of a segment.</summary>
    public int LogSegmentBytes { get; private set; }

    /// <summary><c>log.retention.bytes</c>: Size of a partition beyond which its oldest segments are deleted; -1 for no limit.</summary>
    public long LogRetentionBytes { get; private set; }

    /// <summary><c>log.retention.check.interval.ms</c>: Time between checks for segments to delete.</summary>
    public long LogRetentionCheckIntervalMs { get; private set; }

    /// <summary><c>log.cleanup.policy</c>: What happens to old segments: delete, compact, both, or with an empty list nothing.</summary>
    public IReadOnlyList<string> LogCleanupPolicy { get; private set; } = [];

    /// <summary><c>log.index.size.max.bytes</c>: Largest size of an offset or time index.</summary>
    public int LogIndexSizeMaxBytes { get; private set; }

    /// <summary><c>log.index.interval.bytes</c>: Bytes of records between two entries of the offset index.</summary>
    public int LogIndexIntervalBytes { get; private set; }

    /// <summary><c>log.flush.interval.messages</c>: Records after which a log is flushed to disk.</summary>
    public long LogFlushIntervalMessages { get; private set; }

    /// <summary><c>log.segment.delete.delay.ms</c>: How long a deleted segment stays on disk under its .deleted name.</summary>
    public long LogSegmentDeleteDelayMs { get; private set; }

    /// <summary><c>log.flush.scheduler.interval.ms</c>: Time between checks for logs to flush.</summary>
    public long LogFlushSchedulerIntervalMs { get; private set; }

    /// <summary><c>log.flush.offset.checkpoint.interval.ms</c>: Time between writes of the recovery point checkpoint.</summary>
    public int LogFlushOffsetCheckpointIntervalMs { get; private set; }

    /// <summary><c>log.flush.start.offset.checkpoint.interval.ms</c>: Time between writes of the log start offset checkpoint.</summary>
    public int LogFlushStartOffsetCheckpointIntervalMs { get; private set; }

    /// <summary><c>log.preallocate</c>: Whether segment files are allocated in full when they are created.</summary>
    public bool LogPreallocate { get; private set; }

    /// <summary>
    /// <c>num.recovery.threads.per.data.dir</c>: Threads per log directory that load logs at start and flush them at shutdown.
    /// </summary>
    public int NumRecoveryThreadsPerDataDir { get; private set; }

    /// <summary><c>log.message.timestamp.before.max.ms</c>: How far a record's own timestamp may lie in the past.</summary>
    public long LogMessageTimestampBeforeMaxMs { get; private set; }

    /// <summary><c>log.message.timestamp.after.max.ms</c>: How far a record's own timestamp may lie in the future.</summary>
    public long LogMessageTimestampAfterMaxMs { get; private set; }

    /// <summary>
    /// <c>log.dir.failure.timeout.ms</c>: How long a broker with a failed log directory waits for the controller to take note before it
    /// stops.
    /// </summary>
    public long LogDirFailureTimeoutMs { get; private set; }

    /// <summary><c>log.initial.task.delay.ms</c>: Wait before the first run of the log tasks.</summary>
    public long LogInitialTaskDelayMs { get; private set; }

    /// <summary><c>log.cleaner.enable</c>: Whether compacted topics are compacted at all.</summary>
    public bool LogCleanerEnable { get; private set; }

    /// <summary><c>log.cleaner.threads</c>: Threads compacting logs.</summary>
    public int LogCleanerThreads { get; private set; }

    /// <summary><c>log.cleaner.io.max.bytes.per.second</c>: Limit of the reads and writes of compaction together.</summary>
    public double LogCleanerIoMaxBytesPerSecond { get; private set; }

    /// <summary><c>log.cleaner.dedupe.buffer.size</c>: Memory for compaction's key maps, all threads together.</summary>
    public long LogCleanerDedupeBufferSize { get; private set; }

    /// <summary><c>log.cleaner.io.buffer.size</c>: Memory for compaction's I/O buffers, all threads together.</summary>
    public int LogCleanerIoBufferSize { get; private set; }

    /// <summary>
    /// <c>log.cleaner.io.buffer.load.factor</c>: How full compaction's key map may get; fuller takes more keys at once and has more
    /// collisions.
    /// </summary>
    public double LogCleanerIoBufferLoadFactor { get; private set; }

    /// <summary><c>log.cleaner.backoff.ms</c>: How long compaction sleeps when there is nothing to do.</summary>
    public long LogCleanerBackoffMs { get; private set; }

    /// <summary><c>log.cleaner.min.cleanable.ratio</c>: Part of a log that must be dirty before it is compacted.</summary>
    public double LogCleanerMinCleanableRatio { get; private set; }

    /// <summary><c>log.cleaner.delete.retention.ms</c>: How long tombstones and transaction markers survive compaction.</summary>
    public long LogCleanerDeleteRetentionMs { get; private set; }

    /// <summary><c>log.cleaner.min.compaction.lag.ms</c>: How long a record stays uncompacted at least.</summary>
    public long LogCleanerMinCompactionLagMs { get; private set; }

    /// <summary><c>log.cleaner.max.compaction.lag.ms</c>: How long a record may stay out of compaction at most.</summary>
    public long LogCleanerMaxCompactionLagMs { get; private set; }

    /// <summary><c>remote.log.storage.system.enable</c>: Whether tiered storage is on in this broker.</summary>
    public bool RemoteLogStorageSystemEnable { get; private set; }

    private void ReadLog()
    {
        NumPartitions = Int("num.partitions");
        DefaultReplicationFactor = Int("default.replication.factor");
        AutoCreateTopicsEnable = Boolean("auto.create.topics.enable");
        MinInsyncReplicas = Int("min.insync.replicas");
        UncleanLeaderElectionEnable = Boolean("unclean.leader.election.enable");
        LogSegmentBytes = Int("log.segment.bytes");
        LogRetentionBytes = Long("log.retention.bytes");
        LogRetentionCheckIntervalMs = Long("log.retention.check.interval.ms");
        LogCleanupPolicy = List("log.cleanup.policy");
        LogIndexSizeMaxBytes = Int("log.index.size.max.bytes");
        LogIndexIntervalBytes = Int("log.index.interval.bytes");
        LogFlushIntervalMessages = Long("log.flush.interval.messages");
        LogSegmentDeleteDelayMs = Long("log.segment.delete.delay.ms");
        LogFlushSchedulerIntervalMs = Long("log.flush.scheduler.interval.ms");
        LogFlushOffsetCheckpointIntervalMs = Int("log.flush.offset.checkpoint.interval.ms");
        LogFlushStartOffsetCheckpointIntervalMs = Int("log.flush.start.offset.checkpoint.interval.ms");
        LogPreallocate = Boolean("log.preallocate");
        NumRecoveryThreadsPerDataDir = Int("num.recovery.threads.per.data.dir");
        LogMessageTimestampBeforeMaxMs = Long("log.message.timestamp.before.max.ms");
        LogMessageTimestampAfterMaxMs = Long("log.message.timestamp.after.max.ms");
        LogDirFailureTimeoutMs = Long("log.dir.failure.timeout.ms");
        LogInitialTaskDelayMs = Long("log.initial.task.delay.ms");
        LogCleanerEnable = Boolean("log.cleaner.enable");
        LogCleanerThreads = Int("log.cleaner.threads");
        LogCleanerIoMaxBytesPerSecond = Double("log.cleaner.io.max.bytes.per.second");
        LogCleanerDedupeBufferSize = Long("log.cleaner.dedupe.buffer.size");
        LogCleanerIoBufferSize = Int("log.cleaner.io.buffer.size");
        LogCleanerIoBufferLoadFactor = Double("log.cleaner.io.buffer.load.factor");
        LogCleanerBackoffMs = Long("log.cleaner.backoff.ms");
        LogCleanerMinCleanableRatio = Double("log.cleaner.min.cleanable.ratio");
        LogCleanerDeleteRetentionMs = Long("log.cleaner.delete.retention.ms");
        LogCleanerMinCompactionLagMs = Long("log.cleaner.min.compaction.lag.ms");
        LogCleanerMaxCompactionLagMs = Long("log.cleaner.max.compaction.lag.ms");
        RemoteLogStorageSystemEnable = Boolean("remote.log.storage.system.enable");
    }
}
