namespace Ottla.Protocol.Batches;

/// <summary>How a batch's records are compressed: bits 0 to 2 of its attributes. Values 5 to 7 are unassigned but can be read from a header.</summary>
public enum CompressionType : byte
{
    /// <summary><c>none</c>.</summary>
    None = 0,

    /// <summary><c>gzip</c> (RFC 1952).</summary>
    Gzip = 1,

    /// <summary><c>snappy</c>, framed as xerial's Java library does or, from some clients, one bare block.</summary>
    Snappy = 2,

    /// <summary><c>lz4</c>: the LZ4 frame format with independent blocks.</summary>
    Lz4 = 3,

    /// <summary><c>zstd</c> (RFC 8878); needs Produce 7 and Fetch 10 (KIP-110).</summary>
    Zstd = 4,
}
