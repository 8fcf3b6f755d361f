using System.Net.Sockets;
using Microsoft.Win32.SafeHandles;
using Ottla.Kernel;
using Ottla.Network.Buffers;
using Ottla.Network.Framing;
using Ottla.Network.Transport;

namespace Ottla.UnitTests.Network;

public sealed class FrameSenderTests
{
    private const int Threshold = FrameSender.SendFileThresholdBytes;

    private readonly BufferPool _pool = new();

    [Fact]
    public async Task OneFrameIsOneSendOfItsOwnMemory()
    {
        foreach (var size in new[] { 0, 1, 100, 100_000, 3_000_000 })
        {
            var body = Frames.Random(1, size);
            var frame = Frame(body);
            var before = _pool.RentedBytes;
            var connection = new PeekingConnection(_pool);
            await new FrameSender(connection, _pool).SendAsync(frame, default);
            Assert.Equal(Frames.Prefixed(body), connection.Sent);
            Assert.Equal(size <= 100, before == 0); // a small frame needs the pool neither to be written nor to be sent
            Assert.Equal((before, 1), (connection.RentedDuringSend, connection.Sends));
            Assert.Equal(0, _pool.RentedBytes);
        }
    }

    [Fact]
    public async Task ManySmallFramesAreOneSend()
    {
        var bodies = Enumerable.Range(0, 50).Select(i => Frames.Random((ulong)i, i * 20)).ToArray();
        var connection = new FakeConnection();
        await new FrameSender(connection, _pool).SendAsync(bodies.Select(Frame).ToList(), default);
        Assert.Single(connection.Calls);
        Assert.Equal(Frames.Prefixed(bodies), connection.Sent.ToArray());
        Assert.Equal(0, _pool.RentedBytes);
    }

    [Fact]
    public async Task NothingIsNoSend()
    {
        var connection = new FakeConnection();
        await new FrameSender(connection, _pool).SendAsync([], default);
        Assert.Empty(connection.Calls);
    }

    [Fact]
    public async Task SmallSlicesTravelBesideTheirHeaders()
    {
        var slices = Enumerable.Range(0, 4).Select(i => new FakeSlice(Frames.Random((ulong)i, 1000))).ToArray();
        var frames = slices.Chunk(2).Select(pair => Frame(new byte[] { 1, 2, 3 }, pair[0], new byte[] { 4 }, pair[1], new byte[] { 5, 6 }))
            .ToList();
        var expected = Expected(
            slices.Chunk(2)
            .Select(pair => new object[] { new byte[] { 1, 2, 3 }, pair[0], new byte[] { 4 }, pair[1], new byte[] { 5, 6 } }));
        var connection = new FakeConnection(canSendFile: true);
        await new FrameSender(connection, _pool).SendAsync(frames, default);
        Assert.Single(connection.Calls);
        Assert.Equal(expected, connection.Sent.ToArray());
        Assert.All(slices, slice => Assert.Equal(1, slice.Disposals));
    }

    [Theory]
    [InlineData(100_000, "send 7; send 100000; send 2")]
    [InlineData(1_000, "send 1009")]
    public async Task LargeMemoryIsSentFromWhereItIsAndSmallMemoryTravelsBesideItsHeader(int length, string calls)
    {
        var memory = Frames.Random(1, length);
        var frame = new FrameBuffer(_pool);
        frame.Write([1, 2, 3]);
        frame.AppendSlice(new MemorySlice(memory));
        frame.Write([4, 5]);
        var connection = new FakeConnection(canSendFile: true);
        await new FrameSender(connection, _pool).SendAsync(frame, default);
        Assert.Equal(calls, string.Join("; ", connection.Calls));
        byte[] body = [1, 2, 3, .. memory, 4, 5];
        Assert.Equal(Frames.Prefixed(body), connection.Sent.ToArray());
        Assert.Equal(0, _pool.RentedBytes);
    }

