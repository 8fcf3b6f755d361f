using Ottla.Kernel;
using Ottla.Protocol;

namespace Ottla.Client;

/// <summary>A topic to create.</summary>
/// <param name="Name">Its name.</param>
public sealed record NewTopic(string Name)
{
    /// <summary>How many partitions; null for the cluster's <c>num.partitions</c>, or what the assignments say.</summary>
    public int? Partitions { get; init; }

    /// <summary>How many replicas of each; null for the cluster's <c>default.replication.factor</c>.</summary>
    public short? ReplicationFactor { get; init; }

    /// <summary>
    /// The brokers of each partition by index, the preferred leader first; null for the cluster's choice. Not together with
    /// <see cref="Partitions"/> and <see cref="ReplicationFactor"/>.
    /// </summary>
    public IReadOnlyDictionary<int, IReadOnlyList<int>>? ReplicaAssignments { get; init; }

    /// <summary>Configs that differ from the cluster's.</summary>
    public IReadOnlyDictionary<string, string?> Configs { get; init; } = new Dictionary<string, string?>();
}

/// <summary>A topic that was created, or would be.</summary>
/// <param name="Id">Its id; <see cref="Uuid.Zero"/> when it was only validated.</param>
/// <param name="Partitions">How many partitions it has; null when the cluster does not say, or the caller may not see configs.</param>
/// <param name="ReplicationFactor">How many replicas each has; null likewise.</param>
/// <param name="Configs">Its configs; null likewise.</param>
public sealed record CreatedTopic(Uuid Id, int? Partitions, short? ReplicationFactor, IReadOnlyList<ConfigEntry>? Configs);

/// <summary>A topic in a list.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Id">Its id.</param>
/// <param name="IsInternal">Whether it belongs to the cluster itself.</param>
public sealed record ListedTopic(string Name, Uuid Id, bool IsInternal);

/// <summary>A topic with its partitions.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Id">Its id.</param>
/// <param name="IsInternal">Whether it belongs to the cluster itself.</param>
/// <param name="Partitions">Its partitions by index.</param>
/// <param name="AuthorizedOperations">What the caller may do with it; null when that was not asked for.</param>
public sealed record TopicDescription(
    string Name, Uuid Id, bool IsInternal, IReadOnlyList<PartitionDescription> Partitions,
    IReadOnlySet<AclOperation>? AuthorizedOperations);

/// <summary>A partition and its replicas, by node id.</summary>
/// <param name="Index">Its index.</param>
/// <param name="LeaderId">The leader; null while there is none.</param>
/// <param name="LeaderEpoch">The leader's epoch; -1 when the cluster does not say.</param>
/// <param name="Replicas">All replicas, the preferred leader first.</param>
/// <param name="InSyncReplicas">Those that are in sync.</param>
/// <param name="OfflineReplicas">Those whose node or disk has failed.</param>
/// <param name="EligibleLeaderReplicas">Those that may lead and are not in sync (KIP-966); null when the cluster does not say.</param>
/// <param name="LastKnownEligibleReplicas">The last known of them; null when the cluster does not say.</param>
public sealed record PartitionDescription(
    int Index, int? LeaderId, int LeaderEpoch, IReadOnlyList<int> Replicas, IReadOnlyList<int> InSyncReplicas,
    IReadOnlyList<int> OfflineReplicas, IReadOnlyList<int>? EligibleLeaderReplicas, IReadOnlyList<int>? LastKnownEligibleReplicas);

/// <summary>More partitions for a topic.</summary>
/// <param name="TotalCount">How many it is to have in all.</param>
/// <param name="Assignments">The brokers of each new one, in order; null for the cluster's choice.</param>
public sealed record NewPartitions(int TotalCount, IReadOnlyList<IReadOnlyList<int>>? Assignments = null);

/// <summary>Which offset of a partition is looked for (ListOffsets).</summary>
public readonly record struct OffsetSpec
{
    private OffsetSpec(long timestamp) => Timestamp = timestamp;

    /// <summary>The end: the offset of the next record.</summary>
    public static OffsetSpec Latest => new(-1);

    /// <summary>The first offset.</summary>
    public static OffsetSpec Earliest => new(-2);

    /// <summary>The record with the greatest timestamp (KIP-734).</summary>
    public static OffsetSpec MaxTimestamp => new(-3);

    /// <summary>The first offset on the broker's own disk (KIP-405).</summary>
    public static OffsetSpec EarliestLocal => new(-4);

    /// <summary>The last offset in tiered storage (KIP-1005).</summary>
    public static OffsetSpec LatestTiered => new(-5);

    /// <summary>The first offset that is not uploaded to tiered storage yet (KIP-1023).</summary>
    public static OffsetSpec EarliestPendingUpload => new(-6);

    /// <summary>The timestamp on the wire, or its mark.</summary>
    internal long Timestamp { get; }

    /// <summary>The first record that is not older than a time.</summary>
    /// <exception cref="ArgumentOutOfRangeException">
    /// The time is before 1970: records have no such timestamps, and negative ones mean something else in the protocol.
    /// </exception>
    public static OffsetSpec ForTimestamp(DateTimeOffset time)
    {
        var timestamp = time.ToUnixTimeMilliseconds();
        return timestamp >= 0 ? new OffsetSpec(timestamp)
            : throw new ArgumentOutOfRangeException(nameof(time), time, "The time is before 1970, and no record has such a timestamp.");
    }
}
