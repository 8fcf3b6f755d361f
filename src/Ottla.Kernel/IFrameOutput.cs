using System.Buffers;

namespace Ottla.Kernel;

/// <summary>The target of message encoding: a growing buffer with file slices in between, whose bytes are not copied.</summary>
public interface IFrameOutput : IBufferWriter<byte>
{
    /// <summary>The bytes written so far, without slices. The caller may patch or shift them. Valid until the next write.</summary>
    Span<byte> Written { get; }

    /// <summary>Appends <paramref name="slice"/> after the bytes written so far. The output owns the slice from now on.</summary>
    void AppendSlice(IFileSlice slice);
}
