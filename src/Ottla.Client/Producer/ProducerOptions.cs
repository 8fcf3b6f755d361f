using Ottla.Protocol.Batches;
using Ottla.Protocol.Batches.Compression;

namespace Ottla.Client;

/// <summary>Who has to have a record before the cluster says that it has it (<c>acks</c>).</summary>
public enum Acks
{
    /// <summary>All in-sync replicas.</summary>
    All = -1,

    /// <summary>
    /// Nobody: a record counts as written once it was sent, and nobody learns where it is, or that it is lost. Not for topics that need
    /// their records.
    /// </summary>
    None = 0,

    /// <summary>The partition's leader. Records may be lost with it.</summary>
    Leader = 1,
}

/// <summary>Which partition a record with a key goes to. Records without a key go by KIP-794 with all of them.</summary>
public enum KeyPartitioner
{
    /// <summary>Murmur2, as Kafka's Java client.</summary>
    Murmur2,

    /// <summary>
    /// CRC-32, as librdkafka and Confluent.Kafka by default (<c>consistent_random</c>): for programs that share topics with them, where
    /// keys must not move. An empty key counts as none.
    /// </summary>
    Crc32,
}

/// <summary>How a producer behaves. The defaults are those of Kafka's Java client where nothing else is said.</summary>
public sealed record ProducerOptions
{
    /// <summary>Who has to have a record (<c>acks</c>).</summary>
    public Acks Acks { get; init; } = Acks.All;

    /// <summary>
    /// Whether each record is written exactly once and in order in spite of retries (<c>enable.idempotence</c>); needs
    /// <see cref="Acks.All"/>.
    /// </summary>
    public bool Idempotence { get; init; } = true;

    /// <summary>
    /// Makes the producer transactional (<c>transactional.id</c>); null for none. Another producer with the same id fences it.
    /// </summary>
    public string? TransactionalId { get; init; }

    /// <summary>How long a transaction may be open before the cluster aborts it (<c>transaction.timeout.ms</c>).</summary>
    public TimeSpan TransactionTimeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>
    /// How long a record waits for others to be sent with (<c>linger.ms</c>). Nobody waits while nothing is under way to the partition's
    /// leader.
    /// </summary>
    public TimeSpan Linger { get; init; } = TimeSpan.FromMilliseconds(5);

    /// <summary>The bytes of a batch before compression (<c>batch.size</c>). A larger record has a batch of its own.</summary>
    public int BatchBytes { get; init; } = 256 * 1024;

    /// <summary>The most bytes of a request, and of a record (<c>max.request.size</c>).</summary>
    public int RequestBytesMax { get; init; } = 1024 * 1024;

    /// <summary>How batches are compressed (<c>compression.type</c>).</summary>
    public CompressionType Compression { get; init; } = CompressionType.None;

    /// <summary>The codec's level (<c>compression.lz4.level</c> and others); null for its default.</summary>
    public int? CompressionLevel { get; init; }

    /// <summary>How long a record may take from the call to its outcome, with all attempts (<c>delivery.timeout.ms</c>).</summary>
    public TimeSpan DeliveryTimeout { get; init; } = TimeSpan.FromSeconds(120);

