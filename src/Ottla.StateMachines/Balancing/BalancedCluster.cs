using System.Collections.Immutable;
using Ottla.Kernel;

namespace Ottla.StateMachines.Balancing;

/// <summary>What a broker may do in a plan.</summary>
public enum BrokerDuty
{
    /// <summary>It keeps replicas, gives some away and takes others.</summary>
    Serving,

    /// <summary>Its replicas stay, and it takes no others: it does not answer, or its log directories are cordoned.</summary>
    Keeping,

    /// <summary>It is to be removed: all of its replicas go to other brokers.</summary>
    Leaving,
}

/// <summary>A broker of the cluster that is to be balanced.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Rack"><c>broker.rack</c>. Brokers without one count as one rack, as for the placement of new topics.</param>
/// <param name="Duty">What it may do.</param>
/// <param name="RoomBytes">How many bytes of new replicas fit on its disks.</param>
public sealed record BalancedBroker(int Id, string? Rack, BrokerDuty Duty = BrokerDuty.Serving, long RoomBytes = long.MaxValue);

/// <summary>A partition of the cluster that is to be balanced.</summary>
/// <param name="Id">Its topic and number.</param>
/// <param name="Replicas">The brokers that have it, the preferred leader first.</param>
/// <param name="Leader">The broker that leads it now, or -1.</param>
/// <param name="Bytes">The size of one replica.</param>
/// <param name="IsFixed">Whether it stays as it is. It counts as load all the same.</param>
public sealed record BalancedPartition(
    TopicPartition Id, ImmutableArray<int> Replicas, int Leader, long Bytes, bool IsFixed = false);

/// <summary>What a plan starts from: brokers, partitions, and what is wanted. Immutable.</summary>
public sealed record BalancedCluster
{
    /// <summary>How far from the average a broker's replicas and bytes may be, unless said otherwise.</summary>
    public const double DefaultTolerance = 0.10;

    /// <summary>The brokers. One that only a partition names counts as <see cref="BrokerDuty.Keeping"/>, without a rack.</summary>
    public required IReadOnlyCollection<BalancedBroker> Brokers { get; init; }

    /// <summary>All partitions, also those that stay as they are.</summary>
    public required IReadOnlyCollection<BalancedPartition> Partitions { get; init; }

    /// <summary>
    /// Brokers that were added: only they take replicas from brokers that stay. Empty: every serving broker does; but while a broker
    /// leaves, only its replicas move.
    /// </summary>
    public ImmutableHashSet<int> NewBrokers { get; init; } = [];

    /// <summary>How far from the average a broker's replicas and bytes may be: 0.1 is a tenth.</summary>
    public double Tolerance { get; init; } = DefaultTolerance;
}
