using System.Globalization;
using Microsoft.Extensions.Logging;
using Ottla.Broker.Hosts;
using Ottla.Broker.Security;
using Ottla.Broker.Shared;
using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Network.Buffers;
using Ottla.Requests;

namespace Ottla.Broker.Peers;

/// <summary>
/// Makes the channels of a node to others, each as Kafka configures it, and closes them at the end. Lives as long as the node; thread-safe.
/// </summary>
internal sealed class NodeChannels : IAsyncDisposable
{
    private readonly NodePlatform _platform;
    private readonly BufferPool _buffers;
    private readonly Func<BrokerConfig> _config;
    private readonly NodeSecurity _security;
    private readonly ILogger _logger;
    private readonly ILogger _controllerLogger;
    private readonly Lock _lock = new();
    private readonly List<IAsyncDisposable> _open = [];
    private long _made;

    private NodeChannels(SharedNode shared, IControllerLocator locator)
    {
        _platform = shared.Platform;
        _buffers = shared.Buffers;
        _security = shared.Connections.Security;
        _config = () => shared.Config;
        _logger = shared.Loggers.CreateLogger(nameof(RequestChannel));
        _controllerLogger = shared.Loggers.CreateLogger(nameof(ControllerChannel));
        Locator = locator;
    }

    /// <summary>Who the active controller is.</summary>
    public IControllerLocator Locator { get; }

    /// <summary>Makes the channels of a node; nothing is connected yet.</summary>
    /// <param name="shared">What both roles use.</param>
    /// <param name="controller">The controller of this node; null on a broker.</param>
    public static NodeChannels Create(SharedNode shared, ControllerHost? controller)
    {
        var locator = new ControllerLocator(
            shared.Identity.NodeId, shared.Raft, shared.Config.ControllerListenerNames[0], controller, shared.ControllerEndpoints);
        var channels = new NodeChannels(shared, locator);
        shared.Parts.Add("closing the channels to other nodes", () => channels.DisposeAsync().AsTask());
        return channels;
    }

    /// <summary>A channel to the active controller.</summary>
    /// <param name="purpose">What it is for.</param>
    /// <param name="retryTimeout">How long a request is sent again; <see cref="Timeout.InfiniteTimeSpan"/> for ever.</param>
    public ControllerChannel ToController(string purpose, TimeSpan retryTimeout)
    {
        var config = _config();
        var socketTimeout = TimeSpan.FromMilliseconds(config.Get("controller.socket.timeout.ms").AsInt);
        var options = new RequestChannelOptions
        {
            ClientId = config.NodeId.ToString(CultureInfo.InvariantCulture),
            RequestTimeout = retryTimeout == Timeout.InfiniteTimeSpan || retryTimeout > socketTimeout ? socketTimeout : retryTimeout,
            ReconnectBackoff = TimeSpan.Zero, // a channel to the controller pauses by itself, and looks for another one meanwhile
            ReconnectBackoffMax = TimeSpan.Zero,
            FailsWhileDisconnected = true, // a controller that is gone is not waited for
            InFlightMax = 1,
            Security = _security.ToOthers(config.ControllerListenerNames[0], ClientLogins.ControllerMechanism),
        };
        return Keep(
            new ControllerChannel(purpose, Locator, address => Connect(address, options), retryTimeout, _platform.Time, _controllerLogger));
    }

    /// <summary>A channel to a node.</summary>
    public RequestChannel ToNode(NodeAddress address, RequestChannelOptions options) => Keep(Connect(address, options));

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        IAsyncDisposable[] open;
        lock (_lock)
        {
            open = [.. _open];
            _open.Clear();
        }

        foreach (var channel in open)
            await channel.DisposeAsync();
    }

    private RequestChannel Connect(NodeAddress address, RequestChannelOptions options) => new(
        _platform.Transport, _buffers, address, options, new Prng(_platform.Seed ^ (ulong)Interlocked.Increment(ref _made)), _platform.Time,
        _logger);

    private T Keep<T>(T channel)
        where T : IAsyncDisposable
    {
        lock (_lock)
            _open.Add(channel);
        return channel;
    }
}
