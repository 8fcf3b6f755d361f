using System.Buffers.Binary;
using System.Diagnostics;
using Ottla.Kernel;
using Ottla.Network.Buffers;
using Ottla.Network.Framing;
using Ottla.Network.Transport;

namespace Ottla.UnitTests.Network;

/// <summary>Making, cutting and reading frames, for the tests of this folder.</summary>
internal static class Frames
{
    public const int FrameBytesMax = 100 * 1024 * 1024;

    /// <summary>Bounds every wait of these tests: generous, and reached only when something hangs.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    public static byte[] Random(Prng random, int length)
    {
        var bytes = new byte[length];
        random.NextBytes(bytes);
        return bytes;
    }

    public static byte[] Random(ulong seed, int length) => Random(new Prng(seed), length);

    public static byte[] Prefixed(params IEnumerable<byte[]> frames)
    {
        using var stream = new MemoryStream();
        var prefix = new byte[4];
        foreach (var frame in frames)
        {
            BinaryPrimitives.WriteInt32BigEndian(prefix, frame.Length);
            stream.Write(prefix);
            stream.Write(frame);
        }

        return stream.ToArray();
    }

    public static byte[] Prefix(int length)
    {
        var prefix = new byte[4];
        BinaryPrimitives.WriteInt32BigEndian(prefix, length);
        return prefix;
    }

    /// <summary>Cuts bytes into pieces of random size up to <paramref name="pieceBytesMax"/>.</summary>
    public static IEnumerable<byte[]> Cut(Prng random, byte[] bytes, int pieceBytesMax)
    {
        for (var i = 0; i < bytes.Length;)
        {
            var count = Math.Min(bytes.Length - i, 1 + random.NextInt(pieceBytesMax));
            yield return bytes[i..(i + count)];
            i += count;
        }
    }

    /// <summary>Reads to the end of the stream and returns copies of the frames.</summary>
    public static async Task<List<byte[]>> ReadAllAsync(ITransportConnection connection, BufferPool pool, int frameBytesMax = FrameBytesMax)
    {
        using var reader = new FrameReader(connection, pool, frameBytesMax);
        var frames = new List<byte[]>();
        while (await reader.ReceiveAsync(default))
        {
            var before = frames.Count;
            while (reader.TryReadFrame(out var frame))
                frames.Add(frame.ToArray());
            Assert.True(frames.Count > before, "a receive that returns true makes a frame available");
        }

        return frames;
    }

    /// <summary>Waits until something holds that another thread brings about.</summary>
    public static async Task UntilAsync(Func<bool> condition)
    {
        var watch = Stopwatch.StartNew();
        while (!condition())
        {
            Assert.True(watch.Elapsed < Patience, "it never holds");
            await Task.Yield();
        }
    }

    public static async Task<(ITransportConnection Client, ITransportConnection Server)> ConnectAsync(ITransport transport)
    {
        await using var listener = transport.Listen(new(System.Net.IPAddress.Loopback, 0), 16, SocketBufferSizes.OperatingSystemDefaults);
        var accepting = listener.AcceptAsync(default).AsTask();
        var client = await transport.ConnectAsync(listener.LocalEndPoint, default);
        return (client, await accepting.WaitAsync(Patience));
    }
}
