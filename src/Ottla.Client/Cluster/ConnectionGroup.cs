using Ottla.Requests;

namespace Ottla.Client.Cluster;

/// <summary>
/// The connections of one user for one purpose, one per node: requests that keep a node busy (a long poll, a join) do not hold up others.
/// </summary>
/// <remarks>
/// A node serves one request of a connection at a time. So a consumer fetches over a group of its own and asks its coordinator over
/// another, and a producer writes over its own. Thread-safe. Its owner disposes it, which fails what is under way; the client does so at
/// the latest.
/// </remarks>
internal sealed class ConnectionGroup : IAsyncDisposable
{
    private readonly Lock _lock = new();
    private readonly ClusterConnections _owner;
    private readonly RequestChannelOptions _options;

    // Guarded by _lock.
    private readonly Dictionary<NodeAddress, RequestChannel> _channels = [];
    private bool _isClosed;

    /// <summary>See <see cref="ClusterConnections.OpenGroup"/>.</summary>
    public ConnectionGroup(ClusterConnections owner, RequestChannelOptions options)
    {
        _owner = owner;
        _options = options;
    }

    /// <summary>The connection to a node; it is made when something is sent.</summary>
    /// <exception cref="ObjectDisposedException">The group is closed.</exception>
    public RequestChannel To(NodeAddress node)
    {
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_isClosed, this);
            if (!_channels.TryGetValue(node, out var channel))
                _channels[node] = channel = _owner.NewChannel(node, _options);
            return channel;
        }
    }

    /// <summary>
    /// The node that has least to do: connected and with the fewest requests under way; otherwise one that was not tried in vain just now.
    /// </summary>
    /// <param name="nodes">The nodes; at least one.</param>
    /// <param name="start">Where to begin; equals are taken from there on.</param>
    public RequestChannel ToLeastLoaded(IReadOnlyList<NodeAddress> nodes, int start)
    {
        RequestChannel? best = null;
        var bestRank = (int.MaxValue, int.MaxValue);
        for (var i = 0; i < nodes.Count; i++)
        {
            var channel = To(nodes[(int)(((uint)start + (uint)i) % (uint)nodes.Count)]);
            var rank = (channel.IsConnected ? 0 : channel.IsBackingOff ? 2 : 1, channel.PendingCount);
            if (best is not null && rank.CompareTo(bestRank) >= 0)
                continue;
            (best, bestRank) = (channel, rank);
        }

        return best!;
    }

    /// <summary>A connected node for which something is true; null when there is none. Nothing is connected for it.</summary>
    public RequestChannel? FindConnected(Func<RequestChannel, bool> isWanted)
    {
        lock (_lock)
        {
            foreach (var channel in _channels.Values)
            {
                if (channel.IsConnected && isWanted(channel))
                    return channel;
            }

            return null;
        }
    }

    /// <summary>The requests of all connections that have no answer yet.</summary>
    public int PendingCount
    {
        get
        {
            lock (_lock)
                return _channels.Values.Sum(static channel => channel.PendingCount);
        }
    }

    /// <summary>Closes what was not used for a time, and drops what leads to nodes that are no more.</summary>
    /// <param name="idle">The time.</param>
    /// <param name="isCurrent">Whether a node is still where the channel leads; null when that is not known.</param>
    public async ValueTask CloseUnusedAsync(TimeSpan idle, Func<NodeAddress, bool>? isCurrent)
    {
        List<RequestChannel> dropped = [];
        lock (_lock)
        {
            foreach (var (node, channel) in _channels)
            {
                channel.CloseIfIdle(idle);
                if (isCurrent is not null && !isCurrent(node) && channel.PendingCount == 0 && !channel.IsConnected)
                    dropped.Add(channel);
            }

            foreach (var channel in dropped)
                _channels.Remove(channel.Address);
        }

        foreach (var channel in dropped)
            await channel.DisposeAsync();
    }

    /// <summary>Closes every connection: what is under way fails and may be sent again over new ones (KIP-1102).</summary>
    public async ValueTask CloseAllAsync()
    {
        List<RequestChannel> channels;
        lock (_lock)
        {
            channels = [.. _channels.Values];
            _channels.Clear();
        }

        foreach (var channel in channels)
            await channel.DisposeAsync();
    }

    /// <summary>Closes every connection, and makes none any more.</summary>
    public async ValueTask DisposeAsync()
    {
        lock (_lock)
        {
            if (_isClosed)
                return;
            _isClosed = true;
        }

        _owner.Remove(this);
        await CloseAllAsync();
    }
}
