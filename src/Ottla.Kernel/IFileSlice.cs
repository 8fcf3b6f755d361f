using Microsoft.Win32.SafeHandles;

namespace Ottla.Kernel;

/// <summary>
/// A byte range of an open file that a reader holds. Storage makes slices and Network sends them; neither references the other.
/// </summary>
/// <remarks>
/// While a slice is held, its bytes do not change and the file stays open. Nobody waits for the holder: a truncation that would change the
/// bytes puts a copy in the place of the file, and a deletion leaves the open file readable. The last holder closes the file.
/// The holder disposes the slice exactly once, from any thread.
/// </remarks>
public interface IFileSlice : IDisposable
{
    /// <summary>Bytes in the slice; at least 1.</summary>
    int Length { get; }

    /// <summary>Fills <paramref name="destination"/> with the bytes from <paramref name="offset"/> (relative to the slice) on.</summary>
    /// <exception cref="IOException">The file cannot be read, or is shorter than the slice.</exception>
    void Read(int offset, Span<byte> destination);

    /// <summary>The open file, so that the kernel can copy from it (sendfile); null when the slice is in memory.</summary>
    SafeFileHandle? Source { get; }

    /// <summary>Where the slice begins in <see cref="Source"/>, in bytes.</summary>
    long SourcePosition { get; }
}
