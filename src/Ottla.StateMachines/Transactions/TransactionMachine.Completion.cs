using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.StateMachines.Coordinators;

namespace Ottla.StateMachines.Transactions;

// The completion of transactions: from the decision to the last marker, and expiration.
public sealed partial class TransactionMachine
{
    /// <summary>
    /// Writes the decision, and asks for markers once it is committed. A transaction without partitions is complete at once.
    /// </summary>
    private void Prepare(TransactionalId id, TransactionMetadata prepared, Step step)
    {
        Write(prepared, step);
        if (prepared.Partitions.Count == 0)
            Write(prepared.Complete(step.Now), step);
        else
            step.Effects.WhenTaken(taken => SendMarkers(id, prepared, prepared.Partitions, taken));
    }

    private void TakeMarkers(MarkersWrittenCommand written, Step step)
    {
        step.Reply(written.Markers.Producer);
        if (!_ids.TryGetValue(written.Markers.TransactionalId, out var id) || !ReferenceEquals(id.MarkersUnderWay, written.Markers))
            return;
        id.MarkersUnderWay = null;
        if (written.Results.Values.Contains(ErrorCode.TransactionCoordinatorFenced))
            return; // another coordinator has taken over and writes the markers
        foreach (var (partition, error) in written.Results)
        {
            if (NeedsNoMarker(partition, error))
                id.PartitionsWithoutMarker.Remove(partition);
        }

        if (id.PartitionsWithoutMarker.Count == 0)
            Complete(id, step.Now, step.Effects);
        else
            RetryLater(id, step.Now);
    }

    private void Complete(TransactionalId id, Instant now, CoordinatorEffects effects)
    {
        effects.Write(id.Metadata.Complete(now).ToRecord(TransactionVersion));
        RetryLater(id, now); // the retry is cancelled when the record is written
    }

    private bool NeedsNoMarker(TopicPartition partition, ErrorCode error) => error switch
    {
        ErrorCode.None => true,
        // The producer's epoch there is later, so a marker has already ended this transaction.
        ErrorCode.InvalidProducerEpoch => true,
        // The partition cannot contain transactional records.
        ErrorCode.UnsupportedVersion or ErrorCode.UnsupportedForMessageFormat => true,
        // The topic was deleted.
        _ => _image.Topics.Partition(partition) is null,
    };

    private void RetryLater(TransactionalId id, Instant now)
    {
        id.RetryAt = now.AddMilliseconds(RetryBackoffMs);
        _retries.Add(id.Metadata.TransactionalId);
    }

    /// <summary>Retries what is due. A step that writes records produces no outputs, because a failed write would lose them.</summary>
    /// <returns>False when nothing was due.</returns>
    private bool Retry(Instant now, CoordinatorEffects effects)
    {
        _retries.RemoveWhere(transactionalId => _ids.GetValueOrDefault(transactionalId)?.RetryAt is null);
        var due = _retries.Select(transactionalId => _ids[transactionalId]).Where(id => id.RetryAt <= now).ToList();
        var unmarked = due.Where(id => id.PartitionsWithoutMarker.Count > 0).ToList();
        foreach (var id in unmarked)
        {
            id.RetryAt = null;
            SendMarkers(id, id.Metadata, [.. id.PartitionsWithoutMarker], effects);
        }

        foreach (var id in unmarked.Count > 0 ? [] : due.Take(SweepIdsMax))
            Complete(id, now, effects);
        return due.Count > 0;
    }

    /// <summary>Aborts transactions that timed out. Returns false when there may be more.</summary>
    private bool AbortTimedOut(Instant now, CoordinatorEffects effects)
    {
        var partitions = 0;
        var timedOut = _ids.Values.Where(id => IsTimedOut(id.Metadata, now))
            .TakeWhile(id => (partitions += id.Metadata.Partitions.Count) <= SweepPartitionsMax
                || partitions == id.Metadata.Partitions.Count).Take(SweepIdsMax).ToList();
        // Producers that need a new producer id are handled one at a time, because the id must usually be allocated first.
        var fenced = timedOut.Where(id => !id.Metadata.IsEpochExhausted).ToList();
        foreach (var id in fenced.Count > 0 ? fenced : timedOut.Take(1))
            Decide(new FenceTransactionCommand(id.Metadata.TransactionalId, id.Metadata.Producer), replyTo: null, newProducerId: null, now,
                effects);
        return timedOut.Count == fenced.Count && timedOut.Count < SweepIdsMax && partitions <= SweepPartitionsMax;
    }

    private static bool IsTimedOut(TransactionMetadata metadata, Instant now) =>
        metadata.State == TransactionState.Ongoing && metadata.TimeoutMs != int.MaxValue
            && metadata.StartMs + metadata.TimeoutMs < now.UnixMilliseconds;

    /// <summary>Removes ids that were unused for too long. Returns false when there may be more.</summary>
    private bool RemoveExpired(Instant now, CoordinatorEffects effects)
    {
        var before = now.UnixMilliseconds - Config.TransactionalIdExpirationMs;
        var expired =
            _ids.Values.Select(id => id.Metadata).Where(id => id.State.IsIdle() && id.LastUpdateMs <= before).Take(SweepIdsMax).ToList();
        effects.IsAtomic = false;
        effects.Write(expired.Select(id => id.ToTombstone()));
        return expired.Count < SweepIdsMax;
    }

    private void SendMarkers(
        TransactionalId id, TransactionMetadata metadata, IReadOnlyCollection<TopicPartition> partitions, CoordinatorEffects effects)
    {
        id.MarkersUnderWay = new WriteMarkersOutput(
            metadata.TransactionalId,
            metadata.Producer,
            metadata.State == TransactionState.PrepareCommit,
            coordinatorEpoch,
            metadata.ClientTransactionVersion,
            partitions);
        effects.Output(id.MarkersUnderWay);
    }
}
