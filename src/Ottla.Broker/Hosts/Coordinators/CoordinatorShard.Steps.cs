using Microsoft.Extensions.Logging;
using Ottla.Broker.Replicas;
using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.StateMachines.Coordinators;

namespace Ottla.Broker.Hosts.Coordinators;

// What becomes of a step: records into the batch and the machine, the batch into the log, replies and outputs out once they are committed.
internal sealed partial class CoordinatorShard<TCommand>
{
    /// <summary>After this many steps of what is due, others get their turn.</summary>
    private const int DeadlineStepsMax = 1000;

    /// <summary>How long what is due rests after its records could not be written.</summary>
    private const int DeadlineRetryBackoffMs = 500;

    /// <summary>What is due and was not looked at for this long shows that the process stood still.</summary>
    private const int StallMsMin = 500;

    /// <summary>How long what is due then rests, so that heartbeats that wait in the sockets are heard first.</summary>
    private const int StallGraceMs = 1000;

    /// <summary>The longest wait that a timer is set for.</summary>
    private const long TimerMsMax = int.MaxValue;

    private readonly CoordinatorEffects _effects = new();
    private readonly CoordinatorBatch _batch;
    private readonly Dictionary<long, ReplyReceiver> _waiting = [];
    private readonly Queue<DueReply> _replies = new();
    private readonly Queue<DueOutput> _outputs = new();
    private readonly ITimer _timer;
    private Instant? _timerSetFor;
    private Instant _deadlinesRestUntil = new(long.MinValue);
    private Instant _deadlinesSeenAt = new(long.MinValue);
    private Instant _batchBegan;
    private bool _isWatchingCommit;
    private BrokerConfig? _settingsOf;
    private CoordinatorSettings _settings = null!;

    /// <summary>The log's end.</summary>
    private long _writtenOffset;

    /// <summary>The log's end once the batch is written: what the machine knows goes up to here.</summary>
    private long _endOffset;

    private CoordinatorSettings Settings
    {
        get
        {
            var config = _config();
            if (!ReferenceEquals(config, _settingsOf))
                (_settingsOf, _settings) = (config, _definition.Settings(config));
            return _settings;
        }
    }

    private int BatchBytesMax => Math.Min(_replica.Settings.Topic.MaxMessageBytes, _replica.Settings.Topic.SegmentBytes);

    /// <summary>Lets the machine take a step, and takes what comes of it.</summary>
    /// <param name="step">The step.</param>
    /// <param name="input">What it is about.</param>
    /// <param name="replyTo">Who is answered with the error if the step throws; null when nobody asked for it.</param>
    /// <returns>
    /// Whether what the step wanted written is about to be, or it wanted nothing. If not, what the machine does about that was done.
    /// </returns>
    private bool Step<TInput>(Action<ICoordinatorMachine<TCommand>, TInput, Instant, CoordinatorEffects> step, TInput input, ReplyTo? replyTo = null)
    {
        var now = Instant.Now(_time);
        _effects.Clear();
        var isBroken = false;
        try
        {
            step(_machine!, input, now, _effects);
        }
        catch (ApiException e) when (replyTo is not null)
        {
            _effects.Clear();
            _effects.Fail(replyTo.Value, e.Error.Code, e.Error.Message);
        }
        catch (Exception e) // a bug that this input has found: it fails alone, and what the records say is as before
        {
            LogStepFailed(_replica.Partition, e);
            isBroken = true;
            _effects.Clear();
            if (replyTo is { } to)
                _effects.Fail(to, ErrorCode.UnknownServerError);
        }

        if (Take(now, replyTo, out var afterRefusal))
            return !isBroken;
        if (afterRefusal is not null)
            Step(static (_, follow, now, effects) => follow(now, effects), afterRefusal);
        return false;
    }

