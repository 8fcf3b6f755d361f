using System.Collections.Immutable;
using Ottla.Kernel;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Metadata;

namespace Ottla.StateMachines.Metadata;

/// <summary>Whether a leader was elected uncleanly and must recover first (KIP-704).</summary>
public enum LeaderRecoveryState : sbyte
{
    Recovered = 0,
    Recovering = 1,
}

/// <summary>The log directory ids with a special meaning (KIP-858).</summary>
public static class DirectoryIds
{
    /// <summary>The replica is older than the assignment of directories.</summary>
    public static readonly Uuid Migrating = Uuid.Zero;

    /// <summary>The broker has not assigned the replica to a directory yet.</summary>
    public static readonly Uuid Unassigned = Uuid.One;

    /// <summary>The replica's directory is not online.</summary>
    public static readonly Uuid Lost = new(0, 2);

    private const ulong LowestUnreserved = 100;

    /// <summary>Whether an id is reserved and cannot identify a directory.</summary>
    public static bool IsReserved(Uuid id) => id.High == 0 && id.Low < LowestUnreserved;

    /// <summary>Whether a replica in <paramref name="directory"/> is online on a broker with these online directories.</summary>
    public static bool IsOnline(Uuid directory, ImmutableArray<Uuid> onlineDirectories)
    {
        if (directory == Migrating || directory == Unassigned)
            return true;
        if (directory == Lost)
            return false;

        // A broker that registered below metadata version 3.7-IV2 does not report its directories. It stops when all of them fail.
        return onlineDirectories.IsEmpty || onlineDirectories.Contains(directory);
    }
}

/// <summary>A partition in the metadata: its replicas, in-sync replicas and leader. Immutable.</summary>
public sealed record PartitionRegistration
{
    /// <summary>The leader id of a partition without a leader.</summary>
    public const int NoLeader = -1;

    /// <summary>The leader id in a change that does not change the leader.</summary>
    public const int NoLeaderChange = -2;

    public required ImmutableArray<int> Replicas { get; init; }

    /// <summary>The log directory of each replica, in the order of <see cref="Replicas"/>.</summary>
    public required ImmutableArray<Uuid> Directories { get; init; }

    public required ImmutableArray<int> Isr { get; init; }

    public ImmutableArray<int> RemovingReplicas { get; init; } = [];

    public ImmutableArray<int> AddingReplicas { get; init; } = [];

    /// <summary>Replicas outside the ISR that have all committed records (KIP-966).</summary>
    public ImmutableArray<int> EligibleLeaderReplicas { get; init; } = [];

    /// <summary>The last leader, kept while the partition has none.</summary>
    public ImmutableArray<int> LastKnownElr { get; init; } = [];

    public required int Leader { get; init; }

    public LeaderRecoveryState LeaderRecoveryState { get; init; }

    /// <summary>Grows each time a leader is set.</summary>
    public int LeaderEpoch { get; init; }

    /// <summary>Grows with each change.</summary>
    public int PartitionEpoch { get; init; }

    /// <summary>The leader that operators want: the first replica.</summary>
    public int PreferredLeader => Replicas.IsEmpty ? NoLeader : Replicas[0];

    /// <summary>Whether a reassignment to other brokers is under way.</summary>
    public bool IsReassigned => !RemovingReplicas.IsEmpty || !AddingReplicas.IsEmpty;

    /// <summary>The partition that a record describes.</summary>
    /// <exception cref="MetadataException">The record contradicts itself.</exception>
    public static PartitionRegistration From(PartitionRecord record)
    {
        ImmutableArray<int> replicas = [.. record.Replicas];
        return new PartitionRegistration
        {
            Replicas = replicas,
            Directories = CheckedDirectories(record.Directories, replicas.Length, record.TopicId, record.PartitionId),
            Isr = Share(record.Isr, replicas),
            RemovingReplicas = [.. record.RemovingReplicas],
            AddingReplicas = [.. record.AddingReplicas],
            EligibleLeaderReplicas = [.. record.EligibleLeaderReplicas ?? []],
            LastKnownElr = [.. record.LastKnownElr ?? []],
            Leader = record.Leader,
            LeaderRecoveryState = (LeaderRecoveryState)record.LeaderRecoveryState,
            LeaderEpoch = record.LeaderEpoch,
            PartitionEpoch = record.PartitionEpoch,
        };
    }

