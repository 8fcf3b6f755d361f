namespace Ottla.Protocol.Batches;

/// <summary>
/// The positions of the fields of a message (magic 0 and 1, before KIP-98): offset, length, CRC-32, magic, attributes, a timestamp in magic
/// 1, then key and value, each after its length.
/// </summary>
/// <remarks>
/// A message counts as a batch. The value of a compressed message contains messages; its offset is that of the last one and its timestamp
/// the latest one. Kafka wrote magic 0 until 0.10 and magic 1 until 0.11; old logs still have them.
/// </remarks>
internal static class MessageLayout
{
    public const byte Magic0 = 0;
    public const byte Magic1 = 1;

    public const int OffsetOffset = 0;
    public const int CrcOffset = 12;
    public const int MagicOffset = RecordBatchLayout.MagicOffset;
    public const int AttributesOffset = 17;

    /// <summary>Only in magic 1.</summary>
    public const int TimestampOffset = 18;

    public const int KeyOffset0 = 18;
    public const int KeyOffset1 = 26;

    /// <summary>The size of a message without key and value.</summary>
    public const int SizeBytesMin0 = KeyOffset0 + 2 * sizeof(int);

    /// <summary>The size of a message without key and value.</summary>
    public const int SizeBytesMin1 = KeyOffset1 + 2 * sizeof(int);

    /// <summary>The defined bits of the attributes.</summary>
    public static int AttributesMask(byte magic) =>
        magic == Magic0 ? RecordBatchLayout.CompressionMask : RecordBatchLayout.CompressionMask | RecordBatchLayout.TimestampTypeMask;

    /// <summary>The position of the key's length.</summary>
    public static int KeyOffset(byte magic) => magic == Magic0 ? KeyOffset0 : KeyOffset1;
}
