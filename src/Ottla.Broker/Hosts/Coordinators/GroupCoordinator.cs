using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.StateMachines.Groups;

namespace Ottla.Broker.Hosts.Coordinators;

/// <summary>
/// The coordinator of groups, as <see cref="CoordinatorHost{TCommand}"/> hosts it: <c>__consumer_offsets</c> and a
/// <see cref="GroupMachine"/> for each of its partitions.
/// </summary>
internal static class GroupCoordinator
{
    /// <summary>Defines it.</summary>
    /// <param name="seed">What the ids of members follow from: another one in every process.</param>
    public static CoordinatorDefinition<GroupCommand> Define(ulong seed)
    {
        var made = 0UL;
        return new CoordinatorDefinition<GroupCommand>
        {
            Name = "group coordinator",
            TopicName = TopicNames.ConsumerOffsets,
            BaseSequence = 0,
            Serde = CoordinatorRecordSerde.Groups,
            CreateMachine = partition => new GroupMachine(
                new Prng(Mix(Mix(Mix(seed, (ulong)partition.Partition), (ulong)partition.LeaderEpoch), Interlocked.Increment(ref made)))),
            Settings = SettingsOf,
        };
    }

    private static CoordinatorSettings SettingsOf(BrokerConfig config) => new(
        (CompressionType)config.OffsetsTopicCompressionCodec,
        config.GroupCoordinatorAppendLingerMs,
        config.OffsetsCommitTimeoutMs,
        config.OffsetsLoadBufferSize,
        config.GroupCoordinatorCachedBufferMaxBytes);

    /// <summary>No two machines may give the same ids: not those of other partitions, nor the one that is loaded after this.</summary>
    private static ulong Mix(ulong seed, ulong value) => new Prng(seed ^ value).NextUInt64();
}
