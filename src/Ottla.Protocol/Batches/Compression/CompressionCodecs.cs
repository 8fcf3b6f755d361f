namespace Ottla.Protocol.Batches.Compression;

/// <summary>The codecs by type and by the names that configurations use.</summary>
public static class CompressionCodecs
{
    // The executable needs nothing installed; where the system has the libraries, they are quicker (docs/adr/0012).
    private static readonly ICompressionCodec[] ByType =
    [
        new GzipCodec(),
        new SnappyCodec(),
        new Lz4Codec(Lz4Blocks.Native ?? Lz4Blocks.Managed),
        new ZstdCodec(ZstdLibrary.Native ?? ZstdLibrary.Managed),
    ];

    /// <summary>Returns the codec of <paramref name="type"/>, which must not be <see cref="CompressionType.None"/>.</summary>
    /// <exception cref="CorruptRecordException">Kafka has no such type.</exception>
    public static ICompressionCodec For(CompressionType type)
    {
        ArgumentOutOfRangeException.ThrowIfEqual((int)type, (int)CompressionType.None, nameof(type));
        return IsKnown(type) ? ByType[(int)type - 1] : throw new CorruptRecordException(ErrorCode.UnknownServerError,
            $"Unknown compression type id: {(int)type}");
    }

    /// <summary>Whether <paramref name="type"/> is a compression type of Kafka.</summary>
    public static bool IsKnown(CompressionType type) => type <= CompressionType.Zstd;

    /// <summary>The name of a type in configurations and tools.</summary>
    public static string NameOf(CompressionType type) => type switch
    {
        CompressionType.None => "none",
        CompressionType.Gzip => "gzip",
        CompressionType.Snappy => "snappy",
        CompressionType.Lz4 => "lz4",
        CompressionType.Zstd => "zstd",
        _ => $"unknown({(int)type})",
    };

    /// <summary>Parses a name that <see cref="NameOf"/> returns. <c>producer</c> is not a type.</summary>
    public static bool TryParse(string? name, out CompressionType type)
    {
        for (type = CompressionType.None; type <= CompressionType.Zstd; type++)
        {
            if (name == NameOf(type))
                return true;
        }

        type = CompressionType.None;
        return false;
    }
}
