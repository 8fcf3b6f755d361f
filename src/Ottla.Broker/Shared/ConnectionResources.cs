using Ottla.Broker.Server;
using Ottla.Network.Buffers;

namespace Ottla.Broker.Shared;

/// <summary>What all connections of both roles of a node share: buffers, and threads for requests that take long.</summary>
/// <remarks>Lives as long as the node; thread-safe.</remarks>
internal sealed class ConnectionResources
{
    private ConnectionResources(HeavyRequests heavyRequests) => HeavyRequests = heavyRequests;

    /// <summary>Lends the buffers.</summary>
    public BufferPool Buffers { get; } = new();

    /// <summary>Runs requests that take long.</summary>
    public HeavyRequests HeavyRequests { get; }

    /// <summary>Creates the resources, which allocate nothing yet.</summary>
    public static ConnectionResources Create(NodeStorage storage)
    {
        var heavyRequests = new HeavyRequests(() => Math.Min(storage.Config.NumIoThreads, Environment.ProcessorCount));
        storage.Parts.Add("ending the threads for expensive requests", heavyRequests.Dispose);
        return new ConnectionResources(heavyRequests);
    }
}
