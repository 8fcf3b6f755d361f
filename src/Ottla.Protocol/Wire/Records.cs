using Ottla.Kernel;

namespace Ottla.Protocol.Wire;

/// <summary>
/// The record batches of a message, which are never copied: in a request part of the frame, in a response memory or a file slice.
/// </summary>
/// <remarks>The default value is null, which Kafka distinguishes from empty. Memory is valid as long as its frame.</remarks>
public readonly struct Records
{
    private readonly bool _isPresent;

    /// <summary>Makes records in memory.</summary>
    public Records(Memory<byte> memory)
    {
        Memory = memory;
        _isPresent = true;
    }

    /// <summary>Makes records in a file. The encoder of the message takes ownership of the slice.</summary>
    public Records(IFileSlice slice)
    {
        Slice = slice;
        _isPresent = true;
    }

    /// <summary>Empty records, which differ from null.</summary>
    public static Records Empty => new(Memory<byte>.Empty);

    /// <summary>Whether the records are null, as opposed to empty.</summary>
    public bool IsNull => !_isPresent;

    /// <summary>The bytes if they are in memory.</summary>
    public Memory<byte> Memory { get; }

    /// <summary>The bytes if they are in a file.</summary>
    public IFileSlice? Slice { get; }

    /// <summary>Their length in bytes.</summary>
    public int Length => Slice?.Length ?? Memory.Length;
}
