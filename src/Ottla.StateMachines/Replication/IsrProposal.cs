using System.Collections.Immutable;
using Ottla.Protocol;

namespace Ottla.StateMachines.Replication;

/// <summary>A member of a proposed ISR.</summary>
/// <param name="BrokerId">The broker.</param>
/// <param name="BrokerEpoch">
/// The epoch in which the leader knows it; -1 when it has not fetched yet, and the controller does not check it.
/// </param>
public readonly record struct IsrMember(int BrokerId, long BrokerEpoch);

/// <summary>A change of the ISR that a leader asks the controller for. Compared by reference: an answer belongs to one proposal.</summary>
/// <param name="leaderEpoch">The leader's epoch.</param>
/// <param name="partitionEpoch">The partition epoch that it is based on.</param>
/// <param name="isr">The ISR that is asked for, by id, as Kafka lists it.</param>
/// <param name="added">The replica that joins; null for a shrink.</param>
public sealed class IsrProposal(int leaderEpoch, int partitionEpoch, ImmutableArray<IsrMember> isr, int? added)
{
    /// <summary>The leader's epoch.</summary>
    public int LeaderEpoch { get; } = leaderEpoch;

    /// <summary>The partition epoch that it is based on.</summary>
    public int PartitionEpoch { get; } = partitionEpoch;

    /// <summary>The ISR that is asked for.</summary>
    public ImmutableArray<IsrMember> Isr { get; } = isr;

    /// <summary>The replica that joins; null for a shrink.</summary>
    public int? Added { get; } = added;

    /// <inheritdoc/>
    public override string ToString() =>
        $"ISR [{string.Join(',', Isr.Select(member => member.BrokerId))}], leader epoch {LeaderEpoch}, partition epoch {PartitionEpoch}";
}

/// <summary>What the controller answered to a proposal.</summary>
/// <param name="Error">NONE, or why it refused.</param>
/// <param name="LeaderEpoch">The leader epoch after it.</param>
/// <param name="PartitionEpoch">The partition epoch after it.</param>
/// <param name="Isr">The ISR after it.</param>
public readonly record struct IsrAnswer(ErrorCode Error, int LeaderEpoch, int PartitionEpoch, ImmutableArray<int> Isr)
{
    /// <summary>A refusal.</summary>
    public static IsrAnswer Refused(ErrorCode error) => new(error, -1, -1, []);
}

/// <summary>What an answer does to a proposal.</summary>
public enum ProposalFate
{
    /// <summary>It is settled already, by metadata or by a new epoch: the answer says nothing new.</summary>
    Settled,

    /// <summary>It is in force.</summary>
    Committed,

    /// <summary>The controller has not done it, and what the leader knew before is still true.</summary>
    Withdrawn,

    /// <summary>The leader cannot tell whether it was done: it stays pending until the metadata says so.</summary>
    AwaitsMetadata,

    /// <summary>It is sent again.</summary>
    Retried,
}
