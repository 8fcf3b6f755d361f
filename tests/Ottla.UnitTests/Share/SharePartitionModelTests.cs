using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.StateMachines.Share;

namespace Ottla.UnitTests.Share;

/// <summary>
/// Random histories of members, locks, failing writes, compaction, deleted records, aborted transactions and restarts, against one entry
/// for each offset. At the end every record of the log is done with, once, and the persisted state says so.
/// </summary>
public sealed class SharePartitionModelTests
{
    public static TheoryData<ulong> Seeds => [.. Enumerable.Range(1, 300).Select(seed => (ulong)seed)];

    [Theory]
    [MemberData(nameof(Seeds))]
    public void History_is_sound(ulong seed) => new Run(seed).Execute(steps: 400);

    /// <summary>What the model knows of an offset that was acquired.</summary>
    private sealed class Entry
    {
        public DeliveryState State { get; set; }

        public int Count { get; set; }

        public string? Holder { get; set; }

        public Instant LockedUntil { get; set; }

        /// <summary>What the request says that waits for a write; null for none.</summary>
        public DeliveryState? Target { get; set; }

        /// <summary>The write that brings <see cref="Target"/>; 0 if it has not begun.</summary>
        public long Write { get; set; }
    }

    private sealed class Run(ulong seed)
    {
        private static readonly string[] Members = ["a", "b", "c"];

        private readonly Prng _prng = new(seed);
        private readonly SharePartitionEffects _effects = new();
        private readonly SortedDictionary<long, Entry> _entries = [];
        private readonly List<FetchedBatch> _log = [];

        private SharePartition _partition = null!;
        private ShareState _persisted = new() { StateEpoch = 1, StartOffset = ShareState.UnsetStartOffset };
        private ShareStateWrite? _write;
        private long _logEnd;
        private long _logStart;
        private Instant _now = new(1_000_000);
        private long _lastStart;
        private long _requests;
        private readonly Dictionary<long, List<(long Offset, DeliveryState Target)>> _open = [];

        private SharePartitionSettings _settings = null!;

        public void Execute(int steps)
        {
            try
            {
                _settings = new SharePartitionSettings(
                    _prng.NextInt(2, 7), _prng.NextInt(20, 60), LockDurationMs: 1_000, IsRenewEnabled: true,
                    HasDeadLetterTopic: _prng.NextChance(30));
                Restart();
                for (var i = 0; i < steps; i++)
                {
                    Step();
                    Check();
                }

                Finish();
            }
            catch (Exception e)
            {
                throw new InvalidOperationException($"seed {seed}: {e.Message}", e);
            }
        }

        private void Step()
        {
            _now = _now.AddMilliseconds(_prng.NextInt(80));
            if (_partition.NextDeadline <= _now)
                Expire();
            switch (_prng.NextInt(20))
            {
                case < 3:
                    Append();
                    break;
                case < 8:
                    Acquire(Member());
                    break;
                case < 14:
                    Acknowledge(Member());
                    break;
                case < 17:
                    EndWrite(_prng.NextChance(15) ? ErrorCode.CoordinatorNotAvailable : ErrorCode.None);
                    break;
                case 17:
                    Release(Member());
                    break;
                case 18:
                    if (_prng.NextChance(30))
                        Compact();
                    else if (_prng.NextChance(20))
                        DeleteRecords();
                    break;
                default:
                    if (_prng.NextChance(15))
                        Restart();
                    break;
            }
        }

        private string Member() => Members[_prng.NextInt(Members.Length)];

        private void Append()
        {
            var count = _prng.NextInt(1, 9);
            _log.Add(new FetchedBatch(_logEnd, _logEnd + count - 1, _prng.NextChance(10)));
            _logEnd += count;
        }

        private void Compact()
        {
            if (_log.Count > 2)
                _log.RemoveAt(_prng.NextInt(_log.Count - 1)); // never the last one
        }

        private void DeleteRecords()
        {
            if (_log.Count == 0)
                return;
            _logStart = _prng.NextInt((int)_log[0].BaseOffset, (int)Math.Min(_logEnd, _log[0].BaseOffset + 15) + 1);
            _log.RemoveAll(batch => batch.LastOffset < _logStart);
            _partition.MoveLogStart(_logStart);
        }

