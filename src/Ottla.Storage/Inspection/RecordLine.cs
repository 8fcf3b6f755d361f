using System.Text;
using Ottla.Protocol;
using Ottla.Protocol.Batches;

namespace Ottla.Storage.Inspection;

/// <summary>Prints the line of one record in a dump. Stateless.</summary>
internal static class RecordLine
{
    public static void Write(
        DumpOutput output, LogDumpOptions options, in RecordBatchView batch, in Record record, RecordDecoder decoder,
        Action<string> onProblem)
    {
        string? problem = null;
        output.Begin(options.RecordMetadata || !batch.IsControl ? DumpKinds.Record : DumpKinds.Contents);
        try
        {
            if (options.RecordMetadata)
                WriteMetadata(output, batch, record);
            if (!batch.IsControl && options.Contents)
                WriteContents(output, options, record, decoder);
        }
        catch (ProtocolException failure) when (options.AsKafka)
        {
            output.Break();
            throw new InvalidDataException(
                $"Failed to decode message at offset {record.Offset} using the specified decoder ({failure.Message})");
        }
        catch (ProtocolException failure)
        {
            problem = $"the record at offset {record.Offset} cannot be decoded: {failure.Message}";
        }

        output.End();
        if (problem is not null)
            onProblem(problem);
    }

    private static void WriteMetadata(DumpOutput output, in RecordBatchView batch, in Record record)
    {
        output.Add("offset", record.Offset);
        output.Add(batch.TimestampType, record.Timestamp);
        output.Add("keySize", record.KeySizeBytes);
        output.Add("valueSize", record.ValueSizeBytes);
        output.Add("sequence", record.Sequence);
        output.Add("headerKeys", HeaderKeys(record));
        if (batch.IsControl)
            WriteControl(output, record);
    }

    private static List<string> HeaderKeys(in Record record)
    {
        var keys = new List<string>();
        foreach (var header in record.Headers)
            keys.Add(Encoding.UTF8.GetString(header.Key));
        return keys;
    }

    private static void WriteControl(DumpOutput output, in Record record)
    {
        if (!ControlBatches.TryReadType(record.Key, out var type))
            throw new MalformedMessageException("the control record has no type");
        if (type is ControlRecordType.Abort or ControlRecordType.Commit)
        {
            if (!ControlBatches.TryReadCoordinatorEpoch(record.Value, out var coordinatorEpoch))
                throw new MalformedMessageException("the transaction marker has no coordinator epoch");
            output.Add("endTxnMarker", type.ToString().ToUpperInvariant());
            output.Add("coordinatorEpoch", coordinatorEpoch);
            return;
        }

        var (name, json) = RecordJson.OfRaftControl(type, record.Value);
        // Kafka's tool prints a colon here, and nowhere else.
        output.AddJson(name, json, type == ControlRecordType.LeaderChange ? ": " : " ");
    }

    private static void WriteContents(DumpOutput output, LogDumpOptions options, in Record record, RecordDecoder decoder)
    {
        switch (decoder)
        {
            case RecordDecoder.None:
                if (record.KeySizeBytes >= 0)
                    output.AddBytes("key", record.Key);
                if (record.ValueSizeBytes >= 0)
                    output.AddBytes("payload", record.Value);
                break;
            case RecordDecoder.Metadata:
                output.AddJson("payload", RecordJson.OfMetadata(record.Value));
                break;
            default:
                output.AddJson("key", RecordJson.OfKey(decoder, record.Key));
                if (record.ValueSizeBytes < 0)
                    output.Add("payload", "<DELETE>");
                else
                    output.AddJson("payload", RecordJson.OfValue(decoder, record.Key, record.Value, options.AsKafka));
                break;
        }
    }
}
