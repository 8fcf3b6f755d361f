using Microsoft.Extensions.Logging;
using Ottla.Client.Calls;
using Ottla.Client.Cluster;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Requests;

namespace Ottla.Client.Producing;

/// <summary>Answers, failures and time-outs: what becomes of the batches.</summary>
internal sealed partial class ProducerSender
{
    private void OnEnded(ProduceExchange exchange)
    {
        var now = Instant.Now(_time);
        if (exchange.Answer is not { } answer)
        {
            OnFailed(exchange, now);
            return;
        }

        _context.Metrics?.OnThrottled(answer.ThrottleTimeMs);
        if (answer.ThrottleTimeMs > 0)
            exchange.Node.BlockedUntil = now.AddMilliseconds(answer.ThrottleTimeMs);
        foreach (var topic in answer.Responses)
        {
            var asked = Array.Find(
                exchange.Topics, each => topic.TopicId == Uuid.Zero ? each.Name == topic.Name : each.Id == topic.TopicId);
            foreach (var partition in topic.PartitionResponses)
            {
                if (asked?.Batches.FirstOrDefault(batch => batch.Queue.Partition == partition.Index) is { IsInFlight: true } batch)
                    OnAnswer(batch, partition, answer.NodeEndpoints, now);
            }
        }

        foreach (var batch in exchange.Topics.SelectMany(topic => topic.Batches).Where(batch => batch.IsInFlight))
        {
            var missing = new KafkaException(
                ErrorCode.UnknownServerError, $"{exchange.Address} did not name {batch.Queue.Id} in its answer");
            Retry(batch, missing, now);
        }
    }

    private void OnFailed(ProduceExchange exchange, Instant now)
    {
        var failure = exchange.Failure!;
        _client.Metadata.RequestUpdate();
        var exception = failure.ToKafkaException();
        foreach (var batch in exchange.Topics.SelectMany(topic => topic.Batches))
        {
            batch.MayBeWritten |= failure.MayHaveBeenExecuted;
            batch.MayBeRead = true;
            if (exception.IsRetriable)
                Retry(batch, exception, now);
            else
                Fail(batch, exception, wasRefused: true);
        }
    }

    private void OnAnswer(
        ProducerBatch batch, ProduceResponse.PartitionProduceResponse partition, ProduceResponse.NodeEndpoint[] endpoints, Instant now)
    {
        var error = (ErrorCode)partition.ErrorCode;
        var isSequenced = batch.Sequence >= 0;
        var isNext = batch.Queue.Sequences.IsNext(batch);
        var verdict = ProduceVerdicts.Decide(
            error, batch.RecordCount, isSequenced, _transactions is not null, isNext, batch.MayBeWritten, partition.LogStartOffset);
        switch (verdict)
        {
            case ProduceVerdict.Written or ProduceVerdict.WrittenBefore:
                batch.Queue.Sequences.Succeed(batch);
                var baseOffset = verdict == ProduceVerdict.Written ? partition.BaseOffset : -1;
                Finish(batch, null, baseOffset, partition.LogAppendTimeMs);
                break;
            case ProduceVerdict.Retry:
                batch.MayBeWritten |= ProduceVerdicts.MayBeWritten(error);
                var hasMoved = LearnLeader(batch, partition, endpoints);
                if (ErrorKinds.InvalidatesMetadata(error) && !hasMoved)
                    _client.Metadata.RequestUpdate();
                Retry(batch, ExceptionOf(error, partition.ErrorMessage), hasMoved ? null : now);
                break;
            case ProduceVerdict.RetryInNextEpoch:
                LogSequenceLost(_logger, batch.Queue.Id, batch.Sequence, error.ToKafkaName());
                batch.Queue.Sequences.RequestRenewal();
                Retry(batch, ExceptionOf(error, partition.ErrorMessage), now);
                break;
            case ProduceVerdict.Split:
                Split(batch);
                break;
            case ProduceVerdict.Fail:
                FailRecords(batch, error, partition);
                break;
            case ProduceVerdict.FailInDoubt:
                LogInDoubt(_logger, batch.Queue.Id, batch.Sequence, error.ToKafkaName());
                Fail(batch, ExceptionOf(error, "The record may be written or not: its leader has forgotten"), wasRefused: false);
                break;
            case ProduceVerdict.FailProducer:
                FailRecords(batch, error, partition);
                BecomeFatal(new FatalProducerException(error, partition.ErrorMessage));
                break;
        }
    }

