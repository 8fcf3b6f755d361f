namespace Ottla.Protocol.Batches;

/// <summary>
/// Where the fields of a message (magic 0 and 1, before KIP-98) are: offset, length, CRC-32, magic, attributes, with magic 1 a timestamp,
/// then key and value, each after its length.
/// </summary>
/// <remarks>
/// A message counts as a batch of its own. The value of a compressed one holds messages, and its offset and timestamp are those of the last
/// and of the latest of them.
/// Kafka wrote magic 0 until 0.10 and magic 1 until 0.11; logs of that time still have them.
/// </remarks>
internal static class MessageLayout
{
    public const byte Magic0 = 0;
    public const byte Magic1 = 1;

    public const int OffsetOffset = 0;
    public const int CrcOffset = 12;
    public const int MagicOffset = RecordBatchLayout.MagicOffset;
    public const int AttributesOffset = 17;

    /// <summary>Magic 1 only.</summary>
    public const int TimestampOffset = 18;

    public const int KeyOffset0 = 18;
    public const int KeyOffset1 = 26;

    /// <summary>A message without key and value.</summary>
    public const int SizeBytesMin0 = KeyOffset0 + 2 * sizeof(int);

    /// <summary>A message without key and value.</summary>
    public const int SizeBytesMin1 = KeyOffset1 + 2 * sizeof(int);

    /// <summary>The attributes that mean anything.</summary>
    public static int AttributesMask(byte magic) =>
        magic == Magic0 ? RecordBatchLayout.CompressionMask : RecordBatchLayout.CompressionMask | RecordBatchLayout.TimestampTypeMask;

    /// <summary>Where the key's length is.</summary>
    public static int KeyOffset(byte magic) => magic == Magic0 ? KeyOffset0 : KeyOffset1;
}
