using System.Collections.Immutable;
using Ottla.Kernel;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Metadata;

namespace Ottla.StateMachines.Metadata;

/// <summary>Whether a leader was elected uncleanly and must first recover (KIP-704).</summary>
public enum LeaderRecoveryState : sbyte
{
    Recovered = 0,
    Recovering = 1,
}

/// <summary>The log directory ids with a meaning of their own (KIP-858).</summary>
public static class DirectoryIds
{
    /// <summary>A replica from before directories were assigned.</summary>
    public static readonly Uuid Migrating = Uuid.Zero;

    /// <summary>A replica that its broker has yet to place.</summary>
    public static readonly Uuid Unassigned = Uuid.One;

    /// <summary>A replica in a directory that is not among the online ones.</summary>
    public static readonly Uuid Lost = new(0, 2);

    private const ulong LowestUnreserved = 100;

    /// <summary>Whether an id must not be the id of a directory.</summary>
    public static bool IsReserved(Uuid id) => id.High == 0 && id.Low < LowestUnreserved;

    /// <summary>Whether a replica in <paramref name="directory"/> is online on a broker with these online directories.</summary>
    public static bool IsOnline(Uuid directory, ImmutableArray<Uuid> onlineDirectories)
    {
        if (directory == Migrating || directory == Unassigned)
            return true;
        if (directory == Lost)
            return false;

        // Registered below metadata version 3.7-IV2: the broker's directories are not known, and it stops when all fail.
        return onlineDirectories.IsEmpty || onlineDirectories.Contains(directory);
    }
}

/// <summary>A partition as the controller knows it: where its replicas are, which of them are in sync, and who leads. Immutable.</summary>
public sealed record PartitionRegistration
{
    /// <summary>The leader of a partition that has none.</summary>
    public const int NoLeader = -1;

    /// <summary>The leader in a change that leaves it as it is.</summary>
    public const int NoLeaderChange = -2;

    public required ImmutableArray<int> Replicas { get; init; }

    /// <summary>The log directory of each replica, in the order of <see cref="Replicas"/>.</summary>
    public required ImmutableArray<Uuid> Directories { get; init; }

    public required ImmutableArray<int> Isr { get; init; }

    public ImmutableArray<int> RemovingReplicas { get; init; } = [];

    public ImmutableArray<int> AddingReplicas { get; init; } = [];

    /// <summary>Replicas outside the ISR that hold everything committed (KIP-966).</summary>
    public ImmutableArray<int> EligibleLeaderReplicas { get; init; } = [];

    /// <summary>The last known leader, while there is none.</summary>
    public ImmutableArray<int> LastKnownElr { get; init; } = [];

    public required int Leader { get; init; }

    public LeaderRecoveryState LeaderRecoveryState { get; init; }

    /// <summary>Grows whenever the leader is set.</summary>
    public int LeaderEpoch { get; init; }

    /// <summary>Grows with every change.</summary>
    public int PartitionEpoch { get; init; }

    /// <summary>The leader that operators want: the first replica.</summary>
    public int PreferredLeader => Replicas.IsEmpty ? NoLeader : Replicas[0];

    /// <summary>Whether a reassignment to other brokers is under way.</summary>
    public bool IsReassigned => !RemovingReplicas.IsEmpty || !AddingReplicas.IsEmpty;

    /// <summary>The partition that a record describes.</summary>
    /// <exception cref="MetadataException">The record contradicts itself.</exception>
    public static PartitionRegistration From(PartitionRecord record) => new()
    {
        Replicas = [.. record.Replicas],
        Directories = CheckedDirectories(record.Directories, record.Replicas.Length, record.TopicId, record.PartitionId),
        Isr = [.. record.Isr],
        RemovingReplicas = [.. record.RemovingReplicas],
        AddingReplicas = [.. record.AddingReplicas],
        EligibleLeaderReplicas = [.. record.EligibleLeaderReplicas ?? []],
        LastKnownElr = [.. record.LastKnownElr ?? []],
        Leader = record.Leader,
        LeaderRecoveryState = (LeaderRecoveryState)record.LeaderRecoveryState,
        LeaderEpoch = record.LeaderEpoch,
        PartitionEpoch = record.PartitionEpoch,
    };

    /// <summary>The partition after a change.</summary>
    /// <exception cref="MetadataException">The result would contradict itself.</exception>
    public PartitionRegistration Merge(PartitionChangeRecord change)
    {
        var replicas = change.Replicas is null ? Replicas : [.. change.Replicas];
        return new PartitionRegistration
        {
            Replicas = replicas,
            Directories = CheckedDirectories(
                change.Directories is null ? Directories.AsSpan() : change.Directories, replicas.Length, change.TopicId, change.PartitionId),
            Isr = change.Isr is null ? Isr : [.. change.Isr],
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
        Invariant.Check(index >= 0, "only a replica of the partition has a directory");
        return Directories[index];
    }

    /// <summary>The record that describes the partition at a metadata version.</summary>
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
            && Same.Items(Replicas, other.Replicas)
            && Same.Items(Directories, other.Directories)
            && Same.Items(Isr, other.Isr)
            && Same.Items(RemovingReplicas, other.RemovingReplicas)
            && Same.Items(AddingReplicas, other.AddingReplicas)
            && Same.Items(EligibleLeaderReplicas, other.EligibleLeaderReplicas)
            && Same.Items(LastKnownElr, other.LastKnownElr));

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Leader, LeaderEpoch, PartitionEpoch, Replicas.Length);

    private static ImmutableArray<Uuid> CheckedDirectories(ReadOnlySpan<Uuid> directories, int replicas, Uuid topicId, int partition)
    {
        if (directories.Length == replicas)
            return [.. directories];
        foreach (var directory in directories)
        {
            if (directory != DirectoryIds.Migrating)
                throw new MetadataException($"Partition {partition} of topic {topicId} has {replicas} replicas, but {directories.Length} directories.");
        }

        return [.. Enumerable.Repeat(DirectoryIds.Migrating, replicas)];
    }
}
