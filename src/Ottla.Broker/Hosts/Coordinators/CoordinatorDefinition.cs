using Ottla.Configuration;
using Ottla.Protocol.Batches;
using Ottla.StateMachines.Coordinators;

namespace Ottla.Broker.Hosts.Coordinators;

/// <summary>The partition of a coordinator, and its leader epoch.</summary>
/// <param name="Partition">The partition's index.</param>
/// <param name="LeaderEpoch">The epoch of the leadership: also the coordinator's epoch.</param>
public readonly record struct CoordinatorPartition(int Partition, int LeaderEpoch);

/// <summary>The settings for writing and reading a coordinator's log.</summary>
/// <param name="Compression">The codec of its batches.</param>
/// <param name="AppendLingerMs">
/// How long records are collected before they are written; -1 writes what is queued, 0 writes each step by itself.
/// </param>
/// <param name="WriteTimeoutMs">How long a reply waits for its records to be committed.</param>
/// <param name="LoadBufferBytes">How much is read at once while loading.</param>
/// <param name="CachedBufferBytesMax">The largest buffer that is kept for reuse.</param>
public sealed record CoordinatorSettings(
    CompressionType Compression, int AppendLingerMs, int WriteTimeoutMs, int LoadBufferBytes, int CachedBufferBytesMax);

/// <summary>A kind of coordinator: its internal topic, its records and its state machine. Immutable; lives as long as its host.</summary>
/// <typeparam name="TCommand">The base of the machine's commands.</typeparam>
public sealed record CoordinatorDefinition<TCommand>
{
    /// <summary>The name in log messages.</summary>
    public required string Name { get; init; }

    /// <summary>The internal topic.</summary>
    public required string TopicName { get; init; }

    /// <summary>Reads and writes its records.</summary>
    public required CoordinatorRecordSerde Serde { get; init; }

    /// <summary>Makes an empty machine for a partition.</summary>
    public required Func<CoordinatorPartition, ICoordinatorMachine<TCommand>> CreateMachine { get; init; }

    /// <summary>Its settings, from the broker's configuration.</summary>
    public required Func<BrokerConfig, CoordinatorSettings> Settings { get; init; }

    /// <summary>The base sequence of its batches without a producer: Kafka's coordinators of groups write 0.</summary>
    public int BaseSequence { get; init; } = RecordBatchLayout.NoSequence;

    /// <summary>
    /// Whether a machine goes on when the same broker begins another leader epoch. As in Kafka, coordinators of groups do: nobody else has
    /// written to the log, and their members need not notice. Coordinators of transactions begin anew, as their epoch is in the markers.
    /// </summary>
    public bool OutlivesLeaderEpoch { get; init; }

    /// <summary>
    /// Carries out an output of a machine after its records are committed. The loop of the partition calls it: it starts the work and
    /// returns.
    /// </summary>
    public Action<CoordinatorPartition, CoordinatorOutput> OnOutput { get; init; } = static (_, _) => { };
}
