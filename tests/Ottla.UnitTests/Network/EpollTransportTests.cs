using Ottla.Network.Transport.Epoll;

namespace Ottla.UnitTests.Network;

public sealed class EpollTransportTests() : SocketTransportTests(Transport)
{
    /// <summary>Its threads live as long as the process, so the tests share them.</summary>
    private static readonly EpollTransport Transport = new(loops: 2, TimeProvider.System);
}
