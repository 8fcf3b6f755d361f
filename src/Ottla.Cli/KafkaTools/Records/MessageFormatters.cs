using Ottla.Client;
using Ottla.Storage.Inspection;

namespace Ottla.Cli.KafkaTools.Records;

/// <summary>The formatters of the console consumer, by the names of Kafka's classes.</summary>
internal static class MessageFormatters
{
    /// <summary>Prints one record.</summary>
    /// <param name="record">The record.</param>
    /// <param name="output">Where to.</param>
    public delegate void Formatter(in ConsumeResult<byte[], byte[]> record, Stream output);

    private const string Package = "org.apache.kafka.tools.consumer.";

    /// <summary>The types of records of groups that each formatter shows.</summary>
    private static readonly short[] OffsetTypes = [0, 1];
    private static readonly short[] GroupMetadataTypes = [2];
    private static readonly short[] ShareGroupTypes = [10, 11, 12, 13, 14, 15];

    /// <summary>Finds a formatter.</summary>
    /// <param name="class">The name of the Java class.</param>
    /// <param name="properties">The formatter's properties.</param>
    /// <returns>The formatter; null when there is no such class here.</returns>
    public static Formatter? Find(string @class, IReadOnlyDictionary<string, string> properties) => @class switch
    {
        Package + "DefaultMessageFormatter" or Package + "LoggingMessageFormatter" => new RecordFormatter(properties).Write,
        Package + "OffsetsMessageFormatter" => Coordinator(RecordDecoder.Offsets, OffsetTypes),
        Package + "GroupMetadataMessageFormatter" => Coordinator(RecordDecoder.Offsets, GroupMetadataTypes),
        Package + "ShareGroupMessageFormatter" => Coordinator(RecordDecoder.Offsets, ShareGroupTypes),
        Package + "TransactionLogMessageFormatter" => Coordinator(RecordDecoder.Transactions),
        Package + "group.share.ShareGroupStateMessageFormatter" => Coordinator(RecordDecoder.Share),
        Package + "NoOpMessageFormatter" => static (in _, _) => { }
        ,
        _ => null,
    };

    private static Formatter Coordinator(RecordDecoder decoder, params IReadOnlyList<short> types) =>
        new CoordinatorRecordFormatter(decoder, types).Write;
}
