using System.Buffers.Binary;
using System.Text;
using Ottla.Kernel;
using Ottla.Storage.Compaction;

namespace Ottla.UnitTests.Storage.Compaction;

public sealed class KeyOffsetMapTests
{
    /// <summary>Vectors of the reference implementation: key 00 01 .. 0f, data 00 01 .. of growing length.</summary>
    [Theory]
    [InlineData(0, "a3817f04ba25a8e66df67214c7550293")]
    [InlineData(1, "da87c1d86b99af44347659119b22fc45")]
    [InlineData(8, "3b62a9ba6258f5610f83e264f31497b4")]
    [InlineData(15, "5493e99933b0a8117e08ec0f97cfc3d9")]
    public void HashIsSipHash(int length, string expected)
    {
        var data = Enumerable.Range(0, length).Select(i => (byte)i).ToArray();
        var (first, second) = new SipHash128(new Uuid(0x0706050403020100, 0x0f0e0d0c0b0a0908)).Compute(data);
        var hash = new byte[16];
        BinaryPrimitives.WriteUInt64LittleEndian(hash, first);
        BinaryPrimitives.WriteUInt64LittleEndian(hash.AsSpan(8), second);
        Assert.Equal(expected, Convert.ToHexStringLower(hash));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void KeepsTheLastOffsetOfEveryKeyUpToTheBrim(ulong seed)
    {
        var prng = new Prng(seed);
        var map = new KeyOffsetMap(1_000, 0.95, Uuid.NewRandom(prng));
        Assert.Equal(950, map.CountMax);
        var expected = new Dictionary<string, long>();
        for (long offset = 0; !map.IsFull; offset += 1 + (long)(prng.NextUInt64() % 5))
        {
            var key = $"key-{prng.NextUInt64() % 1_200}";
            map.Put(Encoding.UTF8.GetBytes(key), offset);
            expected[key] = offset;
            Assert.Equal(offset, map.LatestOffset);
        }

        Assert.Equal(950, expected.Count);
        Assert.Equal(expected.Count, map.Count);
        Assert.All(expected, pair => Assert.Equal(pair.Value, map.Find(Encoding.UTF8.GetBytes(pair.Key))));
        Assert.Equal(-1, map.Find("other"u8));
        Assert.Equal(-1, map.Find(default));
    }

    [Fact]
    public void EmptyKeyAndOffsetZeroAreKeysAndOffsets()
    {
        var map = new KeyOffsetMap(2, 0.9, Uuid.One);
        map.Put(default, 0);
        Assert.True(map.IsFull);
        Assert.Equal(0, map.Find(default));
        Assert.Equal(-1, map.Find("x"u8));
    }

    [Fact]
    public void MapIsAsLargeAsNeededButNoLargerThanItsShareOfTheMemory()
    {
        var options = new CleanerOptions { DedupeBufferBytes = 4 * 24 * 1_000, Threads = 4, LoadFactor = 0.9 };
        Assert.Equal(900, options.MapFor(1_000_000).CountMax);
        Assert.InRange(options.MapFor(90).CountMax, 90, 92);
    }
}
