using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Batches;

namespace Ottla.Client.Producing;

/// <summary>
/// What was sent to one partition and has no outcome yet, and what may be sent next, so that records are neither doubled nor reordered.
/// </summary>
/// <remarks>
/// Pure; owned by the sender's loop. A leader takes a batch of a producer id and epoch only when its sequence follows the last one, and
/// answers one that it has already with success. So a batch keeps its sequence for every attempt. When a batch fails, those behind it fail
/// too (OUT_OF_ORDER_SEQUENCE_NUMBER); they are sent again in their order, one at a time until the partition has caught up. When a sequence
/// is lost for good, the rest begins anew with sequence 0 of the next epoch, once nothing is under way: the epoch counts for each partition
/// apart, because a leader compares it with nothing else. A leader that knows nothing of a producer takes any sequence for its first one:
/// so the first batch of an id and epoch is under way alone. Without idempotence nothing tells a leader what is in order: then one batch is
/// under way at a time.
/// </remarks>
/// <param name="inFlightMax">The most batches under way.</param>
/// <param name="isSequenced">Whether batches have sequences.</param>
internal sealed class PartitionSequences(int inFlightMax, bool isSequenced)
{
    /// <summary>Sent or to be sent again, in the order of their sequences.</summary>
    private readonly List<ProducerBatch> _unresolved = [];

    private readonly int _inFlightMax = isSequenced ? inFlightMax : 1;
    private int _inFlight;
    private int _next;

    /// <summary>Whether the leader knows the producer's id and epoch by a batch.</summary>
    private bool _isKnown;

    /// <summary>The producer's id and epoch at this partition; null before the first batch.</summary>
    public ProducerIdAndEpoch? Producer { get; private set; }

    /// <summary>Batches under way.</summary>
    public int InFlightCount => _inFlight;

    /// <summary>Whether nothing is unresolved.</summary>
    public bool IsEmpty => _unresolved.Count == 0;

    /// <summary>Batches without an outcome, in the order of their sequences.</summary>
    public IReadOnlyList<ProducerBatch> Unresolved => _unresolved;

    /// <summary>Whether a sequence is lost: nothing is sent before <see cref="Renew"/>.</summary>
    public bool NeedsRenewal { get; private set; }

    /// <summary>Whether batches wait to be sent again.</summary>
    public bool HasRetries => _unresolved.Count > _inFlight;

    /// <summary>
    /// The batch that has to be sent again before anything new; null when there is none, or something is under way before it.
    /// </summary>
    public ProducerBatch? NextRetry() =>
        HasRetries && !NeedsRenewal && !_unresolved[0].IsInFlight && (_inFlight == 0 || isSequenced) ? _unresolved[0] : null;

    /// <summary>Whether a new batch may be sent now.</summary>
    public bool MaySendNew => !HasRetries && !NeedsRenewal && _inFlight < (_isKnown ? _inFlightMax : 1);

    /// <summary>
    /// Whether as many batches are under way as may be, and none waits to be sent again: nothing is sent before an answer.
    /// </summary>
    public bool IsFullyInFlight => !HasRetries && _inFlight >= (_isKnown ? _inFlightMax : 1);

    /// <summary>Takes a new batch in flight and stamps it.</summary>
    /// <param name="batch">The batch.</param>
    /// <param name="producer">The producer's id and epoch; null without idempotence.</param>
    public void Send(ProducerBatch batch, ProducerIdAndEpoch? producer)
    {
        if (producer is { } current && IsOther(current))
        {
            Invariant.Check(_unresolved.Count == 0, "a partition takes over another producer id when nothing is under way");
            (Producer, _next, _isKnown) = (current, 0, false);
        }

        if (producer is not null)
        {
            batch.Producer = Producer;
            batch.Sequence = _next;
            _next = RecordBatchLayout.IncrementSequence(_next, batch.RecordCount);
        }

        _unresolved.Add(batch);
        Resend(batch);
    }

    /// <summary>
    /// Whether the partition has to take over another id or epoch of the producer, which it does when nothing is under way.
    /// </summary>
    public bool IsOther(ProducerIdAndEpoch producer) =>
        Producer is not { } mine || mine.Id != producer.Id || mine.Epoch < producer.Epoch;

    /// <summary>Takes a batch in flight again.</summary>
    public void Resend(ProducerBatch batch)
    {
        batch.IsInFlight = true;
        batch.Attempts++;
        _inFlight++;
    }

    /// <summary>Whether every batch before this one is written, so that its sequence is the one that the leader waits for.</summary>
    public bool IsNext(ProducerBatch batch) => _unresolved.Count > 0 && _unresolved[0] == batch;

    /// <summary>Takes note that a request with a batch has ended, and that it is to be sent again.</summary>
    public void Requeue(ProducerBatch batch) => Land(batch);

    /// <summary>Takes note that a batch was written.</summary>
    public void Succeed(ProducerBatch batch)
    {
        Land(batch);
        _unresolved.Remove(batch);
        _isKnown |= batch.Producer == Producer;
    }

    /// <summary>Takes note that a batch was given up.</summary>
    /// <param name="batch">The batch.</param>
    /// <param name="wasRefused">Whether the leader said that it has not written it; otherwise it may have.</param>
    public void Fail(ProducerBatch batch, bool wasRefused)
    {
        Land(batch);
        _unresolved.Remove(batch);
        // If it may have been written and others follow, their outcome shows whether it was: a lost sequence is OUT_OF_ORDER for the next.
        NeedsRenewal |= isSequenced && (wasRefused || _unresolved.Count == 0);
    }

    /// <summary>Replaces a batch that is not in flight by its parts, which take its sequences.</summary>
    public void Split(ProducerBatch batch, IReadOnlyList<ProducerBatch> parts)
    {
        Land(batch);
        var place = _unresolved.IndexOf(batch);
        _unresolved.RemoveAt(place);
        _unresolved.InsertRange(place, parts);
        var sequence = batch.Sequence;
        foreach (var part in parts)
        {
            part.Producer = batch.Producer;
            part.Sequence = sequence;
            if (sequence >= 0)
                sequence = RecordBatchLayout.IncrementSequence(sequence, part.RecordCount);
        }
    }

    /// <summary>Has the partition begin anew before anything more is sent.</summary>
    public void RequestRenewal() => NeedsRenewal = true;

    /// <summary>Begins anew with another epoch or id, if that is needed and nothing is under way.</summary>
    /// <param name="producer">The id and epoch; newer than what the partition had.</param>
    public void Renew(ProducerIdAndEpoch producer)
    {
        Invariant.Check(_inFlight == 0, "nothing is under way when a partition begins anew");
        Producer = producer;
        NeedsRenewal = false;
        _isKnown = false;
        _next = 0;
        foreach (var batch in _unresolved)
        {
            batch.Producer = producer;
            batch.Sequence = _next;
            _next = RecordBatchLayout.IncrementSequence(_next, batch.RecordCount);
        }
    }

    /// <summary>Takes the batches out that wait to be sent again, which the caller gives up, as an aborted transaction does.</summary>
    public List<ProducerBatch> TakeWaiting()
    {
        var waiting = _unresolved.Where(batch => !batch.IsInFlight).ToList();
        foreach (var batch in waiting)
            _unresolved.Remove(batch);
        return waiting;
    }

    private void Land(ProducerBatch batch)
    {
        if (!batch.IsInFlight)
            return;
        batch.IsInFlight = false;
        _inFlight--;
    }
}
