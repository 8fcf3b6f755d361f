using System.Text;

namespace Ottla.Protocol.Batches;

/// <summary>A header to write.</summary>
/// <param name="Key">The key in UTF-8.</param>
/// <param name="Value">The value, or null.</param>
public readonly record struct RecordHeader(ReadOnlyMemory<byte> Key, ReadOnlyMemory<byte>? Value)
{
    /// <summary>A header with a text key.</summary>
    public RecordHeader(string key, byte[]? value)
        : this(Encoding.UTF8.GetBytes(key), value is null ? null : new ReadOnlyMemory<byte>(value))
    {
    }
}