    [Fact]
    public async Task LargeSlicesOfFilesGoBySendFileWithWhatPrecedesThem()
    {
        var contents = Frames.Random(1, 1_000_000);
        using var file = new TemporaryFile(contents);
        var large = FileSlice(file, contents, 100, Threshold);
        var small = FileSlice(file, contents, 50, Threshold - 1);
        var huge = FileSlice(file, contents, 1000, 900_000);
        object[][] parts = [[new byte[10], large, new byte[5], small, new byte[6], huge, huge2(), new byte[7]], [new byte[8]]];
        var connection = new FakeConnection(canSendFile: true);
        var expected = Expected(parts);
        await new FrameSender(connection, _pool).SendAsync(parts.Select(part => Frame(part)).ToList(), default);
        Assert.Equal([$"file 14+{Threshold}", $"file {5 + Threshold - 1 + 6}+900000", $"file 0+{Threshold}", "send 19"], connection.Calls);
        Assert.Equal(expected, connection.Sent.ToArray());
        Assert.All(parts.SelectMany(part => part).OfType<FakeSlice>(), slice => Assert.Equal(1, slice.Disposals));

        FakeSlice huge2() => FileSlice(file, contents, 7, Threshold);
    }

    [Theory]
    [InlineData(false, true)]
    [InlineData(true, false)]
    public async Task LargeSlicesAreCopiedInPiecesWhereSendFileIsNotToBeHad(bool canSendFile, bool hasFile)
    {
        var contents = Frames.Random(1, 1_000_000);
        using var file = new TemporaryFile(contents);
        var slice = hasFile ? FileSlice(file, contents, 0, contents.Length) : new FakeSlice(contents);
        object[][] parts = [[new byte[] { 1, 2 }, slice, new byte[] { 3 }]];
        var connection = new FakeConnection(canSendFile);
        var expected = Expected(parts);
        await new FrameSender(connection, _pool).SendAsync(Frame(parts[0]), default);
        Assert.Equal(expected, connection.Sent.ToArray());
        Assert.Equal(4, connection.Calls.Count);
        Assert.All(slice.ReadSizes, size => Assert.InRange(size, 1, FrameSender.StagingBytesMax));
        Assert.Equal(1, slice.Disposals);
        Assert.Equal(0, _pool.RentedBytes);
    }

    [Fact]
    public async Task AShortSliceAbortsTheConnectionAndReleasesEverything()
    {
        FakeSlice[] slices = [new([1]), new(new byte[600_000], missingBytes: 1), new([2]), new([3])];
        List<FrameBuffer> frames = [Frame(slices[0], new byte[] { 1 }), Frame(new byte[] { 2 }, slices[1], slices[2]), Frame(slices[3])];
        var connection = new FakeConnection();
        var exception = await Assert.ThrowsAsync<IOException>(
            async () => await new FrameSender(connection, _pool).SendAsync(frames, default));
        Assert.Contains("600000", exception.Message, StringComparison.Ordinal);
        Assert.Equal(1, connection.Aborts);
        Assert.All(slices, slice => Assert.Equal(1, slice.Disposals));
        Assert.Equal(0, _pool.RentedBytes);
    }

    [Fact]
    public async Task RandomListsOfFramesArriveInOrderAndReleaseEverythingEvenWhenSendsFail()
    {
        var contents = Frames.Random(99, 400_000);
        using var file = new TemporaryFile(contents);
        for (ulong seed = 0; seed < 150; seed++)
        {
            var random = new Prng(seed);
            var canSendFile = random.NextChance(60);
            var connection = new FakeConnection([], canSendFile) { FailingCall = random.NextChance(40) ? 1 + random.NextInt(8) : 0 };
            var sender = new FrameSender(connection, _pool);
            var parts = Enumerable.Range(0, 1 + random.NextInt(8)).Select(_ => RandomParts(random, file, contents)).ToArray();
            var expected = Expected(parts);
            var frames = parts.Select(part => Frame(part)).ToList();
            var isFailing = false;
            try
            {
                if (frames.Count == 1)
                    await sender.SendAsync(frames[0], default);
                else
                    await sender.SendAsync(frames, default);
            }
            catch (SocketException)
            {
                isFailing = true;
            }

            Assert.Equal(isFailing ? 1 : 0, connection.Aborts);
            Assert.Equal(isFailing, connection.FailingCall > 0 && connection.Calls.Count >= connection.FailingCall);
            var sent = connection.Sent.ToArray();
            Assert.True(expected.AsSpan(0, sent.Length).SequenceEqual(sent), $"wrong bytes, seed {seed}");
            Assert.True(isFailing || sent.Length == expected.Length, $"{sent.Length} of {expected.Length} bytes, seed {seed}");
            Assert.All(parts.SelectMany(part => part).OfType<FakeSlice>(), slice => Assert.Equal(1, slice.Disposals));
            Assert.True(_pool.RentedBytes == 0, $"seed {seed} leaves {_pool.RentedBytes} bytes rented");
        }
    }

