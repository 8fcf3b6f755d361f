using System.Net.Sockets;
using Ottla.Kernel;
using Ottla.Network.Buffers;
using Ottla.Network.Framing;
using Ottla.Network.Transport;

namespace Ottla.UnitTests.Network;

public sealed class FrameReaderTests
{
    private readonly BufferPool _pool = new();

    [Fact]
    public async Task EveryByteAlone()
    {
        byte[][] frames = [[], [1], Frames.Random(1, 300), [2, 3, 4], []];
        var connection = new FakeConnection(Frames.Prefixed(frames).Select(value => new[] { value }));
        Assert.Equal(frames, await Frames.ReadAllAsync(connection, _pool));
        Assert.Equal(0, _pool.RentedBytes);
    }

    [Fact]
    public async Task EverySplitInTwo()
    {
        byte[][] frames = [Frames.Random(1, 20), [], Frames.Random(2, 33), [9]];
        var bytes = Frames.Prefixed(frames);
        for (var i = 0; i <= bytes.Length; i++)
            Assert.Equal(frames, await Frames.ReadAllAsync(new FakeConnection([bytes[..i], bytes[i..]]), _pool));
    }

    [Theory]
    [InlineData(1, 10)]
    [InlineData(2, 1000)]
    [InlineData(3, 70_000)]
    [InlineData(4, 400_000)]
    public async Task RandomSplitsOfSmallAndLargeFrames(ulong seed, int pieceBytesMax)
    {
        var random = new Prng(seed);
        int[] bounds = [50, 5000, 70_000, 2_000_000];
        var frames = Enumerable.Range(0, pieceBytesMax < 100 ? 20 : 60)
            .Select(_ => Frames.Random(random, random.NextInt(bounds[random.NextInt(pieceBytesMax < 100 ? 3 : 4)]))).ToList();
        var pieces = Frames.Cut(random, Frames.Prefixed(frames), pieceBytesMax);
        var read = await Frames.ReadAllAsync(new FakeConnection(pieces), _pool);
        Assert.Equal(frames.Count, read.Count);
        for (var i = 0; i < frames.Count; i++)
            Assert.True(frames[i].AsSpan().SequenceEqual(read[i]), $"frame {i} of seed {seed}");
        Assert.Equal(0, _pool.RentedBytes);
    }

    [Theory]
    [InlineData(-6)]
    [InlineData(-5)]
    [InlineData(-4)]
    [InlineData(-3)]
    [InlineData(0)]
    [InlineData(1)]
    public async Task FramesAroundTheSlabsSize(int difference)
    {
        byte[][] frames = [
            [1, 2, 3], Frames.Random(1, FrameReader.SlabBytes + difference), [4], Frames.Random(2, FrameReader.SlabBytes + difference)];
        Assert.Equal(frames, await Frames.ReadAllAsync(new FakeConnection([Frames.Prefixed(frames)]), _pool));
    }

    [Theory]
    [InlineData(FrameReader.UnprovenFrameBytesMax)]
    [InlineData(FrameReader.UnprovenFrameBytesMax + 1)]
    [InlineData(FrameReader.ProvenFrameBytesMax)]
    [InlineData(FrameReader.ProvenFrameBytesMax + 1)]
    public async Task FramesAroundTheUnprovenAndProvenSizes(int size)
    {
        byte[][] frames = [Frames.Random(1, size), [7], Frames.Random(2, size), Frames.Random(3, size)];
        Assert.Equal(frames, await Frames.ReadAllAsync(new FakeConnection([Frames.Prefixed(frames)]), _pool));
    }

    [Fact]
    public async Task AllFramesOfOneReceiveAreHandedOutInPlace()
    {
        var frames = Enumerable.Range(0, 100).Select(i => Frames.Random((ulong)i, 50)).ToArray();
        using var reader = new FrameReader(new FakeConnection([Frames.Prefixed(frames)]), _pool, Frames.FrameBytesMax);
        Assert.True(await reader.ReceiveAsync(default));
        var read = new List<Memory<byte>>();
        while (reader.TryReadFrame(out var frame))
            read.Add(frame);
        Assert.Equal(frames, read.Select(frame => frame.ToArray()));
        Assert.Equal(FrameReader.SlabBytes, _pool.RentedBytes);
        read[0].Span[0] ^= 0xFF;
        Assert.Equal((byte)~frames[0][0], read[0].Span[0]);
        Assert.False(await reader.ReceiveAsync(default));
        Assert.False(reader.EndedInsideFrame);
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(int.MinValue)]
    [InlineData(1001)]
    [InlineData(int.MaxValue)]
    public async Task LengthsThatCannotBeAreRefusedAfterTheFramesBefore(int length)
    {
        byte[] bytes = [.. Frames.Prefixed(Frames.Random(1, 1000)), .. Frames.Prefix(length), 1, 2, 3];
        using var reader = new FrameReader(new FakeConnection([bytes]), _pool, frameBytesMax: 1000);
        Assert.True(await reader.ReceiveAsync(default));
        Assert.True(reader.TryReadFrame(out var frame));
        Assert.Equal(1000, frame.Length);
        Assert.False(reader.TryReadFrame(out _));
        var exception = await Assert.ThrowsAsync<InvalidFrameException>(async () => await reader.ReceiveAsync(default));
        Assert.Contains($"{length} bytes", exception.Message, StringComparison.Ordinal);
        Assert.Contains("limit is 1000 bytes", exception.Message, StringComparison.Ordinal);
        Assert.Equal((length, 1000), (exception.AnnouncedBytes, exception.FrameBytesMax));
        reader.Dispose();
        Assert.Equal(0, _pool.RentedBytes);
    }

