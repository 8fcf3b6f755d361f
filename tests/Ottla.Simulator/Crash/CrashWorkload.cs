using System.Text;
using Ottla.Kernel;
using Ottla.Protocol.Batches;
using Ottla.Storage.Log;
using Ottla.Storage.Producers;

namespace Ottla.Simulator.Crash;

/// <summary>
/// What the process of a <see cref="CrashMachine"/> does with its logs, one random operation at a time. A new one is a line in the
/// constructor.
/// </summary>
internal sealed class CrashWorkload
{
    private const int IdempotentProducers = 3;
    private const int TransactionalProducers = 3;
    private const int KeysMax = 6;
    private const long FirstTransactionalId = 100;
    private const short EpochBumpingTransactionVersion = 2;

    private readonly CrashMachine _machine;
    private readonly TextWriter? _log;
    private readonly (int Weight, string Name, Action<LogModel> Run)[] _operations;
    private readonly int _weights;
    private int _values;

    public CrashWorkload(CrashMachine machine, TextWriter? log)
    {
        _machine = machine;
        _log = log;
        _operations =
        [
            (34, "append", Append),
            (12, "append of a transaction", AppendTransactional),
            (8, "end of a transaction", EndTransaction),
            (4, "retry", Retry),
            (6, "append as follower", AppendAsFollower),
            (3, "new leader epoch", BeginEpoch),
            (12, "high watermark", AdvanceHighWatermark),
            (4, "roll", model => model.Log!.Roll(Now)),
            (7, "flush", Flush),
            (10, "upkeep", _ => Tick()),
            (5, "compaction", _ => Compact()),
            (2, "checkpoints", _ => _machine.Logs.WriteCheckpoints()),
            (3, "delete records", DeleteRecords),
            (3, "truncation", Truncate),
            (1, "full truncation", TruncateFully),
            (2, "release of idle memory", model => model.Log!.ReleaseIdle(Now)),
            (1, "deletion of the topic", DeleteTopic),
        ];
        _weights = _operations.Sum(operation => operation.Weight);
    }

    private Prng Random => _machine.Random;

    private Instant Now => _machine.Now;

    /// <summary>Does one operation on one log.</summary>
    public void Step()
    {
        _machine.AdvanceMs(Random.NextInt(40));
        var open = _machine.Open;
        var model = open[Random.NextInt(open.Count)];
        var choice = Random.NextInt(_weights);
        var index = 0;
        while (choice >= _operations[index].Weight)
            choice -= _operations[index++].Weight;
        _log?.WriteLine($"  {model.Partition}: {_operations[index].Name}");
        _operations[index].Run(model);
        _machine.Compaction!.GoOn(Random.NextInt(3));
        _log?.WriteLine(
            $"    [{model.Log?.LogStartOffset}, {model.Log?.LogEndOffset}), flushed to {model.Log?.RecoveryPoint}, "
                + $"{model.Log?.SegmentCount} segments, disk operation {_machine.Disk.OperationCount}");
    }

    private void Append(LogModel model)
    {
        var options = new RecordBatchOptions();
        if (Random.NextChance(50))
            options = Continue(model, 1 + Random.NextInt(IdempotentProducers));
        AppendAsLeader(model, NextBatch(model, options));
    }

    private void AppendTransactional(LogModel model) =>
        AppendAsLeader(
            model, NextBatch(
                model, Continue(model, FirstTransactionalId + Random.NextInt(TransactionalProducers)) with { IsTransactional = true }));

    private void EndTransaction(LogModel model)
    {
        var open = model.Log!.ActiveProducers().Where(producer => producer.CurrentTransactionStartOffset >= 0)
            .OrderBy(producer => producer.ProducerId).ToList();
        if (open.Count == 0)
            return;
        var producer = open[Random.NextInt(open.Count)];
        var bumps = Random.NextChance(30);
        var isAbort = Random.NextChance(50);
        var first = model.Tip?.Backwards().FirstOrDefault(batch =>
            batch.View.ProducerId == producer.ProducerId && batch.BaseOffset == producer.CurrentTransactionStartOffset);
        if (first is not null && model.OutcomeOf(first) is { } decided)
            isAbort = decided; // a marker was truncated: the coordinator sends the same again
        var type = isAbort ? ControlRecordType.Abort : ControlRecordType.Commit;
        var epoch = (short)(producer.ProducerEpoch + (bumps ? 1 : 0));
        var marker = ControlBatches.BuildEndTransactionMarker(type, 0, producer.ProducerId, epoch, Now.UnixMilliseconds);
        AppendAsLeader(model, marker, AppendOrigin.Coordinator, bumps ? EpochBumpingTransactionVersion : (short)0);
    }

