using Microsoft.Extensions.Logging;
using Ottla.Broker.Replicas;
using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.StateMachines.Coordinators;

namespace Ottla.Broker.Hosts.Coordinators;

// One step: its records go into the batch and the machine, the batch goes into the log, and its replies and outputs leave when the batch is
// committed.
internal sealed partial class CoordinatorShard<TCommand>
{
    /// <summary>After this many steps for deadlines, other work gets its turn.</summary>
    private const int DeadlineStepsMax = 1000;

    /// <summary>How long deadlines wait after a failure to write their records.</summary>
    private const int DeadlineRetryBackoffMs = 500;

    /// <summary>When deadlines were not checked for this long, the process stood still.</summary>
    private const int StallMsMin = 500;

    /// <summary>How long deadlines then wait, so that heartbeats in the sockets' buffers come first.</summary>
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

    /// <summary>Runs one step of the machine and takes its records, replies and outputs.</summary>
    /// <param name="step">The step.</param>
    /// <param name="input">The input of the step.</param>
    /// <param name="replyTo">The request to answer if the step throws; null when no request caused it.</param>
    /// <returns>
    /// True when the records of the step are in the batch, or it has none. Otherwise the machine has undone the step.
    /// </returns>
    private bool Step<TInput>(
        Action<ICoordinatorMachine<TCommand>, TInput, Instant, CoordinatorEffects> step, TInput input, ReplyTo? replyTo = null)
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
        catch (Exception e) // a bug that this input has found: only this step fails, and the state is as before
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

    /// <summary>
    /// Writes a transaction's records in a batch of their own, and applies them to the machine afterwards: the log may refuse them, because
    /// it knows which producers are fenced.
    /// </summary>
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
    /// Loads the log again, because another writer appended to it and the machine lacks those records. Requests whose records are written
    /// are still answered when these are committed.
    /// </summary>
    private void ReloadAfterForeignWrite()
    {
        LogForeignWrite(_replica.Partition, _writtenOffset);
        Reload(ErrorCode.NotCoordinator);
    }

    private AppendOutcome Append(CoordinatorBatch batch, Instant now) =>
        _replica.AppendAsCoordinator(
            batch.Take(Settings.CachedBufferBytesMax), EpochIn(_replica.Leadership), transactionVersion: 0, now, _guard);

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

    /// <summary>Adds records to the batch and applies them to the machine. Writes the batch first if it has no room for them.</summary>
    /// <param name="records">The records: all or none.</param>
    /// <param name="now">The time.</param>
    /// <param name="settings">The settings of the log.</param>
    /// <param name="refusal">Why the step cannot be written; none when the machine was dropped and all requests have failed.</param>
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

    /// <summary>Encodes records. Returns the reason when they cannot be written now.</summary>
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

        return CoordinatorErrors.OfAppend(_replica.CheckCoordinatorAppend(EpochIn(_replica.Leadership)).ErrorCode);
    }

    private void FailStep(ErrorCode error, ReplyTo? replyTo)
    {
        LogRefused(_replica.Partition, _effects.Records.Count, error);
        foreach (var reply in _effects.Replies)
            Answer(new FailedReply(reply.To, new ApiError(error)));
        if (replyTo is { } to)
            Answer(new FailedReply(to, new ApiError(error))); // also replies that were meant for later: no record of the step was written
    }

    /// <summary>Holds the step's replies and outputs until all records that the machine has applied are committed.</summary>
    private void Await(Instant deadline)
    {
        foreach (var reply in _effects.Replies)
            _replies.Enqueue(new DueReply(_endOffset, reply, deadline));
        foreach (var output in _effects.Outputs)
            _outputs.Enqueue(new DueOutput(_endOffset, output));
    }

    /// <summary>Writes the batch.</summary>
    /// <returns>False when the write failed: the machine is dropped, and all waiting requests have failed.</returns>
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

    /// <summary>The batch has other offsets than its steps expected: their replies wait for its actual end.</summary>
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
        var outcome = _replica.AppendAsCoordinator(marker, EpochIn(_replica.Leadership), transactionVersion, now);
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

    /// <summary>Ends a round: handles what is due, writes the batch, and sends what is committed.</summary>
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

    /// <summary>
    /// Handles what is due. Called at the end of a round and before each command, so that timeouts come before later commands.
    /// </summary>
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

    private bool IsCommitted(long offset) => offset <= _writtenOffset && new CommitWait(_replica, offset, LeaderEpoch).IsCommitted;

    private void Answer(CoordinatorReply reply)
    {
        if (_waiting.Remove(reply.To.Number, out var waiter)) // otherwise its time was over before the answer came
            reply.Deliver(waiter);
    }

    /// <summary>Runs the loop again when the first waiting records are committed. The timer handles replies that wait too long.</summary>
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
        _ = WatchCommitAsync(new CommitWait(_replica, offset, LeaderEpoch), now.AddMilliseconds(TimerMsMax));
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
            // The shard is closed, and all waiting requests have been answered.
        }
    }

    private void EndWatch(ErrorCode error)
    {
        _isWatchingCommit = false;
        if (error == ErrorCode.NotLeaderOrFollower)
            Abandon(ErrorCode.NotCoordinator, isEnd: true); // the metadata will close it soon
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

    /// <summary>Drops the batch and the outputs of the machine.</summary>
    /// <param name="unwritten">The error for requests whose records are not written yet.</param>
    /// <param name="isEnd">
    /// Whether requests that wait for a commit fail too. Their records are in the log, but this node will not learn whether they are
    /// committed.
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

    [LoggerMessage(
        Level = LogLevel.Error,
            Message = "A request to the coordinator of {Partition} failed because of a bug; other requests are not affected")]
    private partial void LogStepFailed(TopicPartition partition, Exception e);

    [LoggerMessage(
        Level = LogLevel.Warning,
            Message = "The coordinator of {Partition} cannot write {Count} records of a request, which fails with {Error}")]
    private partial void LogRefused(TopicPartition partition, int count, ErrorCode error);

    [LoggerMessage(Level = LogLevel.Warning,
        Message = "Found records before offset {Offset} of {Partition} that its coordinator did not write; loading the partition again")]
    private partial void LogForeignWrite(TopicPartition partition, long offset);

    [LoggerMessage(
        Level = LogLevel.Error,
            Message = "The coordinator of {Partition} failed to write {Count} records with {Error}: {Reason}. Loading the partition again")]
    private partial void LogWriteFailed(TopicPartition partition, long count, ErrorCode error, string? reason);
}
