using Microsoft.Extensions.Logging;
using Ottla.Broker.Replicas;
using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.StateMachines.Groups.Share;
using Ottla.StateMachines.Share;
using Ottla.StateMachines.Share.Coordinator;
using Ottla.Storage.Log;

namespace Ottla.Broker.Hosts.Share;

/// <summary>What a member asks of one share partition.</summary>
/// <param name="MemberId">The member.</param>
/// <param name="Mode">How exactly the limit of records is meant.</param>
/// <param name="RecordsMax">How many records it takes.</param>
/// <param name="BatchSize">From how many records on what is acquired is told in several ranges.</param>
/// <param name="BytesMax">The most bytes to read; the first batch is read even if it is larger.</param>
internal readonly record struct ShareReadTerms(
    string MemberId, ShareAcquireMode Mode, int RecordsMax, int BatchSize, int BytesMax);

/// <summary>What a member got of one share partition.</summary>
/// <param name="Ranges">The offsets that it holds now, in order.</param>
/// <param name="Records">Their batches; null without any. The fetch that gets it sends or disposes it.</param>
/// <param name="HasProgressed">Whether the next read begins elsewhere.</param>
internal readonly record struct AcquiredRecords(IReadOnlyList<AcquiredRange> Ranges, IFileSlice? Records, bool HasProgressed)
{
    /// <summary>Nothing, and nothing has changed.</summary>
    public static readonly AcquiredRecords None = new([], null, HasProgressed: false);
}

/// <summary>
/// A partition as one share group has it, on this broker that leads it: hosts a <see cref="SharePartition"/>, reads the log for it, and
/// keeps its state at a share coordinator. Lives as long as this leader epoch, or until it is fenced.
/// </summary>
/// <remarks>
/// Thread-safe. One writer: each step of the machine runs alone (<see cref="SingleWriter"/>), and tasks that wait go on outside of it. What
/// members say of records is written first and answered then. The locks of records end by one timer.
/// </remarks>
internal sealed partial class SharePartitionLeader : IReplicaObserver
{
    private readonly PartitionReplica _replica;
    private readonly int _leaderEpoch;
    private readonly SharePartitionSurroundings _surroundings;
    private readonly ILogger _logger;
    private readonly SingleWriter _writer = new();
    private readonly SharePartitionEffects _effects = new();
    private readonly Dictionary<long, TaskCompletionSource<ApiError>> _asked = [];
    private readonly Lock _waitersLock = new();
    private readonly List<DataWaiter> _waiters = [];
    private readonly ITimer _timer;
    private SharePartition? _partition;
    private long _lastRequest;
    private ApiError _closed = ApiError.None;
    private int _writesUnderWay;
    private bool _closesWhenIdle;
    private volatile int _version;
    private volatile Opening? _openingResult;

