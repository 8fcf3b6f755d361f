using Ottla.Broker.Security;
using Ottla.Broker.Server;
using Ottla.Network.Buffers;

namespace Ottla.Broker.Shared;

/// <summary>What all connections of both roles of a node share: buffers, and threads for requests that take long.</summary>
/// <remarks>Lives as long as the node; thread-safe.</remarks>
internal sealed class ConnectionResources
{
    private ConnectionResources(BufferPool buffers, HeavyRequests heavyRequests, NodeSecurity security)
    {
        Buffers = buffers;
        HeavyRequests = heavyRequests;
        Security = security;
    }

    /// <summary>Lends the buffers.</summary>
    public BufferPool Buffers { get; }

    /// <summary>TLS and logins.</summary>
    public NodeSecurity Security { get; }

    /// <summary>Runs requests that take long.</summary>
    public HeavyRequests HeavyRequests { get; }

    /// <summary>Creates the resources, which allocate nothing yet but what TLS and logins need.</summary>
    /// <exception cref="Configuration.ConfigException">TLS and logins cannot be set up as the configuration says.</exception>
    public static ConnectionResources Create(NodeStorage storage)
    {
        var buffers = new BufferPool();
        var security = NodeSecurity.Create(() => storage.Config, storage.Platform, storage.Loggers, buffers);
        storage.Parts.Add("ending the threads for TLS handshakes", () => security.DisposeAsync().AsTask());
        var heavyRequests = new HeavyRequests(
            () => Math.Min(storage.Config.NumIoThreads, Environment.ProcessorCount), storage.Platform.Time);
        storage.Parts.Add("ending the threads for expensive requests", heavyRequests.Dispose);
        return new ConnectionResources(buffers, heavyRequests, security);
    }
}
