using System.Runtime.InteropServices;

namespace Ottla.Protocol.Batches.Compression;

/// <summary>
/// Checks whether a codec's native library is installed, so that the error is early and clear. Lives as long as the process.
/// </summary>
internal sealed class NativeLibraryProbe(CompressionType type, string library, string debianPackage)
{
    // Never unloaded: the imports use the same library.
    private readonly Lazy<bool> _isLoaded = new(() => NativeLibrary.TryLoad(library, out _));

    /// <exception cref="CompressionUnavailableException">The library is not installed.</exception>
    public void ThrowIfMissing()
    {
        if (!_isLoaded.Value)
            throw new CompressionUnavailableException(type, library, debianPackage);
    }
}