    private bool Take(Instant now, ReplyTo? replyTo, out Action<Instant, CoordinatorEffects>? afterRefusal)
    {
        afterRefusal = null;
        var settings = Settings;
        if (_effects.Records.Count > 0)
        {
            ErrorCode refusal;
            var isAdded = _effects.Transaction != ProducerIdAndEpoch.None ? TryWriteAlone(now, settings, out refusal)
                : _effects.IsAtomic ? TryAdd(_effects.Records, now, settings, out refusal)
                : TryAddOneByOne(now, settings, out refusal);
            if (!isAdded)
            {
                if (refusal == ErrorCode.None)
                    return false;
                FailStep(refusal, replyTo);
                afterRefusal = _effects.Refuse();
                return false;
            }
        }

        _effects.Take();
        Await(now.AddMilliseconds(settings.WriteTimeoutMs));
        return settings.AppendLingerMs != 0 || Write(now);
    }

    /// <summary>Writes a transaction's records, in a batch of their own, and has the machine take them over afterwards: the log knows which producers are fenced.</summary>
    /// <inheritdoc cref="TryAdd"/>
    private bool TryWriteAlone(Instant now, CoordinatorSettings settings, out ErrorCode refusal)
    {
        refusal = ErrorCode.None;
        if (!Write(now))
            return false;
        refusal = Encode(_effects.Records, settings);
        if (refusal == ErrorCode.None && !_batch.HasRoom(BatchBytesMax))
            refusal = CoordinatorErrors.OfAppend(ErrorCode.MessageTooLarge);
        if (refusal != ErrorCode.None)
            return false;
        _batch.Add(now, settings.Compression, _effects.Transaction);
        var outcome = Append(_batch, now);
        if (outcome.ErrorCode != ErrorCode.None)
        {
            refusal = CoordinatorErrors.OfAppend(outcome.ErrorCode);
            return false;
        }

        if (outcome.Result.FirstOffset != _endOffset)
        {
            _endOffset = _writtenOffset = outcome.Result.LastOffset + 1;
            Await(now.AddMilliseconds(settings.WriteTimeoutMs));
            ReloadAfterForeignWrite();
            return false;
        }

        _writtenOffset = _endOffset = outcome.Result.LastOffset + 1;
        var offset = outcome.Result.FirstOffset;
        foreach (var record in _effects.Records)
            _machine!.Apply(offset++, record, _effects.Transaction);
        return true;
    }

    /// <summary>
    /// Somebody else has written to this log too, which the machine does not know. What is written is answered all the same, once it is
    /// committed.
    /// </summary>
    private void ReloadAfterForeignWrite()
    {
        LogForeignWrite(_replica.Partition, _writtenOffset);
        Reload(ErrorCode.NotCoordinator);
    }

    private AppendOutcome Append(CoordinatorBatch batch, Instant now) =>
        _replica.AppendAsCoordinator(batch.Take(Settings.CachedBufferBytesMax), _partition.LeaderEpoch, transactionVersion: 0, now, _guard);

    private bool TryAddOneByOne(Instant now, CoordinatorSettings settings, out ErrorCode refusal)
    {
        refusal = ErrorCode.None;
        var one = new CoordinatorRecord[1];
        foreach (var record in _effects.Records)
        {
            one[0] = record;
            if (!TryAdd(one, now, settings, out refusal))
                return false;
        }

        return true;
    }

    /// <summary>Adds records to the batch and has the machine take them over; writes what is in the batch before, if they do not fit in as well.</summary>
    /// <param name="records">The records: all or none.</param>
    /// <param name="now">The time.</param>
    /// <param name="settings">What the log is written by.</param>
    /// <param name="refusal">Why the step cannot be written; none when the machine had to be dropped, and everybody was told.</param>
    private bool TryAdd(IReadOnlyList<CoordinatorRecord> records, Instant now, CoordinatorSettings settings, out ErrorCode refusal)
    {
        refusal = Encode(records, settings);
        if (refusal != ErrorCode.None)
            return false;
        if (!_batch.HasRoom(BatchBytesMax))
        {
            if (!Write(now))
                return false;
            if (!_batch.HasRoom(BatchBytesMax))
            {
                refusal = CoordinatorErrors.OfAppend(ErrorCode.MessageTooLarge);
                return false;
            }
        }

        if (_batch.IsEmpty)
            _batchBegan = now;
        _batch.Add(now, settings.Compression, ProducerIdAndEpoch.None);
        foreach (var record in records)
            _machine!.Apply(_endOffset++, record, ProducerIdAndEpoch.None);
        return true;
    }

