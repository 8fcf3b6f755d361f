using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Ottla.Cli;

namespace Ottla.Benchmarks.Floor;

/// <summary>
/// The least that a broker could do for the loads: bare blocking sockets with a thread each, files, a checksum. One topic at a time, no
/// replication, no recovery, no limits on what a client may do. Lives until SIGTERM.
/// </summary>
internal static class FloorServer
{
    /// <summary>Listens on the loopback address and serves every connection on a thread of its own.</summary>
    public static int Run(int port, string directory)
    {
        using var counters = RuntimeCounters.StartFromEnvironment(TimeProvider.System, Console.Error.WriteLine);
        using var topic = new FloorTopic(directory);
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, context =>
        {
            context.Cancel = true;
            listener.Dispose();
        });
        listener.Bind(new IPEndPoint(IPAddress.Loopback, port));
        Accept(listener, topic);
        return 0;
    }

    /// <summary>Accepts on a bound socket until it is closed.</summary>
    internal static void Accept(Socket listener, FloorTopic topic)
    {
        try
        {
            listener.Listen();
            while (true)
            {
                var socket = listener.Accept();
                socket.NoDelay = true;
                new Thread(new FloorConnection(socket, topic).Serve) { IsBackground = true }.Start();
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The listener was closed: the floor is to stop.
        }
    }
}
