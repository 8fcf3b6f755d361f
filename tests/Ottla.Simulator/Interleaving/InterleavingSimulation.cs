using System.Text;
using Ottla.Broker.Replicas;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Storage.Log;
using Ottla.Storage.Producers;

namespace Ottla.Simulator.Interleaving;

/// <summary>
/// Upkeep, cleaner, mover, publisher, appends and fetches of one node as actors that are switched at every file operation and every lock.
/// Nothing goes wrong here but the order of things: no disk fails, and so no directory may go offline.
/// </summary>
public sealed class InterleavingSimulation : ISimulation
{
    private const int AppendsMax = 30;
    private const int LongPollMs = 1_000;

    /// <inheritdoc/>
    public string Name => "interleaving";

    /// <inheritdoc/>
    public string Description =>
        "upkeep, cleaner, mover, publisher, appends and fetches of one node, switched at every file operation and lock";

    /// <inheritdoc/>
    public void Run(ulong seed, TextWriter? log = null)
    {
        var run = new OneRun(seed, log);
        run.Run();
    }

    private sealed class OneRun
    {
        private static readonly (string, string)[] s_smallSegments = [
            ("segment.index.bytes", "32"), ("index.interval.bytes", "0"), ("file.delete.delay.ms", "5")];

        private readonly Prng _random;
        private readonly TextWriter? _log;
        private readonly ulong _seed;
        private readonly InterleavedClock _clock = new();
        private readonly List<(long ProducerId, long First, long Last)> _aborted = [];
        private readonly Dictionary<string, int> _runningWriters = [];
        private long _lastAppendMs;
        private long _polledOffset;

        public OneRun(ulong seed, TextWriter? log)
        {
            _seed = seed;
            _random = new Prng(seed);
            _log = log;
        }

        public void Run()
        {
            using var node = new InterleavedNode(_seed, _clock);
            node.Create("stream", s_smallSegments);
            node.Create("ledger", [.. s_smallSegments, ("retention.bytes", "1200")]);
            node.Create("table", [.. s_smallSegments, .. Compacted]);
            node.Create("changing", s_smallSegments);
            node.Create("followed", s_smallSegments);

            using var interleaver = new Interleaver(new Prng(_random.NextUInt64()), _clock, _log);
            Add(interleaver, "upkeep", () => TickAsync(node), isService: true);
            Add(interleaver, "cleaner", () => node.Logs.Cleaner.RunAsync(node.Stopping), isService: true);
            Add(interleaver, "second worker of the cleaner", () => CleanAsync(node), isService: true);
            Add(interleaver, "mover", () => node.Logs.Mover.RunAsync(node.Stopping), isService: true);
            Add(interleaver, "publisher", () => ChangeTopicsAsync(node));
            AddWriter(interleaver, "stream", () => ProduceToPollAsync(node));
            AddWriter(interleaver, "table", () => ProduceAsync(node, "table", NextKeyedBatch));
            AddWriter(interleaver, "changing", () => ProduceAsync(node, "changing", NextBatch));
            AddWriter(interleaver, "ledger", () => ProduceTransactionsAsync(node));
            Add(interleaver, "follower", () => FollowAsync(node));
            Add(interleaver, "flushes", () => FlushAsync(node), isService: true);
            Add(interleaver, "moves", () => MoveAsync(node), isService: true);
            Add(interleaver, "long poll", () => PollAsync(node));
            Add(interleaver, "reader of committed records", () => ReadCommittedAsync(node));
            interleaver.Run(node.Stop);
            CheckDirectories(node);
            CheckRecoveryPoints(node);
        }

        private static (string, string)[] Compacted =>
            [("cleanup.policy", "compact"), ("min.cleanable.dirty.ratio", "0.01"), ("delete.retention.ms", "0"),
                ("min.compaction.lag.ms", "0")];

        private void Add(Interleaver interleaver, string name, Func<Task> work, bool isService = false) =>
            interleaver.Add(name, work, isService);

        private void AddWriter(Interleaver interleaver, string topic, Func<Task> work)
        {
            _runningWriters[topic] = 1;
            interleaver.Add($"writer of {topic}", async () =>
            {
                await work();
                _runningWriters[topic] = 0;
            });
        }

        /// <summary>
        /// Does the work of one more worker of the cleaner. The workers of the cleaner's own loop share one actor here, and do not
        /// interrupt each other.
        /// </summary>
        private async Task CleanAsync(InterleavedNode node)
        {
            while (!node.Stopping.IsCancellationRequested)
            {
                await node.Logs.Cleaner.CleanDirtiestAsync(node.Stopping);
                await Task.Delay(TimeSpan.FromMilliseconds(1 + _random.NextInt(5)), _clock);
            }
        }

