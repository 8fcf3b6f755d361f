using System.Collections.Immutable;
using Ottla.Kernel;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Metadata;
using Ottla.StateMachines.Metadata;

namespace Ottla.StateMachines.Controller;

/// <summary>How a leader is elected where the present one does not stay.</summary>
internal enum Election
{
    /// <summary>The first replica if it is eligible, else as <see cref="Online"/>.</summary>
    Preferred,

    /// <summary>An eligible replica.</summary>
    Online,

    /// <summary>An eligible replica; if there is none, any replica that is online.</summary>
    Unclean,
}

/// <summary>
/// Works out one change of a partition: the assignment and the ISR that were asked for, then whether a reassignment is complete, then who
/// is eligible (KIP-966), then who leads.
/// </summary>
/// <remarks>
/// Order of election: the present leader if it may stay, the ISR, the eligible leader replicas, the last known leader, and anybody if
/// uncleanness is allowed.
/// </remarks>
internal sealed record PartitionChange(PartitionRegistration Partition, Uuid TopicId, int Index)
{
    public ImmutableArray<int> TargetIsr { get; init; } = Partition.Isr;

    /// <summary>The replicas, those to be removed included.</summary>
    public ImmutableArray<int> TargetReplicas { get; init; } = Partition.Replicas;

    /// <summary>The replicas that go once the reassignment is complete.</summary>
    public ImmutableArray<int> TargetRemoving { get; init; } = Partition.RemovingReplicas;

    /// <summary>The replicas that must come into the ISR before the reassignment is complete.</summary>
    public ImmutableArray<int> TargetAdding { get; init; } = Partition.AddingReplicas;

    /// <summary>Whether the leader says that it is done with what an unclean election left it.</summary>
    public LeaderRecoveryState TargetLeaderRecoveryState { get; init; } = Partition.LeaderRecoveryState;

    /// <summary>
    /// A replica that may have lost records in an unclean shutdown; <see cref="PartitionRegistration.NoLeader"/> for none.
    /// </summary>
    public int UncleanShutdownReplica { get; init; } = PartitionRegistration.NoLeader;

    public required int MinIsr { get; init; }

    public Election Election { get; init; } = Election.Online;

    public required bool IsElrEnabled { get; init; }

    public required MetadataVersion Version { get; init; }

    /// <summary>Whether a replica can lead: its broker is active and its directory is online.</summary>
    public required Func<int, bool> CanLead { get; init; }

    /// <summary>The log directory that a new replica on a broker begins in.</summary>
    public required Func<int, Uuid> DefaultDirectory { get; init; }

    /// <summary>The record of the change; null when nothing changes.</summary>
    public MetadataRecord? ToRecord()
    {
        var target = CompletedAssignment();
        var isr = target.Isr;
        var elr = Eligible(isr);
        var (leader, unclean) = Elect(target.Replicas, isr, elr);
        unclean = unclean && leader != Partition.Leader;
        if (leader != Partition.Leader && elr.Contains(leader))
        {
            isr = [leader];
            elr = elr.Remove(leader);
        }

        var record = new PartitionChangeRecord { TopicId = TopicId, PartitionId = Index };
        // A replica that goes must learn that it is none any more, so the leader epoch grows although the leader stays.
        if (leader != Partition.Leader || Partition.Replicas.Any(replica => !target.Replicas.Contains(replica)))
            record.Leader = leader;
        if (unclean)
        {
            // Records may be lost: the other replicas must follow the new leader, so only the leader is in sync.
            isr = [leader];
            if (Partition.LeaderRecoveryState != LeaderRecoveryState.Recovering)
                record.LeaderRecoveryState = (sbyte)LeaderRecoveryState.Recovering;
        }

        if (unclean || !IsElrEnabled)
            elr = [];
        if (!Same(elr, Partition.EligibleLeaderReplicas))
            record.EligibleLeaderReplicas = [.. elr];
        if (unclean || ((isr.Length > 0 || IsElrEnabled) && !isr.SequenceEqual(Partition.Isr)))
            record.Isr = [.. isr];
        if (Version.BumpsLeaderEpochOnIsrShrink && leader == Partition.Leader && record.Isr is { } shrunk
            && Partition.Isr.Any(replica => !shrunk.Contains(replica)))
            record.Leader = leader;
        SetLastKnownLeader(record);
        SetAssignment(record, target);
        if (TargetLeaderRecoveryState != Partition.LeaderRecoveryState)
            record.LeaderRecoveryState = (sbyte)TargetLeaderRecoveryState;
        return IsNoChange(record) ? null : new MetadataRecord(record, Version.PartitionRecordVersion);
    }

