using System.Buffers;

namespace Ottla.Protocol.Batches.Compression;

/// <summary>One of Kafka's compression formats. Stateless and thread-safe; contexts are pooled behind it.</summary>
public interface ICompressionCodec
{
    /// <summary>Its number in a batch's attributes.</summary>
    CompressionType Type { get; }

    /// <summary>The levels a configuration may name (KIP-390).</summary>
    CompressionLevels Levels { get; }

    /// <summary>Compresses <paramref name="input"/> whole.</summary>
    /// <param name="input">The records.</param>
    /// <param name="level">One of <see cref="Levels"/>.</param>
    /// <param name="output">Where the compressed bytes go.</param>
    /// <exception cref="CompressionUnavailableException">The codec's library is not installed.</exception>
    void Compress(ReadOnlySpan<byte> input, int level, IBufferWriter<byte> output);

    /// <summary>Starts decompressing <paramref name="input"/>, which must not change until the decoder is disposed.</summary>
    /// <exception cref="CorruptRecordException">The data does not start as the format does.</exception>
    /// <exception cref="CompressionUnavailableException">The codec's library is not installed.</exception>
    CompressionDecoder OpenDecoder(ReadOnlyMemory<byte> input);
}

/// <summary>The levels of a codec.</summary>
/// <param name="Min">The lowest.</param>
/// <param name="Max">The highest.</param>
/// <param name="Default">The one meant when none is named; may lie outside the range, as gzip's -1 does.</param>
public readonly record struct CompressionLevels(int Min, int Max, int Default)
{
    /// <summary>Whether a configuration may name <paramref name="level"/>.</summary>
    public bool Allows(int level) => level == Default || (level >= Min && level <= Max);
}
