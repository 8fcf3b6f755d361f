using System.Text;
using System.Text.RegularExpressions;
using Ottla.Cli.KafkaTools;
using Ottla.Client;
using Ottla.Protocol;

namespace Ottla.Cli.Nouns;

/// <summary>Prints the records that are wanted of batches. Used by one command.</summary>
/// <param name="format">How records are written.</param>
/// <param name="pattern">What values have to match; null for nothing.</param>
/// <param name="output">Where to.</param>
/// <param name="countMax">How many records are printed at most.</param>
internal sealed class RecordPrinter(RecordFormat format, Regex? pattern, Stream output, int countMax)
{
    private string _topic = "";
    private byte[] _topicBytes = [];
    private int _count;

    /// <summary>Whether all are printed that are wanted.</summary>
    public bool IsDone => _count >= countMax;

    /// <summary>Behind the last record that was looked at, when the last batch was not read to its end; otherwise null.</summary>
    public PartitionOffset? Unfinished { get; private set; }

    /// <summary>Prints the records of a batch.</summary>
    /// <param name="batch">The batch.</param>
    /// <param name="end">Only those before this offset.</param>
    public void Print(RawBatch batch, long end)
    {
        if (batch.TopicPartition.Topic != _topic)
            (_topic, _topicBytes) = (batch.TopicPartition.Topic, Encoding.UTF8.GetBytes(batch.TopicPartition.Topic));
        while (batch.TryRead(out var record))
        {
            Unfinished = new PartitionOffset(batch.TopicPartition, new CommitOffset(record.Offset + 1, batch.LeaderEpoch));
            if (record.Offset >= end || (pattern is not null && !pattern.IsMatch(Encoding.UTF8.GetString(record.Value.Span))))
                continue;
            if (!TryWrite(batch, record))
                continue;
            _count++;
            if (IsDone)
                return;
        }

        Unfinished = null;
    }

    private bool TryWrite(RawBatch batch, in RawRecord record)
    {
        try
        {
            return format.Write(batch.TopicPartition, _topicBytes, record, batch.LeaderEpoch, output);
        }
        catch (ProtocolException e)
        {
            throw new ToolException(
                $"The record at offset {record.Offset} of {batch.TopicPartition} is not one of those that --decode names: {e.Message}");
        }
    }
}
