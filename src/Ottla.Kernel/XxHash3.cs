using System.Buffers.Binary;
using System.Numerics;

namespace Ottla.Kernel;

/// <summary>XXH3 in its 64 bit form, without a seed: what Kafka hashes the metadata of a group's topics with (KIP-1101).</summary>
public static class XxHash3
{
    private const uint Prime32A = 0x9E3779B1;
    private const uint Prime32B = 0x85EBCA77;
    private const uint Prime32C = 0xC2B2AE3D;
    private const ulong Prime64A = 0x9E3779B185EBCA87;
    private const ulong Prime64B = 0xC2B2AE3D27D4EB4F;
    private const ulong Prime64C = 0x165667B19E3779F9;
    private const ulong Prime64D = 0x85EBCA77C2B2AE63;
    private const ulong Prime64E = 0x27D4EB2F165667C5;

    private const int StripeBytes = 64;
    private const int SecretBytesPerStripe = 8;
    private const int MidSizeMax = 240;
    private const int SmallestSecretBytes = 136;

    private static ReadOnlySpan<byte> Secret =>
    [
        0xb8, 0xfe, 0x6c, 0x39, 0x23, 0xa4, 0x4b, 0xbe, 0x7c, 0x01, 0x81, 0x2c, 0xf7, 0x21, 0xad, 0x1c,
        0xde, 0xd4, 0x6d, 0xe9, 0x83, 0x90, 0x97, 0xdb, 0x72, 0x40, 0xa4, 0xa4, 0xb7, 0xb3, 0x67, 0x1f,
        0xcb, 0x79, 0xe6, 0x4e, 0xcc, 0xc0, 0xe5, 0x78, 0x82, 0x5a, 0xd0, 0x7d, 0xcc, 0xff, 0x72, 0x21,
        0xb8, 0x08, 0x46, 0x74, 0xf7, 0x43, 0x24, 0x8e, 0xe0, 0x35, 0x90, 0xe6, 0x81, 0x3a, 0x26, 0x4c,
        0x3c, 0x28, 0x52, 0xbb, 0x91, 0xc3, 0x00, 0xcb, 0x88, 0xd0, 0x65, 0x8b, 0x1b, 0x53, 0x2e, 0xa3,
        0x71, 0x64, 0x48, 0x97, 0xa2, 0x0d, 0xf9, 0x4e, 0x38, 0x19, 0xef, 0x46, 0xa9, 0xde, 0xac, 0xd8,
        0xa8, 0xfa, 0x76, 0x3f, 0xe3, 0x9c, 0x34, 0x3f, 0xf9, 0xdc, 0xbb, 0xc7, 0xc7, 0x0b, 0x4f, 0x1d,
        0x8a, 0x51, 0xe0, 0x4b, 0xcd, 0xb4, 0x59, 0x31, 0xc8, 0x9f, 0x7e, 0xc9, 0xd9, 0x78, 0x73, 0x64,
        0xea, 0xc5, 0xac, 0x83, 0x34, 0xd3, 0xeb, 0xc3, 0xc5, 0x81, 0xa0, 0xff, 0xfa, 0x13, 0x63, 0xeb,
        0x17, 0x0d, 0xdd, 0x51, 0xb7, 0xf0, 0xda, 0x49, 0xd3, 0x16, 0x55, 0x26, 0x29, 0xd4, 0x68, 0x9e,
        0x2b, 0x16, 0xbe, 0x58, 0x7d, 0x47, 0xa1, 0xfc, 0x8f, 0xf8, 0xb8, 0xd1, 0x7a, 0xd0, 0x31, 0xce,
        0x45, 0xcb, 0x3a, 0x8f, 0x95, 0x16, 0x04, 0x28, 0xaf, 0xd7, 0xfb, 0xca, 0xbb, 0x4b, 0x40, 0x7e,
    ];

    /// <summary>The hash of some bytes.</summary>
    public static ulong Hash(ReadOnlySpan<byte> input) => input.Length switch
    {
        0 => AvalancheOld(Key(56) ^ Key(64)),
        <= 3 => HashUpTo3(input),
        <= 8 => HashUpTo8(input),
        <= 16 => HashUpTo16(input),
        <= 128 => HashUpTo128(input),
        <= MidSizeMax => HashUpTo240(input),
        _ => HashLong(input),
    };

    private static ulong HashUpTo3(ReadOnlySpan<byte> input)
    {
        var combined = ((uint)input[0] << 16) | ((uint)input[input.Length >> 1] << 24) | input[^1] | ((uint)input.Length << 8);
        return AvalancheOld(combined ^ (ulong)((uint)Key(0) ^ (uint)(Key(0) >> 32)));
    }

