using Microsoft.Extensions.Logging;
using Ottla.Kernel;
using Ottla.Network.Buffers;
using Ottla.Network.Transport;
using Ottla.Requests;

namespace Ottla.Client.Cluster;

/// <summary>All connections of a client, in groups by user and purpose. Thread-safe; owned by the client.</summary>
internal sealed class ClusterConnections : IAsyncDisposable
{
    private readonly Lock _lock = new();
    private readonly ITransport _transport;
    private readonly BufferPool _buffers;
    private readonly RequestChannelOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly Func<Prng> _newRandom;
    private readonly TimeSpan _idleMax;

    // Guarded by _lock.
    private readonly List<ConnectionGroup> _groups = [];

    /// <param name="options">The client's options, which are valid.</param>
    /// <param name="transport">The network.</param>
    /// <param name="buffers">Where the memory of frames comes from.</param>
    /// <param name="newRandom">Makes a generator for a channel.</param>
    /// <param name="logger">The log.</param>
    public ClusterConnections(
        OttlaClientOptions options, ITransport transport, BufferPool buffers, Func<Prng> newRandom, ILogger logger)
    {
        _transport = transport;
        _buffers = buffers;
        _time = options.TimeProvider;
        _logger = logger;
        _newRandom = newRandom;
        _idleMax = options.ConnectionsMaxIdle;
        BootstrapNodes = options.ParseBootstrapServers();
        _options = new RequestChannelOptions
        {
            ClientId = options.ClientId,
            RequestTimeout = options.RequestTimeout,
            ConnectTimeout = options.ConnectTimeout,
            ReconnectBackoff = options.ReconnectBackoff,
            ReconnectBackoffMax = options.ReconnectBackoffMax,
            FailsWhileDisconnected = true,
            Security = options.Security?.ToConnectionSecurity(options.ClientId, buffers),
        };
        Shared = OpenGroup();
    }

    /// <summary>The bootstrap servers; their ids are negative.</summary>
    public IReadOnlyList<NodeAddress> BootstrapNodes { get; }

    /// <summary>The connections for what takes no time: metadata, admin calls, commits.</summary>
    public ConnectionGroup Shared { get; }

    /// <summary>The memory of frames.</summary>
    public BufferPool Buffers => _buffers;

    /// <summary>Opens a group of connections.</summary>
    /// <param name="change">
    /// Changes the options of its channels. They fail what is not sent yet as soon as a node cannot be reached, so that the sender turns to
    /// another one or waits.
    /// </param>
    public ConnectionGroup OpenGroup(Func<RequestChannelOptions, RequestChannelOptions>? change = null)
    {
        var group = new ConnectionGroup(this, change is null ? _options : change(_options));
        lock (_lock)
            _groups.Add(group);
        return group;
    }

    /// <summary>Makes a channel for a group.</summary>
    internal RequestChannel NewChannel(NodeAddress node, RequestChannelOptions options) =>
        new(_transport, _buffers, node, options, _newRandom(), _time, _logger);

    /// <summary>Takes a group out that was closed.</summary>
    internal void Remove(ConnectionGroup group)
    {
        lock (_lock)
            _groups.Remove(group);
    }

    /// <summary>
    /// Closes connections that were not used for <see cref="OttlaClientOptions.ConnectionsMaxIdle"/>, and forgets nodes that are no more.
    /// </summary>
    /// <param name="image">The cluster as it is known.</param>
    public async ValueTask CloseUnusedAsync(ClusterImage image)
    {
        foreach (var group in Groups())
            await group.CloseUnusedAsync(_idleMax, image.Nodes.Count == 0 ? null : IsCurrent);

        bool IsCurrent(NodeAddress node) => node.Id < 0 || image.AddressOf(node.Id) == node;
    }

    /// <summary>Closes every connection, to begin anew.</summary>
    public async ValueTask CloseAllAsync()
    {
        foreach (var group in Groups())
            await group.CloseAllAsync();
    }

    /// <summary>Closes every group.</summary>
    public async ValueTask DisposeAsync()
    {
        foreach (var group in Groups())
            await group.DisposeAsync();
    }

    private List<ConnectionGroup> Groups()
    {
        lock (_lock)
            return [.. _groups];
    }
}