    /// <summary>Encodes records, and says why they cannot be written just now.</summary>
    private ErrorCode Encode(IReadOnlyList<CoordinatorRecord> records, CoordinatorSettings settings)
    {
        try
        {
            _batch.Encode(records, settings.CachedBufferBytesMax);
        }
        catch (ProtocolException e)
        {
            LogStepFailed(_replica.Partition, e);
            return ErrorCode.UnknownServerError;
        }

        return CoordinatorErrors.OfAppend(_replica.CheckCoordinatorAppend(_partition.LeaderEpoch).ErrorCode);
    }

    private void FailStep(ErrorCode error, ReplyTo? replyTo)
    {
        LogRefused(_replica.Partition, _effects.Records.Count, error);
        foreach (var reply in _effects.Replies)
            Answer(new FailedReply(reply.To, new ApiError(error)));
        if (replyTo is { } to)
            Answer(new FailedReply(to, new ApiError(error))); // even if it was to be answered later: nothing of it is there
    }

    /// <summary>Has the step's replies and outputs wait for everything that the machine knows.</summary>
    private void Await(Instant deadline)
    {
        foreach (var reply in _effects.Replies)
            _replies.Enqueue(new DueReply(_endOffset, reply, deadline));
        foreach (var output in _effects.Outputs)
            _outputs.Enqueue(new DueOutput(_endOffset, output));
    }

    /// <summary>Writes the batch.</summary>
    /// <returns>False when that failed: then the machine is dropped, and everybody who waits is told.</returns>
    private bool Write(Instant now)
    {
        if (_batch.IsEmpty)
            return true;
        var outcome = Append(_batch, now);
        if (outcome.ErrorCode != ErrorCode.None)
        {
            LogWriteFailed(_replica.Partition, _endOffset - _writtenOffset, outcome.ErrorCode, outcome.ErrorMessage);
            Reload(CoordinatorErrors.OfAppend(outcome.ErrorCode));
            return false;
        }

        if ((outcome.Result.FirstOffset, outcome.Result.LastOffset + 1) == (_writtenOffset, _endOffset))
        {
            _writtenOffset = _endOffset;
            return true;
        }

        MoveReplies(from: _writtenOffset, to: outcome.Result.LastOffset + 1);
        _writtenOffset = _endOffset = outcome.Result.LastOffset + 1;
        ReloadAfterForeignWrite();
        return false;
    }

    /// <summary>The batch was written elsewhere than its steps were told: their replies wait for its real end.</summary>
    private void MoveReplies(long from, long to)
    {
        for (var left = _replies.Count; left > 0; left--)
        {
            var due = _replies.Dequeue();
            _replies.Enqueue(due.Offset > from ? due with { Offset = to } : due);
        }
    }

