using Ottla.Protocol.Wire;

namespace Ottla.Protocol.Batches;

/// <summary>One header of a record, read in place.</summary>
public readonly ref struct RecordHeaderView(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, bool hasValue)
{
    /// <summary>The key in UTF-8; never null.</summary>
    public ReadOnlySpan<byte> Key { get; } = key;

    /// <summary>The value; empty when null.</summary>
    public ReadOnlySpan<byte> Value { get; } = value;

    /// <summary>The value is not null.</summary>
    public bool HasValue { get; } = hasValue;
}

/// <summary>Enumerates the headers of one record. The reader that returned the record has checked their bytes.</summary>
public ref struct RecordHeaderEnumerator
{
    private readonly ReadOnlySpan<byte> _headers;
    private int _position;

    /// <summary>Starts before the first header of a record that was checked.</summary>
    public RecordHeaderEnumerator(ReadOnlySpan<byte> headers) => _headers = headers;

    /// <summary>The current header.</summary>
    public RecordHeaderView Current { get; private set; }

    /// <summary>Makes the enumerator usable in <c>foreach</c>.</summary>
    public readonly RecordHeaderEnumerator GetEnumerator() => this;

    /// <summary>Moves to the next header; false after the last.</summary>
    public bool MoveNext()
    {
        if (_position >= _headers.Length)
            return false;
        Current = Read(_headers, ref _position);
        return true;
    }

    internal static RecordHeaderView Read(ReadOnlySpan<byte> source, scoped ref int position)
    {
        if (!Varint.TryReadInt32(source, ref position, out var keySize) || keySize < 0 || keySize > source.Length - position)
            throw new CorruptRecordException(ErrorCode.InvalidRecord, $"Invalid header key of {keySize} bytes");
        var key = source.Slice(position, keySize);
        position += keySize;

        if (!Varint.TryReadInt32(source, ref position, out var valueSize) || valueSize > source.Length - position)
            throw new CorruptRecordException(ErrorCode.InvalidRecord, $"Invalid header value of {valueSize} bytes");
        if (valueSize < 0)
            return new RecordHeaderView(key, default, hasValue: false);
        var value = source.Slice(position, valueSize);
        position += valueSize;
        return new RecordHeaderView(key, value, hasValue: true);
    }
}
