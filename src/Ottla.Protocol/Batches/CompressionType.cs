namespace Ottla.Protocol.Batches;

/// <summary>
/// The compression of a batch's records: bits 0 to 2 of its attributes. A header can also have the unassigned values 5 to 7.
/// </summary>
public enum CompressionType : byte
{
    /// <summary><c>none</c>.</summary>
    None = 0,

    /// <summary><c>gzip</c> (RFC 1952).</summary>
    Gzip = 1,

    /// <summary><c>snappy</c>, in the framing of xerial's Java library or, from some clients, as one bare block.</summary>
    Snappy = 2,

    /// <summary><c>lz4</c>: the LZ4 frame format with independent blocks.</summary>
    Lz4 = 3,

    /// <summary><c>zstd</c> (RFC 8878); needs Produce 7 and Fetch 10 (KIP-110).</summary>
    Zstd = 4,
}