    /// <summary>Makes it. <see cref="Open"/> takes the state over.</summary>
    public SharePartitionLeader(
        SharePartitionKey key, PartitionReplica replica, int leaderEpoch, SharePartitionSurroundings surroundings)
    {
        (Key, _replica, _leaderEpoch, _surroundings) = (key, replica, leaderEpoch, surroundings);
        _logger = surroundings.Logger;
        _timer = surroundings.Time.CreateTimer(
            static leader => ((SharePartitionLeader)leader!).OnTimer(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>The group and the partition.</summary>
    public SharePartitionKey Key { get; }

    /// <summary>The replica that is led here.</summary>
    public PartitionReplica Replica => _replica;

    /// <summary>
    /// Null until the state is taken over; then none, or the error: with it, this object is of no use any more.
    /// </summary>
    public ApiError? OpeningResult => _openingResult is { } result ? result.Error : null;

    /// <summary>Grows when a fetch that waits may find something: records were given back, or it opened or closed.</summary>
    public int Version => _version;

    private ShareGroupSettings Settings => _surroundings.SettingsOf(Key.GroupId);

    /// <summary>Takes the state over from the share coordinator. Called once.</summary>
    public void Open()
    {
        _replica.AddObserver(this);
        _surroundings.Watch("taking over a share partition", OpenAsync());
        if (!IsLedHere)
            Close(new ApiError(ErrorCode.NotLeaderOrFollower)); // it moved before the observer was there
    }

    /// <summary>Wakes a fetch when there may be something for it.</summary>
    public void AddWaiter(DataWaiter waiter)
    {
        lock (_waitersLock)
            _waiters.Add(waiter);
    }

    /// <summary>Removes a waiter.</summary>
    public void RemoveWaiter(DataWaiter waiter)
    {
        lock (_waitersLock)
            _waiters.Remove(waiter);
    }

    /// <summary>About how many bytes a member could read; the count may be too high.</summary>
    public Task<long> MeasureAsync() => AskAsync(partition =>
    {
        if (!partition.CanAcquire)
            return 0L;
        try
        {
            return _replica.Log.Measure(ReadFrom(partition, int.MaxValue)).AvailableBytes;
        }
        catch (LogException e) when (e.ErrorCode == ErrorCode.OffsetOutOfRange)
        {
            return MoveStart(partition) ? long.MaxValue : 0; // the log begins later now: look again at once
        }
        catch (LogException e)
        {
            throw new ApiException(e.ErrorCode, e.Message);
        }
    });

    /// <summary>Reads the next records and has a member hold them.</summary>
    /// <exception cref="ApiException">The log cannot be read, or this broker leads no more.</exception>
    public Task<AcquiredRecords> AcquireAsync(ShareReadTerms terms) => AskAsync(partition => Acquire(partition, terms));

    /// <summary>Takes a member's acknowledgements, all of them or none. Completes once they are written.</summary>
    /// <returns>The error, or none.</returns>
    public Task<ApiError> AcknowledgeAsync(string memberId, IReadOnlyList<AcknowledgementBatch> batches)
    {
        var answer = new TaskCompletionSource<ApiError>(TaskCreationOptions.RunContinuationsAsynchronously);
        _writer.Run(() =>
        {
            if (_closed.IsFailure || _partition is null)
            {
                answer.SetResult(_closed.IsFailure ? _closed : new ApiError(ErrorCode.UnknownTopicOrPartition));
                return;
            }

            var request = ++_lastRequest;
            _asked[request] = answer;
            try
            {
                Step((partition, now) => partition.Acknowledge(request, memberId, batches, now, _effects));
            }
            catch (ApiException e)
            {
                _asked.Remove(request);
                answer.SetResult(e.Error);
            }
        });
        return answer.Task;
    }

    /// <summary>Gives back what a member holds. That is written afterwards.</summary>
    public void Release(string memberId) => _writer.Run(() =>
    {
        if (_partition is not null && !_closed.IsFailure)
            Step((partition, _) => partition.Release(memberId, _effects));
    });

    /// <summary>Lets go of the partition as soon as all is written, or keeps it after all.</summary>
    public void CloseWhenIdle(bool closes) => _writer.Run(() =>
    {
        _closesWhenIdle = closes;
        CloseIfIdle();
    });

    /// <summary>Lets go of the partition: who waits gets an error.</summary>
    public void Close(ApiError error) => _writer.Run(() => CloseNow(error));

    /// <inheritdoc/>
    public void OnChange(PartitionReplica replica, ReplicaChange change)
    {
        if ((change & ReplicaChange.Leadership) != 0 && !IsLedHere)
            Close(new ApiError(ErrorCode.NotLeaderOrFollower));
    }

    private bool IsLedHere => _replica.Leadership is { IsLeaderHere: true, IsRetired: false } leadership
        && leadership.LeaderEpoch == _leaderEpoch;

    private async Task OpenAsync()
    {
        await Task.Yield(); // the caller may be a network thread, and has other partitions to open
        ApiError error;
        try
        {
            var state = await _surroundings.Store.ReadAsync(new ReadShareStateCommand(Key, _leaderEpoch));
            _writer.Run(() => Take(state));
            return;
        }
        catch (ApiException e)
        {
            error = ErrorForClients(e.Error);
        }
        catch (OperationCanceledException)
        {
            error = new ApiError(ErrorCode.NotLeaderOrFollower); // the node stops
        }

        Close(error);
    }

    private void Take(ShareState state)
    {
        if (_closed.IsFailure)
            return;
        try
        {
            var startOffset = state.StartOffset == ShareState.UnsetStartOffset ? ResetOffset() : state.StartOffset;
            _effects.Clear();
            _partition = new SharePartition(Settings.ForPartitions, state, startOffset, _effects);
        }
        catch (ApiException e)
        {
            CloseNow(e.Error);
            return;
        }
        catch (InvalidDataException e)
        {
            LogBadState(Key, e.Message);
            CloseNow(new ApiError(ErrorCode.UnknownServerError, e.Message));
            return;
        }

        _openingResult = new Opening(ApiError.None);
        CarryOut();
        Announce();
    }

    /// <summary>Where a group without state begins.</summary>
    /// <exception cref="ApiException">OFFSET_NOT_AVAILABLE: no record is young enough yet.</exception>
    private long ResetOffset()
    {
        var reset = Settings.OffsetReset;
        var log = _replica.Log;
        switch (reset.Kind)
        {
            case ShareOffsetResetKind.Earliest:
                return log.LogStartOffset;
            case ShareOffsetResetKind.ByDuration:
                var found = log.OffsetForTimestamp(Math.Max(Instant.Now(_surroundings.Time).UnixMilliseconds - reset.AgeMs, 0));
                return found.IsFound && found.Offset < log.HighWatermark
                    ? found.Offset
                    : throw new ApiException(ErrorCode.OffsetNotAvailable);
            default:
                return log.HighWatermark;
        }
    }

    private AcquiredRecords Acquire(SharePartition partition, in ShareReadTerms terms)
    {
        if (!partition.CanAcquire)
            return AcquiredRecords.None;
        var request = ReadFrom(partition, terms.BytesMax);
        try
        {
            using var read = ShareLogRead.Read(_replica.Log, request);
            if (read.Fetched.Count == 0)
                return AcquiredRecords.None;
            var ranges = partition.Acquire(
                new AcquireRequest(terms.MemberId, terms.Mode, terms.RecordsMax, terms.BatchSize, request.StartOffset), read.Fetched,
                Instant.Now(_surroundings.Time));
            var hasProgressed = partition.NextFetchOffset != request.StartOffset;
            return ranges.Count == 0
                ? new AcquiredRecords([], null, hasProgressed)
                : new AcquiredRecords(ranges, read.TakeRecords(ranges[0].FirstOffset, ranges[^1].LastOffset), hasProgressed);
        }
        catch (LogException e) when (e.ErrorCode == ErrorCode.OffsetOutOfRange)
        {
            return AcquiredRecords.None with { HasProgressed = MoveStart(partition) };
        }
        catch (LogException e)
        {
            throw new ApiException(e.ErrorCode, e.Message);
        }
        catch (IOException e)
        {
            throw new ApiException(ErrorCode.KafkaStorageError, e.Message);
        }
        catch (CorruptRecordException e)
        {
            throw new ApiException(e.ErrorCode, e.Message);
        }
    }

    private LogReadRequest ReadFrom(SharePartition partition, int bytesMax) => new(
        partition.NextFetchOffset, Settings.ReadsCommitted ? ReadBound.LastStableOffset : ReadBound.HighWatermark, bytesMax,
        MinOneBatch: true);

    /// <summary>Follows the beginning of the log.</summary>
    private bool MoveStart(SharePartition partition)
    {
        var before = partition.NextFetchOffset;
        partition.MoveLogStart(_replica.Log.LogStartOffset);
        return partition.NextFetchOffset != before;
    }

    /// <summary>Asks the machine in a step of its own.</summary>
    private Task<T> AskAsync<T>(Func<SharePartition, T> ask)
    {
        var answer = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        _writer.Run(() =>
        {
            if (_closed.IsFailure || _partition is null)
            {
                answer.SetException(new ApiException(_closed.IsFailure ? _closed.Code : ErrorCode.NotLeaderOrFollower, _closed.Message));
                return;
            }

            try
            {
                var result = default(T)!;
                Step((partition, _) => result = ask(partition));
                answer.SetResult(result);
            }
            catch (Exception e) // the log may fail in any way: so does the fetch, and nothing else
            {
                answer.SetException(e);
            }
        });
        return answer.Task;
    }

    private void Step(Action<SharePartition, Instant> step)
    {
        var partition = _partition!;
        var settings = Settings.ForPartitions;
        if (partition.Settings != settings)
            partition.Settings = settings;
        _effects.Clear();
        try
        {
            step(partition, Instant.Now(_surroundings.Time));
        }
        finally
        {
            CarryOut();
        }
    }

    private void CarryOut()
    {
        foreach (var reply in _effects.Replies)
        {
            if (_asked.Remove(reply.Request, out var waiting))
                waiting.SetResult(reply.Error.IsFailure ? ErrorForClients(reply.Error) : ApiError.None);
        }

        foreach (var letters in _effects.DeadLetters)
        {
            LogNoDeadLetters(Key, letters.FirstOffset, letters.LastOffset);
            var (first, last) = (letters.FirstOffset, letters.LastOffset);
            _writer.Run(() =>
            {
                if (!_closed.IsFailure)
                    Step((partition, _) => partition.OnDeadLettered(first, last, _effects));
            });
        }

        if (_effects.Write is { } write)
        {
            _writesUnderWay++;
            _surroundings.Watch("writing the state of a share partition", WriteAsync(write));
        }

        if (_effects.MayAcquireMore)
            Announce();
        SetTimer();
    }

    private void SetTimer()
    {
        var due = Timeout.InfiniteTimeSpan;
        if (_partition?.NextDeadline is { } next)
            due = TimeSpan.FromMilliseconds(Math.Max(next.MillisecondsSince(Instant.Now(_surroundings.Time)), 0));
        _timer.Change(due, Timeout.InfiniteTimeSpan);
    }

    private void OnTimer() => _writer.Run(() =>
    {
        if (!_closed.IsFailure)
            Step((partition, now) => partition.OnDeadline(now, _effects));
    });

    private async Task WriteAsync(ShareStateWrite write)
    {
        var error = ApiError.None;
        try
        {
            await _surroundings.Store.WriteAsync(new WriteShareStateCommand(
                Key, write.StateEpoch, _leaderEpoch, write.StartOffset, write.DeliveryCompleteCount, write.Batches));
        }
        catch (ApiException e)
        {
            error = e.Error;
        }
        catch (OperationCanceledException)
        {
            error = new ApiError(ErrorCode.CoordinatorNotAvailable); // the node stops
        }

        _writer.Run(() => TakeWritten(write, error));
    }

    private void TakeWritten(ShareStateWrite write, ApiError error)
    {
        if (_closed.IsFailure)
            return;
        _writesUnderWay--;
        Step((partition, now) => partition.OnWritten(write.Number, error, now, _effects));
        if (error.IsFailure)
            LogNotWritten(Key, error.Code, error.Message);
        if (IsFenced(error.Code))
            CloseNow(ErrorForClients(error));
        CloseIfIdle();
    }

    private void CloseIfIdle()
    {
        if (_closesWhenIdle && _writesUnderWay == 0)
            CloseNow(new ApiError(ErrorCode.NotLeaderOrFollower));
    }

    private void CloseNow(ApiError error)
    {
        if (_closed.IsFailure)
            return;
        _closed = error;
        _replica.RemoveObserver(this);
        _timer.Dispose();
        _surroundings.OnClosed(this);
        foreach (var waiting in _asked.Values)
            waiting.SetResult(error);
        _asked.Clear();
        _openingResult = new Opening(error);
        Announce();
    }

    private void Announce()
    {
        lock (_waitersLock)
        {
            _version++;
            foreach (var waiter in _waiters)
                waiter.Wake();
            _waiters.Clear();
        }
    }

    /// <summary>Whether the state belongs to another leader or to another beginning of the group, or is gone.</summary>
    private static bool IsFenced(ErrorCode error) => error is ErrorCode.FencedLeaderEpoch or ErrorCode.FencedStateEpoch
        or ErrorCode.UnknownTopicOrPartition or ErrorCode.InvalidRequest;

    /// <summary>What members are told of an error of the share coordinator.</summary>
    private static ApiError ErrorForClients(ApiError error) => error.Code switch
    {
        ErrorCode.NotCoordinator or ErrorCode.CoordinatorNotAvailable or ErrorCode.CoordinatorLoadInProgress =>
            new ApiError(ErrorCode.CoordinatorNotAvailable, error.Message),
        ErrorCode.FencedLeaderEpoch or ErrorCode.FencedStateEpoch => new ApiError(ErrorCode.NotLeaderOrFollower, error.Message),
        ErrorCode.GroupIdNotFound or ErrorCode.UnknownTopicOrPartition => error,
        _ => new ApiError(ErrorCode.UnknownServerError, error.Message),
    };

    [LoggerMessage(Level = LogLevel.Error, Message = "The state of the share partition {Key} cannot be used: {Reason}")]
    private partial void LogBadState(SharePartitionKey key, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The state of the share partition {Key} was not written: {Error} {Reason}")]
    private partial void LogNotWritten(SharePartitionKey key, ErrorCode error, string? reason);

    [LoggerMessage(Level = LogLevel.Warning,
        Message = "The offsets {First} to {Last} of the share partition {Key} are given up without dead letters, "
            + "which this version does not write")]
    private partial void LogNoDeadLetters(SharePartitionKey key, long first, long last);

    /// <summary>How the takeover of the state ended.</summary>
    private sealed record Opening(ApiError Error);
}
