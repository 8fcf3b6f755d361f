using Microsoft.Extensions.Logging;
using Ottla.Network.Transport;
using Ottla.Storage.Files;

namespace Ottla.Broker;

/// <summary>
/// Everything outside a node that it touches: in production the operating system's, in tests and simulations their stand-ins.
/// </summary>
/// <param name="FileSystem">The disks.</param>
/// <param name="Transport">The network.</param>
/// <param name="Time">The clock.</param>
/// <param name="Loggers">Where it logs.</param>
/// <param name="Seed">What every random choice of the node follows from.</param>
public sealed record NodePlatform(IFileSystem FileSystem, ITransport Transport, TimeProvider Time, ILoggerFactory Loggers, ulong Seed);

/// <summary>A node cannot start; the message says why, and what to do.</summary>
public sealed class NodeStartException(string message) : Exception(message);