    /// <summary>How long a call may wait for metadata or for memory (<c>max.block.ms</c>).</summary>
    public TimeSpan MaxBlock { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>The most requests under way to one node (<c>max.in.flight.requests.per.connection</c>), 1 to 5.</summary>
    public int InFlightMax { get; init; } = 5;

    /// <summary>Which partition a record with a key goes to.</summary>
    public KeyPartitioner KeyPartitioner { get; init; } = KeyPartitioner.Murmur2;

    /// <summary>Whether records without a key go more often to partitions with short queues (KIP-794).</summary>
    public bool AdaptivePartitioning { get; init; } = true;

    /// <summary>
    /// Whether records without a key go to partitions whose leader is in this client's rack
    /// (<see cref="OttlaClientOptions.ClientRack"/>), as long as there are any (<c>partitioner.rack.aware</c>, KIP-1123).
    /// </summary>
    public bool RackAwarePartitioning { get; init; }

    /// <summary>How long closing may take for what is not sent yet.</summary>
    public TimeSpan CloseTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Whether the producer counts sequences: it is idempotent or transactional.</summary>
    internal bool IsSequenced => Idempotence || TransactionalId is not null;

    /// <summary>Checks the options.</summary>
    /// <exception cref="ArgumentException">One is out of range, or two do not go together; the message names it.</exception>
    internal void Validate(OttlaClientOptions client)
    {
        if (!Enum.IsDefined(Acks))
            throw new ArgumentException($"{nameof(Acks)} has no value {Acks}.");
        if (IsSequenced && Acks != Acks.All)
        {
            throw new ArgumentException(
                $"{nameof(Idempotence)} and transactions need {nameof(Acks)}.{nameof(Acks.All)}: switch {nameof(Idempotence)} off.");
        }

        if (TransactionalId is not null && !Idempotence)
            throw new ArgumentException($"{nameof(TransactionalId)} needs {nameof(Idempotence)}.");
        if (TransactionalId is "")
            throw new ArgumentException($"{nameof(TransactionalId)} is empty: leave it null for no transactions.");
        Range(BatchBytes, 1, int.MaxValue / 4, nameof(BatchBytes));
        Range(RequestBytesMax, 1024, int.MaxValue / 4, nameof(RequestBytesMax));
        const int sequencedInFlightMax = 5; // more than a leader remembers of a producer
        Range(InFlightMax, 1, sequencedInFlightMax, nameof(InFlightMax));
        Milliseconds(Linger, nameof(Linger), mayBeZero: true);
        Milliseconds(DeliveryTimeout, nameof(DeliveryTimeout), mayBeZero: false);
        Milliseconds(MaxBlock, nameof(MaxBlock), mayBeZero: true);
        Milliseconds(CloseTimeout, nameof(CloseTimeout), mayBeZero: true);
        Milliseconds(TransactionTimeout, nameof(TransactionTimeout), mayBeZero: false);
        if (DeliveryTimeout < Linger + client.RequestTimeout)
        {
            throw new ArgumentException(
                $"{nameof(DeliveryTimeout)} ({DeliveryTimeout}) must be at least {nameof(Linger)} and {nameof(client.RequestTimeout)} "
                    + $"together ({Linger + client.RequestTimeout}).");
        }

        if (RackAwarePartitioning && client.ClientRack is null)
            throw new ArgumentException($"{nameof(RackAwarePartitioning)} needs {nameof(OttlaClientOptions.ClientRack)}.");
        if (!Enum.IsDefined(KeyPartitioner))
            throw new ArgumentException($"{nameof(KeyPartitioner)} has no value {KeyPartitioner}.");
        if (!CompressionCodecs.IsKnown(Compression))
            throw new ArgumentException($"{nameof(Compression)} has no value {Compression}.");
        if (CompressionLevel is { } level
            && (Compression == CompressionType.None || !CompressionCodecs.For(Compression).Levels.Allows(level)))
            throw new ArgumentException($"{nameof(CompressionLevel)} {level} is not a level of {CompressionCodecs.NameOf(Compression)}.");
    }

    private static void Range(int value, int min, int max, string name)
    {
        if (value < min || value > max)
            throw new ArgumentException($"{name} must be {min} to {max}, and is {value}.");
    }

    private static void Milliseconds(TimeSpan value, string name, bool mayBeZero)
    {
        if (value < TimeSpan.Zero || (value == TimeSpan.Zero && !mayBeZero) || value.TotalMilliseconds > int.MaxValue)
        {
            throw new ArgumentException(
                $"{name} must be {(mayBeZero ? "at least" : "more than")} zero and at most {int.MaxValue} ms, and is {value}.");
        }
    }
}