    private bool LearnLeader(
        ProducerBatch batch, ProduceResponse.PartitionProduceResponse partition, ProduceResponse.NodeEndpoint[] endpoints)
    {
        if (partition.CurrentLeader is not { LeaderId: >= 0 } leader)
            return false;
        var endpoint = Array.Find(endpoints, each => each.NodeId == leader.LeaderId);
        return _client.Metadata.LearnLeader(
            batch.Queue.Id, leader.LeaderId, leader.LeaderEpoch,
            endpoint is null ? null : new ClusterNode(new NodeAddress(endpoint.NodeId, endpoint.Host, endpoint.Port), endpoint.Rack));
    }

    /// <summary>Has a batch sent again after a pause, unless its time is over.</summary>
    /// <param name="batch">The batch.</param>
    /// <param name="failure">Why the attempt failed.</param>
    /// <param name="now">Now; null to send it again at once.</param>
    private void Retry(ProducerBatch batch, KafkaException failure, Instant? now)
    {
        batch.LastFailure = failure;
        if (batch.IsDone)
        {
            GiveUp(batch, wasRefused: false); // its time was over while it was under way
            return;
        }

        _context.Metrics?.OnRetry(batch);
        batch.RetryAt = now?.AddMilliseconds((long)_backoff.DelayAfter(batch.Attempts).TotalMilliseconds);
        batch.Queue.Sequences.Requeue(batch);
    }

    private void Split(ProducerBatch batch)
    {
        if (batch.IsDone)
        {
            GiveUp(batch, wasRefused: true);
            return;
        }

        _context.Metrics?.OnSplit();
        var parts = batch.Split();
        batch.Queue.Sequences.Split(batch, parts);
        foreach (var part in parts)
            _accumulator.Add(part);
        _accumulator.Remove(batch);
        batch.Release();
    }

    private void FailRecords(ProducerBatch batch, ErrorCode error, ProduceResponse.PartitionProduceResponse partition)
    {
        var failure = ExceptionOf(error, partition.ErrorMessage);
        var refused = partition.RecordErrors.ToDictionary(each => each.BatchIndex, each => each.BatchIndexErrorMessage);
        // The others of the batch have done nothing wrong; they were refused all the same, and may be sent again (KIP-467).
        var others = refused.Count == 0 ? failure
            : new KafkaException(error, "Not written, because other records of its batch were refused");
        batch.LastFailure = failure;
        batch.Complete(-1, -1, index => refused.TryGetValue(index, out var message)
            ? ExceptionOf(error, message ?? partition.ErrorMessage)
            : others);
        Fail(batch, failure, wasRefused: true);
    }

    private void Fail(ProducerBatch batch, KafkaException failure, bool wasRefused)
    {
        batch.Queue.Sequences.Fail(batch, wasRefused);
        _transactions?.OnRecordsFailed(failure);
        Finish(batch, failure);
    }

    /// <summary>Lets go of a batch whose records have failed already, now that its request has ended.</summary>
    private void GiveUp(ProducerBatch batch, bool wasRefused)
    {
        batch.Queue.Sequences.Fail(batch, wasRefused);
        Finish(batch, batch.LastFailure!);
    }

    /// <summary>Tells the outcome, if it was not told, and lets go of the batch.</summary>
    private void Finish(ProducerBatch batch, KafkaException? error, long baseOffset = -1, long logAppendTimeMs = -1)
    {
        batch.Release(); // who hears of the outcome finds the room
        batch.Complete(baseOffset, logAppendTimeMs, error is null ? null : _ => error);
        _accumulator.Remove(batch);
    }

