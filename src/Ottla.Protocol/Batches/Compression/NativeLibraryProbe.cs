using System.Runtime.InteropServices;

namespace Ottla.Protocol.Batches.Compression;

/// <summary>Says early and clearly whether a codec's native library is there. Lives as long as the process.</summary>
internal sealed class NativeLibraryProbe(CompressionType type, string library, string debianPackage)
{
    // Loaded for good: the imports resolve to the same library.
    private readonly Lazy<bool> _isLoaded = new(() => NativeLibrary.TryLoad(library, out _));

    /// <exception cref="CompressionUnavailableException">The library is not installed.</exception>
    public void Demand()
    {
        if (!_isLoaded.Value)
            throw new CompressionUnavailableException(type, library, debianPackage);
    }
}
