namespace Ottla.Protocol.Batches.Compression;

/// <summary>A codec's native library is not installed. Clients are answered <see cref="ErrorCode.UnsupportedCompressionType"/>.</summary>
/// <param name="type">The codec.</param>
/// <param name="library">The library that was looked for.</param>
/// <param name="debianPackage">The Debian package that has it.</param>
public sealed class CompressionUnavailableException(CompressionType type, string library, string debianPackage)
    : Exception($"{type} compression needs {library}, which is not installed (Debian package: {debianPackage})")
{
    public CompressionType Type { get; } = type;

    public string Library { get; } = library;

    public string DebianPackage { get; } = debianPackage;
}
