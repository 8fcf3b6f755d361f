using Ottla.Network.Transport;

namespace Ottla.UnitTests.Network;

public sealed class PortableTransportTests() : SocketTransportTests(new SocketTransport(TimeProvider.System));