    [Theory]
    [InlineData(100 * 1024 * 1024)]
    [InlineData(2_147_000_000)]
    public async Task CVE_2022_34917_ALyingLengthCostsOnlyWhatArrives(int announced)
    {
        var (client, server) = await Frames.ConnectAsync(new InMemoryTransport());
        using var reader = new FrameReader(server, _pool, int.MaxValue);
        var receiving = reader.ReceiveAsync(default).AsTask();
        await client.SendAsync(Frames.Prefix(announced), default);
        var sent = 0;
        var piece = new byte[100_000];
        for (var i = 0; i < 60; i++)
        {
            await client.SendAsync(piece, default);
            sent += piece.Length;
            Assert.InRange(_pool.RentedBytes, 0, Math.Max(FrameReader.UnprovenFrameBytesMax, 3 * sent) + FrameReader.SlabBytes);
        }

        Assert.False(receiving.IsCompleted);
        await client.DisposeAsync();
        Assert.False(await receiving.WaitAsync(Frames.Patience));
        Assert.True(reader.EndedInsideFrame);
        Assert.Equal(0, _pool.RentedBytes);
    }

    [Fact]
    public async Task TheEndInsideAFrameDropsItQuietly()
    {
        byte[][] frames = [Frames.Random(1, 10), Frames.Random(2, 100_000)];
        var bytes = Frames.Prefixed(frames);
        int[] cuts = [1, 3, 4, 5, 13, 14, 15, 17, 18, 19, 1000, 70_000, bytes.Length - 1];
        foreach (var cut in cuts)
        {
            using var reader = new FrameReader(new FakeConnection([bytes[..cut]]), _pool, Frames.FrameBytesMax);
            var read = 0;
            while (await reader.ReceiveAsync(default))
            {
                while (reader.TryReadFrame(out _))
                    read++;
            }

            Assert.Equal(cut >= 14 ? 1 : 0, read);
            Assert.False(await reader.ReceiveAsync(default));
            Assert.Equal(cut != 14, reader.EndedInsideFrame);
        }
    }

    [Fact]
    public async Task AnIdleConnectionHoldsNoMemory()
    {
        var (client, server) = await Frames.ConnectAsync(new InMemoryTransport());
        using var reader = new FrameReader(server, _pool, Frames.FrameBytesMax);
        for (var i = 0; i < 3; i++)
        {
            foreach (var size in new[] { 100, 200_000 })
            {
                var receiving = reader.ReceiveAsync(default).AsTask();
                Assert.False(receiving.IsCompleted);
                Assert.Equal(0, _pool.RentedBytes);
                await client.SendAsync(Frames.Prefixed(new byte[size]), default);
                Assert.True(await receiving.WaitAsync(Frames.Patience));
                Assert.NotEqual(0, _pool.RentedBytes);
                Assert.True(reader.TryReadFrame(out var frame));
                Assert.Equal(size, frame.Length);
            }
        }

        Assert.NotEqual(0, _pool.RentedBytes);
        reader.ReleaseProcessed();
        Assert.Equal(0, _pool.RentedBytes);
    }

