using System.Net;
using System.Net.Sockets;
using Ottla.Kernel;
using Ottla.Network.Buffers;
using Ottla.Network.Framing;
using Ottla.Network.Transport;

namespace Ottla.UnitTests.Network;

/// <summary>What holds for every transport over real sockets.</summary>
public abstract class SocketTransportTests(ITransport transport)
{
    private readonly ITransport _transport = transport;
    private readonly BufferPool _pool = new();

    [Fact]
    public async Task FramesWithSlicesOfEveryKindArriveWhole()
    {
        var contents = Frames.Random(1, 5_000_000);
        using var file = new TemporaryFile(contents);
        var (client, server) = await Frames.ConnectAsync(_transport);
        await using var _ = client;
        var reading = Frames.ReadAllAsync(client, _pool);

        var sender = new FrameSender(server, _pool);
        FakeSlice[] slices = [Slice(0, 4_000_000), Slice(4_000_000, 1000), Slice(3, 70_000), new(contents[..200_000])];
        var frame = new FrameBuffer(_pool);
        var expected = new List<byte>();
        foreach (var slice in slices)
        {
            frame.Write([1, 2, 3]);
            frame.AppendSlice(slice);
            expected.AddRange([1, 2, 3]);
            var bytes = new byte[slice.Length];
            slice.Read(0, bytes);
            expected.AddRange(bytes);
        }

        await sender.SendAsync(frame, default).AsTask().WaitAsync(Frames.Patience);
        frame.Write([9]);
        await sender.SendAsync(frame, default);
        await server.DisposeAsync();
        var frames = await reading.WaitAsync(Frames.Patience);
        Assert.Equal(2, frames.Count);
        Assert.True(expected.ToArray().AsSpan().SequenceEqual(frames[0]));
        Assert.Equal([9], frames[1]);
        Assert.All(slices, slice => Assert.Equal(1, slice.Disposals));
        Assert.Equal(0, _pool.RentedBytes);

        FakeSlice Slice(int position, int length) => new(contents[position..(position + length)], file.Stream.SafeFileHandle, position);
    }

    [Fact]
    public async Task ManyConnectionsEchoAtTheSameTime()
    {
        await using var listener = _transport.Listen(new(IPAddress.Loopback, 0), 50, new(SendBytes: 20_000, ReceiveBytes: 20_000));
        var serving = ServeAsync();
        await Task.WhenAll(Enumerable.Range(0, 24).Select(i => EchoAsync((ulong)i))).WaitAsync(Frames.Patience);
        await listener.DisposeAsync();
        await serving.WaitAsync(Frames.Patience);
        Assert.Equal(0, _pool.RentedBytes);

        async Task ServeAsync()
        {
            var connections = new List<Task>();
            try
            {
                while (true)
                    connections.Add(AnswerAsync(await listener.AcceptAsync(default)));
            }
            catch (ObjectDisposedException)
            {
                await Task.WhenAll(connections);
            }
        }

        async Task AnswerAsync(ITransportConnection connection)
        {
            await using var _ = connection;
            using var reader = new FrameReader(connection, _pool, Frames.FrameBytesMax);
            var sender = new FrameSender(connection, _pool);
            var ready = new List<FrameBuffer>();
            while (await reader.ReceiveAsync(default))
            {
                while (reader.TryReadFrame(out var frame))
                {
                    var answer = new FrameBuffer(_pool);
                    answer.Write(frame.Span);
                    ready.Add(answer);
                }

                await sender.SendAsync(ready, default);
                ready.Clear();
            }
        }

        async Task EchoAsync(ulong seed)
        {
            await using var connection = await _transport.ConnectAsync(listener.LocalEndPoint, default);
            var random = new Prng(seed);
            var frames = Enumerable.Range(0, 40).Select(_ => Frames.Random(random, random.NextInt(random.NextChance(10) ? 300_000 : 2000)))
                .ToList();
            var sending = connection.SendAsync(Frames.Prefixed(frames), default).AsTask();
            using var reader = new FrameReader(connection, _pool, Frames.FrameBytesMax);
            for (var i = 0; i < frames.Count;)
            {
                Assert.True(await reader.ReceiveAsync(default));
                while (reader.TryReadFrame(out var frame))
                    Assert.True(frames[i++].AsSpan().SequenceEqual(frame.Span), $"seed {seed}");
            }

            await sending;
        }
    }

