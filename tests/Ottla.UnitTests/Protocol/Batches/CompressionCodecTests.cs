using System.Buffers;
using System.Buffers.Binary;
using System.Text;
using CsCheck;
using Ottla.Protocol.Batches;
using Ottla.Protocol.Batches.Compression;

namespace Ottla.UnitTests.Protocol.Batches;

public sealed class CompressionCodecTests
{
    public static TheoryData<CompressionType> Compressed =>
        [CompressionType.Gzip, CompressionType.Snappy, CompressionType.Lz4, CompressionType.Zstd];

    public static TheoryData<CompressionType, int> Levels => new()
    {
        { CompressionType.Gzip, -1 }, { CompressionType.Gzip, 1 }, { CompressionType.Gzip, 9 },
        { CompressionType.Lz4, 1 }, { CompressionType.Lz4, 9 }, { CompressionType.Lz4, 10 }, { CompressionType.Lz4, 17 },
        { CompressionType.Zstd, -131072 }, { CompressionType.Zstd, -5 }, { CompressionType.Zstd, 3 }, { CompressionType.Zstd, 22 },
        { CompressionType.Snappy, 0 },
    };

    [Theory]
    [MemberData(nameof(Levels))]
    public void What_is_compressed_at_a_level_is_read_back(CompressionType type, int level)
    {
        var input = Encoding.UTF8.GetBytes(string.Concat(Enumerable.Range(0, 20_000).Select(i => $"line {i * i % 977}, ")));
        var compressed = Compress(type, input, level);
        const int levelThatFindsMatches = -100; // zstd's lowest levels all but copy
        Assert.True(compressed.Length < input.Length || level < levelThatFindsMatches, $"{compressed.Length} bytes of {input.Length}");
        Assert.Equal(input, Decompress(type, compressed, 1000));
    }

    [Theory]
    [MemberData(nameof(Compressed))]
    public void Any_bytes_are_read_back_through_any_step(CompressionType type)
    {
        var bytes = Gen.OneOf(
            Gen.Byte.Array[0, 300],
            Gen.Select(Gen.Byte.Array[1, 40], Gen.Int[1, 5000],
                (part, count) => Enumerable.Repeat(part, count).SelectMany(p => p).Take(150_000).ToArray()),
            Gen.Select(Gen.Byte[0, 3].Array[0, 70_000], tail => tail));
        Gen.Select(bytes, Gen.Int[1, 20_000]).Sample(
            (input, step) => Assert.Equal(input, Decompress(type, Compress(type, input), step)),
            seed: "0000KOIcNaa2",
            iter: 200,
            threads: 1);
    }

    [Theory]
    [MemberData(nameof(Compressed))]
    public void Levels_out_of_range_are_refused(CompressionType type)
    {
        var codec = CompressionCodecs.For(type);
        Assert.True(codec.Levels.Allows(codec.Levels.Default));
        Assert.False(codec.Levels.Allows(codec.Levels.Max + 1));
        Assert.False(codec.Levels.Allows(codec.Levels.Min - 3));
        if (type != CompressionType.Snappy)
            Assert.Throws<ArgumentOutOfRangeException>(() => codec.Compress([1], codec.Levels.Max + 1, new ArrayBufferWriter<byte>()));
    }

    [Theory]
    [MemberData(nameof(Compressed))]
    public void Names_are_those_of_configurations(CompressionType type)
    {
        Assert.True(CompressionCodecs.TryParse(CompressionCodecs.NameOf(type), out var parsed));
        Assert.Equal(type, parsed);
        Assert.Equal(type, CompressionCodecs.For(type).Type);
        Assert.False(CompressionCodecs.TryParse("producer", out _));
    }

    [Theory]
    [MemberData(nameof(Compressed))]
    public void Truncated_data_does_not_pass_for_whole(CompressionType type)
    {
        var input = Enumerable.Range(0, 100_000).Select(i => (byte)(i * 7919 >> 3)).ToArray();
        var compressed = Compress(type, input);
        for (var length = 0; length < compressed.Length; length += 1 + length / 5)
        {
            var cut = compressed[..length];
            byte[] output;
            try
            {
                output = Decompress(type, cut, 4096);
            }
            catch (CorruptRecordException e)
            {
                Assert.Equal(Ottla.Protocol.ErrorCode.UnknownServerError, e.ErrorCode);
                continue;
            }

            // Framed snappy and empty input can end early without a trace; the record reader notices.
            Assert.True(output.Length < input.Length);
        }
    }

