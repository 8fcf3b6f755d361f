using Microsoft.Extensions.Logging;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Metadata;
using Ottla.StateMachines.Raft;
using Ottla.Storage.Log;

namespace Ottla.Broker.Hosts;

/// <content>The loop: commands in, effects out.</content>
public sealed partial class RaftHost
{
    /// <summary>How soon a full disk is tried again.</summary>
    private const long SpaceRetryMs = 500;

    /// <summary>How long there may be no leader before the log says so, and how often it says so again.</summary>
    private const long FirstWaitNoteMs = 5_000;
    private const long WaitNoteMs = 30_000;

    private readonly List<PendingAppend> _toWrite = [];
    private readonly Queue<PendingAppend> _uncommitted = new();
    private Instant? _writeAt;
    private bool _waitsForSpace;
    private Instant? _waitsSince;
    private Instant _nextWaitNote;

    private async Task RunAsync()
    {
        try
        {
            while (!_isClosing)
            {
                SetTimer();
                await _commands.Reader.WaitToReadAsync();
                for (var i = 0; i < CommandsPerFlushMax && _commands.Reader.TryRead(out var command); i++)
                    Handle(command);
                WriteAppends();
                Step(new RaftEvent.Timer());
                Settle();
            }

            FailAppends(null);
            _store.Close();
            End(null);
        }
        catch (Exception exception)
        {
            // Whatever it is, the log's state is not known any more: nothing may be acknowledged from here on.
            LogFailure(_logger, exception);
            End(exception);
        }
    }

    private void Handle(in Command command)
    {
        if (command.Append is { } append)
        {
            _toWrite.Add(append);
            _writeAt ??= Instant.Now(_time).AddMilliseconds(_options.AppendLingerMs);
            return;
        }

        // What was asked before comes first, unless it is to wait for more.
        if (command.Event is RaftEvent.Shutdown)
            _writeAt = null;
        WriteAppends();
        if (command.Register is { } listener)
            _listeners.Add(new ListenerState(listener));
        if (command.Snapshot is { } id)
            Step(_store.AddSnapshot(id));
        if (command.Description is { } description)
        {
            Step(new RaftEvent.Timer()); // as of now
            description.TrySetResult(_machine.Describe());
        }

        if (command.Event is RaftEvent.Shutdown)
            Settle(); // what was taken before is still committed by this leader
        if (command.Event is { } raftEvent)
            Step(raftEvent);
        if (command.Request is { } request)
        {
            _requests.Add(_nextRequestId, command.Answer!);
            Step(new RaftEvent.RequestReceived(_nextRequestId++, request));
        }
    }

    /// <summary>Writes the appends that wait, all in one go. On a full disk they wait on.</summary>
    private void WriteAppends()
    {
        if (_toWrite.Count == 0 || Lingers)
            return;
        _writeAt = null;
        foreach (var append in _toWrite.Where(append => !IsOurs(append)))
            append.Committed.TrySetException(LostLeadership(append.Batch.Epoch));
        Forget(_toWrite.Where(append => !IsOurs(append)));
        _toWrite.RemoveAll(append => !IsOurs(append));
        var bytes = new byte[_toWrite.Sum(append => append.Bytes.Length)];
        var length = 0;
        foreach (var append in _toWrite)
        {
            append.Bytes.CopyTo(bytes, length);
            length += append.Bytes.Length;
        }

        if (length == 0)
            return;
        List<AppendedBatch> appended;
        try
        {
            appended = _store.Append(bytes);
        }
        catch (LogException failure) when (failure.IsDiskFull)
        {
            WaitForSpace(failure);
            return;
        }

        Forget(_toWrite);
        foreach (var append in _toWrite)
            _uncommitted.Enqueue(append);
        _toWrite.Clear();
        Step(new RaftEvent.Appended(appended));
    }

    /// <summary>Whether the appends are to wait for more: not for long, nor when they make a batch as large as one may be.</summary>
    private bool Lingers => _options.AppendLingerMs > 0 && _writeAt is { } at && Instant.Now(_time) < at
        && _toWrite.Sum(append => append.Bytes.Length) < MetadataBatch.SizeBytesMax;

    private bool IsOurs(PendingAppend append) => _machine.Role == RaftRole.Leader && _machine.Epoch == append.Batch.Epoch;

    /// <summary>These appends do not wait for the disk any more.</summary>
    private void Forget(IEnumerable<PendingAppend> appends)
    {
        lock (_gate)
            _pendingBytes -= appends.Sum(append => append.Bytes.Length);
    }

    /// <summary>
    /// The disk is full, which ends nothing: what was asked waits, bounded by <c>PendingBytesMax</c>, and is tried again soon.
    /// </summary>
    private void WaitForSpace(LogException failure)
    {
        if (!_waitsForSpace)
            LogDiskFull(_logger, failure);
        _waitsForSpace = true;
    }

    /// <summary>Flushes while there is something to flush, then tells the listeners and those who wait.</summary>
    private void Settle()
    {
        while (_needsFlush)
        {
            var end = _store.EndOffset;
            try
            {
                _store.Flush();
            }
            catch (LogException failure) when (failure.IsDiskFull)
            {
                WaitForSpace(failure);
                break;
            }

            _needsFlush = false;
            Step(new RaftEvent.Flushed(end));
        }

        Deliver();
        NoteWait();
        if (_machine.IsShutdownComplete)
            _isClosing = true;
    }

