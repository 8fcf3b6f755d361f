using System.Numerics;
using System.Runtime.CompilerServices;

namespace Ottla.Protocol.Wire;

/// <summary>Variable-length integers of Protocol Buffers: unsigned in flexible messages, zigzag in records.</summary>
public static class Varint
{
    /// <summary>The most bytes of a 32-bit value.</summary>
    public const int SizeBytesMax32 = 5;

    /// <summary>The most bytes of a 64-bit value.</summary>
    public const int SizeBytesMax64 = 10;

    /// <summary>Bytes of <paramref name="value"/> as an unsigned varint.</summary>
    public static int SizeOfUnsigned(uint value) => (38 - BitOperations.LeadingZeroCount(value)) / 7 + (value == 0 ? 1 : 0);

    /// <summary>Bytes of <paramref name="value"/> as a zigzag varint.</summary>
    public static int SizeOf(long value)
    {
        var zigzag = (ulong)((value << 1) ^ (value >> 63));
        return zigzag == 0 ? 1 : (70 - BitOperations.LeadingZeroCount(zigzag)) / 7;
    }

    /// <summary>Reads an unsigned 32-bit value at <paramref name="position"/> and moves past it.</summary>
    /// <returns>False when it does not end within <paramref name="source"/> or within 5 bytes, or is wider than 32 bits.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryReadUnsigned(ReadOnlySpan<byte> source, ref int position, out uint value)
    {
        // Most lengths, counts and deltas take one byte or two.
        var at = position;
        if ((uint)at < (uint)source.Length)
        {
            value = source[at];
            if (value < 0x80)
            {
                position = at + 1;
                return true;
            }

            if ((uint)(at + 1) < (uint)source.Length && source[at + 1] < 0x80)
            {
                value = (value & 0x7F) | ((uint)source[at + 1] << 7);
                position = at + 2;
                return true;
            }
        }

        return TryReadLongerUnsigned(source, ref position, out value);
    }

    private static bool TryReadLongerUnsigned(ReadOnlySpan<byte> source, ref int position, out uint value)
    {
        value = 0;
        for (var shift = 0; shift < 35 && (uint)position < (uint)source.Length; shift += 7)
        {
            var b = source[position++];
            if (shift == 28 && b > 0x0F)
                return false;
            value |= (uint)(b & 0x7F) << shift;
            if (b < 0x80)
                return true;
        }

        return false;
    }

    /// <summary>Reads a zigzag 32-bit value at <paramref name="position"/> and moves past it.</summary>
    /// <returns>False when it does not end within <paramref name="source"/> or is wider than 32 bits.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryReadInt32(ReadOnlySpan<byte> source, ref int position, out int value)
    {
        var ok = TryReadUnsigned(source, ref position, out var raw);
        value = (int)(raw >> 1) ^ -(int)(raw & 1);
        return ok;
    }

    /// <summary>Reads a zigzag 64-bit value at <paramref name="position"/> and moves past it.</summary>
    /// <returns>False when it does not end within <paramref name="source"/> or within 10 bytes, or is wider than 64 bits.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryReadInt64(ReadOnlySpan<byte> source, ref int position, out long value)
    {
        if ((uint)position < (uint)source.Length && source[position] is < 0x80 and var raw)
        {
            value = (raw >> 1) ^ -(long)(raw & 1);
            position++;
            return true;
        }

        return TryReadLongerInt64(source, ref position, out value);
    }

    private static bool TryReadLongerInt64(ReadOnlySpan<byte> source, ref int position, out long value)
    {
        var raw = 0UL;
        value = 0;
        for (var shift = 0; shift < 70 && (uint)position < (uint)source.Length; shift += 7)
        {
            var b = source[position++];
            if (shift == 63 && b > 1)
                return false;
            raw |= (ulong)(b & 0x7F) << shift;
            if (b < 0x80)
            {
                value = (long)(raw >> 1) ^ -(long)(raw & 1);
                return true;
            }
        }

        return false;
    }

    /// <summary>Writes <paramref name="value"/> unsigned.</summary>
    /// <returns>The bytes written.</returns>
    public static int WriteUnsigned(Span<byte> destination, uint value)
    {
        var length = 0;
        while (value >= 0x80)
        {
            destination[length++] = (byte)(value | 0x80);
            value >>= 7;
        }

        destination[length++] = (byte)value;
        return length;
    }

    /// <summary>Writes <paramref name="value"/> with zigzag.</summary>
    /// <returns>The bytes written.</returns>
    public static int Write(Span<byte> destination, long value)
    {
        var zigzag = (ulong)((value << 1) ^ (value >> 63));
        var length = 0;
        while (zigzag >= 0x80)
        {
            destination[length++] = (byte)(zigzag | 0x80);
            zigzag >>= 7;
        }

        destination[length++] = (byte)zigzag;
        return length;
    }
}