    [Fact]
    public void Snappy_is_framed_as_the_java_client_expects()
    {
        var input = new byte[70_000];
        var framed = Compress(CompressionType.Snappy, input);
        Assert.Equal("82534E41505059000000000100000001", Convert.ToHexString(framed.AsSpan(0, 16)));

        var sizes = new List<int>();
        for (var position = 16; position < framed.Length;)
        {
            var length = BinaryPrimitives.ReadInt32BigEndian(framed.AsSpan(position));
            Assert.True(SnappyBlock.TryReadLength(framed.AsSpan(position + 4, length), out var size));
            sizes.Add(size);
            position += 4 + length;
        }

        Assert.Equal([32768, 32768, 4464], sizes);
    }

    [Fact]
    public void Bare_and_joined_snappy_are_read()
    {
        var input = Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat("the quick brown fox. ", 500)));
        Assert.Equal(input, Decompress(CompressionType.Snappy, Snappier.Snappy.CompressToArray(input), 100));

        var framed = Compress(CompressionType.Snappy, input);
        Assert.Equal([.. input, .. input], Decompress(CompressionType.Snappy, [.. framed, .. framed], 100));
    }

    [Theory]
    [InlineData("05", "00 08 61 62 63")] // 3 of 5 bytes
    [InlineData("04", "00 61 01 02")] // a near copy from before the start
    [InlineData("04", "00 61 02 00 00")] // a copy at offset 0
    [InlineData("04", "F0")] // a literal without its length
    [InlineData("04", "FC FF FF FF FF 61")] // a literal longer than memory
    [InlineData("02", "0C 61 62 63 64")] // more than was said
    public void Broken_snappy_blocks_are_refused(string length, string body)
    {
        var bytes = Convert.FromHexString((length + body).Replace(" ", "", StringComparison.Ordinal));
        Assert.Throws<CorruptRecordException>(() => Decompress(CompressionType.Snappy, bytes, 100));
    }

    [Fact]
    public void Snappy_reads_every_kind_of_element()
    {
        // A literal with a two byte length, then near, middle and far copies, overlapping.
        byte[] block = [12 + 4 + 4 + 4, 61 << 2, 11, 0, .. "abcdefghijkl"u8, 0b0000_0001, 2, 3 << 2 | 2, 3, 0, 3 << 2 | 3, 20, 0, 0, 0];
        var output = Encoding.ASCII.GetString(Decompress(CompressionType.Snappy, block, 5));
        Assert.Equal("abcdefghijkl" + "klkl" + "lkll" + "abcd", output);
    }

    [Fact]
    public void Lz4_that_kafka_cannot_read_is_refused()
    {
        var frame = Compress(CompressionType.Lz4, new byte[100]);
        Assert.Equal("04224D18", Convert.ToHexString(frame.AsSpan(0, 4)));
        Assert.Equal(0x60, frame[4]); // version 1, independent blocks, no checksums
        Assert.Equal(0x40, frame[5]); // 64 KiB
        frame[4] = 0x40;
        Assert.Throws<CorruptRecordException>(() => Decompress(CompressionType.Lz4, frame, 100));
    }

    private static byte[] Compress(CompressionType type, byte[] input, int? level = null)
    {
        var codec = CompressionCodecs.For(type);
        var output = new ArrayBufferWriter<byte>();
        codec.Compress(input, level ?? codec.Levels.Default, output);
        return output.WrittenSpan.ToArray();
    }

    private static byte[] Decompress(CompressionType type, byte[] input, int step)
    {
        using var decoder = CompressionCodecs.For(type).OpenDecoder(input);
        var output = new ArrayBufferWriter<byte>();
        var buffer = new byte[step];
        while (decoder.Read(buffer) is > 0 and var read)
            output.Write(buffer.AsSpan(0, read));
        return output.WrittenSpan.ToArray();
    }
}
