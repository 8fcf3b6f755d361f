using Ottla.Kernel;

namespace Ottla.Simulator.Clients;

/// <summary>Which broker of a cluster a request is for.</summary>
internal readonly record struct Destination
{
    private Destination(TopicPartition? partition, string? key, sbyte keyType) => (Partition, Key, KeyType) = (partition, key, keyType);

    /// <summary>Any broker.</summary>
    public static Destination Any => default;

    /// <summary>The partition whose leader it is for; null when it is for another.</summary>
    public TopicPartition? Partition { get; }

    /// <summary>The group or transactional id whose coordinator it is for; null when it is for another.</summary>
    public string? Key { get; }

    /// <summary>What <see cref="Key"/> is, as FindCoordinator calls it.</summary>
    public sbyte KeyType { get; }

    /// <summary>The leader of a partition.</summary>
    public static Destination LeaderOf(TopicPartition partition) => new(partition, null, 0);

    /// <summary>The coordinator of a group.</summary>
    public static Destination CoordinatorOfGroup(string group) => new(null, group, SimClient.GroupKey);

    /// <summary>The coordinator of a transactional id.</summary>
    public static Destination CoordinatorOfTransactions(string transactionalId) => new(null, transactionalId, SimClient.TransactionKey);
}
