using System.Net;
using System.Net.Sockets;
using Ottla.Kernel;
using Ottla.Network.Transport;

namespace Ottla.UnitTests.Network;

public sealed class InMemoryTransportTests
{
    private static readonly SocketBufferSizes Sizes = SocketBufferSizes.OperatingSystemDefaults;

    [Fact]
    public async Task BytesFlowBothWaysThroughASmallPipe()
    {
        var (client, server) = await Frames.ConnectAsync(new InMemoryTransport(pipeBytes: 7));
        foreach (var (from, to) in new[] { (client, server), (server, client) })
        {
            var bytes = Frames.Random(3, 10_000);
            var sending = from.SendAsync(bytes, default).AsTask();
            var received = new List<byte>();
            var random = new Prng(5);
            while (received.Count < bytes.Length)
            {
                var buffer = new byte[1 + random.NextInt(10)];
                var count = await to.ReceiveAsync(buffer, default).AsTask().WaitAsync(Frames.Patience);
                Assert.InRange(count, 1, 7);
                received.AddRange(buffer[..count]);
            }

            await sending.WaitAsync(Frames.Patience);
            Assert.Equal(bytes, received);
        }
    }

    [Fact]
    public async Task EndpointsNamesAndHosts()
    {
        var one = new InMemoryTransport();
        var two = one.ForHost(IPAddress.Parse("10.0.0.2"));
        one.NameHost("broker-2", IPAddress.Parse("10.0.0.2"));
        await using var listener = two.Listen(new(IPAddress.Any, 9092), 5, Sizes);
        Assert.Equal(new IPEndPoint(IPAddress.Parse("10.0.0.2"), 9092), listener.LocalEndPoint);

        foreach (var endpoint in new EndPoint[] { listener.LocalEndPoint, new DnsEndPoint("BROKER-2", 9092),
            new DnsEndPoint("10.0.0.2", 9092) })
        {
            await using var client = await one.ConnectAsync(endpoint, default);
            await using var server = await listener.AcceptAsync(default);
            Assert.Equal(listener.LocalEndPoint, client.RemoteEndPoint);
            Assert.Equal(client.LocalEndPoint, server.RemoteEndPoint);
            Assert.Equal(IPAddress.Loopback, server.RemoteEndPoint!.Address);
        }

        Assert.Equal(
            SocketError.ConnectionRefused,
            await ErrorOf(async () => await one.ConnectAsync(new IPEndPoint(IPAddress.Loopback, 9092), default)));
        Assert.Equal(SocketError.HostNotFound, await ErrorOf(async () => await one.ConnectAsync(new DnsEndPoint("nobody", 9092), default)));
        Assert.Throws<SocketException>(() => two.Listen(new(IPAddress.Any, 9092), 5, Sizes));
        await listener.DisposeAsync();
        Assert.Equal(
            SocketError.ConnectionRefused, await ErrorOf(async () => await two.ConnectAsync(new IPEndPoint(IPAddress.Any, 9092), default)));
        await using var again = two.Listen(new(IPAddress.Any, 9092), 5, Sizes);
    }

    [Fact]
    public async Task AFullBacklogRefusesAndAClosedListenerDropsWhoWaits()
    {
        var transport = new InMemoryTransport();
        var listener = transport.Listen(new(IPAddress.Loopback, 0), 2, Sizes);
        var waiting = await transport.ConnectAsync(listener.LocalEndPoint, default);
        await transport.ConnectAsync(listener.LocalEndPoint, default);
        Assert.Equal(
            SocketError.ConnectionRefused, await ErrorOf(async () => await transport.ConnectAsync(listener.LocalEndPoint, default)));
        await listener.DisposeAsync();
        Assert.Equal(SocketError.ConnectionReset, await ErrorOf(async () => await waiting.ReceiveAsync(new byte[1], default)));
        await Assert.ThrowsAsync<ObjectDisposedException>(async () => await listener.AcceptAsync(default));
    }

    [Fact]
    public async Task DisposingTheListenerFailsThePendingAccept()
    {
        var listener = new InMemoryTransport().Listen(new(IPAddress.Loopback, 0), 2, Sizes);
        var accepting = listener.AcceptAsync(default).AsTask();
        await listener.DisposeAsync();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => accepting.WaitAsync(Frames.Patience));
    }

    [Fact]
    public async Task AnOrderlyEndDeliversWhatWasSent()
    {
        var (client, server) = await Frames.ConnectAsync(new InMemoryTransport());
        await client.SendAsync(new byte[] { 1, 2 }, default);
        await client.DisposeAsync();
        var buffer = new byte[10];
        Assert.Equal(2, await server.ReceiveAsync(buffer, default));
        Assert.Equal(0, await server.ReceiveAsync(Memory<byte>.Empty, default));
        Assert.Equal(0, await server.ReceiveAsync(buffer, default));
        Assert.Equal(SocketError.ConnectionReset, await ErrorOf(async () => await server.SendAsync(buffer, default)));
        Assert.Equal(SocketError.OperationAborted, await ErrorOf(async () => await client.SendAsync(buffer, default)));
        Assert.Equal(SocketError.OperationAborted, await ErrorOf(async () => await client.ReceiveAsync(buffer, default)));
    }

    [Fact]
    public async Task AnAbortFailsPendingOperationsOfBothSides()
    {
        var (client, server) = await Frames.ConnectAsync(new InMemoryTransport(pipeBytes: 10));
        var serverReceiving = server.ReceiveAsync(Memory<byte>.Empty, default).AsTask();
        var serverSending = server.SendAsync(new byte[100], default).AsTask();
        client.Abort();
        client.Abort();
        Assert.Equal(SocketError.ConnectionReset, await ErrorOf(() => serverReceiving));
        Assert.Equal(SocketError.ConnectionReset, await ErrorOf(() => serverSending));
        Assert.Equal(SocketError.OperationAborted, await ErrorOf(async () => await client.ReceiveAsync(new byte[1], default)));
        Assert.Equal(SocketError.OperationAborted, await ErrorOf(async () => await client.SendAsync(new byte[1], default)));
        await client.DisposeAsync();
        await server.DisposeAsync();
    }

    [Fact]
    public async Task WaitersContinueOnTheirOwnScheduler()
    {
        var scheduler = new ConcurrentExclusiveSchedulerPair().ExclusiveScheduler;
        var (client, server) = await Frames.ConnectAsync(new InMemoryTransport());
        var receiving = Task.Factory.StartNew(
            async () =>
            {
                var count = await server.ReceiveAsync(new byte[10], default);
                return (count, TaskScheduler.Current);
            },
            default,
            TaskCreationOptions.None,
            scheduler).Unwrap();
        await client.SendAsync(new byte[] { 1 }, default);
        var (received, continuedOn) = await receiving.WaitAsync(Frames.Patience);
        Assert.Equal(1, received);
        Assert.Same(scheduler, continuedOn);
    }

    private static async Task<SocketError> ErrorOf(Func<Task> action) =>
        (await Assert.ThrowsAsync<SocketException>(() => action().WaitAsync(Frames.Patience))).SocketErrorCode;
}
