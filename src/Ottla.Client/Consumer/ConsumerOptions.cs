using Ottla.Client.Consumers.Assignors;

namespace Ottla.Client;

/// <summary>How the members of a group share its partitions (<c>group.protocol</c>).</summary>
public enum GroupProtocol
{
    /// <summary>The newer one (KIP-848) where the cluster has it for this group, otherwise the classic one.</summary>
    Auto,

    /// <summary>JoinGroup and SyncGroup: one of the members assigns.</summary>
    Classic,

    /// <summary>ConsumerGroupHeartbeat: the coordinator assigns (KIP-848).</summary>
    Consumer,
}

/// <summary>Which records of transactions a consumer sees (<c>isolation.level</c>).</summary>
public enum IsolationLevel : sbyte
{
    /// <summary>All, also those of transactions that are open or aborted.</summary>
    ReadUncommitted,

    /// <summary>Those of committed transactions, up to the first open one.</summary>
    ReadCommitted,
}

/// <summary>Where a partition without a committed offset begins, or goes on whose offset is gone (<c>auto.offset.reset</c>).</summary>
public readonly record struct OffsetReset
{
    private OffsetReset(Kind which, TimeSpan duration = default) => (Which, Duration) = (which, duration);

    internal enum Kind
    {
        Latest,
        Earliest,
        None,
        Duration,
    }

    /// <summary>At the end: records that come from now on.</summary>
    public static OffsetReset Latest { get; } = new(Kind.Latest);

    /// <summary>At the first record.</summary>
    public static OffsetReset Earliest { get; } = new(Kind.Earliest);

    /// <summary>Nowhere: the application gets an <see cref="OffsetResetException"/>.</summary>
    public static OffsetReset None { get; } = new(Kind.None);

    internal Kind Which { get; }

    internal TimeSpan Duration { get; }

    /// <summary>At the first record that is not older than a time (KIP-1106).</summary>
    /// <param name="age">The time; not negative.</param>
    public static OffsetReset ByDuration(TimeSpan age)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(age, TimeSpan.Zero);
        return new OffsetReset(Kind.Duration, age);
    }
}

/// <summary>How a consumer reads. The defaults are those of Kafka's Java client where nothing else is said.</summary>
public sealed record ConsumerOptions
{
    /// <summary>The group (<c>group.id</c>); null for none: partitions are then assigned by hand, and nothing is committed.</summary>
    public string? GroupId { get; init; }

    /// <summary>
    /// The instance id of a static member (<c>group.instance.id</c>, KIP-345): it keeps its partitions over a restart within the session
    /// time-out. Null for a dynamic member.
    /// </summary>
    public string? GroupInstanceId { get; init; }

    /// <summary>How members share partitions (<c>group.protocol</c>). Java's default is the classic protocol.</summary>
    public GroupProtocol GroupProtocol { get; init; } = GroupProtocol.Auto;

    /// <summary>The coordinator's assignor (<c>group.remote.assignor</c>); null for the group's. Not for the classic protocol.</summary>
    public string? RemoteAssignor { get; init; }

    /// <summary>
    /// The assignors of the classic protocol, the preferred one first (<c>partition.assignment.strategy</c>): <c>range</c>,
    /// <c>roundrobin</c>, <c>sticky</c>, <c>cooperative-sticky</c>.
    /// </summary>
    public IReadOnlyList<string> Assignors { get; init; } = ["range", "cooperative-sticky"];

    /// <summary>
    /// After how long without a heartbeat the coordinator takes the member for dead (<c>session.timeout.ms</c>). Not for
    /// <see cref="GroupProtocol.Consumer"/>, where the coordinator is told it.
    /// </summary>
    public TimeSpan SessionTimeout { get; init; } = TimeSpan.FromSeconds(45);

    /// <summary>The time between heartbeats (<c>heartbeat.interval.ms</c>), for the classic protocol.</summary>
    public TimeSpan HeartbeatInterval { get; init; } = TimeSpan.FromSeconds(3);

