using System.Buffers;

namespace Ottla.Kernel;

/// <summary>Where a message is encoded to: a growing run of bytes, with slices of files in between that are never copied here.</summary>
public interface IFrameOutput : IBufferWriter<byte>
{
    /// <summary>The bytes written so far (without slices), to patch or shift; valid until the next write.</summary>
    Span<byte> Written { get; }

    /// <summary>Lets the bytes of <paramref name="slice"/> follow what was written so far. The output owns the slice from now on.</summary>
    void AppendSlice(IFileSlice slice);
}