    /// <summary>Sends an idempotent producer's last batch once more: the log must know it.</summary>
    private void Retry(LogModel model)
    {
        var producers = model.Log!.ActiveProducers().Where(producer => producer.LastSequence >= 0).OrderBy(producer => producer.ProducerId)
            .ToList();
        if (producers.Count == 0)
            return;
        var producer = producers[Random.NextInt(producers.Count)];
        var original = model.Tip?.Backwards()
            .FirstOrDefault(batch => !batch.View.IsControl && batch.View.ProducerId == producer.ProducerId);
        if (original is null || original.View.LastSequence != producer.LastSequence)
            return;
        model.Lead();
        var result = model.Log.AppendAsLeader(original.Bytes.ToArray(), model.LeaderEpoch, AppendOrigin.Client, Now);
        if (!result.IsDuplicate || result.FirstOffset != original.BaseOffset)
            throw new SimulationException($"{model.Partition}: a retry of {original} was taken for new: {result}");
    }

    private void AppendAsFollower(LogModel model)
    {
        var log = model.Log!;
        if (Random.NextChance(20))
            model.LeaderEpoch++;
        var batch = NextBatch(model, new RecordBatchOptions());
        // the leader may have compacted
        RecordBatchEditor.SetBaseOffset(batch, log.LogEndOffset + (Random.NextChance(30) ? Random.NextInt(5) : 0));
        RecordBatchEditor.SetPartitionLeaderEpoch(batch, model.LeaderEpoch);
        var written = model.Try(batch, model.Tip);
        log.BeginFollowing(model.LeaderEpoch);
        if (!log.TryTakeFetched(new FetchedBatches(batch, model.LeaderEpoch, log.LogEndOffset, 0, 0), Now, out _))
            throw new SimulationException($"{model.Partition}: the append of a follower was refused");
        model.Tip = written;
    }

    private void BeginEpoch(LogModel model)
    {
        model.LeaderEpoch++;
        model.Log!.BeginLeading(model.LeaderEpoch);
    }

    private void AdvanceHighWatermark(LogModel model)
    {
        var behind = (int)(model.Log!.LogEndOffset - model.Log.HighWatermark);
        model.Lead();
        model.Log.AdvanceHighWatermark(
            model.Log.LogEndOffset - (Random.NextChance(50) ? 0 : Random.NextInt(behind + 1)), model.LeaderEpoch);
    }

    private void Flush(LogModel model)
    {
        var unflushed = (int)(model.Log!.LogEndOffset - model.Log.RecoveryPoint);
        model.Log.Flush(Random.NextChance(70) ? long.MaxValue : model.Log.RecoveryPoint + Random.NextInt(unflushed + 1));
    }

    private void Tick()
    {
        var deleted = _machine.Disk.ReadAllFiles().Keys.Where(CrashInvariants.IsDeleted).ToList();
        var passedMs = Random.NextInt(400);
        _machine.AdvanceMs(passedMs);
        _machine.Logs.Tick(Now);
        if (passedMs < CrashMachine.DeleteDelayMsMax || _machine.Logs.Directories.Any(directory => directory.IsOffline))
            return;
        if (_machine.Disk.Faults.FailedDeletions > 0)
            return; // tried again, but only after a minute
        if (deleted.FirstOrDefault(_machine.Disk.FileExists) is { } left)
            throw new SimulationException($"{left} is still there, {passedMs} ms after it was deleted");
    }

    private void Compact()
    {
        if (_machine.Compaction!.IsRunning)
        {
            _machine.Compaction!.GoOn(int.MaxValue);
            return;
        }

        foreach (var model in _machine.Open.Where(model => model.IsCompacted))
            model.NoteCompaction(model.Log!);
        _machine.Compaction!.Begin();
    }

