using Microsoft.Win32.SafeHandles;
using Ottla.Network.Buffers;
using Ottla.Network.Framing;
using Ottla.Network.Transport;

namespace Ottla.UnitTests.Network;

public sealed class NetworkAllocationTests
{
    private const int Rounds = 500;
    private const int Measurements = 5;

#if DEBUG
    // Unoptimised code keeps the state of every async method in an object; that is all the debug build may allocate, whatever the frames'
    // sizes.
    private const long BytesPerRoundMax = 2500;
#else
    private const long BytesPerRoundMax = 0;
#endif

    [Theory]
    [InlineData(100)]
    [InlineData(20_000)]
    [InlineData(150_000)]
    public async Task ARoundOfFramesAllocatesNothing(int frameBytes)
    {
        var pool = new BufferPool();
        var (client, server) = await Frames.ConnectAsync(new InMemoryTransport(pipeBytes: 1024 * 1024));
        using var reader = new FrameReader(server, pool, Frames.FrameBytesMax);
        var sender = new FrameSender(server, pool);
        var request = Frames.Prefixed(new byte[frameBytes], new byte[frameBytes]);
        var response = new byte[1024 * 1024];
        List<FrameBuffer> frames = [new(pool), new(pool)];
        var slice = new EndlessSlice();
        for (var i = 0; i < Rounds; i++)
            Round();

        // The median of several measurements: a collection that another test causes empties the pools once.
        var allocated = new long[Measurements];
        for (var measurement = 0; measurement < Measurements; measurement++)
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            for (var i = 0; i < Rounds; i++)
                Round();
            allocated[measurement] = GC.GetAllocatedBytesForCurrentThread() - before;
        }

        Array.Sort(allocated);
        Assert.True(
            allocated[Measurements / 2] <= BytesPerRoundMax * Rounds, $"{allocated[Measurements / 2] / (double)Rounds} bytes per round");

        void Round()
        {
            Complete(client.SendAsync(request, default));
            for (var read = 0; read < 2;)
            {
                var receiving = reader.ReceiveAsync(default);
                if (!receiving.IsCompleted || !receiving.Result)
                    Assert.Fail("everything is there");
                while (reader.TryReadFrame(out var frame))
                {
                    frames[read].Write(frame.Span);
                    frames[read++].AppendSlice(slice);
                }
            }

            Complete(sender.SendAsync(frames, default));
            var expected = 2 * (4 + frameBytes + slice.Length);
            for (var received = 0; received < expected;)
            {
                var receiving = client.ReceiveAsync(response, default);
                received += receiving.Result;
            }
        }

        static void Complete(ValueTask sending)
        {
            if (!sending.IsCompletedSuccessfully)
                Assert.Fail("there is room");
            sending.GetAwaiter().GetResult();
        }
    }

    private sealed class EndlessSlice : Ottla.Kernel.IFileSlice
    {
        public int Length => 5000;

        public SafeFileHandle? Source => null;

        public long SourcePosition => 0;

        public void Read(int offset, Span<byte> destination) => destination.Clear();

        public void Dispose()
        {
        }
    }
}
