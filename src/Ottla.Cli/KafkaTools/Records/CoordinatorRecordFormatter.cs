using System.Text;
using Ottla.Client;
using Ottla.Protocol;
using Ottla.Storage.Inspection;

namespace Ottla.Cli.KafkaTools.Records;

/// <summary>Prints records of internal topics as Kafka's formatters of coordinators do: as JSON, one behind the other.</summary>
/// <param name="decoder">The kind of records.</param>
/// <param name="types">The types that are shown; empty for all.</param>
internal sealed class CoordinatorRecordFormatter(RecordDecoder decoder, IReadOnlyList<short> types)
{
    /// <summary>Prints a record; nothing for one without a key, and for one of another type.</summary>
    /// <exception cref="JavaException">It cannot be decoded.</exception>
    public void Write(in ConsumeResult<byte[], byte[]> record, Stream output)
    {
        if (!record.HasKey)
            return;
        try
        {
            if (types.Count == 0 || types.Contains(RecordJson.TypeOf(record.Key)))
                output.Write(Encoding.UTF8.GetBytes(RecordJson.OfRecord(decoder, record.Key, record.Value, !record.HasValue)));
        }
        catch (ProtocolException e)
        {
            throw new JavaException(
                "java.lang.RuntimeException", $"Could not read record at offset {record.Offset} due to: {e.Message}");
        }
    }
}
