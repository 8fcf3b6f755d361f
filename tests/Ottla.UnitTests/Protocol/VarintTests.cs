using Ottla.Kernel;
using Ottla.Protocol.Wire;

namespace Ottla.UnitTests.Protocol;

/// <summary>Variable-length integers at their boundaries, and what is none.</summary>
public sealed class VarintTests
{
    private const int RandomValueCount = 20_000;

    [Theory]
    [InlineData(0u, "00")]
    [InlineData(1u, "01")]
    [InlineData(127u, "7f")]
    [InlineData(128u, "8001")]
    [InlineData(300u, "ac02")]
    [InlineData(16383u, "ff7f")]
    [InlineData(16384u, "808001")]
    [InlineData(2097151u, "ffff7f")]
    [InlineData(2097152u, "80808001")]
    [InlineData(268435455u, "ffffff7f")]
    [InlineData(268435456u, "8080808001")]
    [InlineData((uint)int.MaxValue, "ffffffff07")]
    [InlineData(uint.MaxValue, "ffffffff0f")]
    public void Unsigned(uint value, string hex)
    {
        Span<byte> bytes = stackalloc byte[Varint.SizeBytesMax32];
        var length = Varint.WriteUnsigned(bytes, value);
        Assert.Equal(hex, Convert.ToHexStringLower(bytes[..length]));
        Assert.Equal(length, Varint.SizeOfUnsigned(value));
        var position = 0;
        Assert.True(Varint.TryReadUnsigned(bytes[..length], ref position, out var read));
        Assert.Equal((value, length), (read, position));
    }

    [Theory]
    [InlineData(0L, "00")]
    [InlineData(-1L, "01")]
    [InlineData(1L, "02")]
    [InlineData(-64L, "7f")]
    [InlineData(63L, "7e")]
    [InlineData(64L, "8001")]
    [InlineData(-65L, "8101")]
    [InlineData((long)int.MaxValue, "feffffff0f")]
    [InlineData((long)int.MinValue, "ffffffff0f")]
    [InlineData(long.MaxValue, "feffffffffffffffff01")]
    [InlineData(long.MinValue, "ffffffffffffffffff01")]
    public void Zigzag(long value, string hex)
    {
        Span<byte> bytes = stackalloc byte[Varint.SizeBytesMax64];
        var length = Varint.Write(bytes, value);
        Assert.Equal(hex, Convert.ToHexStringLower(bytes[..length]));
        Assert.Equal(length, Varint.SizeOf(value));
        var position = 0;
        Assert.True(Varint.TryReadInt64(bytes[..length], ref position, out var read64));
        Assert.Equal((value, length), (read64, position));

        position = 0;
        var fits = value is >= int.MinValue and <= int.MaxValue;
        Assert.Equal(fits, Varint.TryReadInt32(bytes[..length], ref position, out var read32));
        if (fits)
            Assert.Equal(((int)value, length), (read32, position));
    }

    [Fact]
    public void Random_values_come_back()
    {
        const ulong Seed = 11;
        var prng = new Prng(Seed);
        Span<byte> bytes = stackalloc byte[Varint.SizeBytesMax64];
        for (var i = 0; i < RandomValueCount; i++)
        {
            var value = (long)(prng.NextUInt64() >> prng.NextInt(64)) * (prng.NextChance(50) ? 1 : -1);
            var length = Varint.Write(bytes, value);
            var position = 0;
            Assert.True(
                Varint.TryReadInt64(bytes, ref position, out var read) && read == value && position == length
                && length == Varint.SizeOf(value), $"{value}, seed {Seed}");

            var unsigned = (uint)value;
            length = Varint.WriteUnsigned(bytes, unsigned);
            position = 0;
            Assert.True(
                Varint.TryReadUnsigned(bytes, ref position, out var readUnsigned) && readUnsigned == unsigned && position == length
                && length == Varint.SizeOfUnsigned(unsigned), $"{unsigned}, seed {Seed}");
        }
    }

    /// <summary>Kafka takes encodings that are longer than they need be, as long as they stay within the bytes of their type.</summary>
    [Theory]
    [InlineData("8000", 0u)]
    [InlineData("8100", 1u)]
    [InlineData("8180808000", 1u)]
    [InlineData("ff80808000", 127u)]
    public void Overlong_encodings_are_read(string hex, uint value)
    {
        var position = 0;
        Assert.True(Varint.TryReadUnsigned(Convert.FromHexString(hex), ref position, out var read));
        Assert.Equal((value, hex.Length / 2), (read, position));
    }

    [Theory]
    [InlineData("")]
    [InlineData("80")]
    [InlineData("ffffffff")]
    [InlineData("8080808080")]
    [InlineData("ffffffff10")] // bit 33
    [InlineData("ffffffff7f")]
    [InlineData("808080808000")]
    [InlineData("ffffffffff01")]
    public void Not_32_bits(string hex)
    {
        var position = 0;
        Assert.False(Varint.TryReadUnsigned(Convert.FromHexString(hex), ref position, out _));
        position = 0;
        Assert.False(Varint.TryReadInt32(Convert.FromHexString(hex), ref position, out _));
    }

    [Theory]
    [InlineData("")]
    [InlineData("80")]
    [InlineData("ffffffffffffffffff")]
    [InlineData("ffffffffffffffffff02")] // bit 65
    [InlineData("ffffffffffffffffff7f")]
    [InlineData("80808080808080808080")]
    [InlineData("8080808080808080808000")]
    public void Not_64_bits(string hex)
    {
        var position = 0;
        Assert.False(Varint.TryReadInt64(Convert.FromHexString(hex), ref position, out _));
    }

    [Fact]
    public void A_position_behind_the_end_is_not_read()
    {
        var position = 3;
        Assert.False(Varint.TryReadUnsigned([1, 2], ref position, out _));
        position = 3;
        Assert.False(Varint.TryReadInt64([1, 2], ref position, out _));
    }
}