    private void WriteMarker(
        ProducerIdAndEpoch producer, int coordinatorEpoch, bool isCommit, short transactionVersion,
        ReplyReceiver<ProducerIdAndEpoch> waiter)
    {
        var now = Instant.Now(_time);
        if (Admit(waiter) is not { } replyTo || !Write(now))
            return;
        var type = isCommit ? ControlRecordType.Commit : ControlRecordType.Abort;
        var marker = ControlBatches.BuildEndTransactionMarker(type, coordinatorEpoch, producer.Id, producer.Epoch, now.UnixMilliseconds);
        var outcome = _replica.AppendAsCoordinator(marker, _partition.LeaderEpoch, transactionVersion, now);
        if (outcome.ErrorCode != ErrorCode.None)
        {
            Answer(new FailedReply(replyTo, new ApiError(outcome.ErrorCode, outcome.ErrorMessage)));
            if (outcome.ErrorCode == ErrorCode.KafkaStorageError)
                Reload(ErrorCode.NotCoordinator);
            return;
        }

        var isNext = outcome.Result.FirstOffset == _endOffset;
        _writtenOffset = _endOffset = outcome.Result.LastOffset + 1;
        var deadline = now.AddMilliseconds(Settings.WriteTimeoutMs);
        var reply = new CoordinatorReply<ProducerIdAndEpoch>(new ReplyTo<ProducerIdAndEpoch>(replyTo), producer);
        _replies.Enqueue(new DueReply(_endOffset, reply, deadline));
        if (isNext)
            _machine!.ApplyMarker(producer, isCommit);
        else
            ReloadAfterForeignWrite();
    }

    /// <summary>At the end of a round: what is due, the write, and what is committed.</summary>
    private void Settle()
    {
        var now = Instant.Now(_time);
        if (_machine is not null)
            StepDeadlines(now);
        var lingerMs = Settings.AppendLingerMs;
        if (lingerMs <= 0 || now >= _batchBegan.AddMilliseconds(lingerMs))
            Write(now);
        SendCommitted(now);
        WatchCommit(now);
        SetTimer(now, lingerMs);
    }

    /// <summary>Does what is due: at the end of a round, and before a command is decided, which comes later than that.</summary>
    private void StepDeadlines(Instant now)
    {
        RestAfterStall(now);
        for (var i = 0; i < DeadlineStepsMax && _machine?.NextDeadline is { } due && due <= now && now >= _deadlinesRestUntil; i++)
        {
            if (!Step(static (machine, _, now, effects) => machine.OnDeadline(now, effects), 0))
                _deadlinesRestUntil = now.AddMilliseconds(DeadlineRetryBackoffMs);
        }
    }

    private void RestAfterStall(Instant now)
    {
        if (_machine?.NextDeadline is { } due)
        {
            var wanted = due > _deadlinesRestUntil ? due : _deadlinesRestUntil;
            if (_deadlinesSeenAt < wanted && now.MillisecondsSince(wanted) >= StallMsMin)
                _deadlinesRestUntil = now.AddMilliseconds(StallGraceMs);
        }

        _deadlinesSeenAt = now;
    }

    private void SendCommitted(Instant now)
    {
        while (_replies.TryPeek(out var due))
        {
            if (IsCommitted(due.Offset))
                Answer(due.Reply);
            else if (due.Deadline <= now)
                Answer(new FailedReply(due.Reply.To, new ApiError(CoordinatorErrors.OfAppend(ErrorCode.RequestTimedOut))));
            else
                break;
            _replies.Dequeue();
        }

        while (_outputs.TryPeek(out var due) && IsCommitted(due.Offset))
        {
            _outputs.Dequeue();
            _definition.OnOutput(_partition, due.Output);
        }
    }

    private bool IsCommitted(long offset) => offset <= _writtenOffset && new CommitWait(_replica, offset).IsCommitted;

    private void Answer(CoordinatorReply reply)
    {
        if (_waiting.Remove(reply.To.Number, out var waiter)) // else its time was over before its answer came
            reply.Deliver(waiter);
    }

    /// <summary>Comes back when what waits first is committed. Replies that have waited too long are the timer's.</summary>
    private void WatchCommit(Instant now)
    {
        if (_isWatchingCommit || _machine is null)
            return;
        var isReplyDue = _replies.TryPeek(out var reply) && reply.Offset <= _writtenOffset;
        var isOutputDue = _outputs.TryPeek(out var output) && output.Offset <= _writtenOffset;
        if (!isReplyDue && !isOutputDue)
            return;
        _isWatchingCommit = true;
        var offset = Math.Min(isReplyDue ? reply.Offset : long.MaxValue, isOutputDue ? output.Offset : long.MaxValue);
        _ = WatchCommitAsync(new CommitWait(_replica, offset), now.AddMilliseconds(TimerMsMax));
    }

