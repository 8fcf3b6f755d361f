using Ottla.Protocol.Batches;
using Ottla.Storage.Producers;

namespace Ottla.Storage.Log;

/// <content>
/// Recognises retries. After a start, the snapshot of the producers has only the last batch of each one. A producer that had several in
/// flight when the broker ended sends them all again, and would be refused with OUT_OF_ORDER_SEQUENCE_NUMBER, which ends some clients.
/// So the batches before the last one are looked for in the log, once, when a producer's sequence is not the next one. (Kafka refuses.)
/// </content>
public sealed partial class PartitionLog
{
    /// <summary>How far back in the log they are looked for, in bytes.</summary>
    private const int RetriedBytesMax = 4 * 1024 * 1024;

    /// <summary>Whether the log has a batch already; it is one of the last five of its producer.</summary>
    private bool IsRetry(ProducerState producer, in RecordBatchView batch, out ProducerBatch original)
    {
        if (producer.TryFindDuplicate(batch.ProducerEpoch, batch.BaseSequence, batch.LastSequence, out original))
            return true;
        if (!producer.LacksBatches || producer.IsNext(batch.ProducerEpoch, batch.BaseSequence))
            return false;
        producer.AddEarlierBatches(ReadLastBatches(producer));
        return producer.TryFindDuplicate(batch.ProducerEpoch, batch.BaseSequence, batch.LastSequence, out original);
    }

    private List<ProducerBatch> ReadLastBatches(ProducerState producer)
    {
        var found = new List<ProducerBatch>();
        var ofSegment = new List<ProducerBatch>();
        long bytesLeft = RetriedBytesMax;
        for (var i = _segments.Count - 1; i >= 0 && bytesLeft > 0 && found.Count < ProducerState.BatchesMax; i--)
        {
            var segment = _segments[i];
            var from = segment.Size <= bytesLeft ? 0 : segment.LookupBoundary(segment.Size - bytesLeft, _config);
            ofSegment.Clear();
            segment.CollectBatches(from, producer.ProducerId, producer.ProducerEpoch, ofSegment);
            found.InsertRange(0, ofSegment);
            bytesLeft -= segment.Size - from;
        }

        return found;
    }
}