    [Fact]
    public async Task ConnectionsBrokenOffAtAnyMomentRaiseOnlyTheExpectedErrors()
    {
        for (ulong seed = 0; seed < 60; seed++)
        {
            var random = new Prng(seed);
            var (client, server) = await Frames.ConnectAsync(
                random.NextChance(50) ? _transport : new InMemoryTransport(1 + random.NextInt(5000)));
            var slices = Enumerable.Range(0, 5).Select(_ => new FakeSlice(new byte[1 + random.NextInt(300_000)])).ToArray();
            var sending = SendAsync(server, slices);
            var reading = Frames.ReadAllAsync(client, _pool);
            for (var yields = random.NextInt(30); yields > 0; yields--)
                await Task.Yield();
            (random.NextChance(50) ? client : server).Abort();
            foreach (var task in new[] { sending, reading })
            {
                try
                {
                    await task.WaitAsync(Frames.Patience);
                }
                catch (Exception exception) when (exception is IOException or SocketException)
                {
                    // What a broken connection may raise; anything else fails the test.
                }
            }

            await client.DisposeAsync();
            await server.DisposeAsync();
            Assert.All(slices, slice => Assert.Equal(1, slice.Disposals));
            Assert.True(_pool.RentedBytes == 0, $"seed {seed} leaves {_pool.RentedBytes} bytes rented");
        }

        async Task SendAsync(ITransportConnection connection, FakeSlice[] slices)
        {
            var frames = slices.Select(slice =>
            {
                var frame = new FrameBuffer(_pool);
                frame.AppendSlice(slice);
                return frame;
            }).ToList();
            await new FrameSender(connection, _pool).SendAsync(frames, default);
            await connection.DisposeAsync();
        }
    }

    [Fact]
    public async Task ASocketThatNeverSentHoldsNoMemory()
    {
        var (client, server) = await Frames.ConnectAsync(_transport);
        using var reader = new FrameReader(server, _pool, Frames.FrameBytesMax);
        var receiving = reader.ReceiveAsync(default).AsTask();
        Assert.Equal(0, _pool.RentedBytes);
        await client.SendAsync(Frames.Prefixed([1]), default);
        Assert.True(await receiving.WaitAsync(Frames.Patience));
        Assert.True(reader.TryReadFrame(out var frame));
        Assert.Equal([1], frame.ToArray());
        await client.DisposeAsync();
    }

    [Fact]
    public async Task AnIdleSocketHoldsNoMemoryAndAnAbortEndsItsWait()
    {
        var (client, server) = await Frames.ConnectAsync(_transport);
        using var reader = new FrameReader(server, _pool, Frames.FrameBytesMax);
        await client.SendAsync(Frames.Prefixed([1]), default);
        Assert.True(await reader.ReceiveAsync(default));
        Assert.True(reader.TryReadFrame(out _));
        var receiving = reader.ReceiveAsync(default).AsTask();
        Assert.Equal(0, _pool.RentedBytes);
        Assert.False(receiving.IsCompleted);
        server.Abort();
        Assert.Equal(SocketError.OperationAborted, await ErrorOf(() => receiving));
        Assert.Equal(SocketError.OperationAborted, await ErrorOf(async () => await server.ReceiveAsync(new byte[1], default)));
        Assert.Equal(SocketError.OperationAborted, await ErrorOf(async () => await server.SendAsync(new byte[1], default)));
        Assert.Equal(SocketError.ConnectionReset, await ErrorOf(() => DrainAsync(client)));
        await client.DisposeAsync();
    }

