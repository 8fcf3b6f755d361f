using System.Buffers.Binary;
using System.Net;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Win32.SafeHandles;
using Ottla.Broker.Server;
using Ottla.Network.Buffers;
using Ottla.Network.Transport;
using Ottla.Protocol.Batches;
using Ottla.Protocol.Messages;
using static Ottla.UnitTests.Broker.Requests;

namespace Ottla.UnitTests.Broker;

/// <summary>What a request of the hot path allocates, from the receive to the send: counted, not timed.</summary>
public sealed class AllocationTests
{
    private const int WarmUpRequests = 500;
    private const int CountedRequests = 2000;

    private delegate byte[] RequestAt(int index);

    [Theory]
    [InlineData(3)]
    [InlineData(8)]
    [InlineData(12)]
    [InlineData(13)]
    public async Task Produce_allocates_nothing(short version)
    {
        var (node, client, id) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        var batch = Batch(3);
        foreach (var acks in new short[] { 0, 1, -1 })
        {
            var frame = TestConnection.Encode(ApiKey.Produce, version, 7, Produce("t", id, batch, version, acks));
            Assert.Equal(0, await MedianBytesAsync(node, _ => frame));
        }

        Assert.Equal(3 * (WarmUpRequests + CountedRequests) * 3, (await client.ProduceAsync("t", Batch())).BaseOffset);
    }

    [Fact]
    public async Task Produce_of_an_idempotent_producer_to_several_partitions_allocates_nothing()
    {
        const short version = 9;
        const int partitions = 5;
        await using var node = await TestNode.StartAsync();
        await using var client = await node.ConnectAsync();
        await client.CreateTopicAsync("t", partitions);
        var frames = Enumerable.Range(0, WarmUpRequests + CountedRequests).Select(i =>
        {
            var request = Produce("t", default, Numbered(i), version);
            request.TopicData[0].PartitionData = [.. Enumerable.Range(0, partitions).Select(p =>
                new ProduceRequest.PartitionProduceData { Index = p, Records = new Ottla.Protocol.Wire.Records(Numbered(i)) })];
            return TestConnection.Encode(ApiKey.Produce, version, i, request);
        }).ToArray();
        Assert.Equal(0, await MedianBytesAsync(node, i => frames[i]));

        static byte[] Numbered(int sequence) =>
            Batch(1, new RecordBatchOptions { ProducerId = 4711, ProducerEpoch = 0, BaseSequence = sequence });
    }

    [Theory]
    [InlineData(4)]
    [InlineData(12)]
    [InlineData(17)]
    public async Task Fetch_allocates_little(short version)
    {
        var (node, client, id) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        await client.ProduceAsync("t", Batch(3));
        var frame = TestConnection.Encode(ApiKey.Fetch, version, 7, Fetch("t", id, 0, version));
        Assert.InRange(await MedianBytesAsync(node, _ => frame), 1, 400); // the plan of what is read, and the slice
    }

    /// <summary>What the request in the middle allocates: files in memory grow now and then.</summary>
    private static async Task<long> MedianBytesAsync(TestNode node, RequestAt requestAt)
    {
        var script = new ScriptedConnection(requestAt);
        var settings = new ServerSettings(1 << 20, 100, 100, 100, new Dictionary<IPAddress, int>(), -1);
        using var heavy = new HeavyRequests(static () => 1, TimeProvider.System);
        await using var connection = new Connection(
            script, "PLAINTEXT", node.Node.Apis, heavy, settings, new BufferPool(), node.Clock, NullLogger.Instance);
        await connection.RunAsync();
        return script.MedianBytes;
    }

    /// <summary>
    /// A client whose requests are there already, so that the broker's side runs through on one thread, which counts what it allocates.
    /// </summary>
    private sealed class ScriptedConnection(RequestAt requestAt) : ITransportConnection
    {
        private readonly long[] _bytes = new long[CountedRequests];
        private readonly int _thread = Environment.CurrentManagedThreadId;
        private int _next;
        private long _before;

        public long MedianBytes
        {
            get
            {
                Assert.Equal(WarmUpRequests + CountedRequests, _next);
                Array.Sort(_bytes);
                return _bytes[CountedRequests / 2];
            }
        }

        public IPEndPoint? RemoteEndPoint => null;

        public IPEndPoint? LocalEndPoint => null;

        public bool CanSendFile => false;

        public long SentBytes => 0;

        public ValueTask<int> ReceiveAsync(Memory<byte> buffer, CancellationToken cancellationToken)
        {
            if (buffer.IsEmpty)
                return ValueTask.FromResult(0);
            if (_thread != Environment.CurrentManagedThreadId)
                // no assertion: it would allocate
                throw new InvalidOperationException("A request went on elsewhere: what it allocates is not counted.");
            if (_next > WarmUpRequests)
                _bytes[_next - WarmUpRequests - 1] = GC.GetAllocatedBytesForCurrentThread() - _before;
            if (_next == WarmUpRequests + CountedRequests)
                return ValueTask.FromResult(0);
            var request = requestAt(_next++);
            BinaryPrimitives.WriteInt32BigEndian(buffer.Span, request.Length);
            request.CopyTo(buffer[4..]);
            _before = GC.GetAllocatedBytesForCurrentThread();
            return ValueTask.FromResult(4 + request.Length);
        }

        public ValueTask SendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken) => ValueTask.CompletedTask;

        public ValueTask SendFileAsync(
            ReadOnlyMemory<byte> header, SafeFileHandle source, long position, int length, CancellationToken cancellationToken) =>
            throw new NotSupportedException();

        public void Abort()
        {
        }

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
