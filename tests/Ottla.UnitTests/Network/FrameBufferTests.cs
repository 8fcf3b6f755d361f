using System.Buffers.Binary;
using Microsoft.Win32.SafeHandles;
using Ottla.Kernel;
using Ottla.Network.Buffers;
using Ottla.Network.Framing;

namespace Ottla.UnitTests.Network;

public sealed class FrameBufferTests
{
    private readonly BufferPool _pool = new();

    [Fact]
    public void WritesGrowsPatchesAndSeals()
    {
        using var frame = new FrameBuffer(_pool);
        Assert.Equal((0, 0), (frame.Length, frame.TotalLength));
        Assert.Equal(0, _pool.RentedBytes);
        var expected = Frames.Random(1, 100_000);
        for (var i = 0; i < expected.Length; i += 1000)
            frame.Write(expected.AsSpan(i, 1000));
        expected[5] = 99;
        frame.Written[5] = 99;
        Assert.Equal(expected, frame.Written.ToArray());
        Assert.Equal(expected.Length, frame.TotalLength);
        Assert.Equal(Frames.Prefixed(expected), frame.Seal().ToArray());
    }

    [Fact]
    public void RandomInsertsAndWritesMatchAList()
    {
        var random = new Prng(7);
        using var frame = new FrameBuffer(_pool);
        var model = new List<byte>();
        for (var i = 0; i < 2000; i++)
        {
            var bytes = Frames.Random(random, random.NextInt(12));
            if (random.NextChance(50))
            {
                var position = random.NextInt(model.Count + 1);
                bytes.CopyTo(frame.Insert(position, bytes.Length));
                model.InsertRange(position, bytes);
            }
            else
            {
                bytes.CopyTo(frame.GetSpan(bytes.Length));
                frame.Advance(bytes.Length);
                model.AddRange(bytes);
            }
        }

        Assert.Equal(model, frame.Written.ToArray());
    }

    [Fact]
    public void InsertingMovesTheSlicesBehind()
    {
        using var frame = new FrameBuffer(_pool);
        frame.Write([1, 2]);
        frame.AppendSlice(new FakeSlice([10]));
        frame.Write([3]);
        frame.AppendSlice(new FakeSlice([20, 21]));
        frame.Insert(2, 3).Clear();
        frame.Insert(1, 1).Clear();
        Assert.Equal(4 + 6, frame.SliceBehind(0).BytesBefore);
        Assert.Equal(4 + 7, frame.SliceBehind(1).BytesBefore);
        frame.Insert(7, 1).Clear();
        Assert.Equal(4 + 6, frame.SliceBehind(0).BytesBefore);
        Assert.Equal(4 + 8, frame.SliceBehind(1).BytesBefore);
        Assert.Equal((8, 11), (frame.Length, frame.TotalLength));
        Assert.Equal(11, BinaryPrimitives.ReadInt32BigEndian(frame.Seal().Span));
    }

    [Fact]
    public void DisposingReleasesEverythingOnceAndLeavesAnEmptyFrame()
    {
        var frame = new FrameBuffer(_pool);
        var slice = new FakeSlice([1, 2, 3]);
        for (var i = 0; i < 3; i++)
        {
            frame.Write([1]);
            frame.AppendSlice(slice);
            frame.Dispose();
            frame.Dispose();
            Assert.Equal(i + 1, slice.Disposals);
            Assert.Equal((0, 0, 0), (frame.Length, frame.TotalLength, frame.SliceCount));
            Assert.Equal(0, _pool.RentedBytes);
        }
    }

    [Fact]
    public void AFrameThatNoPrefixCanAnnounceIsRefused()
    {
        using var frame = new FrameBuffer(_pool);
        frame.AppendSlice(new HugeSlice());
        var tooMuch = new HugeSlice();
        Assert.Throws<InvalidOperationException>(() => frame.AppendSlice(tooMuch));
        Assert.True(tooMuch.IsDisposed);
        frame.Write(new byte[7]);
        Assert.Equal(int.MaxValue, frame.TotalLength);
        Assert.Throws<InvalidOperationException>(() => frame.GetSpan(2000));
    }

    [Fact]
    public void AdvancingPastTheRoomOrInsertingPastTheEndIsRefused()
    {
        using var frame = new FrameBuffer(_pool);
        Assert.Throws<ArgumentOutOfRangeException>(() => frame.Advance(1));
        var room = frame.GetSpan(10).Length;
        Assert.Throws<ArgumentOutOfRangeException>(() => frame.Advance(room + 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => { frame.Insert(1, 1); });
    }

    private sealed class HugeSlice : IFileSlice
    {
        public bool IsDisposed { get; private set; }

        public int Length => int.MaxValue - 7;

        public SafeFileHandle? Source => null;

        public long SourcePosition => 0;

        public void Read(int offset, Span<byte> destination) => throw new IOException("never read");

        public void Dispose() => IsDisposed = true;
    }
}