    private static ulong HashUpTo8(ReadOnlySpan<byte> input)
    {
        var first = BinaryPrimitives.ReadUInt32LittleEndian(input);
        var last = BinaryPrimitives.ReadUInt32LittleEndian(input[^4..]);
        var hash = (last + ((ulong)first << 32)) ^ Key(8) ^ Key(16);
        hash ^= BitOperations.RotateLeft(hash, 49) ^ BitOperations.RotateLeft(hash, 24);
        hash *= 0x9FB21C651E98DF25;
        hash ^= (hash >> 35) + (ulong)input.Length;
        hash *= 0x9FB21C651E98DF25;
        return hash ^ (hash >> 28);
    }

    private static ulong HashUpTo16(ReadOnlySpan<byte> input)
    {
        var low = Word(input, 0) ^ Key(24) ^ Key(32);
        var high = Word(input, input.Length - 8) ^ Key(40) ^ Key(48);
        return Avalanche((ulong)input.Length + BinaryPrimitives.ReverseEndianness(low) + high + Fold(low, high));
    }

    private static ulong HashUpTo128(ReadOnlySpan<byte> input)
    {
        var sum = (ulong)input.Length * Prime64A;
        for (var i = (input.Length - 1) / 32; i >= 0; i--)
            sum += Mix16(input, 16 * i, 32 * i) + Mix16(input, input.Length - (16 * (i + 1)), (32 * i) + 16);
        return Avalanche(sum);
    }

    private static ulong HashUpTo240(ReadOnlySpan<byte> input)
    {
        const int roundsBefore = 8, startOffset = 3, lastOffset = 17;
        var sum = (ulong)input.Length * Prime64A;
        for (var i = 0; i < roundsBefore; i++)
            sum += Mix16(input, 16 * i, 16 * i);
        sum = Avalanche(sum);
        for (var i = roundsBefore; i < input.Length / 16; i++)
            sum += Mix16(input, 16 * i, (16 * (i - roundsBefore)) + startOffset);
        return Avalanche(sum + Mix16(input, input.Length - 16, SmallestSecretBytes - lastOffset));
    }

    private static ulong HashLong(ReadOnlySpan<byte> input)
    {
        const int secretBytes = 192, mergeOffset = 11, lastStripeOffset = 7;
        const int stripesPerBlock = (secretBytes - StripeBytes) / SecretBytesPerStripe;
        Span<ulong> lanes = [Prime32C, Prime64A, Prime64B, Prime64C, Prime64D, Prime32B, Prime64E, Prime32A];
        var stripes = (input.Length - 1) / StripeBytes;
        for (var stripe = 0; stripe < stripes; stripe++)
        {
            var inBlock = stripe % stripesPerBlock;
            Accumulate(lanes, input[(stripe * StripeBytes)..], inBlock * SecretBytesPerStripe);
            if (inBlock == stripesPerBlock - 1)
                Scramble(lanes, secretBytes - StripeBytes);
        }

        Accumulate(lanes, input[^StripeBytes..], secretBytes - StripeBytes - lastStripeOffset);
        var hash = (ulong)input.Length * Prime64A;
        for (var i = 0; i < lanes.Length; i += 2)
            hash += Fold(lanes[i] ^ Key(mergeOffset + (8 * i)), lanes[i + 1] ^ Key(mergeOffset + (8 * i) + 8));
        return Avalanche(hash);
    }

    private static void Accumulate(Span<ulong> lanes, ReadOnlySpan<byte> stripe, int secretOffset)
    {
        for (var i = 0; i < lanes.Length; i++)
        {
            var word = Word(stripe, 8 * i);
            var keyed = word ^ Key(secretOffset + (8 * i));
            lanes[i ^ 1] += word;
            lanes[i] += (uint)keyed * (keyed >> 32);
        }
    }

    private static void Scramble(Span<ulong> lanes, int secretOffset)
    {
        for (var i = 0; i < lanes.Length; i++)
            lanes[i] = (lanes[i] ^ (lanes[i] >> 47) ^ Key(secretOffset + (8 * i))) * Prime32A;
    }

    private static ulong Word(ReadOnlySpan<byte> input, int offset) => BinaryPrimitives.ReadUInt64LittleEndian(input[offset..]);

    private static ulong Key(int offset) => Word(Secret, offset);

    private static ulong Mix16(ReadOnlySpan<byte> input, int offset, int secretOffset) =>
        Fold(Word(input, offset) ^ Key(secretOffset), Word(input, offset + 8) ^ Key(secretOffset + 8));

    private static ulong Fold(ulong left, ulong right) => Math.BigMul(left, right, out var low) ^ low;

    private static ulong Avalanche(ulong hash)
    {
        hash ^= hash >> 37;
        hash *= 0x165667919E3779F9;
        return hash ^ (hash >> 32);
    }

    /// <summary>The avalanche of XXH64, which the shortest inputs keep.</summary>
    private static ulong AvalancheOld(ulong hash)
    {
        hash ^= hash >> 33;
        hash *= Prime64B;
        hash ^= hash >> 29;
        hash *= Prime64C;
        return hash ^ (hash >> 32);
    }
}
