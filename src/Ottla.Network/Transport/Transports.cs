using Microsoft.Extensions.Logging;
using Ottla.Network.Transport.Epoll;

namespace Ottla.Network.Transport;

/// <summary>Chooses the transport for this machine.</summary>
public static class Transports
{
    /// <summary>Real sockets: our own epoll loops on Linux, .NET's asynchronous sockets elsewhere (docs/adr/0009).</summary>
    /// <param name="threadsMax">
    /// The most threads that serve the network (<c>num.network.threads</c>). There are never more than processors.
    /// </param>
    /// <param name="time">Times the retries of accept while the machine lacks file descriptors or memory.</param>
    /// <param name="logger">Logs accept errors; null logs nothing.</param>
    public static ITransport ForThisMachine(int threadsMax, TimeProvider time, ILogger? logger = null) => OperatingSystem.IsLinux()
        ? new EpollTransport(Math.Min(threadsMax, Environment.ProcessorCount), time, logger)
        : new SocketTransport(time, logger);
}
