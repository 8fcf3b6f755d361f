using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Ottla.Kernel;

namespace Ottla.Network.Transport.Epoll;

/// <summary>
/// TCP on Linux with our own epoll loops: code that awaits a connection continues on the thread that waited for the network. Thread-safe;
/// one per process.
/// </summary>
/// <param name="loops">The number of threads that serve the network; each connection belongs to one of them.</param>
/// <param name="time">Times the retries of accept while the machine lacks file descriptors or memory.</param>
/// <param name="logger">Logs accept errors; null logs nothing.</param>
public sealed class EpollTransport(int loops, TimeProvider time, ILogger? logger = null) : ITransport
{
    private readonly ILogger _logger = logger ?? NullLogger.Instance;
    private readonly EpollLoop[] _loops = StartLoops(loops, time);

    /// <inheritdoc/>
    public ThreadLoad? Load => new(_loops.Length, _loops.Aggregate(TimeSpan.Zero, (sum, loop) => sum + loop.BusyTime));

    /// <inheritdoc/>
    public ITransportListener Listen(IPEndPoint endpoint, int backlog, SocketBufferSizes sizes)
    {
        var socket = SocketListener.Open(endpoint, backlog, sizes);
        return new SocketListener(socket, new EpollAcceptor(socket, NextLoop), sizes,
            DescriptorReserve.OfThisProcess((int)socket.SafeHandle.DangerousGetHandle()), time, _logger);
    }

    /// <inheritdoc/>
    public ValueTask<ITransportConnection> ConnectAsync(EndPoint endpoint, CancellationToken cancellationToken) =>
        ConnectAsync(endpoint, SocketBufferSizes.OperatingSystemDefaults, cancellationToken);

    /// <inheritdoc/>
    public async ValueTask<ITransportConnection> ConnectAsync(
        EndPoint endpoint, SocketBufferSizes sizes, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(endpoint);
        if (endpoint is IPEndPoint address)
            return await EpollConnection.ConnectAsync(address, sizes, NextLoop(), cancellationToken);
        var name = endpoint as DnsEndPoint ?? throw new ArgumentException(
            $"Cannot connect to an address of type {endpoint.GetType().Name}: give an IP endpoint or a DNS endpoint.", nameof(endpoint));
        SocketException? last = null;
        foreach (var candidate in await Dns.GetHostAddressesAsync(name.Host, cancellationToken))
        {
            try
            {
                return await EpollConnection.ConnectAsync(new IPEndPoint(candidate, name.Port), sizes, NextLoop(), cancellationToken);
            }
            catch (SocketException e)
            {
                last = e; // the host's next address may answer
            }
        }

        throw last ?? new SocketException((int)SocketError.HostNotFound);
    }

    private static EpollLoop[] StartLoops(int count, TimeProvider time)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        var loops = new EpollLoop[count];
        for (var i = 0; i < count; i++)
        {
            loops[i] = new EpollLoop(i, time);
            if (!EpollThread.TryStart(loops[i]))
                throw new InvalidOperationException(
                    "Cannot start a network loop: the process already has the most network threads that it may have.");
        }

        return loops;
    }

    /// <summary>The loop with the fewest connections.</summary>
    private EpollLoop NextLoop()
    {
        var best = _loops[0];
        foreach (var loop in _loops)
        {
            if (loop.HandlerCount < best.HandlerCount)
                best = loop;
        }

        return best;
    }
}
