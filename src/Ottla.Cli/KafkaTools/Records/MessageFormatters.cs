using Ottla.Client;

namespace Ottla.Cli.KafkaTools.Records;

/// <summary>The formatters of the console consumer, by the names of Kafka's classes.</summary>
internal static class MessageFormatters
{
    /// <summary>Prints one record.</summary>
    /// <param name="record">The record.</param>
    /// <param name="output">Where to.</param>
    public delegate void Formatter(in ConsumeResult<byte[], byte[]> record, Stream output);

    private const string Package = "org.apache.kafka.tools.consumer.";

    /// <summary>Finds a formatter.</summary>
    /// <param name="class">The name of the Java class.</param>
    /// <param name="properties">The formatter's properties.</param>
    /// <returns>The formatter; null when there is no such class here.</returns>
    public static Formatter? Find(string @class, IReadOnlyDictionary<string, string> properties) => @class switch
    {
        Package + "DefaultMessageFormatter" or Package + "LoggingMessageFormatter" => new RecordFormatter(properties).Write,
        Package + "NoOpMessageFormatter" => static (in _, _) => { }
        ,
        _ => null,
    };
}
