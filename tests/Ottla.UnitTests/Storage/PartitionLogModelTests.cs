using Microsoft.Extensions.Time.Testing;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Storage.Log;

namespace Ottla.UnitTests.Storage;

/// <summary>Random histories of a log against a plain list of batches.</summary>
public sealed class PartitionLogModelTests
{
    private const int StepsPerSeed = 150;

    private static readonly LogConfig Config = new()
    {
        SegmentBytes = 1_500,
        IndexIntervalBytes = 250,
        SegmentIndexBytes = 4_096,
        FileDeleteDelayMs = 10,
        RetentionMs = -1,
    };

    public static TheoryData<ulong, bool> Seeds
    {
        get
        {
            var seeds = new TheoryData<ulong, bool>();
            for (var seed = 1UL; seed <= 40; seed++)
                seeds.Add(seed, seed % 10 == 0);
            return seeds;
        }
    }

    [Theory]
    [MemberData(nameof(Seeds))]
    public void BehavesAsAListOfBatches(ulong seed, bool real)
    {
        var run = new Run(seed, TestDisk.Create(real));
        try
        {
            for (var step = 0; step < StepsPerSeed; step++)
                run.Step();
        }
        catch (Exception failure)
        {
            throw new InvalidOperationException($"seed {seed}: {run.History}", failure);
        }
        finally
        {
            run.Dispose();
        }
    }

    private sealed class Run(ulong seed, TestDisk disk) : IDisposable
    {
        private readonly Prng _random = new(seed);
        private readonly FakeTimeProvider _time = new(DateTimeOffset.FromUnixTimeMilliseconds(1_000));
        private readonly List<string> _history = [];
        private readonly List<(long First, long Last)> _batches = [];
        private TestDisk _disk = disk;
        private PartitionLog _log = TestLog.Open(disk, Config, TimeProvider.System);
        private long _start;
        private long _end;
        private long _highWatermark;
        private int _epoch;

        public string History => string.Join("; ", _history);

        public void Dispose() => _disk.Dispose();

        public void Step()
        {
            var roll = _random.NextInt(100);
            if (roll < 55)
                Append();
            else if (roll < 60)
                Truncate();
            else if (roll < 66)
                DeleteRecords();
            else if (roll < 72)
                DoOnce("roll", () => _log.Roll(Instant.Now(_time)));
            else if (roll < 77)
                DoOnce("flush", () => _log.Flush());
            else if (roll < 82)
                DoOnce("release", () => _log.ReleaseIdle(Instant.Now(_time)));
            else if (roll < 88)
                Retain();
            else if (roll < 92)
                Reopen(clean: true);
            else if (roll < 96)
                Reopen(clean: false);
            else
                ReadSomewhere();
            Check();
        }

        private void Append()
        {
            var count = 1 + _random.NextInt(5);
            var padding = _random.NextInt(120);
            if (_random.NextChance(10))
                _epoch++;
            _history.Add($"append {count}x{padding} in epoch {_epoch}");
            var result = _log.Append(TestLog.Batch($"b{_end}", count, timestamp: 1_000 + _end, padding: padding), epoch: _epoch);
            Assert.Equal((_end, _end + count - 1), (result.FirstOffset, result.LastOffset));
            _batches.Add((_end, _end + count - 1));
            _end += count;
            _highWatermark = _end;
        }

        private void Truncate()
        {
            var offset = _start + _random.NextInt((int)(_end - _start) + 1);
            _history.Add($"truncate {offset}");
            if (_random.NextChance(15))
            {
                _log.TruncateFullyAndStartAt(offset);
                _batches.Clear();
                (_start, _end, _highWatermark) = (offset, offset, offset);
                return;
            }

            _log.TruncateTo(offset);
            _batches.RemoveAll(batch => batch.Last >= offset);
            _end = offset;
            _highWatermark = Math.Min(_highWatermark, offset);
        }

        private void DeleteRecords()
        {
            var offset = _start + _random.NextInt((int)(_end - _start) + 1);
            _history.Add($"start at {offset}");
            Assert.Equal(offset > _start, _log.AdvanceLogStartOffset(offset));
            _start = offset;
            _batches.RemoveAll(batch => batch.Last < offset);
        }

