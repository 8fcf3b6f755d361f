using Microsoft.Extensions.Logging;
using Ottla.Network.Transport.Epoll;

namespace Ottla.Network.Transport;

/// <summary>Which transport a machine gets.</summary>
public static class Transports
{
    /// <summary>Real sockets: by loops of our own on Linux, by .NET's asynchronous sockets elsewhere (docs/adr/0009).</summary>
    /// <param name="threadsMax">Threads that serve the network at most (<c>num.network.threads</c>): more than there are processors are of no use.</param>
    /// <param name="time">Paces accepts while the machine lacks file descriptors or memory.</param>
    /// <param name="logger">Told about accept errors; null logs nothing.</param>
    public static ITransport ForThisMachine(int threadsMax, TimeProvider time, ILogger? logger = null) => OperatingSystem.IsLinux()
        ? new EpollTransport(Math.Min(threadsMax, Environment.ProcessorCount), time, logger)
        : new SocketTransport(time, logger);
}
