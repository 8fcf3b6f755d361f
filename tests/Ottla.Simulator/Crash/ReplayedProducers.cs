using Ottla.Protocol.Batches;
using Ottla.Storage.Producers;

namespace Ottla.Simulator.Crash;

/// <summary>What batches say of their producers, read by the simplest code that can.</summary>
internal sealed class ReplayedProducers
{
    private readonly Dictionary<long, Producer> _producers = [];
    private readonly List<(long ProducerId, long FirstOffset, long LastOffset)> _aborted = [];

    public ReplayedProducers(IEnumerable<WrittenBatch> batches)
    {
        foreach (var batch in batches)
            Add(batch);
    }

    public IReadOnlyDictionary<long, Producer> Producers => _producers;

    /// <summary>Aborted transactions that began in these batches.</summary>
    public IReadOnlyList<(long ProducerId, long FirstOffset, long LastOffset)> Aborted => _aborted;

    private void Add(WrittenBatch written)
    {
        var batch = written.View;
        if (!batch.HasProducerId || (batch.IsControl && batch.RecordCount == 0))
            return;
        var known = _producers.GetValueOrDefault(batch.ProducerId, new Producer(-1, -1, -1));
        var lastSequence = batch.ProducerEpoch == known.Epoch ? known.LastSequence : -1;
        if (!batch.IsControl)
        {
            var first = batch.IsTransactional && known.TransactionFirstOffset < 0 ? batch.BaseOffset : known.TransactionFirstOffset;
            _producers[batch.ProducerId] = new Producer(batch.ProducerEpoch, batch.LastSequence, first);
            return;
        }

        if (known.TransactionFirstOffset >= 0 && IsAbort(written))
            _aborted.Add((batch.ProducerId, known.TransactionFirstOffset, batch.LastOffset));
        _producers[batch.ProducerId] = new Producer(batch.ProducerEpoch, lastSequence, -1);
    }

    /// <summary>Whether a marker ends a transaction for nothing.</summary>
    public static bool IsAbort(WrittenBatch marker)
    {
        using var reader = new RecordReader(marker.Bytes);
        return reader.TryRead(out var record) && ControlBatches.TryReadType(record.Key, out var type) && type == ControlRecordType.Abort;
    }

    /// <summary>A producer after the batches.</summary>
    public readonly record struct Producer(short Epoch, int LastSequence, long TransactionFirstOffset)
    {
        /// <summary>
        /// Whether a log that has these batches may know the producer so: of deleted batches it may remember all, some or none.
        /// </summary>
        public bool IsLike(ActiveProducer producer, Producer ever) =>
            (producer.ProducerEpoch == Epoch || producer.ProducerEpoch == ever.Epoch)
            && (producer.LastSequence == LastSequence || producer.LastSequence == ever.LastSequence)
            && (producer.CurrentTransactionStartOffset == TransactionFirstOffset
                || (ever.TransactionFirstOffset >= 0 && producer.CurrentTransactionStartOffset >= ever.TransactionFirstOffset
                    && (TransactionFirstOffset < 0 || producer.CurrentTransactionStartOffset < TransactionFirstOffset)));
    }
}
