using Ottla.Protocol.Messages;
using Ottla.Protocol.Metadata;

namespace Ottla.StateMachines.Metadata;

/// <summary>
/// Builds images from the batches of the metadata log. It holds the records of a metadata transaction (KIP-868) back until the transaction
/// ends.
/// </summary>
/// <remarks>Mutable; one loop owns it. <see cref="Copy"/> makes an independent copy.</remarks>
public sealed class MetadataReplayer
{
    /// <summary>The most records in one metadata transaction. A log with more is corrupt.</summary>
    public const int TransactionRecordsMax = 10_000_000;

    private List<MetadataRecord> _transaction = [];

    /// <summary>Starts with an image.</summary>
    public MetadataReplayer(MetadataImage image) => Image = image;

    /// <summary>The image of all records applied so far, without those of an open transaction.</summary>
    public MetadataImage Image { get; private set; }

    /// <summary>The offset of the record that began the open transaction; -1 when none is open.</summary>
    public long TransactionStartOffset { get; private set; } = -1;

    /// <summary>Makes a replayer with the same state that continues independently.</summary>
    public MetadataReplayer Copy() => new(Image) { _transaction = [.. _transaction], TransactionStartOffset = TransactionStartOffset };

    /// <summary>Starts over from a snapshot and drops an open transaction, because a snapshot never ends inside one.</summary>
    /// <exception cref="MetadataException">A record cannot be applied.</exception>
    public MetadataDelta Load(IEnumerable<MetadataRecord> snapshot, MetadataProvenance provenance)
    {
        var old = Image;
        _transaction = [];
        TransactionStartOffset = -1;
        var builder = new MetadataImageBuilder(MetadataImage.Empty);
        foreach (var record in snapshot)
            builder.Replay(record.Message, provenance.LastOffset);
        Image = builder.Build(provenance).New;
        return MetadataDelta.Between(old, Image);
    }

    /// <summary>Applies a batch.</summary>
    /// <param name="records">Its records, in order; empty for a batch of control records.</param>
    /// <param name="baseOffset">The offset of the first record.</param>
    /// <param name="provenance">The last offset, the epoch and the time of the batch.</param>
    /// <exception cref="MetadataException">A record cannot be applied.</exception>
    public MetadataDelta Apply(IReadOnlyList<MetadataRecord> records, long baseOffset, MetadataProvenance provenance)
    {
        ArgumentNullException.ThrowIfNull(records);
        if (TransactionStartOffset < 0 && SayNothing(records))
        {
            // By far the most batches of a cluster at rest.
            var before = Image;
            Image = before with { Provenance = provenance };
            return MetadataDelta.OfNothing(before, Image);
        }

        var builder = new MetadataImageBuilder(Image);
        for (var i = 0; i < records.Count; i++)
            Replay(builder, records[i], baseOffset + i);

        var delta = builder.Build(provenance);
        Image = delta.New;
        return delta;
    }

    private static bool SayNothing(IReadOnlyList<MetadataRecord> records)
    {
        for (var i = 0; i < records.Count; i++)
        {
            if (records[i].Message is not NoOpRecord)
                return false;
        }

        return true;
    }

    private void Replay(MetadataImageBuilder builder, MetadataRecord record, long offset)
    {
        var open = TransactionStartOffset >= 0;
        switch (record.Message)
        {
            case BeginTransactionRecord:
                if (open)
                    throw new MetadataException(
                        $"A metadata transaction begins at offset {offset}, but the one that began at offset {TransactionStartOffset} has "
                        + "not ended.");
                TransactionStartOffset = offset;
                break;
            case EndTransactionRecord:
                if (!open)
                    throw new MetadataException($"A metadata transaction ends at offset {offset}, but none began.");
                for (var i = 0; i < _transaction.Count; i++)
                    builder.Replay(_transaction[i].Message, TransactionStartOffset + 1 + i);
                CloseTransaction();
                break;
            case AbortTransactionRecord:
                if (!open)
                    throw new MetadataException($"A metadata transaction is aborted at offset {offset}, but none began.");
                CloseTransaction();
                break;
            default:
                if (!open)
                    builder.Replay(record.Message, offset);
                else if (_transaction.Count < TransactionRecordsMax)
                    _transaction.Add(record);
                else
                    throw new MetadataException(
                        $"The metadata transaction that began at offset {TransactionStartOffset} has more than {TransactionRecordsMax} "
                        + "records.");
                break;
        }
    }

    private void CloseTransaction()
    {
        _transaction.Clear();
        TransactionStartOffset = -1;
    }
}