    /// <summary>
    /// The most time between two records, or batches, that the application asks for (<c>max.poll.interval.ms</c>). When it takes longer,
    /// others get its partitions. It is also the time in which partitions must be given up.
    /// </summary>
    public TimeSpan MaxPollInterval { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>Where partitions begin that have no committed offset (<c>auto.offset.reset</c>).</summary>
    public OffsetReset OffsetReset { get; init; } = OffsetReset.Latest;

    /// <summary>
    /// Whether offsets are committed by themselves (<c>enable.auto.commit</c>). A record counts as processed when the application asks for
    /// the next one. Without a group nothing is committed.
    /// </summary>
    public bool EnableAutoCommit { get; init; } = true;

    /// <summary>The time between such commits (<c>auto.commit.interval.ms</c>).</summary>
    public TimeSpan AutoCommitInterval { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Which records of transactions are seen.</summary>
    public IsolationLevel IsolationLevel { get; init; } = IsolationLevel.ReadUncommitted;

    /// <summary>How many bytes a broker waits for before it answers (<c>fetch.min.bytes</c>).</summary>
    public int FetchMinBytes { get; init; } = 1;

    /// <summary>The most bytes of one answer (<c>fetch.max.bytes</c>). One batch may be longer.</summary>
    public int FetchMaxBytes { get; init; } = 50 * 1024 * 1024;

    /// <summary>The most bytes of a partition in one answer (<c>max.partition.fetch.bytes</c>). One batch may be longer.</summary>
    public int MaxPartitionFetchBytes { get; init; } = 1024 * 1024;

    /// <summary>How long a broker waits for <see cref="FetchMinBytes"/> (<c>fetch.max.wait.ms</c>).</summary>
    public TimeSpan FetchMaxWait { get; init; } = TimeSpan.FromMilliseconds(500);

    /// <summary>
    /// The most bytes that are fetched ahead of the application, all partitions together. What one answer brings is taken besides.
    /// </summary>
    public long PrefetchMaxBytes { get; init; } = 64 * 1024 * 1024;

    /// <summary>Whether the checksums of batches are compared (<c>check.crcs</c>).</summary>
    public bool CheckCrcs { get; init; } = true;

    /// <summary>The most records of a <see cref="ConsumeBatch{TKey, TValue}"/> (<c>max.poll.records</c>).</summary>
    public int MaxBatchRecords { get; init; } = 500;

    /// <summary>Whether topics of the cluster itself are left out of a pattern (<c>exclude.internal.topics</c>).</summary>
    public bool ExcludeInternalTopics { get; init; } = true;

    /// <summary>The most time that closing takes.</summary>
    public TimeSpan CloseTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Checks the options.</summary>
    /// <exception cref="ArgumentException">One is out of range; the message names it.</exception>
    internal void Validate()
    {
        if (GroupId is { Length: 0 })
            throw new ArgumentException($"{nameof(GroupId)} is empty. Leave it null for no group.");
        if (GroupInstanceId is { Length: 0 })
            throw new ArgumentException($"{nameof(GroupInstanceId)} is empty. Leave it null for a dynamic member.");
        if (GroupInstanceId is not null && GroupId is null)
            throw new ArgumentException($"{nameof(GroupInstanceId)} needs a {nameof(GroupId)}.");
        if (!Enum.IsDefined(GroupProtocol))
            throw new ArgumentException($"{nameof(GroupProtocol)} has no value {GroupProtocol}.");
        if (!Enum.IsDefined(IsolationLevel))
            throw new ArgumentException($"{nameof(IsolationLevel)} has no value {IsolationLevel}.");
        if (GroupProtocol != GroupProtocol.Consumer && Assignors.Count == 0)
            throw new ArgumentException($"{nameof(Assignors)} names none.");
        foreach (var assignor in Assignors)
            ConsumerAssignors.Named(assignor);
        Positive(SessionTimeout, nameof(SessionTimeout));
        Positive(HeartbeatInterval, nameof(HeartbeatInterval));
        Positive(MaxPollInterval, nameof(MaxPollInterval));
        Positive(AutoCommitInterval, nameof(AutoCommitInterval));
        Positive(CloseTimeout, nameof(CloseTimeout));
        if (HeartbeatInterval >= SessionTimeout)
            throw new ArgumentException($"{nameof(HeartbeatInterval)} must be less than {nameof(SessionTimeout)}.");
        if (FetchMaxWait < TimeSpan.Zero || FetchMaxWait.TotalMilliseconds > int.MaxValue)
            throw new ArgumentException($"{nameof(FetchMaxWait)} must be between zero and {int.MaxValue} ms, and is {FetchMaxWait}.");
        AtLeast(FetchMinBytes, 0, nameof(FetchMinBytes));
        AtLeast(FetchMaxBytes, 1, nameof(FetchMaxBytes));
        AtLeast(MaxPartitionFetchBytes, 1, nameof(MaxPartitionFetchBytes));
        AtLeast(PrefetchMaxBytes, 1, nameof(PrefetchMaxBytes));
        AtLeast(MaxBatchRecords, 1, nameof(MaxBatchRecords));
    }

    private static void Positive(TimeSpan value, string name)
    {
        if (value < TimeSpan.FromMilliseconds(1) || value.TotalMilliseconds > int.MaxValue)
            throw new ArgumentException($"{name} must be at least 1 ms and at most {int.MaxValue} ms, and is {value}.");
    }

    private static void AtLeast(long value, long min, string name)
    {
        if (value < min)
            throw new ArgumentException($"{name} must be at least {min}, and is {value}.");
    }
}
