using System.Collections.Immutable;
using Ottla.Kernel;

namespace Ottla.StateMachines.Balancing;

/// <summary>Why a partition is moved.</summary>
[Flags]
public enum MoveReasons
{
    /// <summary>Nothing is moved.</summary>
    None = 0,

    /// <summary>One of its brokers is to be removed.</summary>
    BrokerLeaves = 1,

    /// <summary>Its replicas are on fewer racks than they could be.</summary>
    Racks = 2,

    /// <summary>A broker has more replicas than others.</summary>
    Replicas = 4,

    /// <summary>A broker has more bytes than others.</summary>
    Bytes = 8,

    /// <summary>A broker is the preferred leader of more partitions than others.</summary>
    Leaders = 16,
}

/// <summary>A partition's replicas as they are and as they are to be, the preferred leader first.</summary>
/// <param name="Partition">The partition.</param>
/// <param name="From">The brokers that have it now.</param>
/// <param name="To">The brokers that are to have it.</param>
/// <param name="Bytes">The size of one replica.</param>
/// <param name="Reasons">Why.</param>
public sealed record PartitionMove(
    TopicPartition Partition, ImmutableArray<int> From, ImmutableArray<int> To, long Bytes, MoveReasons Reasons)
{
    /// <summary>How much is copied from broker to broker.</summary>
    public long BytesToCopy => Bytes * To.Except(From).Count();
}

/// <summary>What a broker carries.</summary>
/// <param name="Replicas">How many replicas.</param>
/// <param name="Leaders">How many partitions it leads.</param>
/// <param name="Bytes">The bytes of its replicas.</param>
public readonly record struct BrokerLoad(int Replicas, int Leaders, long Bytes);

/// <summary>A broker before and after a plan.</summary>
/// <param name="Broker">The broker.</param>
/// <param name="Before">What it carries now.</param>
/// <param name="After">What it will carry, once every partition is led by its preferred replica.</param>
public sealed record BrokerFigures(BalancedBroker Broker, BrokerLoad Before, BrokerLoad After);

/// <summary>A replica that ought to leave its broker and has nowhere to go.</summary>
/// <param name="Partition">Its partition.</param>
/// <param name="Broker">The broker that is to be removed.</param>
/// <param name="LacksRoom">Whether a broker would take it if it had room; otherwise every other broker has a replica already.</param>
public sealed record StuckReplica(TopicPartition Partition, int Broker, bool LacksRoom);

/// <summary>What to move, and what comes of it. Immutable.</summary>
/// <param name="Moves">The moves: what must be first, then the larger ones, then changes of order, which copy nothing.</param>
/// <param name="Elections">Partitions that stay as they are and are not led by their preferred replica.</param>
/// <param name="Brokers">All brokers, by id.</param>
/// <param name="Stuck">What cannot be moved away from brokers that are to be removed.</param>
public sealed record ReassignmentPlan(
    ImmutableArray<PartitionMove> Moves,
    ImmutableArray<TopicPartition> Elections,
    ImmutableArray<BrokerFigures> Brokers,
    ImmutableArray<StuckReplica> Stuck)
{
    /// <summary>How much is copied from broker to broker.</summary>
    public long BytesToCopy => Moves.Sum(move => move.BytesToCopy);
}
