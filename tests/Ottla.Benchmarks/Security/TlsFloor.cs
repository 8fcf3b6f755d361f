using System.Buffers.Binary;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;

namespace Ottla.Benchmarks.Security;

/// <summary>
/// The least that TLS costs a .NET process: a thread for each connection, a blocking socket, an <see cref="SslStream"/>, and nothing else.
/// Lives until SIGTERM.
/// </summary>
/// <remarks>
/// A client's first four bytes say how many blocks of <see cref="BlockBytes"/> it wants to be sent. With 0 the floor reads until the client
/// has no more, and answers nothing. In the end it closes the connection.
/// </remarks>
internal static class TlsFloor
{
    /// <summary>As much as the large fetch of the loads.</summary>
    public const int BlockBytes = 1024 * 1024;

    private const int ReadBytes = 64 * 1024;

    /// <summary>Listens on the loopback address.</summary>
    public static int Run(int port, string certificateFile)
    {
        using var certificate = X509Certificate2.CreateFromPemFile(certificateFile, certificateFile);
        var options = new SslServerAuthenticationOptions
        {
            ServerCertificateContext = SslStreamCertificateContext.Create(certificate, [], offline: true),
            EnabledSslProtocols = SslProtocols.Tls13,
            AllowTlsResume = false,
        };
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, context =>
        {
            context.Cancel = true;
            listener.Dispose();
        });
        listener.Bind(new IPEndPoint(IPAddress.Loopback, port));
        listener.Listen();
        try
        {
            while (true)
            {
                var socket = listener.Accept();
                socket.NoDelay = true;
                new Thread(() => Serve(socket, options)) { IsBackground = true }.Start();
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            return 0; // the listener was closed: the floor is to stop
        }
    }

    private static void Serve(Socket socket, SslServerAuthenticationOptions options)
    {
        try
        {
            using (socket)
            {
                using var tls = new SslStream(new NetworkStream(socket, ownsSocket: false));
                tls.AuthenticateAsServer(options);
                var buffer = new byte[BlockBytes];
                if (tls.ReadAtLeast(buffer.AsSpan(0, sizeof(int)), sizeof(int), throwOnEndOfStream: false) < sizeof(int))
                    return;
                for (var blocks = BinaryPrimitives.ReadInt32BigEndian(buffer); blocks > 0; blocks--)
                    tls.Write(buffer);
                while (tls.Read(buffer.AsSpan(0, ReadBytes)) > 0)
                {
                }
            }
        }
        catch (Exception e) when (e is IOException or SocketException or AuthenticationException)
        {
            // The client is gone.
        }
    }
}
