using System.Collections.Immutable;
using Ottla.StateMachines.Metadata;

namespace Ottla.Broker.Replicas;

/// <summary>
/// What requests have to know of a partition: who leads it and who is in sync. Immutable; a replica replaces it as a whole.
/// </summary>
/// <param name="LeaderId">The leader; -1 when there is none.</param>
/// <param name="LeaderEpoch">The leader's epoch.</param>
/// <param name="PartitionEpoch">Grows with every change of the partition's metadata.</param>
/// <param name="Replicas">Who has a replica.</param>
/// <param name="InSyncReplicas">Who has everything that is committed.</param>
/// <param name="IsLeaderHere">Whether this broker leads.</param>
public sealed record PartitionLeadership(
    int LeaderId, int LeaderEpoch, int PartitionEpoch, ImmutableArray<int> Replicas, ImmutableArray<int> InSyncReplicas, bool IsLeaderHere)
{
    /// <summary>
    /// The epoch in which this broker began to lead: it has led since, maybe through several epochs. Records that it appended from then on
    /// are still where they were.
    /// </summary>
    public int LeadsSince { get; init; } = LeaderEpoch;

    /// <summary>How many replicas may be in sync: also one that the controller was asked to add.</summary>
    public int MaximalIsrCount { get; init; } = InSyncReplicas.Length;

    /// <summary>Whether the replica is no more: its log was deleted, or its disk failed.</summary>
    public bool IsRetired { get; init; }

    /// <summary>Whether this broker leads, and has done so since <paramref name="epoch"/> at least.</summary>
    public bool HasLedSince(int epoch) => IsLeaderHere && LeadsSince <= epoch;

    /// <summary>
    /// Whether those who read or fetch here see no difference: the same broker leads in the same epoch. Another ISR is nothing to them.
    /// </summary>
    public bool IsSameToReaders(PartitionLeadership other) =>
        LeaderEpoch == other.LeaderEpoch && LeaderId == other.LeaderId
        && IsLeaderHere == other.IsLeaderHere && IsRetired == other.IsRetired;

    internal static PartitionLeadership Of(PartitionRegistration registration, int nodeId, PartitionLeadership? before)
    {
        var isLeaderHere = registration.Leader == nodeId;
        return new PartitionLeadership(
            registration.Leader, registration.LeaderEpoch, registration.PartitionEpoch, registration.Replicas, registration.Isr,
            isLeaderHere)
        {
            LeadsSince = isLeaderHere && before is { IsLeaderHere: true } ? before.LeadsSince : registration.LeaderEpoch,
        };
    }
}