        private void Retain()
        {
            _history.Add("retain");
            _log.DeleteOldSegments(Instant.Now(_time));
            _time.AdvanceMs(20);
            _log.UnlinkDeletedSegments(Instant.Now(TimeProvider.System).AddMilliseconds(1_000));
        }

        private void Reopen(bool clean)
        {
            _history.Add(clean ? "close, open" : "crash, open");
            var recoveryPoint = clean ? _end : _log.RecoveryPoint;
            var firstSegment = _log.FirstSegmentOffset;
            if (clean)
                _log.Close();
            var old = _disk;
            _disk = _disk.Crash();
            old.Dispose();
            // As the checkpoint file has it: only a start inside the first segment is written down.
            var start = _start > firstSegment ? _start : 0;
            var options =
                new LogOpenOptions
                {
                    HadCleanShutdown = clean,
                    RecoveryPoint = recoveryPoint,
                    LogStartOffset = start,
                    HighWatermark = _highWatermark
                };
            _log = TestLog.Open(_disk, Config, TimeProvider.System, options);
            if (_log.LogEndOffset != _end)
            {
                // A truncation inside a batch left a gap that is nowhere on disk: the end falls back to the last batch.
                Assert.True(_log.LogEndOffset < _end, "a log does not grow by being opened");
                Assert.Equal(_batches.Count == 0 ? Math.Max(_log.FirstSegmentOffset, start) : _batches[^1].Last + 1, _log.LogEndOffset);
            }

            _end = _log.LogEndOffset;
            _highWatermark = Math.Clamp(_highWatermark, _start, _end);
        }

        private void ReadSomewhere()
        {
            if (_batches.Count == 0)
                return;
            var from = _start + _random.NextInt((int)(_end - _start) + 1);
            var maxBytes = _random.NextInt(700);
            var bound = from + _random.NextInt(20);
            _history.Add($"read {from} below {bound}");
            var result = _log.ReadAll(from, maxBytes, bound);
            Assert.Equal(Offsets(from, bound), result.Select(record => record.Offset));
            Assert.Equal(
                ErrorCode.OffsetOutOfRange, Assert.Throws<LogException>(() => _log.Read(_end + 1, 1, true, long.MaxValue)).ErrorCode);
        }

        private void DoOnce(string name, Action action)
        {
            _history.Add(name);
            action();
        }

        private IEnumerable<long> Offsets(long from, long bound) => _batches
            .SkipWhile(batch => batch.Last < from)
            .TakeWhile(batch => batch.Last < bound)
            .SelectMany(batch => Enumerable.Range(0, (int)(batch.Last - batch.First + 1)).Select(i => batch.First + i))
            .Where(offset => offset >= from);

        private void Check()
        {
            Assert.Equal((_start, _end, _highWatermark), (_log.LogStartOffset, _log.LogEndOffset, _log.HighWatermark));
            Assert.Equal(_highWatermark, _log.LastStableOffset);
            var records = _log.ReadAll(maxBytes: 1 + _random.NextInt(2_000));
            Assert.Equal(Offsets(_start, long.MaxValue), records.Select(record => record.Offset));
            Assert.All(records, record => Assert.StartsWith(
                $"b{_batches.First(batch => batch.Last >= record.Offset).First}/", record.Value, StringComparison.Ordinal));
            Assert.All(_log.LeaderEpochs.Zip(_log.LeaderEpochs.Skip(1)), pair =>
                Assert.True(pair.First.Epoch < pair.Second.Epoch && pair.First.StartOffset < pair.Second.StartOffset, "epochs grow"));
            if (records.Count > 0 && _random.NextChance(30))
            {
                var wanted = records[_random.NextInt(records.Count)].Offset;
                var batch = _batches.First(batch => batch.Last >= wanted);
                Assert.Equal(wanted, _log.OffsetForTimestamp(1_000 + wanted).Offset);
                Assert.True(batch.First <= wanted, "the model is sorted");
            }
        }
    }
}
