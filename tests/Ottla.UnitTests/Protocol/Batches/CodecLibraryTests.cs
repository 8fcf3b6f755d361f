using System.Buffers;
using System.Buffers.Binary;
using System.IO.Hashing;
using System.Text;
using CsCheck;
using Ottla.Protocol.Batches;
using Ottla.Protocol.Batches.Compression;

namespace Ottla.UnitTests.Protocol.Batches;

/// <summary>
/// lz4 and zstd by managed code and by the system's libraries, whichever <see cref="CompressionCodecs"/> has chosen: each reads what the
/// other wrote, and refuses what is broken.
/// </summary>
public sealed class CodecLibraryTests
{
    /// <summary>The codecs of a kind by what does their work: the managed one first, then the system's where it is installed.</summary>
    public static TheoryData<string, string> Pairs
    {
        get
        {
            var pairs = new TheoryData<string, string>();
            foreach (var kind in new[] { "lz4", "zstd" })
            {
                var names = All.Keys.Where(name => name.StartsWith(kind, StringComparison.Ordinal)).ToList();
                foreach (var writer in names)
                {
                    foreach (var reader in names)
                        pairs.Add(writer, reader);
                }
            }

            return pairs;
        }
    }

    private static Dictionary<string, ICompressionCodec> All { get; } = MakeAll();

    public static TheoryData<string> Names => [.. All.Keys];

    public static TheoryData<string> Lz4Names => [.. All.Keys.Where(name => name.StartsWith("lz4", StringComparison.Ordinal))];

    [Theory]
    [MemberData(nameof(Pairs))]
    public void Each_reads_what_the_other_wrote(string writer, string reader)
    {
        var bytes = Gen.OneOf(
            Gen.Byte.Array[0, 300],
            Gen.Select(Gen.Byte.Array[1, 40], Gen.Int[1, 9000], (part, count) =>
                Enumerable.Repeat(part, count).SelectMany(p => p).Take(250_000).ToArray()),
            Gen.Byte[0, 3].Array[0, 150_000]);
        Gen.Select(bytes, Gen.Int[1, 100_000]).Sample(
            (input, step) => Assert.Equal(input, Decompress(All[reader], Compress(All[writer], input), step)),
            seed: "0000KOIcNaa2",
            iter: 100,
            threads: 1);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void All_levels_work(string name)
    {
        var codec = All[name];
        var input = Encoding.UTF8.GetBytes(string.Concat(Enumerable.Range(0, 20_000).Select(i => $"line {i * i % 977}, ")));
        foreach (var level in new[] { codec.Levels.Min, 1, codec.Levels.Default, 10, codec.Levels.Max })
            Assert.Equal(input, Decompress(codec, Compress(codec, input, level), 5000));
    }

    /// <summary>
    /// Whatever is broken is corrupt, and no other exception, nor memory that is not ours; the checksum of the batch does not protect
    /// against malice.
    /// </summary>
    [Theory]
    [MemberData(nameof(Names))]
    [InlineData("snappy")]
    public void Broken_bytes_are_corrupt_or_other_bytes(string name)
    {
        var codec = name == "snappy" ? CompressionCodecs.For(CompressionType.Snappy) : All[name];
        var random = new Ottla.Kernel.Prng(17);
        var input = Encoding.UTF8.GetBytes(string.Concat(Enumerable.Range(0, 5000).Select(i => $"key {i % 97} value {i * i % 977}, ")));
        var compressed = Compress(codec, input);
        for (var round = 0; round < 3000; round++)
        {
            var broken = compressed.ToArray();
            var changes = 1 + random.NextInt(4);
            for (var i = 0; i < changes; i++)
                broken[random.NextInt(round % 2 == 0 ? 64 : broken.Length)] = (byte)random.NextInt(256);
            if (random.NextChance(30))
                broken = broken[..random.NextInt(broken.Length)];
            try
            {
                using var decoder = codec.OpenDecoder(broken);
                var buffer = new byte[1 + random.NextInt(100_000)];
                long total = 0;
                while (total < 10_000_000 && decoder.Read(buffer) is > 0 and var read)
                    total += read;
            }
            catch (CorruptRecordException)
            {
            }
        }
    }

    [Theory]
    [MemberData(nameof(Lz4Names))]
    public void Lz4_frames_are_read_with_everything_that_kafka_reads(string name)
    {
        var codec = All[name];
        var content = new byte[150_000];
        new Ottla.Kernel.Prng(3).NextBytes(content.AsSpan(0, 70_000));
        for (var blockSize = 4; blockSize <= 7; blockSize++)
        {
            (bool, bool, bool)[] variants = [(false, false, false), (true, false, false), (false, true, false), (true, true, true)];
            foreach (var (blockChecksums, contentChecksum, contentSize) in variants)
            {
                var frame = Frame(content, blockSize, blockChecksums, contentChecksum, contentSize ? (ulong)content.Length : null);
                Assert.Equal(content, Decompress(codec, frame, 1000));
                Assert.Equal(content, Decompress(codec, frame, 5_000_000));
                Assert.Equal(content, Decompress(codec, [.. frame, 1, 2, 3], 5000)); // what follows the frame is ignored
            }
        }
    }

    [Theory]
    [MemberData(nameof(Lz4Names))]
    public void Lz4_frames_that_contradict_themselves_are_refused(string name)
    {
        var codec = All[name];
        var content = new byte[100_000];
        new Ottla.Kernel.Prng(3).NextBytes(content);
        var whole = Frame(content, 4, blockChecksums: true, contentChecksum: true, (ulong)content.Length);
        Assert.Equal(content, Decompress(codec, whole, 1000));
        Refused("invalid magic", whole, 0, 5);
        Refused("unsupported frame descriptor", whole, 4, 0x3C);
        Refused("unsupported frame descriptor", whole, 4, 0x7E); // a reserved bit
        Refused("unsupported frame descriptor", whole, 4, 0x7D); // a dictionary
        Refused("dependent blocks", whole, 4, 0x5C);
        Refused("unsupported block size", whole, 5, 0x30);
        Refused("unsupported block size", whole, 5, 0x41);
        Refused("unsupported block size", whole, 5, 0xC0);
        Refused("frame descriptor is wrong", whole, 14, (byte)(whole[14] + 1));
        Refused("frame descriptor is wrong", whole, 5, 0x50);
        Refused("checksum of a block", whole, 15 + 4, (byte)(whole[15 + 4] + 1));
        Refused("allowed", whole, 15 + 2, 0x7F);
        Refused("checksum of the content", whole, whole.Length - 1, (byte)(whole[^1] + 1));
        var lying = Frame(content, 4, blockChecksums: false, contentChecksum: false, (ulong)content.Length + 1);
        var failure = Assert.Throws<CorruptRecordException>(() => Decompress(codec, lying, 1000));
        Assert.Contains("were promised", failure.Message, StringComparison.Ordinal);
        for (var length = 0; length < whole.Length; length += 1 + (length / 7))
            Assert.Throws<CorruptRecordException>(() => Decompress(codec, whole[..length], 1000));

        void Refused(string reason, byte[] frame, int position, byte value)
        {
            var changed = frame.ToArray();
            changed[position] = value;
            var refusal = Assert.Throws<CorruptRecordException>(() => Decompress(codec, changed, 1000));
            Assert.Contains(reason, refusal.Message, StringComparison.Ordinal);
        }
    }

    /// <summary>A block of a few bytes holds no block of 4 MiB because its frame allows it.</summary>
    [Theory]
    [MemberData(nameof(Lz4Names))]
    public void A_small_block_holds_little(string name)
    {
        var frame = Frame(new byte[10], 7, blockChecksums: false, contentChecksum: false, null);
        Decompress(All[name], frame, 5);
        var before = GC.GetAllocatedBytesForCurrentThread();
        Decompress(All[name], frame, 5);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 64 * 1024);
    }