        private void Acquire(string member, bool takesAll = false)
        {
            if (!_partition.CanAcquire)
                return;
            var offset = _partition.NextFetchOffset;
            var first = _log.FindIndex(batch => batch.LastOffset >= offset);
            if (first == -1)
                return;
            var fetched = _log.Skip(first).Take(takesAll ? int.MaxValue : _prng.NextInt(1, 6)).ToList();
            var mode = _prng.NextChance(50) ? ShareAcquireMode.RecordLimit : ShareAcquireMode.BatchOptimized;
            var recordsMax = takesAll ? int.MaxValue : _prng.NextInt(1, 20);
            var isAtOffset = fetched[0].BaseOffset <= offset;
            var isHeldUp = fetched.TrueForAll(batch => batch.IsAborted);
            var ranges = _partition.Acquire(
                new AcquireRequest(member, mode, recordsMax, _prng.NextInt(1, 30), offset), fetched, _now);
            // What was skipped or is gone is done with, and nobody was told.
            foreach (var (at, entry) in _entries)
            {
                if (at >= offset && at < fetched[0].BaseOffset && entry is { State: DeliveryState.Available, Target: null })
                    entry.State = DeliveryState.Archived;
            }

            var count = 0L;
            foreach (var range in ranges)
            {
                for (var at = range.FirstOffset; at <= range.LastOffset; at++)
                {
                    var entry = EntryAt(at);
                    Assert.True(entry.State == DeliveryState.Available && entry.Target is null, $"{at} was {entry.State}");
                    Assert.DoesNotContain(fetched, batch => batch.IsAborted && at >= batch.BaseOffset && at <= batch.LastOffset);
                    Assert.True(at >= _lastStart && at <= fetched[^1].LastOffset, $"{at} was not asked for");
                    Assert.Equal(entry.Count + 1, range.DeliveryCount);
                    (entry.State, entry.Count, entry.Holder) = (DeliveryState.Acquired, range.DeliveryCount, member);
                    entry.LockedUntil = _now.AddMilliseconds(_settings.LockDurationMs);
                    count++;
                }
            }

            LookAtSkipped(fetched);
            Assert.True(mode != ShareAcquireMode.RecordLimit || count <= recordsMax, "the limit is exact");
            Assert.True(count > 0 || !isAtOffset || isHeldUp || fetched[0].IsAborted, "who asks gets something");
        }

        /// <summary>
        /// Takes over what nobody was told: offsets of batches that are new and were not acquired, and those of aborted transactions.
        /// </summary>
        private void LookAtSkipped(List<FetchedBatch> fetched)
        {
            var states = new Dictionary<long, DeliveryBatch>();
            foreach (var state in _partition.InFlight)
            {
                foreach (var at in Offsets(state))
                    states.Add(at, state);
            }

            foreach (var (at, state) in states)
            {
                if (_entries.ContainsKey(at))
                    continue;
                Assert.True(
                    state is { State: DeliveryState.Available, DeliveryCount: 0 } or { State: DeliveryState.Archived }, $"{at}: {state}");
                _entries.Add(at, new Entry { State = state.State, Count = state.DeliveryCount });
            }

            foreach (var (at, entry) in _entries)
            {
                if (entry.State != DeliveryState.Available
                    || !fetched.Exists(batch => batch.IsAborted && at >= batch.BaseOffset && at <= batch.LastOffset))
                    continue;
                if (!states.TryGetValue(at, out var state))
                    entry.State = DeliveryState.Archived;
                else if (state.State == DeliveryState.Archived)
                    (entry.State, entry.Count) = (DeliveryState.Archived, state.DeliveryCount);
            }
        }

        private Entry EntryAt(long at)
        {
            if (!_entries.TryGetValue(at, out var entry))
                _entries.Add(at, entry = new Entry());
            return entry;
        }

        private void Acknowledge(string member)
        {
            var anchor = _prng.NextInt((int)Math.Max(0, _partition.StartOffset - 5), (int)Math.Max(_partition.EndOffset, 0) + 4);
            var batches = new List<AcknowledgementBatch>();
            for (var i = _prng.NextInt(1, 3); i > 0; i--)
            {
                var count = _prng.NextInt(1, 9);
                var types = new sbyte[_prng.NextChance(50) ? 1 : count];
                for (var j = 0; j < types.Length; j++)
                    types[j] = (sbyte)_prng.NextInt(5);
                batches.Add(new AcknowledgementBatch(anchor, anchor + count - 1, types));
                anchor += count + _prng.NextInt(3);
            }

            Send(member, batches);
        }