    /// <summary>What a connection holds while it waits is in proportion to what it has sent.</summary>
    [Theory]
    [InlineData(1000, 3, 1024)]
    [InlineData(1000, 900, 1024)]
    [InlineData(60_000, 10, 1024)]
    [InlineData(60_000, 10_000, 10 * 1024)]
    [InlineData(60_000, 40_000, FrameReader.SlabBytes)]
    [InlineData(90_000_000, 10, FrameReader.UnprovenFrameBytesMax)]
    [InlineData(90_000_000, 1_000_000, 1024 * 1024)]
    public async Task HalfAFrameHoldsWhatItNeeds(int frameBytes, int sentBytes, int heldBytesMax)
    {
        var (client, server) = await Frames.ConnectAsync(new InMemoryTransport());
        using var reader = new FrameReader(server, _pool, Frames.FrameBytesMax);
        var receiving = reader.ReceiveAsync(default).AsTask();
        await client.SendAsync(Frames.Prefix(frameBytes), default);
        await client.SendAsync(new byte[sentBytes], default);
        // The reader continues elsewhere: all is received once that much is counted, and held back once it waits again.
        await Frames.UntilAsync(() => reader.ReceivedBytes == 4 + sentBytes && _pool.RentedBytes <= heldBytesMax);
        Assert.False(receiving.IsCompleted);

        await client.SendAsync(new byte[frameBytes - sentBytes], default);
        Assert.True(await receiving.WaitAsync(Frames.Patience));
        Assert.True(reader.TryReadFrame(out var frame));
        Assert.Equal(frameBytes, frame.Length);
    }

    [Fact]
    public async Task AConnectionThatHasSentLargeFramesIsBelievedTheNext()
    {
        var (client, server) = await Frames.ConnectAsync(new InMemoryTransport());
        using var reader = new FrameReader(server, _pool, Frames.FrameBytesMax);
        foreach (var (
            size, expected) in new[] { (800_000, FrameReader.UnprovenFrameBytesMax), (50_000_000, 800_000),
            (50_000_000, FrameReader.ProvenFrameBytesMax) })
        {
            var receiving = reader.ReceiveAsync(default).AsTask();
            await client.SendAsync(Frames.Prefix(size), default);
            await Frames.UntilAsync(() => _pool.RentedBytes >= expected);
            Assert.InRange(_pool.RentedBytes, expected, expected * 5 / 4); // a buffer's class is at most a quarter larger
            await client.SendAsync(new byte[size], default);
            Assert.True(await receiving.WaitAsync(Frames.Patience));
            Assert.True(reader.TryReadFrame(out _));
        }
    }

    [Fact]
    public async Task AFrameNotYetReadSurvivesARelease()
    {
        using var reader = new FrameReader(new FakeConnection([Frames.Prefixed([1], [2])]), _pool, Frames.FrameBytesMax);
        Assert.True(await reader.ReceiveAsync(default));
        Assert.True(reader.TryReadFrame(out _));
        reader.ReleaseProcessed();
        Assert.True(reader.TryReadFrame(out var second));
        Assert.Equal([2], second.ToArray());
    }

    [Fact]
    public async Task ReceivingAgainWithoutReadingKeepsTheFrames()
    {
        var large = Frames.Random(1, 100_000);
        using var reader = new FrameReader(new FakeConnection([Frames.Prefixed(large, [2])]), _pool, Frames.FrameBytesMax);
        Assert.True(await reader.ReceiveAsync(default));
        Assert.True(await reader.ReceiveAsync(default));
        Assert.True(reader.TryReadFrame(out var frame));
        Assert.Equal(large, frame.ToArray());
        Assert.False(reader.TryReadFrame(out _));
        Assert.True(await reader.ReceiveAsync(default));
        Assert.True(reader.TryReadFrame(out frame));
        Assert.Equal([2], frame.ToArray());
    }

    [Fact]
    public async Task CancellationEndsTheWait()
    {
        var (client, server) = await Frames.ConnectAsync(new InMemoryTransport());
        using var reader = new FrameReader(server, _pool, Frames.FrameBytesMax);
        using var cancellation = new CancellationTokenSource();
        var receiving = reader.ReceiveAsync(cancellation.Token).AsTask();
        await cancellation.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => receiving.WaitAsync(Frames.Patience));

        // A cancelled wait loses nothing.
        await client.SendAsync(Frames.Prefixed([5]), default);
        Assert.True(await reader.ReceiveAsync(default));
    }

    [Fact]
    public async Task RandomBytesRaiseOnlyTheExpectedErrors()
    {
        for (ulong seed = 0; seed < 300; seed++)
        {
            var random = new Prng(seed);
            var bytes = Frames.Random(random, random.NextInt(100_000));
            // Most lengths of purely random bytes are refused at once; smaller ones lead deeper.
            for (var i = 0; i + 3 < bytes.Length; i += 1 + random.NextInt(5000))
                Frames.Prefix(random.NextInt(random.NextChance(20) ? 80_000 : 3000)).CopyTo(bytes, i);
            var connection = new FakeConnection(Frames.Cut(random, bytes, 1 + random.NextInt(20_000)));
            try
            {
                await Frames.ReadAllAsync(connection, _pool, 1 + random.NextInt(200_000));
            }
            catch (Exception exception) when (exception is IOException or SocketException)
            {
                Assert.IsType<InvalidFrameException>(exception);
            }

            Assert.True(_pool.RentedBytes == 0, $"seed {seed} leaves {_pool.RentedBytes} bytes rented");
        }
    }
}