    private static Dictionary<string, ICompressionCodec> MakeAll()
    {
        var all = new Dictionary<string, ICompressionCodec>
        {
            ["lz4, managed"] = new Lz4Codec(Lz4Blocks.Managed),
            ["zstd, managed"] = new ZstdCodec(ZstdLibrary.Managed),
        };
        if (Lz4Blocks.Native is { } blocks)
            all.Add("lz4, native", new Lz4Codec(blocks));
        if (ZstdLibrary.Native is { } library)
            all.Add("zstd, native", new ZstdCodec(library));
        return all;
    }

    /// <summary>A frame as the format's description has it, by other code than the codec's.</summary>
    private static byte[] Frame(byte[] content, int blockSize, bool blockChecksums, bool contentChecksum, ulong? contentBytes)
    {
        var frame = new ArrayBufferWriter<byte>();
        frame.Write("\x04\x22\x4D\x18"u8);
        var flags = 0x60 | (blockChecksums ? 0x10 : 0) | (contentBytes is null ? 0 : 0x08) | (contentChecksum ? 0x04 : 0);
        List<byte> descriptor = [(byte)flags, (byte)(blockSize << 4)];
        if (contentBytes is { } size)
            descriptor.AddRange(BitConverter.GetBytes(size));
        frame.Write(descriptor.ToArray());
        frame.Write(new[] { (byte)(XxHash32.HashToUInt32(descriptor.ToArray()) >> 8) });
        var blockBytes = 1 << (8 + (2 * blockSize));
        for (var i = 0; i < content.Length; i += blockBytes)
        {
            var block = content.AsSpan(i, Math.Min(blockBytes, content.Length - i));
            var compressed = new byte[block.Length + 1000];
            var length = K4os.Compression.LZ4.LZ4Codec.Encode(block, compressed);
            var isPlain = length < 0 || length >= block.Length;
            ReadOnlySpan<byte> body = isPlain ? block : compressed.AsSpan(0, length);
            WriteUInt32((uint)body.Length | (isPlain ? 0x8000_0000 : 0));
            frame.Write(body);
            if (blockChecksums)
                WriteUInt32(XxHash32.HashToUInt32(body));
        }

        WriteUInt32(0);
        if (contentChecksum)
            WriteUInt32(XxHash32.HashToUInt32(content));
        return frame.WrittenSpan.ToArray();

        void WriteUInt32(uint value)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(frame.GetSpan(4), value);
            frame.Advance(4);
        }
    }

    private static byte[] Compress(ICompressionCodec codec, byte[] input, int? level = null)
    {
        var output = new ArrayBufferWriter<byte>();
        codec.Compress(input, level ?? codec.Levels.Default, output);
        return output.WrittenSpan.ToArray();
    }

    private static byte[] Decompress(ICompressionCodec codec, byte[] input, int step)
    {
        using var decoder = codec.OpenDecoder(input);
        var output = new ArrayBufferWriter<byte>();
        var buffer = new byte[step];
        while (decoder.Read(buffer) is > 0 and var read)
            output.Write(buffer.AsSpan(0, read));
        return output.WrittenSpan.ToArray();
    }
}