    /// <summary>
    /// Fails what has waited for longer than the delivery time-out. What is under way keeps its memory until its request ends.
    /// </summary>
    private void ExpireUnresolved(PartitionQueue queue, Instant now, ref Instant? due)
    {
        var unresolved = queue.Sequences.Unresolved;
        for (var i = 0; i < unresolved.Count && IsExpired(unresolved[i].CreatedAt, now, ref due); i++)
        {
            var batch = unresolved[i];
            if (batch.IsDone)
                continue; // it was failed in an earlier round, and its request has not ended yet
            if (batch.IsInFlight)
            {
                var failure = TimedOut(batch);
                _transactions?.OnRecordsFailed(failure); // first: who waits for the outcome must not commit
                batch.Complete(-1, -1, _ => failure);
            }
            else
            {
                Fail(batch, TimedOut(batch), wasRefused: false);
                i--;
            }

            _signal.Set(); // a transaction gives the rest up
        }
    }

    private void Expire(ProducerBatch batch)
    {
        var failure = TimedOut(batch);
        _transactions?.OnRecordsFailed(failure);
        Finish(batch, failure);
    }

    private bool IsExpired(Instant createdAt, Instant now, ref Instant? due)
    {
        var at = createdAt.AddMilliseconds((long)_context.Options.DeliveryTimeout.TotalMilliseconds);
        if (at <= now)
            return true;
        due = Earlier(due, at);
        return false;
    }

    private KafkaTimeoutException TimedOut(ProducerBatch batch)
    {
        var last = batch.LastFailure?.Message ?? (_client.Metadata.Current.LeaderOf(batch.Queue.Id) is null
            ? $"its partition has no known leader; {_client.Metadata.LastFailure}"
            : "it was not sent yet");
        return new KafkaTimeoutException(
            $"A batch of {batch.RecordCount} records for {batch.Queue.Id} was not written within "
                + $"{_context.Options.DeliveryTimeout.TotalMilliseconds} ms and {batch.Attempts} attempts: {last}", batch.LastFailure);
    }

    private bool TryRenew(PartitionQueue queue)
    {
        var known = queue.Sequences.Producer;
        if (_transactions is not null)
        {
            // The coordinator has the epoch: it comes with the next transaction.
            if (_transactions.Producer is not { } next || !queue.Sequences.IsOther(next))
                return false;
            queue.Sequences.Renew(next);
            return true;
        }

        if (known is { } current && current.Epoch < short.MaxValue && current.Id == _identity.Current?.Id)
        {
            queue.Sequences.Renew(current with { Epoch = (short)(current.Epoch + 1) });
            return true;
        }

        if (known is { } worn && worn.Id == _identity.Current?.Id)
            _identity.Current = null; // its epochs are used up
        if (_identity.Current is not { } fresh)
        {
            RequestProducerId();
            return false;
        }

        queue.Sequences.Renew(fresh);
        return true;
    }

    private void BecomeFatal(FatalProducerException error)
    {
        _fatal ??= error;
        FailAll(_fatal);
    }

    /// <summary>Fails all that is not under way; the rest fails when its requests end.</summary>
    private void FailAll(KafkaException error)
    {
        _accumulator.TakeActivated(_active);
        _active.RemoveAll(static queue => queue is null); // the round may have been broken off
        foreach (var queue in _active)
        {
            foreach (var batch in queue.Sequences.TakeWaiting())
            {
                _transactions?.OnRecordsFailed(error);
                queue.Sequences.RequestRenewal();
                Finish(batch, error);
            }

            while (queue.Take() is { } batch)
                Finish(batch, error);
        }

        _active.RemoveAll(queue => queue.Sequences.IsEmpty && queue.TryDeactivate());
    }

    private static KafkaException ExceptionOf(ErrorCode error, string? message) => new(error, message ?? "The record was not written");

    [LoggerMessage(EventId = 114, Level = LogLevel.Warning,
        Message = "{Partition} does not know any more whether it has the batch with sequence {Sequence} ({Error}): its records fail")]
    private static partial void LogInDoubt(ILogger logger, TopicPartition partition, int sequence, string error);

    [LoggerMessage(EventId = 111, Level = LogLevel.Warning,
        Message = "{Partition} misses what is before sequence {Sequence} ({Error}): the producer goes on with the next epoch")]
    private static partial void LogSequenceLost(ILogger logger, TopicPartition partition, int sequence, string error);
}
