using Ottla.Kernel;
using Ottla.Protocol.Batches;
using Ottla.StateMachines.Share;
using Ottla.Storage.Log;

namespace Ottla.Broker.Hosts.Share;

/// <summary>Records that were read for a share group, and where their batches are. Its owner disposes it.</summary>
internal sealed class ShareLogRead : IDisposable
{
    private readonly PartitionLog _log;
    private readonly LogReadRequest _request;
    private readonly List<(TransactionalBatch Batch, int SizeBytes)> _batches = [];

    private ShareLogRead(PartitionLog log, in LogReadRequest request, in LogReadResult result)
    {
        (_log, _request, Slice) = (log, request, result.Slice);
        Fetched = [];
        if (Slice is null)
            return;
        ReadHeaders(Slice);
        IReadOnlyList<AbortedTransaction> aborted = result.AbortedTransactions ?? [];
        Fetched = AbortedBatches.Mark(
            [.. _batches.Select(batch => batch.Batch)],
            [.. aborted.Select(transaction => (transaction.ProducerId, transaction.FirstOffset))]);
    }

    /// <summary>The batches, in order; those of aborted transactions are marked when only committed records are read.</summary>
    public IReadOnlyList<FetchedBatch> Fetched { get; }

    /// <summary>The records; null when there are none.</summary>
    public IFileSlice? Slice { get; private set; }

    /// <summary>Reads from a log.</summary>
    /// <exception cref="LogException">OFFSET_OUT_OF_RANGE, CORRUPT_MESSAGE, KAFKA_STORAGE_ERROR.</exception>
    public static ShareLogRead Read(PartitionLog log, in LogReadRequest request)
    {
        var result = log.Read(request);
        try
        {
            return new ShareLogRead(log, request, result);
        }
        catch
        {
            result.Slice?.Dispose();
            throw;
        }
    }

    /// <summary>Hands over the batches that have acquired offsets, from the first to the last. Called once.</summary>
    public IFileSlice TakeRecords(long firstOffset, long lastOffset)
    {
        var slice = Slice ?? throw new InvalidOperationException("Nothing was read.");
        var first = _batches.FindLastIndex(batch => batch.Batch.BaseOffset <= firstOffset);
        first = Math.Max(first, 0);
        var last = Math.Max(_batches.FindLastIndex(batch => batch.Batch.BaseOffset <= lastOffset), first);
        if (first > 0 || last < _batches.Count - 1)
        {
            var narrowed = _log.Read(_request with
            {
                StartOffset = Math.Max(_batches[first].Batch.BaseOffset, _request.StartOffset),
                MaxBytes = _batches.Skip(first).Take(last - first + 1).Sum(batch => batch.SizeBytes),
                MinOneBatch = true,
            });
            if (narrowed.Slice is { } found)
            {
                slice.Dispose();
                slice = found;
            }
        }

        Slice = null;
        return slice;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Slice?.Dispose();
        Slice = null;
    }

    private void ReadHeaders(IFileSlice slice)
    {
        Span<byte> header = stackalloc byte[RecordBatchLayout.HeaderSizeBytes];
        for (var position = 0; position < slice.Length;)
        {
            var available = header[..Math.Min(header.Length, slice.Length - position)];
            slice.Read(position, available);
            var view = new RecordBatchView(available);
            if (view.SizeInBytes <= 0 || view.SizeInBytes > slice.Length - position)
                return; // a batch that is cut off
            var isAbort = view.IsControl && IsAbortMarker(slice, position, view.SizeInBytes);
            var batch = new TransactionalBatch(view.BaseOffset, view.LastOffset, view.ProducerId, view.IsTransactional, isAbort);

            // A control batch is transactional too, and is acquired all the same.
            _batches.Add((view.IsControl ? batch with { IsTransactional = false } : batch, view.SizeInBytes));
            position += view.SizeInBytes;
        }
    }

    private static bool IsAbortMarker(IFileSlice slice, int position, int sizeBytes)
    {
        var batch = new byte[sizeBytes];
        slice.Read(position, batch);
        using var reader = new RecordReader(batch);
        return reader.TryRead(out var record) && ControlBatches.TryReadType(record.Key, out var type) && type == ControlRecordType.Abort;
    }
}