        private void Send(string member, List<AcknowledgementBatch> batches)
        {
            var start = _partition.StartOffset;
            var named = batches.SelectMany(
                batch => Offsets(batch).Where(at => at >= start).Select(at => (At: at, Type: TypeAt(batch, at)))).ToList();
            // An offset without an entry lies in a hole of compaction, or was never acquired.
            var end = _entries.Keys.LastOrDefault(-1);
            var mayBeTaken = named.TrueForAll(one => _entries.TryGetValue(one.At, out var entry)
                ? entry.State == DeliveryState.Acquired && entry.Holder == member && entry.Target is null && entry.LockedUntil > _now
                : one.At < end);
            var request = ++_requests;
            try
            {
                _partition.Acknowledge(request, member, batches, _now, _effects);
            }
            catch (ApiException e)
            {
                Assert.True(!mayBeTaken || named.Exists(one => !_entries.ContainsKey(one.At)), $"refused: {e.Message}");
                return;
            }

            Assert.True(mayBeTaken, "taken");
            var changes = new List<(long, DeliveryState)>();
            foreach (var (at, type) in named)
            {
                if (!_entries.TryGetValue(at, out var entry))
                    continue;
                if (type == AcknowledgeType.Renew)
                    entry.LockedUntil = _now.AddMilliseconds(_settings.LockDurationMs);
                else
                    changes.Add((at, (entry.Target = TargetOf(type, entry.Count)).Value));
            }

            _open.Add(request, changes);
            TakeEffects();
        }

        private static AcknowledgeType TypeAt(AcknowledgementBatch batch, long at) =>
            (AcknowledgeType)(batch.Types.Count == 1 ? batch.Types[0] : batch.Types[(int)(at - batch.FirstOffset)]);

        private DeliveryState TargetOf(AcknowledgeType type, int count) => type switch
        {
            AcknowledgeType.Accept => DeliveryState.Acknowledged,
            AcknowledgeType.Release when count < _settings.DeliveryCountLimit => DeliveryState.Available,
            AcknowledgeType.Gap => DeliveryState.Archived,
            _ => _settings.HasDeadLetterTopic ? DeliveryState.Archiving : DeliveryState.Archived,
        };

        private void Release(string member)
        {
            foreach (var entry in _entries.Values)
            {
                if (entry is { State: DeliveryState.Acquired, Target: null } && entry.Holder == member)
                    entry.Target = TargetOf(AcknowledgeType.Release, entry.Count);
            }

            _partition.Release(member, _effects);
            TakeEffects();
        }

        private void Expire()
        {
            foreach (var entry in _entries.Values)
            {
                if (entry is not { State: DeliveryState.Acquired, Target: null } || entry.LockedUntil > _now)
                    continue;
                if (entry.Count >= _settings.DeliveryCountLimit)
                    entry.Target = TargetOf(AcknowledgeType.Release, entry.Count);
                else
                    entry.State = DeliveryState.Available;
            }

            _partition.OnDeadline(_now, _effects);
            TakeEffects();
        }

        private void EndWrite(ErrorCode error)
        {
            if (_write is not { } write)
                return;
            _write = null;
            if (error == ErrorCode.None)
                Persist(write);
            foreach (var entry in _entries.Values)
            {
                if (entry.Target is not { } target || entry.Write != write.Number)
                    continue;
                (entry.Target, entry.Write) = (null, 0);
                if (error == ErrorCode.None)
                    entry.State = target;
                else if (entry.LockedUntil <= _now)
                    entry.LockedUntil = _now.AddMilliseconds(SharePartition.WriteRetryMs);
            }

            _partition.OnWritten(write.Number, new ApiError(error), _now, _effects);
            foreach (var reply in _effects.Replies)
                Assert.Equal(error, reply.Error.Code);
            TakeEffects();
        }

        private void Persist(ShareStateWrite write) => _persisted = _persisted with
        {
            StartOffset = Math.Max(_persisted.StartOffset, write.StartOffset),
            Batches = DeliveryBatch.Combine(_persisted.Batches, write.Batches, Math.Max(_persisted.StartOffset, write.StartOffset)),
        };

