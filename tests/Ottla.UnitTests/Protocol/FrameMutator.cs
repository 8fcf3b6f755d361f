using Ottla.Kernel;

namespace Ottla.UnitTests.Protocol;

/// <summary>Damages frames the way that hurts decoders: bits, lengths, ends.</summary>
internal static class FrameMutator
{
    /// <summary>
    /// Lengths that lie, in every encoding the protocol has: int16, int32, unsigned variable-length; and variable-length ones that are
    /// overlong or do not end.
    /// </summary>
    private static readonly byte[][] Lies =
    [
        [0x7F, 0xFF], [0x80, 0x00], [0xFF, 0xFE], [0xFF, 0xFF],
        [0x7F, 0xFF, 0xFF, 0xFF], [0x80, 0x00, 0x00, 0x00], [0xFF, 0xFF, 0xFF, 0xFE], [0xFF, 0xFF, 0xFF, 0xFF], [0x00, 0x10, 0x00, 0x00],
            [0x00, 0x00, 0x01, 0x00],
        [0xFF, 0xFF, 0xFF, 0xFF, 0x07], [0xFF, 0xFF, 0xFF, 0xFF, 0x0F], [0x80, 0x80, 0x80, 0x80, 0x08], [0x80, 0x80, 0x40], [0xFF, 0x7F],
            [0x80, 0x80, 0x02],
        [0x80, 0x00], [0x81, 0x80, 0x80, 0x80, 0x00], [0x80, 0x80, 0x80, 0x80, 0x80], [0xFF, 0xFF, 0xFF, 0xFF, 0x7F],
            [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01],
        [0x00], [0x01], [0x02], [0x7F],
    ];

    /// <summary>A damaged copy of a frame.</summary>
    public static byte[] Mutate(ReadOnlySpan<byte> frame, Prng prng)
    {
        List<byte> bytes = [.. frame];
        var count = prng.NextChance(70) ? 1 : prng.NextInt(2, 5);
        for (var i = 0; i < count; i++)
            MutateOnce(bytes, prng);
        return [.. bytes];
    }

    /// <summary>A frame out of nothing; half of its bytes small, so that decoding goes far.</summary>
    public static byte[] Random(Prng prng)
    {
        var bytes = new byte[prng.NextChance(80) ? prng.NextInt(64) : prng.NextInt(512)];
        prng.NextBytes(bytes);
        var smallPercent = prng.NextInt(101);
        foreach (ref var b in bytes.AsSpan())
        {
            if (prng.NextChance(smallPercent))
                b = (byte)prng.NextInt(4);
        }

        return bytes;
    }

    private static void MutateOnce(List<byte> bytes, Prng prng)
    {
        var at = prng.NextInt(bytes.Count + 1);
        switch (prng.NextInt(6))
        {
            case 0 when at < bytes.Count:
                bytes[at] ^= (byte)(1 << prng.NextInt(8));
                break;
            case 1 when at < bytes.Count:
                bytes.RemoveRange(at, Math.Min(bytes.Count - at, 1 + prng.NextInt(8)));
                break;
            case 2 when at < bytes.Count:
                bytes.InsertRange(at, bytes.GetRange(at, Math.Min(bytes.Count - at, 1 + prng.NextInt(16))));
                break;
            case 3:
                bytes.InsertRange(at, Lies[prng.NextInt(Lies.Length)]);
                break;
            default:
                var lie = Lies[prng.NextInt(Lies.Length)];
                bytes.RemoveRange(at, Math.Min(bytes.Count - at, lie.Length));
                bytes.InsertRange(at, lie);
                break;
        }
    }
}
