using System.Numerics;

namespace Ottla.Kernel;

/// <summary>
/// A seeded pseudo-random generator (xoshiro256**): the same seed gives the same sequence on every machine, so a run can be replayed.
/// </summary>
/// <remarks>Not thread-safe, and not for secrets. One owner per instance.</remarks>
public sealed class Prng
{
    private ulong _a;
    private ulong _b;
    private ulong _c;
    private ulong _d;

    /// <summary>Starts the sequence of <paramref name="seed"/>.</summary>
    public Prng(ulong seed)
    {
        // SplitMix64 spreads the seed, because xoshiro must not start with all zeroes.
        _a = SplitMix(ref seed);
        _b = SplitMix(ref seed);
        _c = SplitMix(ref seed);
        _d = SplitMix(ref seed);
    }

    /// <summary>64 random bits.</summary>
    public ulong NextUInt64()
    {
        var result = BitOperations.RotateLeft(_b * 5, 7) * 9;
        var shifted = _b << 17;
        _c ^= _a;
        _d ^= _b;
        _b ^= _c;
        _a ^= _d;
        _c ^= shifted;
        _d = BitOperations.RotateLeft(_d, 45);
        return result;
    }

    /// <summary>A value in [0, <paramref name="exclusiveMax"/>).</summary>
    public int NextInt(int exclusiveMax)
    {
        Invariant.Check(exclusiveMax > 0, "a range needs at least one value");
        return (int)Math.BigMul(NextUInt64(), (ulong)exclusiveMax, out _);
    }

    /// <summary>A value in [<paramref name="inclusiveMin"/>, <paramref name="exclusiveMax"/>).</summary>
    public int NextInt(int inclusiveMin, int exclusiveMax)
    {
        Invariant.Check(inclusiveMin < exclusiveMax, "a range needs at least one value");
        return (int)(inclusiveMin + (long)Math.BigMul(NextUInt64(), (ulong)((long)exclusiveMax - inclusiveMin), out _));
    }

    /// <summary>True with probability <paramref name="percent"/> in a hundred.</summary>
    public bool NextChance(int percent) => NextInt(100) < percent;

    /// <summary>Fills <paramref name="destination"/> with random bytes.</summary>
    public void NextBytes(Span<byte> destination)
    {
        while (destination.Length >= sizeof(ulong))
        {
            BitConverter.TryWriteBytes(destination, NextUInt64());
            destination = destination[sizeof(ulong)..];
        }

        var rest = NextUInt64();
        for (var i = 0; i < destination.Length; i++)
            destination[i] = (byte)(rest >> (8 * i));
    }

    private static ulong SplitMix(ref ulong state)
    {
        state += 0x9E3779B97F4A7C15;
        var z = state;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}
