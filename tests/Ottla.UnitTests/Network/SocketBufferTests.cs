using System.Net;
using System.Net.Sockets;
using System.Reflection;
using Ottla.Broker.Replicas.Fetching;
using Ottla.Configuration;
using Ottla.Network.Transport;
using Ottla.Network.Transport.Epoll;

namespace Ottla.UnitTests.Network;

/// <summary>The buffers of sockets that this side opens.</summary>
public sealed class SocketBufferTests
{
    private const int SmallBytes = 8192;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_connection_has_the_receive_buffer_that_is_asked_for(bool epoll)
    {
        if (epoll && !OperatingSystem.IsLinux())
            return;
        ITransport transport = epoll ? new EpollTransport(1, TimeProvider.System) : new SocketTransport(TimeProvider.System);
        await using var listener = transport.Listen(new IPEndPoint(IPAddress.Loopback, 0), 16, SocketBufferSizes.OperatingSystemDefaults);
        var sizes = SocketBufferSizes.OperatingSystemDefaults with { ReceiveBytes = SmallBytes };
        await using var small = await transport.ConnectAsync(listener.LocalEndPoint, sizes, default);
        await using var usual = await transport.ConnectAsync(listener.LocalEndPoint, default);
        Assert.InRange(SocketOf(small).ReceiveBufferSize, SmallBytes, 3 * SmallBytes); // Linux doubles it
        Assert.True(SocketOf(usual).ReceiveBufferSize > 3 * SmallBytes);
        Assert.Equal(SocketOf(usual).SendBufferSize, SocketOf(small).SendBufferSize);
    }

    [Fact]
    public void A_followers_receive_buffer_is_set_when_it_is_configured()
    {
        Assert.Equal(SocketBufferSizes.OperatingSystemDefaults, SizesOf());
        Assert.Equal(
            SocketBufferSizes.OperatingSystemDefaults with { ReceiveBytes = 65_536 },
            SizesOf(("replica.socket.receive.buffer.bytes", "65536")));
        Assert.Equal(SocketBufferSizes.OperatingSystemDefaults, SizesOf(("replica.socket.receive.buffer.bytes", "-1")));

        static SocketBufferSizes SizesOf(params (string Name, string Value)[] configs) => FetcherHost.ConnectionOf(
            BrokerConfig.LoadDevMode(null, configs.ToDictionary(config => config.Name, config => config.Value))).BufferSizes;
    }

    private static Socket SocketOf(ITransportConnection connection) =>
        (Socket)connection.GetType().GetField("_socket", BindingFlags.Instance | BindingFlags.NonPublic)!.GetValue(connection)!;
}
