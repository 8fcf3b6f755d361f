using System.IO.Hashing;
using System.Runtime.InteropServices;
using Ottla.Kernel;

namespace Ottla.Storage.Upkeep;

/// <summary>
/// Hashes partitions with a seed of the node, where .NET hashes strings with a seed of the process. So upkeep visits logs in an order that
/// follows from the seed, and a simulation can repeat it. Clients that name topics do not know the seed.
/// </summary>
/// <remarks>Immutable.</remarks>
internal sealed class TopicPartitionComparer(ulong seed) : IEqualityComparer<TopicPartition>
{
    public bool Equals(TopicPartition left, TopicPartition right) => left == right;

    public int GetHashCode(TopicPartition partition) =>
        unchecked((int)XxHash3.HashToUInt64(MemoryMarshal.AsBytes(partition.Topic.AsSpan()), (long)seed) + partition.Partition);
}