    /// <summary>The assignment that was asked for, without what a reassignment takes away if all that it adds is in sync.</summary>
    private Assignment CompletedAssignment()
    {
        var asked = new Assignment(TargetReplicas, TargetIsr, TargetRemoving, TargetAdding);
        if (TargetRemoving.IsEmpty && TargetAdding.IsEmpty)
            return asked;
        ImmutableArray<int> replicas = [.. TargetReplicas.Where(replica => !TargetRemoving.Contains(replica))];
        ImmutableArray<int> isr = [.. TargetIsr.Where(replica => !TargetRemoving.Contains(replica))];
        if (!TargetRemoving.IsEmpty && (replicas.IsEmpty || isr.IsEmpty))
            return asked;
        // A smaller replication factor must not cost replicas that are in sync: then all that stay must be, not only those that come.
        var mustBeInSync = TargetAdding.Length < TargetRemoving.Length ? TargetAdding.AddRange(replicas) : TargetAdding;
        return mustBeInSync.All(replica => isr.Contains(replica)) ? new Assignment(replicas, isr, [], []) : asked;
    }

    private void SetAssignment(PartitionChangeRecord record, Assignment target)
    {
        if (Version.SupportsDirectoryAssignment && !target.Replicas.IsEmpty)
        {
            var directories = target.Replicas.Select(replica => Partition.Replicas.Contains(replica)
                ? Partition.DirectoryOf(replica)
                : DefaultDirectory(replica)).ToArray();
            if (!directories.AsSpan().SequenceEqual(Partition.Directories.AsSpan()))
                record.Directories = directories;
        }

        if (!target.Replicas.IsEmpty && !Same(target.Replicas, Partition.Replicas))
            record.Replicas = [.. target.Replicas];
        if (!Same(target.Removing, Partition.RemovingReplicas))
            record.RemovingReplicas = [.. target.Removing];
        if (!Same(target.Adding, Partition.AddingReplicas))
            record.AddingReplicas = [.. target.Adding];
    }

    private static bool Same(ImmutableArray<int> left, ImmutableArray<int> right) => left.AsSpan().SequenceEqual(right.AsSpan());

    private static bool IsNoChange(PartitionChangeRecord record) =>
        record is
    {
        Isr: null, EligibleLeaderReplicas: null, LastKnownElr: null, Leader: PartitionRegistration.NoLeaderChange,
        LeaderRecoveryState: < 0
    }
            and { Replicas: null, RemovingReplicas: null, AddingReplicas: null, Directories: null };

    /// <summary>Replicas that left the ISR while it was too small to commit records. They still have all committed records.</summary>
    private ImmutableArray<int> Eligible(ImmutableArray<int> isr)
    {
        if (!IsElrEnabled)
            return Partition.EligibleLeaderReplicas;
        if (isr.Length >= MinIsr)
            return [];
        return
        [
            .. Partition.EligibleLeaderReplicas.Union(Partition.Isr)
                .Where(replica => !isr.Contains(replica) && replica != UncleanShutdownReplica)
                .Order(),
        ];
    }

    private (int Leader, bool IsUnclean) Elect(ImmutableArray<int> replicas, ImmutableArray<int> isr, ImmutableArray<int> elr)
    {
        if (Election == Election.Preferred && !replicas.IsEmpty && IsValid(replicas[0]))
            return (replicas[0], false);
        if (IsValid(Partition.Leader))
            return (Partition.Leader, false);
        foreach (var replica in replicas)
        {
            if (IsValid(replica))
                return (replica, false);
        }

        if (IsElrEnabled && isr.IsEmpty && elr.IsEmpty && Partition.LastKnownElr.Length == 1 && IsOnline(Partition.LastKnownElr[0]))
            return (Partition.LastKnownElr[0], true);
        if (Election == Election.Unclean)
        {
            foreach (var replica in replicas)
            {
                if (IsOnline(replica))
                    return (replica, true);
            }
        }

        return (PartitionRegistration.NoLeader, false);

        bool IsValid(int replica) => (isr.Contains(replica) || (isr.IsEmpty && elr.Contains(replica))) && IsOnline(replica);

        bool IsOnline(int replica) => Partition.Replicas.Contains(replica) && CanLead(replica);
    }

    /// <summary>While the partition has no leader, the last known ELR has one entry: the last leader.</summary>
    private void SetLastKnownLeader(PartitionChangeRecord record)
    {
        if (!IsElrEnabled)
        {
            if (!Partition.LastKnownElr.IsEmpty && Version.SupportsElr)
                record.LastKnownElr = [];
        }
        else if (record.Leader == PartitionRegistration.NoLeader && Partition.LastKnownElr.IsEmpty && Partition.Leader >= 0)
        {
            record.LastKnownElr = [Partition.Leader];
        }
        else if (record.Leader >= 0 && !Partition.LastKnownElr.IsEmpty)
        {
            record.LastKnownElr = [];
        }
    }

    private readonly record struct Assignment(
        ImmutableArray<int> Replicas, ImmutableArray<int> Isr, ImmutableArray<int> Removing, ImmutableArray<int> Adding);
}
