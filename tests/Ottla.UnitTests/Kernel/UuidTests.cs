using System.Globalization;
using Ottla.Kernel;

namespace Ottla.UnitTests.Kernel;

/// <summary>Kafka's UUIDs as bytes and as text.</summary>
public sealed class UuidTests
{
    private const int RandomCount = 2000;

    [Theory]
    [InlineData("AAAAAAAAAAAAAAAAAAAAAA", 0UL, 0UL)]
    [InlineData("AAAAAAAAAAAAAAAAAAAAAQ", 0UL, 1UL)]
    [InlineData("_____________________w", ulong.MaxValue, ulong.MaxValue)]
    [InlineData("gAAAAAAAAAB__________w", 0x8000000000000000UL, 0x7FFFFFFFFFFFFFFFUL)]
    public void Text_and_bytes(string text, ulong high, ulong low)
    {
        var uuid = new Uuid(high, low);
        Assert.Equal(text, uuid.ToString());
        Assert.Equal(uuid, Uuid.Parse(text));
        Span<byte> bytes = stackalloc byte[Uuid.SizeBytes];
        uuid.Write(bytes);
        Assert.Equal(
            high.ToString("x16", CultureInfo.InvariantCulture) + low.ToString("x16", CultureInfo.InvariantCulture),
            Convert.ToHexStringLower(bytes));
        Assert.Equal(uuid, Uuid.Read(bytes));
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("AAAAAAAAAAAAAAAAAAAAA")] // 21
    [InlineData("AAAAAAAAAAAAAAAAAAAAAAA")] // 23
    [InlineData("AAAAAAAAAAAAAAAAAAAAAAAA")] // 24: 18 bytes
    [InlineData("AAAAAAAAAAAAAAAAAAAAAA==")] // padded
    [InlineData("AAAAAAAAAAAAAAAAAAAAA+")]
    [InlineData("AAAAAAAAAAAAAAAAAAAAA/")]
    [InlineData("AAAAAAAAAA AAAAAAAAAAAA")]
    [InlineData("AAAAAAAAAAAAAAAAAAAAAA\n")]
    [InlineData("AAAAAAAAAAAAAAAAAAAAAä")]
    [InlineData("not a uuid")]
    [InlineData("00000000-0000-0000-0000-000000000000")]
    public void Other_texts_are_refused(string? text)
    {
        Assert.False(Uuid.TryParse(text, out var uuid));
        Assert.Equal(Uuid.Zero, uuid);
        if (text is not null)
            Assert.Throws<FormatException>(() => Uuid.Parse(text));
    }

    [Fact]
    public void Order_is_by_unsigned_bytes()
    {
        Uuid[] sorted = [
            Uuid.Zero, Uuid.One, new(0, ulong.MaxValue), new(1, 0), new(long.MaxValue, 5), new(ulong.MaxValue, 0), new(ulong.MaxValue, 1)];
        for (var i = 0; i < sorted.Length; i++)
        {
            for (var j = 0; j < sorted.Length; j++)
            {
                Assert.Equal(i.CompareTo(j), Math.Sign(sorted[i].CompareTo(sorted[j])));
                Assert.Equal(i < j, sorted[i] < sorted[j]);
                Assert.Equal(i > j, sorted[i] > sorted[j]);
                Assert.Equal(i <= j, sorted[i] <= sorted[j]);
                Assert.Equal(i >= j, sorted[i] >= sorted[j]);
            }
        }
    }

    [Fact]
    public void Random_ones_are_version_4_never_reserved_and_fit_a_command_line()
    {
        var prng = new Prng(3);
        var seen = new HashSet<Uuid>();
        for (var i = 0; i < RandomCount; i++)
        {
            foreach (var uuid in new[] { Uuid.NewRandom(prng), Uuid.NewRandom() })
            {
                Assert.True(seen.Add(uuid));
                Assert.Equal(4UL, uuid.High >> 12 & 0xF);
                Assert.Equal(2UL, uuid.Low >> 62);
                Assert.NotEqual('-', uuid.ToString()[0]);
                Assert.Equal(uuid, Uuid.Parse(uuid.ToString()));
            }
        }

        Assert.Equal(Uuid.NewRandom(new Prng(9)), Uuid.NewRandom(new Prng(9)));
    }
}
