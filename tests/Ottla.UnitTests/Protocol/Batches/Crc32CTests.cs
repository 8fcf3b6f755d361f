using System.Text;
using Ottla.Kernel;
using Ottla.Protocol.Batches;

namespace Ottla.UnitTests.Protocol.Batches;

public sealed class Crc32CTests
{
    [Fact]
    public void Known_values()
    {
        Assert.Equal(0u, Crc32C.Compute([]));
        Assert.Equal(0xE3069283u, Crc32C.Compute(Encoding.ASCII.GetBytes("123456789")));
        Assert.Equal(0x8A9136AAu, Crc32C.Compute(new byte[32])); // RFC 3720, B.4
    }

    [Fact]
    public void Agrees_with_the_bitwise_definition_on_any_length_and_offset()
    {
        const ulong seed = 20260101;
        var prng = new Prng(seed);
        var data = new byte[40_000];
        prng.NextBytes(data);
        for (var i = 0; i < 400; i++)
        {
            var offset = prng.NextInt(64);
            var length = prng.NextInt(i % 4 == 0 ? data.Length - offset : 2000);
            var slice = data.AsSpan(offset, length);
            var expected = Bitwise(slice);
            Assert.True(expected == Crc32C.Compute(slice), $"seed {seed}, offset {offset}, length {length}");

            var cut = prng.NextInt(length + 1);
            Assert.True(
                expected == Crc32C.Append(Crc32C.Compute(slice[..cut]), slice[cut..]),
                $"seed {seed}, offset {offset}, length {length}, cut {cut}");
        }
    }

    private static uint Bitwise(ReadOnlySpan<byte> data)
    {
        var crc = uint.MaxValue;
        foreach (var b in data)
        {
            crc ^= b;
            for (var bit = 0; bit < 8; bit++)
                crc = (crc >> 1) ^ ((crc & 1) * 0x82F63B78);
        }

        return ~crc;
    }
}
