namespace Ottla.SystemTests.Clients;

/// <summary>A record as a test gives it to a client. Headers are pairs of name (UTF-8) and value.</summary>
public sealed record TestRecord(int Partition, long Timestamp, byte[]? Key, byte[]? Value, IReadOnlyList<byte[]?[]> Headers);

/// <summary>A record as a client read it.</summary>
public sealed record ConsumedRecord(
    int Partition, long Offset, long Timestamp, byte[]? Key, byte[]? Value, IReadOnlyList<byte[]?[]> Headers);

/// <summary>What a client's own interface cannot say, so that a test does not ask for it.</summary>
[Flags]
public enum ClientLimits
{
    None = 0,

    /// <summary>Headers cannot be given record by record.</summary>
    NoHeaders = 1,

    /// <summary>The client sets the timestamps.</summary>
    NoTimestamps = 2,

    /// <summary>A header's value cannot be null.</summary>
    NoNullHeaderValues = 4,

    /// <summary>An empty key or value is sent as null.</summary>
    EmptyIsNull = 8,

    /// <summary>A record needs a key or a value.</summary>
    NoKeylessTombstones = 16,
}
