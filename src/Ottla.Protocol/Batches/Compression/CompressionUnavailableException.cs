namespace Ottla.Protocol.Batches.Compression;

/// <summary>A codec's native library is not installed. Clients get <see cref="ErrorCode.UnsupportedCompressionType"/>.</summary>
/// <param name="type">The codec.</param>
/// <param name="library">The missing library.</param>
/// <param name="debianPackage">The Debian package that contains it.</param>
public sealed class CompressionUnavailableException(CompressionType type, string library, string debianPackage)
    : Exception($"{type} compression needs the library {library}, which is not installed. Install it (Debian package: {debianPackage}).")
{
    public CompressionType Type { get; } = type;

    public string Library { get; } = library;
}
