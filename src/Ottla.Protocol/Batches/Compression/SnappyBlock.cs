using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Ottla.Protocol.Wire;

namespace Ottla.Protocol.Batches.Compression;

/// <summary>The Snappy block format: the length as a varint, then literals and copies of earlier output. Stateless.</summary>
internal static class SnappyBlock
{
    /// <summary>The number of entries in the working table of <see cref="Compress"/>.</summary>
    public const int TableEntries = 1 << TableBits;

    /// <summary>The largest input of <see cref="Compress"/>, because positions are 16 bits wide.</summary>
    public const int InputBytesMax = 1 << 16;

    private const int TableBits = 14;
    private const int MatchBytesMin = 4;
    private const uint HashMultiplier = 0x9E3779B1;

    private const int LiteralTag = 0;
    private const int NearCopyTag = 1;
    private const int MiddleCopyTag = 2;
    private const int FarCopyTag = 3;
    private const int NearCopyOffsetEnd = 1 << 11;
    private const int NearCopyBytesMax = 11;
    private const int CopyBytesMax = 64;

    /// <summary>The largest compressed size of <paramref name="inputBytes"/>: all of them literals.</summary>
    public static int CompressBound(int inputBytes) => 32 + inputBytes + inputBytes / 6;

    /// <summary>Reads the expanded length of a block.</summary>
    /// <returns>False when there is no length, or when it is larger than the bytes of the block could expand to.</returns>
    public static bool TryReadLength(ReadOnlySpan<byte> block, out int length, out int prefixBytes)
    {
        prefixBytes = 0;
        length = 0;
        if (!Varint.TryReadUnsigned(block, ref prefixBytes, out var claimed))
            return false;
        const int middleCopyBytes = 3; // the densest element expands 3 bytes to 64
        if (claimed > (ulong)(block.Length - prefixBytes) * CopyBytesMax / middleCopyBytes)
            return false;
        length = (int)claimed;
        return true;
    }

    /// <summary>Expands the bytes after the length. Returns false unless they fill <paramref name="output"/> exactly.</summary>
    public static bool TryDecompress(ReadOnlySpan<byte> body, Span<byte> output)
    {
        var written = 0;
        while (!body.IsEmpty)
        {
            var tag = body[0];
            if ((tag & 3) == LiteralTag)
            {
                if (!TryReadLiteral(ref body, output[written..], out var literalBytes))
                    return false;
                written += literalBytes;
                continue;
            }

            if (!TryReadCopy(ref body, out var offset, out var length) || offset == 0 || offset > (uint)written
                || length > output.Length - written)
                return false;
            CopyWithin(output, written, (int)offset, length);
            written += length;
        }

        return written == output.Length;
    }

    /// <summary>Compresses <paramref name="input"/>, of at most <see cref="InputBytesMax"/> bytes.</summary>
    /// <param name="input">The bytes.</param>
    /// <param name="output">At least <see cref="CompressBound"/> bytes.</param>
    /// <param name="table">A working table of <see cref="TableEntries"/> entries; it need not be cleared.</param>
    /// <returns>The bytes written.</returns>
    public static int Compress(ReadOnlySpan<byte> input, Span<byte> output, Span<ushort> table)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(input.Length, InputBytesMax, nameof(input));
        table[..TableEntries].Clear();
        var written = Varint.WriteUnsigned(output, (uint)input.Length);
        var literalStart = 0;
        var lastHashable = input.Length - sizeof(uint);

        // An empty slot means position 0, so the search starts at 1 and a candidate is always earlier.
        for (var position = 1; position <= lastHashable;)
        {
            var sequence = ReadUInt32(input, position);
            ref var slot = ref table[Hash(sequence)];
            var candidate = slot;
            slot = (ushort)position;
            if (ReadUInt32(input, candidate) != sequence)
            {
                // The steps grow in data that does not compress.
                position += 1 + ((position - literalStart) >> 5);
                continue;
            }

            written += WriteLiteral(input[literalStart..position], output[written..]);
            var matchBytes = MatchBytesMin + input[(position + MatchBytesMin)..].CommonPrefixLength(input[(candidate + MatchBytesMin)..]);
            written += WriteCopies(position - candidate, matchBytes, output[written..]);
            position += matchBytes;
            literalStart = position;
            if (position - 1 <= lastHashable)
                table[Hash(ReadUInt32(input, position - 1))] = (ushort)(position - 1);
        }

