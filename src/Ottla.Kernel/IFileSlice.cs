using Microsoft.Win32.SafeHandles;

namespace Ottla.Kernel;

/// <summary>A range of an open file, promised to a reader: where Storage and Network meet, without knowing each other.</summary>
/// <remarks>
/// Its bytes do not change or vanish while it is held: whoever truncates or deletes the file waits for the last slice.
/// The holder disposes it exactly once, from any thread.
/// </remarks>
public interface IFileSlice : IDisposable
{
    /// <summary>Bytes in the slice; at least 1.</summary>
    int Length { get; }

    /// <summary>Fills <paramref name="destination"/> with the bytes from <paramref name="offset"/> (relative to the slice) on.</summary>
    /// <exception cref="IOException">The file could not be read, or is shorter than was promised.</exception>
    void Read(int offset, Span<byte> destination);

    /// <summary>The open file for the kernel's own copying (sendfile); null when the slice lives in memory.</summary>
    SafeFileHandle? Source { get; }

    /// <summary>Where the slice begins in <see cref="Source"/>, in bytes.</summary>
    long SourcePosition { get; }
}
