namespace Ottla.Protocol.Batches;

/// <summary>
/// The positions of the fields of a record batch (magic 2, KIP-98). All fields are big-endian; the records follow the header.
/// </summary>
/// <remarks>For magic 0 and 1 it has only what is needed to find their batches; <see cref="MessageLayout"/> has the rest.</remarks>
public static class RecordBatchLayout
{
    /// <summary>The only batch format that the broker writes. It also reads the older ones.</summary>
    public const byte CurrentMagic = 2;

    public const int BaseOffsetOffset = 0;
    public const int LengthOffset = 8;
    public const int PartitionLeaderEpochOffset = 12;
    public const int MagicOffset = 16;
    public const int CrcOffset = 17;
    public const int AttributesOffset = 21;
    public const int LastOffsetDeltaOffset = 23;
    public const int BaseTimestampOffset = 27;
    public const int MaxTimestampOffset = 35;
    public const int ProducerIdOffset = 43;
    public const int ProducerEpochOffset = 51;
    public const int BaseSequenceOffset = 53;
    public const int RecordCountOffset = 57;

    /// <summary>Bytes before the records, and the size of a batch without any.</summary>
    public const int HeaderSizeBytes = 61;

    /// <summary>Bytes before the part that the length field counts: the base offset and the length itself.</summary>
    public const int LogOverheadBytes = 12;

    /// <summary>The number of bytes that contain a batch's size and format.</summary>
    public const int SizeAndMagicBytes = MagicOffset + 1;

    /// <summary>The smallest length field in any format of Kafka.</summary>
    public const int LengthFieldMin = 14;

    /// <summary>The smallest batch of any format, in bytes.</summary>
    public const int SizeBytesMinOfAnyFormat = LogOverheadBytes + LengthFieldMin;

    public const int CompressionMask = 0x07;
    public const int TimestampTypeMask = 0x08;
    public const int TransactionalMask = 0x10;
    public const int ControlMask = 0x20;
    public const int DeleteHorizonMask = 0x40;

    /// <summary>The timestamp of a record without one, and the max timestamp of a batch without records.</summary>
    public const long NoTimestamp = -1;

    public const long NoProducerId = -1;
    public const short NoProducerEpoch = -1;
    public const int NoSequence = -1;
    public const int NoPartitionLeaderEpoch = -1;

    /// <summary>
    /// The sequence number <paramref name="increment"/> after <paramref name="sequence"/>; int.MaxValue is followed by 0.
    /// </summary>
    public static int IncrementSequence(int sequence, int increment) =>
        unchecked(sequence > int.MaxValue - increment ? increment - (int.MaxValue - sequence) - 1 : sequence + increment);

    /// <summary>
    /// The sequence number <paramref name="decrement"/> before <paramref name="sequence"/>; 0 is preceded by int.MaxValue.
    /// </summary>
    public static int DecrementSequence(int sequence, int decrement) =>
        unchecked(sequence < decrement ? int.MaxValue - (decrement - sequence) + 1 : sequence - decrement);

    /// <summary>The smallest batch of a format, in bytes; int.MaxValue for an unknown format.</summary>
    public static int SizeBytesMin(byte magic) => magic switch
    {
        CurrentMagic => HeaderSizeBytes,
        MessageLayout.Magic1 => MessageLayout.SizeBytesMin1,
        MessageLayout.Magic0 => MessageLayout.SizeBytesMin0,
        _ => int.MaxValue,
    };
}
