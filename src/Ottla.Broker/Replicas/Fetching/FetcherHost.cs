using Microsoft.Extensions.Logging;
using Ottla.Broker.Server;
using Ottla.Configuration;
using Ottla.Network.Buffers;
using Ottla.Network.Transport;
using Ottla.Requests;
using Ottla.StateMachines.Metadata;
using Ottla.StateMachines.Replication;
using Ottla.Storage.Upkeep;

namespace Ottla.Broker.Replicas.Fetching;

/// <summary>
/// What all fetchers of a broker have in common. Only the image changes: the metadata publisher replaces it. Lives as long as the broker.
/// </summary>
internal sealed class FetcherHost
{
    /// <summary>
    /// The most bytes of long answers that all fetchers hold together. One answer has up to <c>replica.fetch.response.max.bytes</c>, 10 MiB
    /// by default; with more leaders than fit, the rest of them wait while their answers stay in the sockets.
    /// </summary>
    public const long AnswerBytesMax = 64 * 1024 * 1024;

    private volatile MetadataImage _image = MetadataImage.Empty;

    /// <summary>This broker.</summary>
    public required int BrokerId { get; init; }

    /// <summary>The epoch of its registration.</summary>
    public required Func<long> BrokerEpoch { get; init; }

    /// <summary>The metadata: where leaders listen, and the metadata.version.</summary>
    public MetadataImage Image
    {
        get => _image;
        set => _image = value;
    }

    /// <summary><c>inter.broker.listener.name</c>.</summary>
    public required string Listener { get; init; }

    /// <summary>What each fetcher goes by.</summary>
    public required FetcherOptions Options { get; init; }

    /// <summary>How it connects.</summary>
    public required RequestChannelOptions Connection { get; init; }

    /// <summary>The logs, for truncations.</summary>
    public required LogManager Logs { get; init; }

    /// <summary>The throttle of followers.</summary>
    public required ReplicationThrottle Throttle { get; init; }

    /// <summary>The network.</summary>
    public required ITransport Transport { get; init; }

    /// <summary>Where the memory of frames comes from.</summary>
    public required BufferPool Buffers { get; init; }

    /// <summary>The clock.</summary>
    public required TimeProvider Time { get; init; }

    /// <summary>The log for people.</summary>
    public required ILogger Logger { get; init; }

    /// <summary>
    /// The same for what each partition tries again and again, as on a full disk. Owned by <see cref="ReplicaFetchers"/>.
    /// </summary>
    public required LimitedLogger RetryLogger { get; init; }

    /// <summary>Bounds the memory of answers.</summary>
    public MemoryBudget Budget { get; } = new(AnswerBytesMax);

    /// <summary>The version in which requests are sent now.</summary>
    public MetadataVersion MetadataVersion => Image.Features.MetadataVersion ?? MetadataVersion.Minimum;

    /// <summary>Makes the options from the configuration.</summary>
    public static FetcherOptions OptionsOf(BrokerConfig config) => new(
        config.NodeId, config.ReplicaFetchBackoffMs, config.ReplicaFetchWaitMaxMs, config.ReplicaFetchMinBytes,
        config.ReplicaFetchResponseMaxBytes, config.ReplicaFetchMaxBytes);

    /// <summary>Makes the options of connections from the configuration.</summary>
    public static RequestChannelOptions ConnectionOf(BrokerConfig config) => new()
    {
        ClientId = null, // each fetcher has its own
        ConnectTimeout = TimeSpan.FromMilliseconds(config.ReplicaSocketTimeoutMs),
        RequestTimeout = TimeSpan.FromMilliseconds(config.RequestTimeoutMs),
        AnswerBytesMax = int.MaxValue, // the first batch comes whole, however long it is
        // As with socket.receive.buffer.bytes (docs/adr/0006): Kafka's default would switch off the kernel's own tuning.
        BufferSizes = config.IsSet("replica.socket.receive.buffer.bytes") && config.ReplicaSocketReceiveBufferBytes > 0
            ? SocketBufferSizes.OperatingSystemDefaults with { ReceiveBytes = config.ReplicaSocketReceiveBufferBytes }
            : SocketBufferSizes.OperatingSystemDefaults,
        ExpectedAnswerBytes = (int)Math.Min(config.ReplicaFetchResponseMaxBytes + 1024L * 1024, int.MaxValue),
    };
}