        return written + WriteLiteral(input[literalStart..], output[written..]);
    }

    private static bool TryReadLiteral(ref ReadOnlySpan<byte> body, Span<byte> output, out int length)
    {
        const int inlineLengthMax = 60;
        var shortLength = (body[0] >> 2) + 1;
        var lengthBytes = Math.Max(0, shortLength - inlineLengthMax);
        length = shortLength;
        if (body.Length < 1 + lengthBytes)
            return false;
        if (lengthBytes > 0)
        {
            var value = 0u;
            for (var i = 0; i < lengthBytes; i++)
                value |= (uint)body[1 + i] << (8 * i);
            if (value >= int.MaxValue)
                return false;
            length = (int)value + 1;
        }

        body = body[(1 + lengthBytes)..];
        if (length > body.Length || length > output.Length)
            return false;
        body[..length].CopyTo(output);
        body = body[length..];
        return true;
    }

    private static bool TryReadCopy(ref ReadOnlySpan<byte> body, out uint offset, out int length)
    {
        var tag = body[0];
        offset = 0;
        length = (tag >> 2) + 1;
        var size = (tag & 3) switch { NearCopyTag => 2, MiddleCopyTag => 3, _ => 5 };
        if (body.Length < size)
            return false;
        switch (tag & 3)
        {
            case NearCopyTag:
                length = ((tag >> 2) & 7) + MatchBytesMin;
                offset = (uint)((tag >> 5) << 8) | body[1];
                break;
            case MiddleCopyTag:
                offset = BinaryPrimitives.ReadUInt16LittleEndian(body[1..]);
                break;
            case FarCopyTag:
                offset = BinaryPrimitives.ReadUInt32LittleEndian(body[1..]);
                break;
        }

        body = body[size..];
        return true;
    }

    /// <summary>Copies from earlier output. Where the ranges overlap, the copied bytes repeat.</summary>
    private static void CopyWithin(Span<byte> output, int position, int offset, int length)
    {
        var source = output[(position - offset)..];
        var destination = output.Slice(position, length);
        while (destination.Length > offset)
        {
            source[..offset].CopyTo(destination);
            destination = destination[offset..];
            offset *= 2; // the repeated part is now twice as long
        }

        source[..destination.Length].CopyTo(destination);
    }

    private static int WriteLiteral(ReadOnlySpan<byte> literal, Span<byte> output)
    {
        if (literal.IsEmpty)
            return 0;
        var lengthMinusOne = literal.Length - 1;
        int headBytes;
        if (lengthMinusOne < 60)
        {
            output[0] = (byte)(lengthMinusOne << 2);
            headBytes = 1;
        }
        else if (lengthMinusOne < 1 << 8)
        {
            output[0] = 60 << 2;
            output[1] = (byte)lengthMinusOne;
            headBytes = 2;
        }
        else
        {
            output[0] = 61 << 2;
            BinaryPrimitives.WriteUInt16LittleEndian(output[1..], (ushort)lengthMinusOne);
            headBytes = 3;
        }

        literal.CopyTo(output[headBytes..]);
        return headBytes + literal.Length;
    }

    private static int WriteCopies(int offset, int length, Span<byte> output)
    {
        var written = 0;
        while (length > 0)
        {
            // Leave at least 4 bytes, because a shorter rest has no short form.
            var step = length <= CopyBytesMax
                ? length : length < CopyBytesMax + MatchBytesMin ? CopyBytesMax - MatchBytesMin
                : CopyBytesMax;
            if (step is >= MatchBytesMin and <= NearCopyBytesMax && offset < NearCopyOffsetEnd)
            {
                output[written] = (byte)(NearCopyTag | ((step - MatchBytesMin) << 2) | ((offset >> 8) << 5));
                output[written + 1] = (byte)offset;
                written += 2;
            }
            else
            {
                output[written] = (byte)(MiddleCopyTag | ((step - 1) << 2));
                BinaryPrimitives.WriteUInt16LittleEndian(output[(written + 1)..], (ushort)offset);
                written += 3;
            }

            length -= step;
        }

        return written;
    }

    private static uint ReadUInt32(ReadOnlySpan<byte> source, int position) => MemoryMarshal.Read<uint>(source[position..]);

    private static int Hash(uint sequence) => (int)((sequence * HashMultiplier) >> (32 - TableBits));
}
