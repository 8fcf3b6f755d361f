using Ottla.Kernel;

namespace Ottla.Protocol.Wire;

/// <summary>The record batches of a message: never copied. In a request a window of the frame, in a response memory or a slice of a file.</summary>
/// <remarks>The default value is null, which Kafka tells from empty. Memory is valid as long as the frame it came in.</remarks>
public readonly struct Records
{
    private readonly bool _isPresent;

    /// <summary>Records in memory.</summary>
    public Records(Memory<byte> memory)
    {
        Memory = memory;
        _isPresent = true;
    }

    /// <summary>Records in a file; whoever encodes the message takes the slice over.</summary>
    public Records(IFileSlice slice)
    {
        Slice = slice;
        _isPresent = true;
    }

    /// <summary>No bytes, but not null.</summary>
    public static Records Empty => new(Memory<byte>.Empty);

    /// <summary>Whether there are no records at all, not even empty ones.</summary>
    public bool IsNull => !_isPresent;

    /// <summary>The bytes, when they are in memory.</summary>
    public Memory<byte> Memory { get; }

    /// <summary>The bytes, when they are in a file.</summary>
    public IFileSlice? Slice { get; }

    /// <summary>Their length in bytes.</summary>
    public int Length => Slice?.Length ?? Memory.Length;
}