        /// <summary>Another leader takes over. What was being written may have been.</summary>
        private void Restart()
        {
            if (_write is { } write && _prng.NextChance(50))
                Persist(write);
            _write = null;
            _open.Clear();
            _entries.Clear();
            _partition = new SharePartition(_settings, _persisted, startOffset: 0, _effects);
            _lastStart = 0;
            foreach (var state in _partition.InFlight)
            {
                foreach (var at in Offsets(state))
                    _entries.Add(at, new Entry { State = state.State, Count = state.DeliveryCount });
            }

            foreach (var batch in _persisted.Batches)
            {
                foreach (var at in Offsets(batch).Where(at => at >= _partition.StartOffset))
                    Assert.Equal((batch.State, batch.DeliveryCount), (_entries[at].State, (short)_entries[at].Count));
            }

            _partition.MoveLogStart(_logStart);
            TakeEffects();
        }

        private void TakeEffects()
        {
            if (_effects.Write is { } write)
            {
                Assert.Null(_write);
                _write = write;
                foreach (var entry in _entries.Values.Where(entry => entry is { Target: not null, Write: 0 }))
                    entry.Write = write.Number;
                var finals = _entries.Count(entry => entry.Key >= write.StartOffset
                    && (entry.Value.State.IsFinal() || (entry.Value.Target is { } target && target.IsFinal())));
                Assert.Equal(finals, write.DeliveryCompleteCount);
                Assert.Equal(_partition.StartOffset, write.StartOffset);
            }

            var letters = _effects.DeadLetters.ToList();
            foreach (var reply in _effects.Replies)
                _open.Remove(reply.Request);
            _effects.Clear();
            foreach (var letter in letters)
            {
                foreach (var (at, entry) in _entries)
                {
                    if (at >= letter.FirstOffset && at <= letter.LastOffset && entry.State == DeliveryState.Archiving)
                        entry.State = DeliveryState.Archived;
                }

                _partition.OnDeadLettered(letter.FirstOffset, letter.LastOffset, _effects);
                TakeEffects();
            }
        }

        private void Check()
        {
            var start = _partition.StartOffset;
            Assert.True(start >= _lastStart, "the start offset goes on");
            _lastStart = start;
            foreach (var at in _entries.Keys.Where(at => at < start).ToList())
            {
                Assert.True(_entries[at].State.IsFinal() || at < _logStart, $"{at} is {_entries[at].State}, and below the start offset");
                _entries.Remove(at);
            }

            var states = _partition.InFlight.SelectMany(state => Offsets(state).Select(at => (at, state.State, (int)state.DeliveryCount)));
            var known = states.Where(state => _entries.ContainsKey(state.at)).ToList();
            Assert.Equal(_entries.Select(entry => (entry.Key, entry.Value.State, entry.Value.Count)), known);
        }

        /// <summary>Everything heals, and members take all there is.</summary>
        private void Finish()
        {
            for (var i = 0; _partition.StartOffset < _logEnd; i++)
            {
                Assert.True(i < 10_000, $"it goes on from {_partition.StartOffset} to {_logEnd}: {string.Join(' ', _partition.InFlight)}");
                _now = _now.AddMilliseconds(100);
                if (_partition.NextDeadline <= _now)
                    Expire();
                Acquire("a", takesAll: true);
                while (_write is not null)
                    EndWrite(ErrorCode.None);
                Check();
                foreach (var at in _entries.Keys.ToList())
                {
                    if (_entries.TryGetValue(at, out var entry) && entry is { State: DeliveryState.Acquired, Target: null }
                        && entry.LockedUntil > _now)
                        Send(entry.Holder!, [new AcknowledgementBatch(at, at, [1])]);
                }

                while (_write is not null)
                    EndWrite(ErrorCode.None);
                Check();
                if (_log.Count == 0 || _partition.NextFetchOffset > _log[^1].LastOffset)
                {
                    if (_partition.InFlightCount == 0)
                        break;
                }
            }

            Assert.Equal(0, _partition.InFlightCount);
            Assert.Empty(_open);
        }

        private static IEnumerable<long> Offsets(DeliveryBatch batch) => Offsets(batch.FirstOffset, batch.LastOffset);

        private static IEnumerable<long> Offsets(AcknowledgementBatch batch) => Offsets(batch.FirstOffset, batch.LastOffset);

        private static IEnumerable<long> Offsets(long first, long last)
        {
            for (var offset = first; offset <= last; offset++)
                yield return offset;
        }
    }
}