    /// <summary>Tells from time to time what a node waits for that knows no leader.</summary>
    private void NoteWait()
    {
        var now = Instant.Now(_time);
        if (_machine.LeaderId >= 0)
            _waitsSince = null;
        else if (_waitsSince is null)
            (_waitsSince, _nextWaitNote) = (now, now.AddMilliseconds(FirstWaitNoteMs));
        else if (now >= _nextWaitNote)
        {
            _nextWaitNote = now.AddMilliseconds(WaitNoteMs);
            var voters = string.Join(", ", _machine.History.Voters.Voters.Select(voter => voter.Key));
            LogWaits(_logger, _machine.Role, _machine.Epoch, now.MillisecondsSince(_waitsSince.Value) / 1000, voters);
        }
    }

    /// <summary>Lets the other threads see where things stand.</summary>
    private void Publish()
    {
        lock (_gate)
        {
            var leads = _machine.Role == RaftRole.Leader && _machine.Log.EndOffset > _machine.EpochStartOffset;
            var leader = LeaderOf(_machine);
            // While this node leads, Append counts the offsets; otherwise the log does.
            if (!leads || !_canAppend || leader != _leader)
                _nextOffset = _machine.Log.EndOffset;
            _canAppend = leads;
            _leader = leader;
            PublishLeader(new QuorumLeader(leader.LeaderId, leader.Epoch, leader.LeaderId >= 0 ? _machine.LeaderEndpoints : []));
            _history = _machine.History;
            var quorum = new QuorumState(_machine.Role, _machine.LeaderId, _machine.Epoch, _history.KRaftVersion, _history.Voters);
            if (quorum != _quorum)
                _quorum = quorum;
            if (_latestSnapshot is null || _machine.Log.LatestSnapshot > _latestSnapshot)
                _latestSnapshot = _machine.Log.LatestSnapshot;
        }
    }

    /// <summary>Tells those who wait for another leader, if it is another. Called under the gate.</summary>
    private void PublishLeader(QuorumLeader leader)
    {
        if (leader.LeaderId == _knownLeader.LeaderId && leader.Epoch == _knownLeader.Epoch
            && leader.Endpoints.SequenceEqual(_knownLeader.Endpoints))
            return;
        _knownLeader = leader;
        var changed = _leaderChanged;
        _leaderChanged = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        changed.TrySetResult();
    }

    /// <summary>Who leads; a replica that resigned is no leader, though the epoch was its own.</summary>
    private LeaderAndEpoch LeaderOf(RaftMachine machine) =>
        new(machine.LeaderId == _options.Raft.Local.Id && machine.Role != RaftRole.Leader ? -1 : machine.LeaderId, machine.Epoch);

    private void SetTimer()
    {
        var dueMs = _machine.NextDeadline is { } deadline ? Math.Clamp(deadline.MillisecondsSince(Instant.Now(_time)), 0, int.MaxValue)
            : int.MaxValue;
        if (_toWrite.Count > 0 && _writeAt is { } at)
            dueMs = Math.Min(dueMs, Math.Clamp(at.MillisecondsSince(Instant.Now(_time)), 0, int.MaxValue));
        _waitsForSpace &= _needsFlush || _toWrite.Count > 0;
        if (_waitsForSpace)
            dueMs = Math.Min(dueMs, SpaceRetryMs);
        if (dueMs == int.MaxValue)
            return;
        _timer.Change(TimeSpan.FromMilliseconds(dueMs), Timeout.InfiniteTimeSpan);
    }

    /// <summary>
    /// Fails the appends that this node can no longer commit: all but those of <paramref name="epoch"/>, and those that are committed and
    /// only wait to be delivered.
    /// </summary>
    private void FailAppends(int? epoch)
    {
        for (var count = _uncommitted.Count; count > 0; count--)
        {
            var append = _uncommitted.Dequeue();
            if (append.Batch.Epoch == epoch || append.Batch.LastOffset < _machine.HighWatermark)
                _uncommitted.Enqueue(append);
            else
                append.Committed.TrySetException(LostLeadership(append.Batch.Epoch));
        }
    }

    private static MetadataLogException LostLeadership(int epoch) =>
        new(ErrorCode.NotController,
            $"This node ceased to lead the metadata quorum in epoch {epoch}; the records may or may not be committed.");

    /// <summary>Nothing more will happen: whoever waits learns so.</summary>
    private void End(Exception? failure)
    {
        var reason = failure ?? new MetadataLogException(ErrorCode.BrokerNotAvailable, "The metadata log is closed.");
        lock (_gate)
        {
            _failure = reason;
            _canAppend = false;
            _leaderChanged.TrySetResult();
        }

        _timer.Dispose();
        _closing.Cancel();
        _commands.Writer.TryComplete();
        while (_commands.Reader.TryRead(out var command))
        {
            command.Append?.Committed.TrySetException(reason);
            command.Answer?.TrySetException(reason);
            command.Description?.TrySetException(reason);
        }

        foreach (var append in _toWrite.Concat(_uncommitted))
            append.Committed.TrySetException(reason);
        foreach (var answer in _requests.Values)
            answer.TrySetException(reason);
        if (failure is null)
            _completion.TrySetResult();
        else
            _completion.TrySetException(failure);
    }

    [LoggerMessage(Level = LogLevel.Critical, Message = "The metadata log has failed")]
    private static partial void LogFailure(ILogger logger, Exception exception);

    [LoggerMessage(
        Level = LogLevel.Error, Message = "The disk has no space for the metadata log: changes of metadata wait. Free some space")]
    private static partial void LogDiskFull(ILogger logger, Exception exception);

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "There has been no leader of the metadata quorum for {Seconds} s: this node is {Role} in epoch {Epoch}. Voters: "
            + "{Voters}. "
            + "Most of them have to be up and to reach each other")]
    private static partial void LogWaits(ILogger logger, RaftRole role, int epoch, long seconds, string voters);
}
