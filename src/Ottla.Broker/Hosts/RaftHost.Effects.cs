using Microsoft.Extensions.Logging;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Metadata;
using Ottla.StateMachines.Raft;
using Ottla.Storage.Files;
using Ottla.Storage.Log;

namespace Ottla.Broker.Hosts;

/// <content>A step of the machine, and its effects in their order: save, log, answer and send, ask, tell.</content>
public sealed partial class RaftHost
{
    private void Step(RaftEvent raftEvent)
    {
        _effects.Clear();
        _machine.Step(raftEvent, Instant.Now(_time), _effects);
        if (_effects.Save is { } state)
            _store.Save(state, _machine.History);
        _needsFlush |= _effects.Flush;
        // What is done to the log steps the machine again, which reuses the effects: take out what is left to do.
        RaftLogEffect[] appends = [.. _effects.Log];
        RaftReply[] replies = [.. _effects.Replies];
        RaftSend[] sends = [.. _effects.Sends];
        RaftProbe[] probes = [.. _effects.Probes];
        var (leaderChanged, highWatermarkAdvanced) = (_effects.LeaderChanged, _effects.HighWatermarkAdvanced);
        foreach (var note in _effects.Notes)
            LogNote(_logger, note);
        foreach (var effect in appends)
            ApplyToLog(effect);
        foreach (var reply in replies)
            Answer(reply);
        foreach (var send in sends)
            Send(send);
        foreach (var probe in probes)
            _ = ProbeAsync(probe);
        if (highWatermarkAdvanced)
        {
            _store.AdvanceHighWatermark(_machine.HighWatermark);
            Volatile.Write(ref _highWatermark, _machine.HighWatermark);
        }

        // A leader that resigns stays the leader of its epoch: who waits need not wait for the next one.
        if (leaderChanged || _machine.Role != RaftRole.Leader)
            FailAppends(_machine.Role == RaftRole.Leader ? _machine.Epoch : null);
        Publish();
    }

    private void ApplyToLog(RaftLogEffect effect)
    {
        switch (effect)
        {
            case RaftLogEffect.Truncate truncate:
                _store.TruncateTo(truncate.EndOffset);
                break;
            case RaftLogEffect.AppendEpochStart start:
                Step(new RaftEvent.Appended(_store.Append(QuorumBatches.Encode(start))));
                break;
            case RaftLogEffect.AppendQuorumChange change:
                Enqueue(change);
                break;
            case RaftLogEffect.AppendFetched fetched:
                Step(new RaftEvent.Appended(AppendFetched(fetched.Records)));
                break;
            case RaftLogEffect.WriteSnapshot piece:
                if (TakePiece(piece) is { } outcome)
                    Step(outcome);
                break;
        }
    }

    /// <summary>Lets a change of the quorum wait its turn behind the appends whose offsets are given already.</summary>
    private void Enqueue(RaftLogEffect.AppendQuorumChange change)
    {
        lock (_gate)
        {
            if (!_canAppend || change.Epoch != _leader.Epoch)
                return; // the machine forgets it with its leadership
            var bytes = QuorumBatches.Encode(change, _nextOffset);
            var batch = MetadataBatch.Decode(bytes);
            _nextOffset = batch.LastOffset + 1;
            _pendingBytes += bytes.Length;
            _commands.Writer.TryWrite(new Command { Append = new PendingAppend(batch, bytes) });
        }
    }

    /// <summary>Writes a piece of a snapshot of the leader. After the last one, and on failure, the machine has to know.</summary>
    private RaftEvent? TakePiece(RaftLogEffect.WriteSnapshot piece)
    {
        try
        {
            _store.WriteSnapshotPiece(piece.Id, piece.Position, piece.Bytes.Span);
            return piece.IsLast ? new RaftEvent.SnapshotInstalled(piece.Id, _store.InstallSnapshot(piece.Id)) : null;
        }
        catch (ProtocolException exception)
        {
            LogBadSnapshot(_logger, piece.Id.Offset, piece.Id.Epoch, exception);
            return new RaftEvent.SnapshotFailed();
        }
        catch (DiskFullException exception)
        {
            LogNoSpaceToFollow(_logger, exception);
            return new RaftEvent.SnapshotFailed();
        }
    }

    /// <summary>Appends what the leader sent, unless it does not fit: then it is fetched again.</summary>
    private List<AppendedBatch> AppendFetched(ReadOnlyMemory<byte> records)
    {
        try
        {
            var expected = _store.EndOffset;
            foreach (var batch in RaftLogStore.Describe(records))
            {
                if (batch.BaseOffset != expected || batch.Epoch > _machine.Epoch || batch.Epoch < _machine.Log.End.Epoch)
                    throw new MalformedMessageException(
                        $"A batch at {batch.BaseOffset} of epoch {batch.Epoch} does not follow the log's end {expected}.");
                expected = batch.EndOffset;
            }

            return _store.Append(records.ToArray());
        }
        catch (ProtocolException exception)
        {
            LogBadFetch(_logger, exception);
            return [];
        }
        catch (LogException failure) when (failure.IsDiskFull)
        {
            LogNoSpaceToFollow(_logger, failure);
            return [];
        }
    }

    private void Answer(in RaftReply reply)
    {
        if (!_requests.Remove(reply.RequestId, out var answer))
            return;
        answer.TrySetResult(reply.Response switch
        {
            FetchReply { ReadFrom: { } offset } fetch => fetch with { Records = _store.Read(offset, _store.EndOffset, fetch.MaxBytes) },
            FetchSnapshotReply { Error: ErrorCode.None } piece => _store.ReadSnapshotPiece(piece),
            _ => reply.Response,
        });
    }

    private void Send(in RaftSend send)
    {
        if (_transport is not null)
            _transport.Send(send.CorrelationId, send.To, send.Request);
        else
            Post(new Command { Event = new RaftEvent.RequestFailed(send.CorrelationId) });
    }

    /// <summary>Asks a node which levels of kraft.version it supports; the answer comes back as a command.</summary>
    private async Task ProbeAsync(RaftProbe probe)
    {
        (short Min, short Max)? range = null;
        try
        {
            if (_transport is not null)
                range = await _transport.ProbeKRaftVersionAsync(probe.To, _closing.Token);
        }
        catch (Exception exception)
        {
            // Whatever it is, the node does not answer: its change of the voters is refused.
            LogProbeFailed(_logger, probe.To, exception);
        }

        Post(new Command { Event = new RaftEvent.Probed(probe.ProbeId, range) });
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "{Note}")]
    private static partial void LogNote(ILogger logger, string note);

    [LoggerMessage(
        Level = LogLevel.Error, Message = "There is no space left for what the leader of the metadata quorum sends: it is fetched again")]
    private static partial void LogNoSpaceToFollow(ILogger logger, Exception exception);

    [LoggerMessage(
        Level = LogLevel.Warning,
            Message = "The metadata snapshot {Offset}-{Epoch} that the leader sent is not whole; it is fetched again")]
    private static partial void LogBadSnapshot(ILogger logger, long offset, int epoch, Exception exception);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Node} cannot be asked for its range of kraft.version")]
    private static partial void LogProbeFailed(ILogger logger, RaftNode node, Exception exception);

    [LoggerMessage(Level = LogLevel.Warning, Message = "What the leader sent cannot be appended; it is fetched again")]
    private static partial void LogBadFetch(ILogger logger, Exception exception);
}