        private async Task TickAsync(InterleavedNode node)
        {
            while (!node.Stopping.IsCancellationRequested)
            {
                node.Logs.Tick(node.Now);
                await Task.Delay(TimeSpan.FromMilliseconds(10), _clock);
            }
        }

        /// <summary>Deletes and makes topics, and has logs moved, as requests of administrators do.</summary>
        private async Task ChangeTopicsAsync(InterleavedNode node)
        {
            for (var left = 6; left > 0; left--)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(1 + _random.NextInt(10)), _clock);
                var topic = _random.NextChance(50) ? "changing" : "table";
                if (_random.NextChance(40))
                {
                    Move(node, new TopicPartition(topic, 0));
                    continue;
                }

                node.Delete(topic);
                node.Create(topic, topic == "table" ? [.. s_smallSegments, .. Compacted] : s_smallSegments);
            }
        }

        private static void Move(InterleavedNode node, TopicPartition partition)
        {
            var target = node.Logs.Directories.First(directory => directory != node.Logs.FindDirectory(partition));
            node.Logs.Move(partition, target.Path);
        }

        private async Task ProduceAsync(InterleavedNode node, string topic, Func<byte[]> nextBatch)
        {
            for (var left = 1 + _random.NextInt(AppendsMax); left > 0; left--)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(_random.NextInt(4)), _clock);
                if (node.Find(topic) is not { } replica)
                    continue; // deleted, and not made anew yet
                var outcome = replica.Append(nextBatch(), needsInSyncReplicas: true, allowZstd: true, node.Now);
                // the topic may just be deleted
                if (outcome.ErrorCode is not (ErrorCode.None or ErrorCode.NotLeaderOrFollower or ErrorCode.KafkaStorageError))
                    throw new SimulationException($"{topic}: an append was refused with {outcome.ErrorCode}: {outcome.ErrorMessage}");
            }
        }

        /// <summary>
        /// Produces what the long poll waits for. Now and then it waits until all of it is polled, so that no later append makes up for a
        /// wake-up that was lost.
        /// </summary>
        private async Task ProduceToPollAsync(InterleavedNode node)
        {
            var replica = node.Find("stream")!;
            for (var left = 1 + _random.NextInt(AppendsMax); left > 0; left--)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(_random.NextInt(3)), _clock);
                Appended(replica.Append(NextBatch(), needsInSyncReplicas: true, allowZstd: true, node.Now));
                _lastAppendMs = _clock.NowMs;
                var waitsForPoll = _random.NextChance(30);
                while (waitsForPoll && _polledOffset < replica.Log.LogEndOffset && _clock.NowMs - _lastAppendMs < 2 * LongPollMs)
                    await Task.Delay(TimeSpan.FromMilliseconds(LongPollMs / 4), _clock);
            }
        }

        private async Task FlushAsync(InterleavedNode node)
        {
            while (!node.Stopping.IsCancellationRequested)
            {
                node.Find("followed")!.Log.Flush();
                await Task.Delay(TimeSpan.FromMilliseconds(1 + _random.NextInt(5)), _clock);
            }
        }

        /// <summary>Moves the log that is flushed most to the other directory, and back.</summary>
        private async Task MoveAsync(InterleavedNode node)
        {
            while (!node.Stopping.IsCancellationRequested)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(2 + _random.NextInt(10)), _clock);
                if (!node.Stopping.IsCancellationRequested)
                    Move(node, node.Find("followed")!.Partition);
            }
        }

        /// <summary>Writes transactions, most of which it aborts.</summary>
        private async Task ProduceTransactionsAsync(InterleavedNode node)
        {
            var replica = node.Find("ledger")!;
            var sequences = new int[3];
            for (var left = 4 + _random.NextInt(AppendsMax); left > 0; left--)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(_random.NextInt(4)), _clock);
                var producer = 1 + _random.NextInt(2);
                var first = -1L;
                for (var batches = 1 + _random.NextInt(2); batches > 0; batches--)
                {
                    var options =
                        new RecordBatchOptions
                        {
                            ProducerId = producer,
                            ProducerEpoch = 0,
                            BaseSequence = sequences[producer]++,
                            IsTransactional = true
                        };
                    var offset = Appended(replica.Append(Batch(options, default), true, true, node.Now, VerificationGuard.None))
                        .Result.FirstOffset;
                    first = first < 0 ? offset : first;
                }

                var isAborted = _random.NextChance(80);
                if (isAborted)
                    _aborted.Add((producer, first, long.MaxValue)); // before the marker: from then on a reader must be told
                var index = _aborted.Count - 1;
                var marker = ControlBatches.BuildEndTransactionMarker(
                    isAborted ? ControlRecordType.Abort : ControlRecordType.Commit, 0, producer, 0, node.Now.UnixMilliseconds);
                var end = Appended(replica.AppendAsCoordinator(marker, replica.Leadership.LeaderEpoch, 0, node.Now)).Result.FirstOffset;
                if (isAborted)
                    _aborted[index] = _aborted[index] with { Last = end };
            }
        }

        /// <summary>Appends what a leader sends and cuts it off again, as a follower does whose leaders change.</summary>
        private async Task FollowAsync(InterleavedNode node)
        {
            var log = node.Find("followed")!.Log;
            var epoch = 1;
            log.BeginFollowing(epoch);
            for (var left = 6 + _random.NextInt(AppendsMax); left > 0; left--)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(_random.NextInt(4)), _clock);
                if (_random.NextChance(25) && log.LogEndOffset > 0)
                {
                    node.Logs.Truncate(log, log.LogEndOffset - 1 - _random.NextInt((int)Math.Min(log.LogEndOffset, 8)), epoch);
                    log.BeginFollowing(++epoch);
                }

                if (_random.NextChance(20))
                    log.Roll(node.Now);
                var batch = NextBatch();
                RecordBatchEditor.SetBaseOffset(batch, log.LogEndOffset);
                RecordBatchEditor.SetPartitionLeaderEpoch(batch, epoch);
                if (!log.TryTakeFetched(new FetchedBatches(batch, epoch, log.LogEndOffset, 0, 0), node.Now, out _))
                    throw new SimulationException("A follower's append was refused.");
                if (log.RecoveryPoint > log.LogEndOffset)
                    throw new SimulationException(
                        $"The recovery point {log.RecoveryPoint} of followed is behind its end {log.LogEndOffset}.");
            }
        }

        /// <summary>
        /// Waits for records that nobody deletes, for longer than anything here takes: a wait that ends with nothing missed an append.
        /// </summary>
        private async Task PollAsync(InterleavedNode node)
        {
            var log = node.Find("stream")!.Log;
            var offset = 0L;
            while (_runningWriters["stream"] > 0 || offset < log.LogEndOffset)
            {
                if (_runningWriters["stream"] > 0 && offset == log.LogEndOffset)
                    await Task.Delay(TimeSpan.FromMilliseconds(_random.NextInt(2)), _clock);
                if (offset == log.LogEndOffset && _runningWriters["stream"] == 0)
                    return;
                var began = _clock.NowMs;
                var fetched = await node.FetchAsync("stream", offset, LongPollMs, isReadCommitted: false);
                if (fetched.Error != ErrorCode.None)
                    throw new SimulationException($"A fetch of stream failed with {fetched.Error}.");
                if (log.HighWatermark > offset && _clock.NowMs - Math.Max(began, _lastAppendMs) > LongPollMs / 2)
                    throw new SimulationException(
                        $"A fetch from {offset} waited from {began} to {_clock.NowMs} ms, though the last append at {_lastAppendMs} ms "
                            + $"brought the high watermark to {log.HighWatermark}.");
                offset = _polledOffset = CheckOrder(fetched, offset);
            }
        }

        /// <summary>Reads committed records from a log that loses segments to retention: of each aborted record it must be told.</summary>
        private async Task ReadCommittedAsync(InterleavedNode node)
        {
            var log = node.Find("ledger")!.Log;
            var offset = 0L;
            for (var idle = 0; idle < 3;)
            {
                var fetched = await node.FetchAsync("ledger", offset, _random.NextInt(3), isReadCommitted: true);
                if (fetched.Error == ErrorCode.OffsetOutOfRange || _random.NextChance(30))
                {
                    offset = log.LogStartOffset; // where retention is at work
                    continue;
                }

                if (fetched.Error != ErrorCode.None)
                    throw new SimulationException($"A fetch of ledger failed with {fetched.Error}.");
                CheckAbortedAreNamed(fetched);
                offset = fetched.Batches.Count > 0 ? CheckOrder(fetched, offset) : offset;
                if (fetched.Batches.Count == 0)
                    await Task.Delay(TimeSpan.FromMilliseconds(1), _clock);
                idle = fetched.Batches.Count > 0 || _runningWriters["ledger"] > 0 ? 0 : idle + 1;
            }
        }

        private void CheckAbortedAreNamed(FetchedRecords fetched)
        {
            foreach (var bytes in fetched.Batches)
            {
                var batch = new RecordBatchView(bytes.Span);
                if (!batch.IsTransactional || batch.IsControl)
                    continue;
                var (producer, last) = (batch.ProducerId, batch.LastOffset);
                if (_aborted.Any(transaction => transaction.ProducerId == producer && transaction.First <= last && last <= transaction.Last)
                    && !fetched.Aborted.Any(named => named.ProducerId == producer && named.FirstOffset <= last))
                    throw new SimulationException(
                        $"A reader of committed records got the batch that ends at {last}, which producer {producer} aborted, and was not "
                            + "told so.");
            }
        }

        /// <returns>The next offset to fetch.</returns>
        private static long CheckOrder(FetchedRecords fetched, long offset)
        {
            foreach (var bytes in fetched.Batches)
            {
                var batch = new RecordBatchView(bytes.Span);
                if (batch.LastOffset < offset || batch.BaseOffset > offset)
                    throw new SimulationException($"A fetch from {offset} brought the batch [{batch.BaseOffset}, {batch.LastOffset}].");
                offset = batch.LastOffset + 1;
            }

            return offset;
        }

        private static void CheckDirectories(InterleavedNode node)
        {
            if (node.DirectoryFailure is { } failure)
                throw new SimulationException($"No disk failed, and still {failure}");
            if (node.Logs.Cleaner.Uncleanable.Count > 0)
                throw new SimulationException($"{node.Logs.Cleaner.Uncleanable.First()} cannot be compacted.");
            if (node.Logs.Logs.FirstOrDefault(log => log.IsOffline) is { } offline)
                throw new SimulationException($"The log {offline.Directory} is offline, though no disk failed.");
        }

        /// <summary>
        /// Loses power: everything before the recovery points must be there. A log that was never flushed may be missing: it is made
        /// without a flush, and the broker makes it again.
        /// </summary>
        private static void CheckRecoveryPoints(InterleavedNode node)
        {
            var before = node.Logs.Logs.ToDictionary(log => log.Partition, log => (log.RecoveryPoint, Batches: BatchesOf(log)));
            var opened = node.OpenAfterPowerLoss();
            using (opened)
            {
                foreach (var (partition, (recoveryPoint, batches)) in before)
                {
                    if (opened.Find(partition) is not { } log)
                    {
                        if (recoveryPoint > 0)
                            throw new SimulationException(
                                $"{partition} is gone after power loss, though it was flushed to {recoveryPoint}.");
                        continue;
                    }

                    var left = BatchesOf(log).ToHashSet();
                    if (batches.FirstOrDefault(
                        batch => batch.LastOffset < recoveryPoint && batch.BaseOffset >= log.LogStartOffset
                        && !left.Contains(batch)) is { Crc: > 0 } lost)
                        throw new SimulationException(
                            $"{partition}: the batch [{lost.BaseOffset}, {lost.LastOffset}] is lost, though it lies before the recovery "
                                + $"point {recoveryPoint}.");
                }
            }
        }

        private static List<(long BaseOffset, long LastOffset, uint Crc)> BatchesOf(PartitionLog log)
        {
            var batches = new List<(long, long, uint)>();
            for (var offset = log.LogStartOffset; offset < log.LogEndOffset;)
            {
                using var slice = log.Read(offset, 1 << 20, minOneBatch: true, long.MaxValue).Slice;
                if (slice is null)
                    break;
                var bytes = new byte[slice.Length];
                slice.Read(0, bytes);
                for (ReadOnlySpan<byte> rest = bytes; RecordBatchView.TryReadSize(rest, out var size, out _)
                    && size <= rest.Length; rest = rest[size..])
                {
                    var batch = new RecordBatchView(rest[..size]);
                    batches.Add((batch.BaseOffset, batch.LastOffset, batch.Crc));
                    offset = batch.LastOffset + 1;
                }
            }

            return batches;
        }

        private static AppendOutcome Appended(AppendOutcome outcome) =>
            outcome.ErrorCode == ErrorCode.None ? outcome
            : throw new SimulationException($"ledger: an append was refused with {outcome.ErrorCode}: {outcome.ErrorMessage}");

        private byte[] NextBatch() => Batch(new RecordBatchOptions(), default);

        private byte[] NextKeyedBatch() =>
            Batch(new RecordBatchOptions(), new NullableBytes(Encoding.UTF8.GetBytes($"k{_random.NextInt(3)}")));

        private byte[] Batch(in RecordBatchOptions options, NullableBytes key)
        {
            using var builder = new RecordBatchBuilder(options);
            builder.Append(
                Instant.Now(_clock).UnixMilliseconds, key,
                new NullableBytes(Encoding.UTF8.GetBytes(new string('v', 1 + _random.NextInt(60)))));
            return builder.Build();
        }
    }
}
