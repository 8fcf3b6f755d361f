using Microsoft.Extensions.Logging;
using Ottla.Broker.Telemetry;
using Ottla.Network.Transport;
using Ottla.Storage.Files;

namespace Ottla.Broker;

/// <summary>
/// Everything outside a node that it uses: the operating system in production, replacements in tests and simulations.
/// </summary>
/// <param name="FileSystem">The disks.</param>
/// <param name="Transport">The network.</param>
/// <param name="Time">The clock.</param>
/// <param name="Loggers">The log.</param>
/// <param name="Seed">The seed of all random choices of the node.</param>
public sealed record NodePlatform(IFileSystem FileSystem, ITransport Transport, TimeProvider Time, ILoggerFactory Loggers, ulong Seed)
{
    /// <summary>How many log directories are opened or closed at a time; a simulation has one thread only.</summary>
    public int DirectoriesAtOnceMax { get; init; } = int.MaxValue;

    /// <summary>Takes what clients push (KIP-714); null when nothing does, and clients are not offered to push.</summary>
    public IClientMetricsSink? ClientMetrics { get; init; }
}

/// <summary>A node cannot start; the message says why, and what to do.</summary>
public sealed class NodeStartException(string message) : Exception(message);