    [Fact]
    public async Task AnOrderlyEndIsTheEndOfTheStream()
    {
        var (client, server) = await Frames.ConnectAsync(_transport);
        Assert.Equal(client.LocalEndPoint, server.RemoteEndPoint);
        Assert.Equal(server.LocalEndPoint, client.RemoteEndPoint);
        await client.SendAsync(new byte[] { 1 }, default);
        await client.DisposeAsync();
        var buffer = new byte[5];
        Assert.Equal(1, await server.ReceiveAsync(buffer, default));
        Assert.Equal(0, await server.ReceiveAsync(buffer, default).AsTask().WaitAsync(Frames.Patience));
        await server.DisposeAsync();
        server.Abort();
    }

    [Fact]
    public async Task AListenerCanBeOpenedAgainAfterItServed()
    {
        var listener = _transport.Listen(new(IPAddress.Loopback, 0), 5, SocketBufferSizes.OperatingSystemDefaults);
        var endpoint = listener.LocalEndPoint;
        for (var i = 0; i < 3; i++)
        {
            var client = await _transport.ConnectAsync(new DnsEndPoint("localhost", endpoint.Port), default);
            var server = await listener.AcceptAsync(default);
            Assert.Equal(IPAddress.Loopback, server.RemoteEndPoint!.Address);
            // The server closes first, so its port is left in TIME_WAIT.
            await server.DisposeAsync();
            await client.DisposeAsync();
            await listener.DisposeAsync();
            listener = _transport.Listen(endpoint, 5, SocketBufferSizes.OperatingSystemDefaults);
        }

        Assert.Throws<SocketException>(() => _transport.Listen(endpoint, 5, SocketBufferSizes.OperatingSystemDefaults));
        var accepting = listener.AcceptAsync(default).AsTask();
        await listener.DisposeAsync();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => accepting.WaitAsync(Frames.Patience));
        Assert.Equal(SocketError.ConnectionRefused, await ErrorOf(async () => await _transport.ConnectAsync(endpoint, default)));
    }

    [Fact]
    public async Task ACancelledAcceptLeavesTheListenerUsable()
    {
        await using var listener = _transport.Listen(new(IPAddress.Loopback, 0), 5, SocketBufferSizes.OperatingSystemDefaults);
        using var cancellation = new CancellationTokenSource();
        var accepting = listener.AcceptAsync(cancellation.Token).AsTask();
        await cancellation.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => accepting.WaitAsync(Frames.Patience));
        await using var client = await _transport.ConnectAsync(listener.LocalEndPoint, default);
        await using var server = await listener.AcceptAsync(default);
        Assert.Equal(client.LocalEndPoint, server.RemoteEndPoint);
    }

    [Theory]
    [InlineData(SocketError.NotSocket, nameof(AcceptErrorKind.Fatal))]
    [InlineData(SocketError.OperationAborted, nameof(AcceptErrorKind.Fatal))]
    [InlineData(SocketError.InvalidArgument, nameof(AcceptErrorKind.Fatal))]
    [InlineData(SocketError.TooManyOpenSockets, nameof(AcceptErrorKind.ResourcePressure))]
    [InlineData(SocketError.NoBufferSpaceAvailable, nameof(AcceptErrorKind.ResourcePressure))]
    [InlineData(SocketError.SocketError, nameof(AcceptErrorKind.ResourcePressure))]
    [InlineData(SocketError.ConnectionAborted, nameof(AcceptErrorKind.ClientNoise))]
    [InlineData(SocketError.ConnectionReset, nameof(AcceptErrorKind.ClientNoise))]
    [InlineData(SocketError.HostUnreachable, nameof(AcceptErrorKind.ClientNoise))]
    public void AcceptErrorsHaveThreeTiers(SocketError error, string kind) => Assert.Equal(kind, SocketListener.Classify(error).ToString());

    protected static async Task DrainAsync(ITransportConnection connection)
    {
        var buffer = new byte[256 * 1024];
        while (await connection.ReceiveAsync(buffer, default) > 0)
        {
        }
    }

    protected static async Task<SocketError> ErrorOf(Func<Task> action) =>
        (await Assert.ThrowsAsync<SocketException>(() => action().WaitAsync(Frames.Patience))).SocketErrorCode;
}
