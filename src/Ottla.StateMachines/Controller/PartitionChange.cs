using System.Collections.Immutable;
using Ottla.Kernel;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Metadata;
using Ottla.StateMachines.Metadata;

namespace Ottla.StateMachines.Controller;

/// <summary>Works out one change of a partition: the ISR that was asked for, then who is eligible (KIP-966), then who leads.</summary>
/// <remarks>Order of election: the present leader if it may stay, the ISR, the eligible leader replicas, the last known leader, and anybody if uncleanness is allowed.</remarks>
internal sealed class PartitionChange(PartitionRegistration partition, Uuid topicId, int index)
{
    public required ImmutableArray<int> TargetIsr { get; init; }

    /// <summary>A replica that may have lost what it had; <see cref="PartitionRegistration.NoLeader"/> for none.</summary>
    public int UncleanShutdownReplica { get; init; } = PartitionRegistration.NoLeader;

    public required int MinIsr { get; init; }

    public bool AllowsUncleanElection { get; init; }

    public required bool IsElrEnabled { get; init; }

    public required MetadataVersion Version { get; init; }

    /// <summary>Whether a replica's broker and directory can lead.</summary>
    public required Func<int, bool> CanLead { get; init; }

    /// <summary>The record of the change; null when nothing changes.</summary>
    public MetadataRecord? ToRecord()
    {
        var isr = TargetIsr;
        var elr = Eligible(isr);
        var (leader, unclean) = Elect(isr, elr);
        unclean = unclean && leader != partition.Leader;
        if (leader != partition.Leader && elr.Contains(leader))
        {
            isr = [leader];
            elr = elr.Remove(leader);
        }

        var record = new PartitionChangeRecord { TopicId = topicId, PartitionId = index };
        if (leader != partition.Leader)
            record.Leader = leader;
        if (unclean)
        {
            // Data may be lost here: the others must follow the new leader, not be believed.
            isr = [leader];
            if (partition.LeaderRecoveryState != LeaderRecoveryState.Recovering)
                record.LeaderRecoveryState = (sbyte)LeaderRecoveryState.Recovering;
        }

        if (unclean || !IsElrEnabled)
            elr = [];
        if (!Same(elr, partition.EligibleLeaderReplicas))
            record.EligibleLeaderReplicas = [.. elr];
        if (unclean || ((isr.Length > 0 || IsElrEnabled) && !isr.SequenceEqual(partition.Isr)))
            record.Isr = [.. isr];
        if (Version.BumpsLeaderEpochOnIsrShrink && leader == partition.Leader && record.Isr is { } shrunk && partition.Isr.Any(replica => !shrunk.Contains(replica)))
            record.Leader = leader;
        SetLastKnownLeader(record);
        return IsNoChange(record) ? null : new MetadataRecord(record, Version.PartitionRecordVersion);
    }

    private static bool Same(ImmutableArray<int> left, ImmutableArray<int> right) => left.AsSpan().SequenceEqual(right.AsSpan());

    private static bool IsNoChange(PartitionChangeRecord record) =>
        record is { Isr: null, EligibleLeaderReplicas: null, LastKnownElr: null, Leader: PartitionRegistration.NoLeaderChange, LeaderRecoveryState: < 0 };

    /// <summary>Who left the ISR while it was too small to commit anything: they still have everything committed.</summary>
    private ImmutableArray<int> Eligible(ImmutableArray<int> isr)
    {
        if (!IsElrEnabled)
            return partition.EligibleLeaderReplicas;
        if (isr.Length >= MinIsr)
            return [];
        return
        [
            .. partition.EligibleLeaderReplicas.Union(partition.Isr)
                .Where(replica => !isr.Contains(replica) && replica != UncleanShutdownReplica)
                .Order(),
        ];
    }

    private (int Leader, bool IsUnclean) Elect(ImmutableArray<int> isr, ImmutableArray<int> elr)
    {
        if (IsValid(partition.Leader))
            return (partition.Leader, false);
        foreach (var replica in partition.Replicas)
        {
            if (IsValid(replica))
                return (replica, false);
        }

        if (IsElrEnabled && isr.IsEmpty && elr.IsEmpty && partition.LastKnownElr.Length == 1
            && partition.Replicas.Contains(partition.LastKnownElr[0]) && CanLead(partition.LastKnownElr[0]))
            return (partition.LastKnownElr[0], true);
        if (AllowsUncleanElection)
        {
            foreach (var replica in partition.Replicas)
            {
                if (CanLead(replica))
                    return (replica, true);
            }
        }

        return (PartitionRegistration.NoLeader, false);

        bool IsValid(int replica) => (isr.Contains(replica) || (isr.IsEmpty && elr.Contains(replica))) && CanLead(replica);
    }

    /// <summary>While there is no leader, who was the last is kept as the only entry of the last known ELR.</summary>
    private void SetLastKnownLeader(PartitionChangeRecord record)
    {
        if (!IsElrEnabled)
        {
            if (!partition.LastKnownElr.IsEmpty && Version.SupportsElr)
                record.LastKnownElr = [];
        }
        else if (record.Leader == PartitionRegistration.NoLeader && partition.LastKnownElr.IsEmpty)
        {
            record.LastKnownElr = [partition.Leader];
        }
        else if (record.Leader >= 0 && !partition.LastKnownElr.IsEmpty)
        {
            record.LastKnownElr = [];
        }
    }
}
