using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Ottla.Client.Calls;
using Ottla.Client.Cluster;
using Ottla.Kernel;
using Ottla.Network.Buffers;
using Ottla.Network.Transport;

namespace Ottla.Client;

/// <summary>
/// A client of a Kafka cluster: it owns the connections, the metadata and the memory of producers and consumers that are opened from it.
/// </summary>
/// <remarks>
/// Thread-safe; one is enough for a process and a cluster. It connects on first use. Disposing it closes what was opened from it and not
/// closed yet.
/// </remarks>
public sealed class OttlaClient : IAsyncDisposable
{
    private static readonly TimeSpan UpkeepInterval = TimeSpan.FromSeconds(10);

    /// <summary>The sockets of this machine, for all clients of the process.</summary>
    private static readonly Lazy<ITransport> Sockets = new(
        () => Transports.ForThisMachine(Environment.ProcessorCount, TimeProvider.System));

    private readonly Lock _lock = new();
    private readonly Prng _seeds;
    private readonly ITimer _upkeep;
    private readonly BufferPool _buffers;

    // Guarded by _lock.
    private readonly List<IAsyncDisposable> _opened = [];
    private bool _isClosed;

    /// <summary>Makes a client. It connects on first use.</summary>
    /// <param name="options">How it reaches the cluster.</param>
    /// <exception cref="ArgumentException">An option is wrong; the message names it.</exception>
    public OttlaClient(OttlaClientOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        Options = options;
        var loggers = options.LoggerFactory ?? NullLoggerFactory.Instance;
        _seeds = new Prng(options.Seed ?? Uuid.NewRandom().Low);
        Memory = new MemoryLimit(options.MemoryLimitBytes);
        // What producers may hold is kept for their next batches, or each would be new memory. What nobody needs is given back in time.
        _buffers = new BufferPool(options.MemoryLimitBytes + BufferPool.RetainedBytesMaxDefault);
        Connections = new ClusterConnections(
            options, options.Transport ?? Sockets.Value, _buffers, NewRandom, loggers.CreateLogger<ClusterConnections>());
        Metadata = new ClusterMetadata(options, Connections, NewRandom(), loggers.CreateLogger<ClusterMetadata>());
        Calls = new ClusterCalls(options, Connections, Metadata, NewRandom);
        _upkeep = options.TimeProvider.CreateTimer(
            static client => _ = ((OttlaClient)client!).CloseUnusedAsync(), this, UpkeepInterval, UpkeepInterval);
    }

    /// <summary>Makes a client with default options.</summary>
    /// <param name="bootstrapServers">Some nodes of the cluster: <c>host:port</c>, separated by commas.</param>
    public OttlaClient(string bootstrapServers)
        : this(new OttlaClientOptions { BootstrapServers = bootstrapServers })
    {
    }

    /// <summary>The options that the client was made with.</summary>
    public OttlaClientOptions Options { get; }

    /// <summary>Opens a producer.</summary>
    /// <typeparam name="TKey">The type of keys; null is no key, so for a value type take its nullable form.</typeparam>
    /// <typeparam name="TValue">The type of values; null is a tombstone.</typeparam>
    /// <param name="options">How it behaves; null for the defaults.</param>
    /// <param name="keySerializer">Writes keys; null for that of the type (<see cref="Serializers.For{T}"/>).</param>
    /// <param name="valueSerializer">Writes values; null for that of the type.</param>
    /// <exception cref="ArgumentException">An option is wrong, or a type has no serializer of its own.</exception>
    /// <exception cref="InvalidOperationException">The client knows controllers only.</exception>
    /// <exception cref="ObjectDisposedException">The client is closed.</exception>
    public Producer<TKey, TValue> CreateProducer<TKey, TValue>(
        ProducerOptions? options = null, ISerializer<TKey>? keySerializer = null, ISerializer<TValue>? valueSerializer = null)
    {
        ThrowIfControllersOnly();
        var producer = new Producer<TKey, TValue>(
            this, options ?? new ProducerOptions(), keySerializer ?? Serializers.For<TKey>(), valueSerializer ?? Serializers.For<TValue>());
        Add(producer);
        return producer;
    }

    /// <summary>Opens what administers the cluster: topics, configs, groups, transactions, security, placement.</summary>
    /// <exception cref="ObjectDisposedException">The client is closed.</exception>
    public IAdmin CreateAdmin()
    {
        var admin = new Admin(this);
        Add(admin);
        return admin;
    }

    /// <summary>The connections, in groups by user and purpose.</summary>
    internal ClusterConnections Connections { get; }

    /// <summary>What is known of the cluster.</summary>
    internal ClusterMetadata Metadata { get; }

    /// <summary>Requests that find who can answer them.</summary>
    internal ClusterCalls Calls { get; }

    /// <summary>The memory of producers.</summary>
    internal MemoryLimit Memory { get; }

    /// <summary>Makes a logger for a part of the client.</summary>
    internal ILogger LoggerFor<T>() => (Options.LoggerFactory ?? NullLoggerFactory.Instance).CreateLogger<T>();

    /// <summary>Makes a generator of random numbers for one owner.</summary>
    internal Prng NewRandom()
    {
        lock (_seeds)
            return new Prng(_seeds.NextUInt64());
    }

    /// <summary>Controllers have no records.</summary>
    internal void ThrowIfControllersOnly()
    {
        if (Options.UsesControllers)
            throw new InvalidOperationException(
                $"With {nameof(OttlaClientOptions.BootstrapControllers)} a client administers only: producers and consumers need brokers.");
    }

    /// <summary>Takes note of a producer, consumer or admin that was opened: the client closes it if its user does not.</summary>
    /// <exception cref="ObjectDisposedException">The client is closed.</exception>
    internal void Add(IAsyncDisposable opened)
    {
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_isClosed, this);
            _opened.Add(opened);
        }
    }

    /// <summary>Forgets what its user has closed.</summary>
    internal void Remove(IAsyncDisposable opened)
    {
        lock (_lock)
            _opened.Remove(opened);
    }

    /// <summary>
    /// Closes what was opened from this client, each within its own bound, then the connections. A second call does nothing.
    /// </summary>
    public async ValueTask DisposeAsync()
    {
        List<IAsyncDisposable> opened;
        lock (_lock)
        {
            if (_isClosed)
                return;
            _isClosed = true;
            opened = [.. _opened];
        }

        await _upkeep.DisposeAsync();
        foreach (var each in opened)
            await each.DisposeAsync();
        await Metadata.DisposeAsync();
        await Connections.DisposeAsync();
    }

    private async Task CloseUnusedAsync()
    {
        _buffers.Trim();
        await Connections.CloseUnusedAsync(Metadata.Current);
    }
}