    private void DeleteRecords(LogModel model)
    {
        model.Lead();
        model.Log!.AdvanceLogStartOffset(Between(model.Log.LogStartOffset, model.Log.HighWatermark), model.LeaderEpoch);
    }

    private void Truncate(LogModel model)
    {
        var log = model.Log!;
        var offset = Between(Math.Max(log.LogStartOffset, Math.Min(model.CommittedTo, log.LogEndOffset)), log.LogEndOffset);
        model.TruncatesTo = offset;
        log.BeginFollowing(model.LeaderEpoch);
        _machine.Logs.Truncate(log, offset, model.LeaderEpoch);
        model.TruncatesTo = null;
        model.Tip = model.Tip?.Backwards().FirstOrDefault(batch => batch.LastOffset < offset);
        model.ForgetLostFrom(offset);
        model.LeaderEpoch++; // who truncates follows a new leader
    }

    private void TruncateFully(LogModel model)
    {
        var log = model.Log!;
        var offset = Between(log.LogStartOffset, log.LogEndOffset + 20);
        model.TruncatesTo = 0;
        log.BeginFollowing(model.LeaderEpoch);
        _machine.Logs.TryTruncateFullyAndStartAt(log, offset, model.LeaderEpoch);
        model.TruncatesTo = null;
        model.Restart(offset);
        model.LeaderEpoch++;
    }

    private void DeleteTopic(LogModel model)
    {
        model.MayBeGone = true;
        model.Note(model.Log!); // if the deletion fails, a later life finds the log as it is now
        _machine.Logs.Delete(model.Partition);
        model.Log = null;
        _machine.Create(model.Partition);
    }

    private void AppendAsLeader(LogModel model, byte[] bytes, AppendOrigin origin = AppendOrigin.Client, short transactionVersion = 0)
    {
        if (Random.NextChance(5))
            model.LeaderEpoch++;
        // An append of two batches is one write, and may be torn between them.
        var second = origin == AppendOrigin.Client && Random.NextChance(15) ? NextBatch(model, new RecordBatchOptions()) : [];
        byte[] all = [.. bytes, .. second];
        var written = model.Try(all.AsMemory(0, bytes.Length), model.Tip);
        if (second.Length > 0)
            written = model.Try(all.AsMemory(bytes.Length), written);
        try
        {
            model.Lead();
            model.Log!.AppendAsLeader(all, model.LeaderEpoch, origin, Now, transactionVersion);
            model.Tip = written;
        }
        catch (LogException refusal) when (refusal.ErrorCode == Protocol.ErrorCode.RecordListTooLarge)
        {
            _log?.WriteLine($"    {all.Length} bytes are more than a segment takes");
        }
    }

    /// <summary>What a producer sends next, by what the log says of it.</summary>
    private static RecordBatchOptions Continue(LogModel model, long producerId)
    {
        var known = model.Log!.ActiveProducers()
            .FirstOrDefault(producer => producer.ProducerId == producerId, new ActiveProducer(producerId, 0, -1, 0, -1, -1));
        return new RecordBatchOptions
        {
            ProducerId = producerId,
            ProducerEpoch = known.ProducerEpoch,
            BaseSequence = known.LastSequence + 1
        };
    }

    private byte[] NextBatch(LogModel model, RecordBatchOptions options)
    {
        using var builder = new RecordBatchBuilder(options);
        var padding = Random.NextInt(Random.NextChance(10) ? 1_200 : 120);
        for (var left = 1 + Random.NextInt(4); left > 0; left--)
            builder.Append(Now.UnixMilliseconds + Random.NextInt(30), model.IsCompacted ? NextKey() : default, NextValue(model, padding));
        return builder.Build();
    }

    private NullableBytes NextKey() => new(Encoding.UTF8.GetBytes($"k{Random.NextInt(KeysMax)}"));

    private NullableBytes NextValue(LogModel model, int padding) =>
        model.IsCompacted
        && Random.NextChance(15) ? default : new NullableBytes(Encoding.UTF8.GetBytes($"{_values++}{new string('.', padding)}"));

    private long Between(long low, long high) => low + Random.NextInt((int)(high - low) + 1);
}
