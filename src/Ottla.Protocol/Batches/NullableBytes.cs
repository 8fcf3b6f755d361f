namespace Ottla.Protocol.Batches;

/// <summary>A key or value to write: bytes or null. The default is null.</summary>
public readonly ref struct NullableBytes
{
    /// <summary>Makes a value of bytes. An empty span is an empty value, not null.</summary>
    public NullableBytes(ReadOnlySpan<byte> bytes)
    {
        Span = bytes;
        HasValue = true;
    }

    /// <summary>Null.</summary>
    public static NullableBytes Null => default;

    /// <summary>Whether the value is not null.</summary>
    public bool HasValue { get; }

    /// <summary>The bytes; empty when null.</summary>
    public ReadOnlySpan<byte> Span { get; }

    /// <summary>Bytes of the field in a record: its length and its content.</summary>
    internal int FieldSizeBytes => HasValue ? Wire.Varint.SizeOf(Span.Length) + Span.Length : 1;

    /// <summary>Converts an array; a null array becomes null.</summary>
    public static NullableBytes From(byte[]? bytes) => bytes is null ? default : new NullableBytes(bytes);

    /// <summary>Converts memory; no memory becomes null.</summary>
    public static NullableBytes From(ReadOnlyMemory<byte>? bytes) => bytes is { } memory ? new NullableBytes(memory.Span) : default;

    public static implicit operator NullableBytes(byte[]? bytes) => From(bytes);

    public static implicit operator NullableBytes(ReadOnlySpan<byte> bytes) => new(bytes);

    public static implicit operator NullableBytes(ReadOnlyMemory<byte> bytes) => new(bytes.Span);
}
