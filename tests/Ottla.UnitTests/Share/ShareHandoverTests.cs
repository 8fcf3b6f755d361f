using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Simulator.Groups;
using Ottla.StateMachines.Share;
using Ottla.StateMachines.Share.Coordinator;
using static Ottla.UnitTests.Share.ShareCoordinatorTestBed;

namespace Ottla.UnitTests.Share;

/// <summary>
/// Leaders of a share partition follow one another, while writes of earlier ones are still on their way and arrive late or never, the
/// coordinator fails over, and its log is pruned. What a member was told is accepted is delivered to nobody any more, delivery counts only
/// grow, and at the end nothing is lost: every record was delivered and is done with.
/// </summary>
public sealed class ShareHandoverTests
{
    public static TheoryData<ulong> Seeds => [.. Enumerable.Range(1, 200).Select(seed => (ulong)seed)];

    [Theory]
    [MemberData(nameof(Seeds))]
    public void Nothing_is_lost_and_nothing_comes_back(ulong seed)
    {
        try
        {
            new World(seed).Run(steps: 400);
        }
        catch (Exception e)
        {
            throw new InvalidOperationException($"seed {seed}: {e.Message}", e);
        }
    }

    private sealed class World
    {
        private const int RecordCount = 60;
        private const int BatchSize = 5;
        private const int DeliveryCountLimit = 4;

        private readonly Prng _prng;
        private readonly ShareCoordinatorTestBed _coordinator = new(configs:
        [
            ("share.coordinator.snapshot.update.records.per.snapshot", "2"), ("share.coordinator.state.topic.prune.interval.ms", "1000"),
            ("share.coordinator.cold.partition.snapshot.interval.ms", "1500"),
        ]);

        private readonly SharePartitionEffects _effects = new();

        /// <summary>Writes that are on their way, with the epoch of the leader that sent them.</summary>
        private readonly List<(int LeaderEpoch, ShareStateWrite Write)> _network = [];

        private readonly Dictionary<long, (string Member, long Offset)> _asked = [];
        private readonly HashSet<long> _accepted = [];
        private readonly Dictionary<long, int> _persistedCounts = [];
        private readonly HashSet<long> _delivered = [];
        private SharePartition _partition = null!;
        private int _leaderEpoch = -1;
        private long _requests;
        private Instant _now = new(1_000_000);

        public World(ulong seed)
        {
            _prng = new Prng(seed);
            Assert.Equal(ErrorCode.None, _coordinator.Initialize(startOffset: ShareState.UnsetStartOffset));
            Lead();
        }

        public void Run(int steps)
        {
            for (var i = 0; i < steps; i++)
                Step();
            for (var i = 0; _partition.StartOffset < RecordCount; i++)
            {
                Assert.True(i < 5_000, $"it stands at {_partition.StartOffset}");
                Advance(100);
                Fetch();
                foreach (var batch in _partition.InFlight.Where(batch => batch.State == DeliveryState.Acquired).ToList())
                {
                    foreach (var member in (string[])["a", "b"])
                        Acknowledge(member, batch.FirstOffset, AcknowledgeType.Accept);
                }

                while (_network.Count > 0)
                    Deliver(0);
            }

            Assert.Equal(Enumerable.Range(0, RecordCount).Select(offset => (long)offset), _delivered.Order());
        }

        private void Step()
        {
            Advance(_prng.NextInt(100));
            switch (_prng.NextInt(20))
            {
                case < 5:
                    Fetch();
                    break;
                case < 12:
                    Acknowledge(
                        Member(), _prng.NextInt((int)_partition.StartOffset, (int)_partition.EndOffset + 2),
                        _prng.NextChance(60) ? AcknowledgeType.Accept : AcknowledgeType.Release);
                    break;
                case < 17:
                    if (_network.Count > 0)
                        Deliver(_prng.NextInt(_network.Count));
                    break;
                case 17:
                    _coordinator.Log.RemoveAll(entry => entry.Offset < _coordinator.PrunedTo);
                    _coordinator.Load();
                    break;
                case 18:
                    if (_prng.NextChance(30))
                        Lead();
                    break;
                default:
                    _partition.Release(Member(), _effects);
                    Take();
                    break;
            }
        }