    /// <summary>Returns the partition after a change.</summary>
    /// <exception cref="MetadataException">The result would be inconsistent.</exception>
    public PartitionRegistration Merge(PartitionChangeRecord change)
    {
        var replicas = change.Replicas is null ? Replicas : [.. change.Replicas];
        return new PartitionRegistration
        {
            Replicas = replicas,
            Directories = change.Directories is null && Directories.Length == replicas.Length
                ? Directories
                : CheckedDirectories(
                    change.Directories is null ? Directories.AsSpan() : change.Directories, replicas.Length, change.TopicId,
                    change.PartitionId),
            Isr = change.Isr is null ? Isr : Share(change.Isr, replicas),
            RemovingReplicas = change.RemovingReplicas is null ? RemovingReplicas : [.. change.RemovingReplicas],
            AddingReplicas = change.AddingReplicas is null ? AddingReplicas : [.. change.AddingReplicas],
            EligibleLeaderReplicas = change.EligibleLeaderReplicas is null ? EligibleLeaderReplicas : [.. change.EligibleLeaderReplicas],
            LastKnownElr = change.LastKnownElr is null ? LastKnownElr : [.. change.LastKnownElr],
            Leader = change.Leader == NoLeaderChange ? Leader : change.Leader,
            LeaderRecoveryState = change.LeaderRecoveryState < 0 ? LeaderRecoveryState : (LeaderRecoveryState)change.LeaderRecoveryState,
            LeaderEpoch = change.Leader == NoLeaderChange ? LeaderEpoch : LeaderEpoch + 1,
            PartitionEpoch = PartitionEpoch + 1,
        };
    }

    /// <summary>The log directory of a replica.</summary>
    public Uuid DirectoryOf(int replica)
    {
        var index = Replicas.IndexOf(replica);
        Invariant.Check(index >= 0, "the broker is a replica of the partition");
        return Directories[index];
    }

    /// <summary>The record of the partition in the format of a metadata version.</summary>
    public MetadataRecord ToRecord(Uuid topicId, int partitionId, MetadataVersion version, bool elrEnabled) => new(
        new PartitionRecord
        {
            PartitionId = partitionId,
            TopicId = topicId,
            Replicas = [.. Replicas],
            Isr = [.. Isr],
            RemovingReplicas = [.. RemovingReplicas],
            AddingReplicas = [.. AddingReplicas],
            Leader = Leader,
            LeaderRecoveryState = (sbyte)LeaderRecoveryState,
            LeaderEpoch = LeaderEpoch,
            PartitionEpoch = PartitionEpoch,
            Directories = version.SupportsDirectoryAssignment ? [.. Directories] : [],
            EligibleLeaderReplicas = elrEnabled && EligibleLeaderReplicas.Length > 0 ? [.. EligibleLeaderReplicas] : null,
            LastKnownElr = elrEnabled && LastKnownElr.Length > 0 ? [.. LastKnownElr] : null,
        },
        version.PartitionRecordVersion);

    /// <inheritdoc/>
    public bool Equals(PartitionRegistration? other) =>
        ReferenceEquals(this, other) || (other is not null
            && Leader == other.Leader
            && LeaderRecoveryState == other.LeaderRecoveryState
            && LeaderEpoch == other.LeaderEpoch
            && PartitionEpoch == other.PartitionEpoch
            && ContentEquality.Items(Replicas, other.Replicas)
            && ContentEquality.Items(Directories, other.Directories)
            && ContentEquality.Items(Isr, other.Isr)
            && ContentEquality.Items(RemovingReplicas, other.RemovingReplicas)
            && ContentEquality.Items(AddingReplicas, other.AddingReplicas)
            && ContentEquality.Items(EligibleLeaderReplicas, other.EligibleLeaderReplicas)
            && ContentEquality.Items(LastKnownElr, other.LastKnownElr));

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Leader, LeaderEpoch, PartitionEpoch, Replicas.Length);

    /// <summary>Mostly all replicas are in sync: then a partition needs one list for both, and there are many partitions.</summary>
    private static ImmutableArray<int> Share(int[] isr, ImmutableArray<int> replicas) =>
        replicas.AsSpan().SequenceEqual(isr) ? replicas : [.. isr];

    private static ImmutableArray<Uuid> CheckedDirectories(ReadOnlySpan<Uuid> directories, int replicas, Uuid topicId, int partition)
    {
        if (directories.Length == replicas)
            return [.. directories];
        foreach (var directory in directories)
        {
            if (directory != DirectoryIds.Migrating)
                throw new MetadataException(
                    $"Partition {partition} of topic {topicId} has {replicas} replicas, but {directories.Length} directories.");
        }

        return [.. Enumerable.Repeat(DirectoryIds.Migrating, replicas)];
    }
}
