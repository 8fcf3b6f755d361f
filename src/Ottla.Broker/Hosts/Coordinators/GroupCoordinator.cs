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
    /// <summary>Defines the coordinator.</summary>
    /// <param name="seed">The seed of member ids; different in every process.</param>
    public static CoordinatorDefinition<GroupCommand> Define(ulong seed)
    {
        var made = 0UL;
        return new CoordinatorDefinition<GroupCommand>
        {
            Name = "group coordinator",
            TopicName = TopicNames.ConsumerOffsets,
            BaseSequence = 0,
            OutlivesLeaderEpoch = true,
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

    /// <summary>
    /// Gives each machine another seed, also the next one of the same partition, so that no two give the same member ids.
    /// </summary>
    private static ulong Mix(ulong seed, ulong value) => new Prng(seed ^ value).NextUInt64();
}