    private async Task WatchCommitAsync(CommitWait commit, Instant deadline)
    {
        try
        {
            var error = await commit.WaitAsync(deadline, _time, _closing.Token);
            Enqueue(() => EndWatch(error));
        }
        catch (OperationCanceledException)
        {
            // The shard is closed: whoever waited has been told.
        }
    }

    private void EndWatch(ErrorCode error)
    {
        _isWatchingCommit = false;
        if (error == ErrorCode.NotLeaderOrFollower)
            Abandon(ErrorCode.NotCoordinator, isEnd: true); // it will be closed, once the metadata says so here too
    }

    private void OnTimer() => Enqueue(() => _timerSetFor = null);

    private void SetTimer(Instant now, int lingerMs)
    {
        Instant? next = null;
        if (_machine?.NextDeadline is { } due)
            next = due > _deadlinesRestUntil ? due : _deadlinesRestUntil;
        if (!_batch.IsEmpty && _batchBegan.AddMilliseconds(lingerMs) is var written && (next is null || written < next))
            next = written;
        if (_replies.TryPeek(out var reply) && (next is null || reply.Deadline < next))
            next = reply.Deadline;
        if (next == _timerSetFor && (next is null || next > now))
            return;
        _timerSetFor = next;
        _timer.Change(
            next is { } at ? TimeSpan.FromMilliseconds(Math.Clamp(at.MillisecondsSince(now), 0, TimerMsMax)) : Timeout.InfiniteTimeSpan,
            Timeout.InfiniteTimeSpan);
    }

    /// <summary>Forgets what was to be written, and what the machine wanted done.</summary>
    /// <param name="unwritten">What those are told whose records were to be written.</param>
    /// <param name="isEnd">
    /// Whether those that wait for a commit are sent elsewhere, too: their records are in the log, but what becomes of them is not known
    /// here.
    /// </param>
    private void ForgetSteps(ErrorCode unwritten, bool isEnd)
    {
        for (var left = _replies.Count; left > 0; left--)
        {
            var due = _replies.Dequeue();
            var isWritten = due.Offset <= _writtenOffset;
            if (isWritten && !isEnd)
                _replies.Enqueue(due);
            else
                Answer(new FailedReply(due.Reply.To, new ApiError(isWritten ? ErrorCode.NotCoordinator : unwritten)));
        }

        _outputs.Clear();
        _batch.Clear(cachedBufferBytesMax: 0);
        _endOffset = _writtenOffset;
    }

    private readonly record struct DueReply(long Offset, CoordinatorReply Reply, Instant Deadline);

    private readonly record struct DueOutput(long Offset, CoordinatorOutput Output);

    [LoggerMessage(Level = LogLevel.Error, Message = "A step of the coordinator of {Partition} failed")]
    private partial void LogStepFailed(TopicPartition partition, Exception e);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Count} records of a step of the coordinator of {Partition} cannot be written: {Error}")]
    private partial void LogRefused(TopicPartition partition, int count, ErrorCode error);

    [LoggerMessage(Level = LogLevel.Warning,
        Message = "Somebody else has written to {Partition} before offset {Offset}: its coordinator loads it again")]
    private partial void LogForeignWrite(TopicPartition partition, long offset);

    [LoggerMessage(Level = LogLevel.Error, Message = "Writing {Count} records of the coordinator of {Partition} failed with {Error}: {Reason}. It is loaded again")]
    private partial void LogWriteFailed(TopicPartition partition, long count, ErrorCode error, string? reason);
}
