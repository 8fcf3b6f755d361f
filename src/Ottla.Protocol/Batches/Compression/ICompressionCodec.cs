using System.Buffers;

namespace Ottla.Protocol.Batches.Compression;

/// <summary>One of Kafka's compression formats. Stateless and thread-safe; contexts are pooled behind it.</summary>
public interface ICompressionCodec
{
    /// <summary>The codec's number in a batch's attributes.</summary>
    CompressionType Type { get; }

    /// <summary>The levels that a configuration may use (KIP-390).</summary>
    CompressionLevels Levels { get; }

    /// <summary>Compresses all of <paramref name="input"/>.</summary>
    /// <param name="input">The records.</param>
    /// <param name="level">One of <see cref="Levels"/>.</param>
    /// <param name="output">Receives the compressed bytes.</param>
    void Compress(ReadOnlySpan<byte> input, int level, IBufferWriter<byte> output);

    /// <summary>Starts to decompress <paramref name="input"/>, which must not change until the decoder is disposed.</summary>
    /// <exception cref="CorruptRecordException">The data does not begin like the codec's format.</exception>
    CompressionDecoder OpenDecoder(ReadOnlyMemory<byte> input);
}

/// <summary>The levels of a codec.</summary>
/// <param name="Min">The lowest.</param>
/// <param name="Max">The highest.</param>
/// <param name="Default">The level when none is configured. It may be outside the range, like gzip's -1.</param>
public readonly record struct CompressionLevels(int Min, int Max, int Default)
{
    /// <summary>Whether a configuration may use <paramref name="level"/>.</summary>
    public bool Allows(int level) => level == Default || (level >= Min && level <= Max);
}
