using Microsoft.Extensions.Logging;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Storage.Log;

namespace Ottla.Storage.Upkeep;

/// <summary>A log on its way to another directory.</summary>
/// <param name="Log">The log.</param>
/// <param name="Copy">Its copy in a directory named <c>-future</c>; lives until the log takes over its files, or the move is
/// cancelled.</param>
/// <param name="Target">The directory that it moves to.</param>
public sealed record LogMove(PartitionLog Log, PartitionLog Copy, LogDirectory Target)
{
    /// <summary>The log's truncation count when the copy began.</summary>
    internal int Truncations { get; set; } = Log.Truncations;
}

/// <summary>
/// Moves logs between the log directories of a node (AlterReplicaLogDirs): copies each log, which then takes over the complete copy.
/// </summary>
/// <remarks>
/// Owned by a <see cref="LogManager"/>; the broker runs <see cref="RunAsync"/>. Thread-safe. Reads and writes of a log go on
/// during its move.
/// </remarks>
public sealed partial class LogMover
{
    private const int ChunkBytes = 1024 * 1024;

    /// <summary>The delay before a move is tried again after a full disk or a disk failure.</summary>
    private static readonly TimeSpan s_retryDelay = TimeSpan.FromSeconds(1);

    private readonly LogManager _logs;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly IoPace _pace;
    private readonly ScheduledLock _lock = new();
    private readonly Dictionary<TopicPartition, LogMove> _moves = [];
    private TaskCompletionSource _added = NewSignal();

    internal LogMover(LogManager logs, Func<double> bytesPerSecondMax, TimeProvider time, ILogger logger)
    {
        _logs = logs;
        _time = time;
        _logger = logger;
        _pace = new IoPace(time, bytesPerSecondMax);
    }

    /// <summary>The moves in progress.</summary>
    public IReadOnlyList<LogMove> Moves
    {
        get
        {
            using (_lock.EnterScope())
                return [.. _moves.Values];
        }
    }

    /// <summary>Works on the moves, one log after the other.</summary>
    /// <returns>When <paramref name="stopping"/> is cancelled.</returns>
    public async Task RunAsync(CancellationToken stopping)
    {
        await Task.Yield();
        try
        {
            while (true)
            {
                var isHeldUp = false;
                foreach (var move in Moves)
                    isHeldUp |= !await AdvanceAsync(move, stopping);
                if (isHeldUp)
                    await Task.Delay(s_retryDelay, _time, CancellationToken.None).UntilCanceled(stopping);
                else if (Moves.Count == 0)
                    await NextMove().UntilCanceled(stopping);
            }
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            // The node stops; the copies go on with the next start.
        }
    }

    /// <summary>Completes when there is something to move.</summary>
    private Task NextMove()
    {
        using (_lock.EnterScope())
            return _moves.Count > 0 ? Task.CompletedTask : _added.Task;
    }

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    internal bool IsMoving(TopicPartition partition)
    {
        using (_lock.EnterScope())
            return _moves.ContainsKey(partition);
    }

    internal LogMove? Find(TopicPartition partition)
    {
        using (_lock.EnterScope())
            return _moves.GetValueOrDefault(partition);
    }

    internal void Add(LogMove move)
    {
        TaskCompletionSource added;
        using (_lock.EnterScope())
        {
            _moves.Add(move.Log.Partition, move);
            (added, _added) = (_added, NewSignal());
        }

        LogBegun(_logger, move.Log.Partition, move.Target.Path);
        added.SetResult();
    }

    internal bool Remove(LogMove move)
    {
        using (_lock.EnterScope())
            return _moves.TryGetValue(move.Log.Partition, out var known) && known == move && _moves.Remove(move.Log.Partition);
    }

    /// <summary>Copies one chunk, or lets the log take over a copy that has everything.</summary>
    /// <returns>False when it has to wait.</returns>
    private async Task<bool> AdvanceAsync(LogMove move, CancellationToken stopping)
    {
        stopping.ThrowIfCancellationRequested();
        try
        {
            if (move.Target.IsOffline || move.Log.IsOffline || move.Log.IsClosed)
            {
                Remove(move);
                return true;
            }

            if (move.Truncations != move.Log.Truncations)
                Restart(move);
            move.Copy.Config = move.Log.Config;
            var copied = move.Log.CopyBatches(move.Copy, ChunkBytes);
            if (copied == 0)
            {
                move.Copy.Flush();
                return _logs.Finish(move);
            }

            await _pace.SpendAsync(copied, stopping);
            return true;
        }
        catch (LogException failure) when (failure.ErrorCode == ErrorCode.OffsetOutOfRange)
        {
            Restart(move); // retention was faster
            return true;
        }
        catch (LogException) when (Find(move.Log.Partition) != move)
        {
            return true; // deleted, or given up, while it was copied
        }
        catch (LogException failure)
        {
            LogHeldUp(_logger, failure, move.Log.Partition, move.Target.Path);
            return false;
        }
        catch (Exception failure) when (failure is not OperationCanceledException)
        {
            // A bug: trying again would not help, and the other moves go on.
            LogGivenUp(_logger, failure, move.Log.Partition, move.Target.Path);
            _logs.Abandon(move);
            return true;
        }
    }

    private static void Restart(LogMove move)
    {
        move.Truncations = move.Log.Truncations;
        move.Copy.TruncateFullyAndStartAt(move.Log.LogStartOffset);
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Moving {Partition} to {Directory}")]
    private static partial void LogBegun(ILogger logger, TopicPartition partition, string directory);

    [LoggerMessage(
        Level = LogLevel.Error,
        Message = "The move of {Partition} to {Directory} failed. The log stays in its directory; ask for the move again")]
    private static partial void LogGivenUp(ILogger logger, Exception failure, TopicPartition partition, string directory);

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "The move of {Partition} to {Directory} waits for the disk. The broker tries it again")]
    private static partial void LogHeldUp(ILogger logger, Exception failure, TopicPartition partition, string directory);
}
