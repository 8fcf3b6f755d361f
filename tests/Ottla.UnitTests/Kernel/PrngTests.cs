using Ottla.Kernel;

namespace Ottla.UnitTests.Kernel;

/// <summary>The generator that every replay depends on: its sequence must never change.</summary>
public sealed class PrngTests
{
    private const int DrawCount = 20_000;

    /// <summary>The first values of xoshiro256** whose state SplitMix64 made of the seed.</summary>
    [Theory]
    [InlineData(0UL, 0x99EC5F36CB75F2B4UL, 0xBF6E1F784956452AUL, 0x1A5F849D4933E6E0UL)]
    [InlineData(1UL, 0xB3F2AF6D0FC710C5UL, 0x853B559647364CEAUL, 0x92F89756082A4514UL)]
    [InlineData(42UL, 0x15780B2E0C2EC716UL, 0x6104D9866D113A7EUL, 0xAE17533239E499A1UL)]
    [InlineData(ulong.MaxValue, 0x8F5520D52A7EAD08UL, 0xC476A018CAA1802DUL, 0x81DE31C0D260469EUL)]
    public void The_sequence_of_a_seed_is_fixed(ulong seed, ulong first, ulong second, ulong third)
    {
        var prng = new Prng(seed);
        Assert.Equal([first, second, third], new[] { prng.NextUInt64(), prng.NextUInt64(), prng.NextUInt64() });
    }

    [Fact]
    public void Ranges_are_kept_and_used_to_their_ends()
    {
        var prng = new Prng(1);
        var seen = new int[7];
        for (var i = 0; i < DrawCount; i++)
        {
            seen[prng.NextInt(7)]++;
            Assert.InRange(prng.NextInt(-3, 4), -3, 3);
            Assert.Equal(5, prng.NextInt(5, 6));
            Assert.Equal(0, prng.NextInt(1));
            Assert.InRange(prng.NextInt(int.MaxValue), 0, int.MaxValue - 1);
        }

        Assert.All(seen, count => Assert.InRange(count, DrawCount / 7 * 9 / 10, DrawCount / 7 * 11 / 10));
    }

    [Fact]
    public void The_widest_range_has_values_of_both_signs()
    {
        var prng = new Prng(2);
        var values = Enumerable.Range(0, 200).Select(_ => prng.NextInt(int.MinValue, int.MaxValue)).ToList();
        Assert.Contains(values, value => value < -1_000_000_000);
        Assert.Contains(values, value => value > 1_000_000_000);
    }

    [Fact]
    public void Empty_ranges_are_refused()
    {
        var prng = new Prng(1);
        Assert.Throws<InvariantViolationException>(() => prng.NextInt(0));
        Assert.Throws<InvariantViolationException>(() => prng.NextInt(-1));
        Assert.Throws<InvariantViolationException>(() => prng.NextInt(5, 5));
        Assert.Throws<InvariantViolationException>(() => prng.NextInt(5, -5));
    }

    [Fact]
    public void Chances()
    {
        var prng = new Prng(4);
        var quarter = 0;
        for (var i = 0; i < DrawCount; i++)
        {
            Assert.False(prng.NextChance(0));
            Assert.True(prng.NextChance(100));
            quarter += prng.NextChance(25) ? 1 : 0;
        }

        Assert.InRange(quarter, DrawCount / 4 * 9 / 10, DrawCount / 4 * 11 / 10);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(8)]
    [InlineData(9)]
    [InlineData(31)]
    public void Bytes_are_those_of_the_numbers_in_order(int length)
    {
        var bytes = new byte[length];
        new Prng(5).NextBytes(bytes);
        var numbers = new Prng(5);
        var expected = Enumerable.Range(0, length / 8 + 1).SelectMany(_ =>
        {
            var number = numbers.NextUInt64();
            return Enumerable.Range(0, 8).Select(i => (byte)(number >> (8 * i)));
        }).Take(length);
        Assert.Equal(expected, bytes);
    }
}
