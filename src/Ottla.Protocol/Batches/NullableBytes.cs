namespace Ottla.Protocol.Batches;

/// <summary>A key or value to write: bytes, or Kafka's null. The default is null.</summary>
public readonly ref struct NullableBytes
{
    /// <summary>Bytes; an empty span is an empty key or value, not null.</summary>
    public NullableBytes(ReadOnlySpan<byte> bytes)
    {
        Span = bytes;
        HasValue = true;
    }

    /// <summary>Null.</summary>
    public static NullableBytes Null => default;

    /// <summary>Not null.</summary>
    public bool HasValue { get; }

    /// <summary>The bytes; empty when null.</summary>
    public ReadOnlySpan<byte> Span { get; }

    /// <summary>Bytes it takes as a field of a record: its length and itself.</summary>
    internal int FieldSizeBytes => HasValue ? Wire.Varint.SizeOf(Span.Length) + Span.Length : 1;

    /// <summary>A null array is null, an empty one is not.</summary>
    public static NullableBytes From(byte[]? bytes) => bytes is null ? default : new NullableBytes(bytes);

    /// <summary>No memory is null.</summary>
    public static NullableBytes From(ReadOnlyMemory<byte>? bytes) => bytes is { } memory ? new NullableBytes(memory.Span) : default;

    public static implicit operator NullableBytes(byte[]? bytes) => From(bytes);

    public static implicit operator NullableBytes(ReadOnlySpan<byte> bytes) => new(bytes);

    public static implicit operator NullableBytes(ReadOnlyMemory<byte> bytes) => new(bytes.Span);
}