        private string Member() => _prng.NextChance(50) ? "a" : "b";

        private void Advance(long milliseconds)
        {
            _now = _now.AddMilliseconds(milliseconds);
            _coordinator.Advance(milliseconds);
            if (_partition.NextDeadline <= _now)
            {
                _partition.OnDeadline(_now, _effects);
                Take();
            }
        }

        /// <summary>Another leader takes over. Writes of the one before may be lost, or arrive at any time.</summary>
        private void Lead()
        {
            if (_prng.NextChance(30))
                _network.Clear();
            _asked.Clear();
            var state = _coordinator.Ask(new ReadShareStateCommand(Key(), ++_leaderEpoch)).Value<ShareState>();
            _partition = new SharePartition(
                new SharePartitionSettings(DeliveryCountLimit, 30, LockDurationMs: 500, IsRenewEnabled: true, HasDeadLetterTopic: false),
                state, startOffset: 0, _effects);
            Take();
            _persistedCounts.Clear();
            foreach (var batch in _partition.InFlight)
            {
                for (var offset = batch.FirstOffset; offset <= batch.LastOffset; offset++)
                    _persistedCounts[offset] = batch.DeliveryCount;
            }
        }

        private void Fetch()
        {
            var offset = _partition.NextFetchOffset;
            if (!_partition.CanAcquire || offset >= RecordCount)
                return;
            var first = offset / BatchSize * BatchSize;
            FetchedBatch[] fetched = [.. Enumerable.Range(0, 3).Select(i => first + (i * BatchSize)).Where(at => at < RecordCount)
                .Select(at => new FetchedBatch(at, at + BatchSize - 1))];
            var mode = _prng.NextChance(50) ? ShareAcquireMode.RecordLimit : ShareAcquireMode.BatchOptimized;
            foreach (var range in _partition.Acquire(
                new AcquireRequest(Member(), mode, _prng.NextInt(1, 12), BatchSize: 10, offset), fetched, _now))
            {
                for (var at = range.FirstOffset; at <= range.LastOffset; at++)
                {
                    Assert.False(_accepted.Contains(at), $"{at} was accepted, and is delivered again");
                    Assert.True(range.DeliveryCount > _persistedCounts.GetValueOrDefault(at), $"the count of {at} does not grow");
                    _persistedCounts[at] = range.DeliveryCount;
                    _delivered.Add(at);
                }
            }
        }

        private void Acknowledge(string member, long offset, AcknowledgeType type)
        {
            var isBelowStart = offset < _partition.StartOffset;
            try
            {
                _partition.Acknowledge(++_requests, member, [new AcknowledgementBatch(offset, offset, [(sbyte)type])], _now, _effects);
            }
            catch (ApiException e)
            {
                Assert.True(e.Error.Code is ErrorCode.InvalidRecordState or ErrorCode.InvalidRequest, e.Message);
                return;
            }

            if (type == AcknowledgeType.Accept && !isBelowStart)
                _asked.Add(_requests, (member, offset));
            Take();
        }

        private void Deliver(int index)
        {
            var (leaderEpoch, write) = _network[index];
            _network.RemoveAt(index);
            var error = _prng.NextChance(10)
                ? ErrorCode.CoordinatorNotAvailable
                : _coordinator.Error(new WriteShareStateCommand(
                    Key(), write.StateEpoch, leaderEpoch, write.StartOffset, write.DeliveryCompleteCount, write.Batches));
            if (leaderEpoch != _leaderEpoch)
            {
                Assert.True(error is ErrorCode.FencedLeaderEpoch or ErrorCode.CoordinatorNotAvailable, "it has to be fenced");
                return;
            }

            _partition.OnWritten(write.Number, new ApiError(error), _now, _effects);
            Take();
        }

        private void Take()
        {
            if (_effects.Write is { } write)
                _network.Add((_leaderEpoch, write));
            foreach (var reply in _effects.Replies)
            {
                if (_asked.Remove(reply.Request, out var asked) && !reply.Error.IsFailure)
                    Assert.True(_accepted.Add(asked.Offset), $"{asked.Offset} was accepted twice");
            }

            _effects.Clear();
        }
    }
}
