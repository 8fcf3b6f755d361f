using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Ottla.Cli;

namespace Ottla.Benchmarks.Floor;

/// <summary>
/// The least that a broker in this runtime could do for the loads: receive the frame, check the CRC, patch the base offset, append to a file, answer;
/// and read fetches back from it. One topic at a time, no replication, no recovery, no limits on what a client may do. Lives until SIGTERM.
/// </summary>
internal static class FloorServer
{
    /// <summary>Listens on the loopback address and serves every connection as a task of its own.</summary>
    public static async Task<int> RunAsync(int port, string directory)
    {
        using var counters = RuntimeCounters.StartFromEnvironment(TimeProvider.System);
        using var topic = new FloorTopic(directory);
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, context =>
        {
            context.Cancel = true;
            listener.Dispose();
        });
        listener.Bind(new IPEndPoint(IPAddress.Loopback, port));
        await AcceptAsync(listener, topic);
        return 0;
    }

    /// <summary>Accepts on a bound socket until it is closed.</summary>
    internal static async Task AcceptAsync(Socket listener, FloorTopic topic)
    {
        listener.Listen();
        try
        {
            while (true)
            {
                var socket = await listener.AcceptAsync();
                socket.NoDelay = true;
                _ = new FloorConnection(socket, topic).ServeAsync();
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The listener was closed: the floor is to stop.
        }
    }
}
