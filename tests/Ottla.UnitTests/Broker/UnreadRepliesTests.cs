using System.Net;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Win32.SafeHandles;
using Ottla.Broker.Server;
using Ottla.Kernel;
using Ottla.Network.Buffers;
using Ottla.Network.Framing;
using Ottla.Network.Transport;
using Ottla.Protocol.Messages;
using Ottla.UnitTests.Network;

namespace Ottla.UnitTests.Broker;

/// <summary>Clients that ask and do not read: what they cost, and that they are closed.</summary>
public sealed class UnreadRepliesTests : IDisposable
{
    private const int IdleMs = 10_000;

    private readonly BufferPool _pool = new();
    private readonly HeavyRequests _heavy = new(static () => 1, TimeProvider.System);

    public void Dispose() => _heavy.Dispose();

    [Fact]
    public async Task Requests_wait_while_too_many_bytes_of_replies_are_unread()
    {
        await using var node = await StartAsync(partitions: 1000);
        var transport = new UnreadConnection(MetadataRequests(count: 200));
        await using var connection = Serve(node, transport);
        var running = connection.RunAsync(); // comes back where it has to wait
        Assert.False(running.IsCompleted);
        Assert.Equal(1, transport.Sends);
        const int replyBytesMax = 64 * 1024;
        Assert.InRange(_pool.RentedBytes,
            ResponseQueue.UnsentBytesMax, (2 * ResponseQueue.UnsentBytesMax) + (2 * replyBytesMax) + FrameReader.SlabBytes);

        transport.IsRead = true; // the client reads after all, and gets every reply
        await running.WaitAsync(TestNode.Patience);
        Assert.True(transport.SentBytes > 200 * 20_000, $"{transport.SentBytes} bytes");
        Assert.Equal(0, _pool.RentedBytes);
    }

    [Fact]
    public async Task A_client_that_does_not_read_is_idle_and_one_that_reads_slowly_is_not()
    {
        await using var node = await StartAsync(partitions: 1);
        var transport = new UnreadConnection(MetadataRequests(count: 1));
        await using var connection = Serve(node, transport);
        var running = connection.RunAsync();
        var now = Instant.Now(node.Clock);
        Assert.False(connection.CheckIdle(now, IdleMs));
        for (var i = 0; i < 5; i++)
        {
            now = now.AddMilliseconds(IdleMs);
            transport.SentBytes++;
            Assert.False(connection.CheckIdle(now, IdleMs));
        }

        Assert.False(connection.CheckIdle(now.AddMilliseconds(IdleMs), IdleMs));
        Assert.True(connection.CheckIdle(now.AddMilliseconds(IdleMs + 1), IdleMs));
        connection.Abort();
        transport.IsRead = true;
        await running.WaitAsync(TestNode.Patience);
        Assert.Equal(0, _pool.RentedBytes);
    }

    [Fact]
    public async Task A_client_that_does_not_read_is_closed()
    {
        var (node, client, _) = await TestNode.StartWithTopicAsync("t", ("connections.max.idle.ms", $"{IdleMs}"));
        await using var _1 = node;
        await client.SendRawAsync(MetadataRequests(count: 10_000));
        var closed = SendUntilClosedAsync();
        await node.Clock.AdvanceUntilAsync(closed, stepMs: 1000);

        async Task SendUntilClosedAsync()
        {
            var requests = MetadataRequests(count: 1000);
            await Assert.ThrowsAnyAsync<System.Net.Sockets.SocketException>(async () =>
            {
                while (true)
                    await client.SendRawAsync(requests);
            });
        }
    }

    private static async Task<TestNode> StartAsync(int partitions)
    {
        var (node, client, _) = await TestNode.StartWithTopicAsync("t");
        await client.CreateTopicAsync("large", partitions);
        return node;
    }

    private static byte[] MetadataRequests(int count)
    {
        var request = TestConnection.Encode(ApiKey.Metadata, 1, 7, new MetadataRequest { Topics = null });
        return Frames.Prefixed(Enumerable.Repeat(request, count));
    }

    private Connection Serve(TestNode node, ITransportConnection transport)
    {
        var settings = new ServerSettings(1 << 20, 500, 100, 100, new Dictionary<IPAddress, int>(), IdleMs);
        return new Connection(transport, "PLAINTEXT", node.Node.Apis, _heavy, settings, _pool, node.Clock, NullLogger.Instance);
    }

    /// <summary>A client whose requests are there already, and who does not read until it is told to.</summary>
    private sealed class UnreadConnection(byte[] requests) : ITransportConnection
    {
        private readonly TaskCompletionSource _read = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private int _received;
        private int _sends;

        public int Sends => _sends;

        public long SentBytes { get; set; }

        public bool IsRead
        {
            get => _read.Task.IsCompleted;
            set => _read.TrySetResult();
        }

        public IPEndPoint? RemoteEndPoint => null;

        public IPEndPoint? LocalEndPoint => null;

        public bool CanSendFile => false;

        public ValueTask<int> ReceiveAsync(Memory<byte> buffer, CancellationToken cancellationToken)
        {
            var count = Math.Min(buffer.Length, requests.Length - _received);
            requests.AsMemory(_received, count).CopyTo(buffer);
            _received += count;
            return new(count);
        }

        public async ValueTask SendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
        {
            _sends++;
            await _read.Task;
            cancellationToken.ThrowIfCancellationRequested();
            SentBytes += bytes.Length;
        }

        public ValueTask SendFileAsync(
            ReadOnlyMemory<byte> header, SafeFileHandle source, long position, int length, CancellationToken cancellationToken) =>
            throw new NotSupportedException();

        public void Abort()
        {
        }

        public ValueTask DisposeAsync() => default;
    }
}