    [Fact]
    public async Task AFrameObjectIsUsedAgain()
    {
        var connection = new FakeConnection();
        var sender = new FrameSender(connection, _pool);
        var frame = new FrameBuffer(_pool);
        for (byte i = 0; i < 3; i++)
        {
            frame.Write([i]);
            await sender.SendAsync(frame, default);
        }

        Assert.Equal(Frames.Prefixed([0], [1], [2]), connection.Sent.ToArray());
    }

    [Fact]
    public async Task ACancelledSendAbortsTheConnection()
    {
        var (client, server) = await Frames.ConnectAsync(new InMemoryTransport(pipeBytes: 100));
        using var cancellation = new CancellationTokenSource();
        var slice = new FakeSlice(new byte[1000]);
        var sending = new FrameSender(server, _pool).SendAsync(Frame(slice), cancellation.Token).AsTask();
        Assert.False(sending.IsCompleted);
        await cancellation.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => sending.WaitAsync(Frames.Patience));
        Assert.Equal(1, slice.Disposals);
        Assert.Equal(0, _pool.RentedBytes);
        await Assert.ThrowsAsync<SocketException>(async () => await client.ReceiveAsync(new byte[1], default));
    }

    private static object[] RandomParts(Prng random, TemporaryFile file, byte[] contents)
    {
        var parts = new object[random.NextInt(7)];
        for (var i = 0; i < parts.Length; i++)
        {
            var length = 1 + random.NextInt(random.NextChance(30) ? 300_000 : 3000);
            var position = random.NextInt(contents.Length - length);
            parts[i] = random.NextInt(4) switch
            {
                0 => new FakeSlice(contents[position..(position + length)]),
                1 => FileSlice(file, contents, position, length),
                _ => contents[position..(position + length)],
            };
        }

        return parts;
    }

    private static FakeSlice FileSlice(TemporaryFile file, byte[] contents, int position, int length) =>
        new(contents[position..(position + length)], file.Stream.SafeFileHandle, position);

    private FrameBuffer Frame(byte[] body) => Frame([(object)body]);

    private FrameBuffer Frame(params object[] parts)
    {
        var frame = new FrameBuffer(_pool);
        foreach (var part in parts)
        {
            if (part is FakeSlice slice)
                frame.AppendSlice(slice);
            else
                frame.Write((byte[])part);
        }

        return frame;
    }

    private static byte[] Expected(IEnumerable<object[]> frames) => Frames.Prefixed(frames.Select(parts =>
    {
        using var body = new MemoryStream();
        foreach (var part in parts)
        {
            if (part is FakeSlice slice)
            {
                var bytes = new byte[slice.Length];
                slice.Read(0, bytes);
                slice.ReadSizes.Clear();
                body.Write(bytes);
            }
            else
            {
                body.Write((byte[])part);
            }
        }

        return body.ToArray();
    }));

    /// <summary>Looks at the pool in the middle of a send.</summary>
    private sealed class PeekingConnection(BufferPool pool) : ITransportConnection
    {
        public byte[] Sent { get; private set; } = [];

        public int Sends { get; private set; }

        public long RentedDuringSend { get; private set; }

        public System.Net.IPEndPoint? RemoteEndPoint => null;

        public System.Net.IPEndPoint? LocalEndPoint => null;

        public bool CanSendFile => true;

        public long SentBytes => Sent.Length;

        public ValueTask<int> ReceiveAsync(Memory<byte> buffer, CancellationToken cancellationToken) => new(0);

        public ValueTask SendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
        {
            Sends++;
            RentedDuringSend = pool.RentedBytes;
            Sent = bytes.ToArray();
            return default;
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
