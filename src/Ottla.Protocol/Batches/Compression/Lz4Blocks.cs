using System.Runtime.InteropServices;
using K4os.Compression.LZ4;

namespace Ottla.Protocol.Batches.Compression;

/// <summary>The block format of lz4, which knows neither its length nor its end: those are the frame's. Stateless.</summary>
internal abstract partial class Lz4Blocks
{
    /// <summary>The level that means the fast compressor; the others are the high one's.</summary>
    public const int FastLevel = 0;

    public const int HighLevelMin = 3;
    public const int HighLevelMax = 12;

    /// <summary>The managed code, which needs nothing installed.</summary>
    public static Lz4Blocks Managed { get; } = new ManagedLz4Blocks();

    /// <summary>The system's library; null where it is not installed.</summary>
    public static Lz4Blocks? Native { get; } = NativeLz4Blocks.TryLoad();

    /// <summary>The most that <paramref name="inputBytes"/> compress to.</summary>
    public static int CompressBound(int inputBytes) => inputBytes + (inputBytes / 255) + 16;

    /// <summary>The most that a block of <paramref name="blockBytes"/> expands to: a match costs a byte for every 255.</summary>
    public static long ExpandBound(int blockBytes) => (255L * blockBytes) + 64;

    /// <summary>Compresses a block.</summary>
    /// <param name="input">Not empty.</param>
    /// <param name="output">At least <see cref="CompressBound"/> bytes.</param>
    /// <param name="level"><see cref="FastLevel"/>, or <see cref="HighLevelMin"/> to <see cref="HighLevelMax"/>.</param>
    /// <returns>The bytes written; 0 or less when it failed.</returns>
    public abstract int Compress(ReadOnlySpan<byte> input, Span<byte> output, int level);

    /// <summary>Expands a block.</summary>
    /// <returns>The bytes written; negative when the block is broken, or has more than fits <paramref name="output"/>.</returns>
    public abstract int Expand(ReadOnlySpan<byte> input, Span<byte> output);

    private sealed class ManagedLz4Blocks : Lz4Blocks
    {
        public override int Compress(ReadOnlySpan<byte> input, Span<byte> output, int level) =>
            LZ4Codec.Encode(input, output, (LZ4Level)level);

        public override int Expand(ReadOnlySpan<byte> input, Span<byte> output) => LZ4Codec.Decode(input, output);
    }

    private sealed unsafe partial class NativeLz4Blocks : Lz4Blocks
    {
        private const string Name = "liblz4.so.1";

        public static NativeLz4Blocks? TryLoad() =>
            NativeCodecLibrary.TryLoad(Name, "LZ4_compress_default", "LZ4_compress_HC", "LZ4_decompress_safe")
                ? new NativeLz4Blocks()
                : null;

        public override int Compress(ReadOnlySpan<byte> input, Span<byte> output, int level)
        {
            fixed (byte* source = input)
            fixed (byte* destination = output)
            {
                return level == FastLevel
                    ? CompressFast(source, destination, input.Length, output.Length)
                    : CompressHigh(source, destination, input.Length, output.Length, level);
            }
        }

        public override int Expand(ReadOnlySpan<byte> input, Span<byte> output)
        {
            fixed (byte* source = input)
            fixed (byte* destination = output)
                return ExpandSafely(source, destination, input.Length, output.Length);
        }

        [LibraryImport(Name, EntryPoint = "LZ4_compress_default")]
        private static partial int CompressFast(byte* source, byte* destination, int sourceBytes, int destinationBytes);

        [LibraryImport(Name, EntryPoint = "LZ4_compress_HC")]
        private static partial int CompressHigh(byte* source, byte* destination, int sourceBytes, int destinationBytes, int level);

        [LibraryImport(Name, EntryPoint = "LZ4_decompress_safe")]
        private static partial int ExpandSafely(byte* source, byte* destination, int sourceBytes, int destinationBytes);
    }
}
