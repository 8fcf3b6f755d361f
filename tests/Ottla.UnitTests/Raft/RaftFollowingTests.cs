using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.StateMachines.Raft;
using static Ottla.UnitTests.Raft.MachineUnderTest;

namespace Ottla.UnitTests.Raft;

/// <summary>Fetches, the high watermark, snapshots and back-off, rule by rule.</summary>
public sealed class RaftFollowingTests
{
    private static readonly RaftNode Bootstrap = RaftNode.Bootstrap(0, "first", 9093);

    [Fact]
    public void An_observer_finds_the_leader_by_the_bootstrap_servers()
    {
        var options = Options(
            9) with
        { BootstrapServers = [Bootstrap, RaftNode.Bootstrap(1, "node9", 9093)], CanBecomeVoter = false, Endpoints = [] };
        var node = new MachineUnderTest(options, ElectionState.None, EmptyLog(), QuorumHistory.Begin(VoterSet.Empty));
        var first = node.LastSend<FetchCall>();
        Assert.Equal(-2, RaftNode.Bootstrap(0, "a", 1).Id);
        Assert.Equal(new FetchCall(0, Key(9), new LogPosition(0, 0), -1, 500), first.Request);
        node.Answer(first, new FetchReply(ErrorCode.FencedLeaderEpoch, 2, 7, -1) { LeaderEndpoints = EndpointsOf(2) });
        Assert.Equal((RaftRole.Follower, 7), (node.Machine.Role, node.Machine.Epoch));
        Assert.Equal(new RaftNode(2, "node2", 9093), node.LastSend<FetchCall>().To);
        for (var i = 0; i < 20; i++)
            node.Advance(5000);
        Assert.Equal((RaftRole.Follower, 7), (node.Machine.Role, node.Machine.Epoch)); // an observer never stands
    }

    [Fact]
    public void A_broker_goes_on_without_a_flush_and_a_controller_does_not()
    {
        foreach (var isBroker in new[] { true, false })
        {
            var options = Options(9) with { CanBecomeVoter = !isBroker };
            var node = new MachineUnderTest(options, new ElectionState(3, 2, null), EmptyLog(), Dynamic(1, 2, 3)) { Flushes = false };
            node.Answer(node.LastSend<FetchCall>(), new FetchReply(ErrorCode.None, 2, 3, 8) { Records = new byte[1] });
            node.Step(new RaftEvent.Appended([new AppendedBatch(0, 5, 3, [])]));
            Assert.Equal(isBroker ? 5 : 0, node.Machine.HighWatermark);
            Assert.Equal(isBroker ? 5 : 0, node.LastCall<FetchCall>().LogEnd.Offset);
            Assert.Equal(8, node.Machine.QuorumHighWatermark);
        }
    }

    [Fact]
    public void The_high_watermark_of_the_quorum_is_unknown_until_the_leader_tells_it()
    {
        var node = new MachineUnderTest(Options(1), new ElectionState(3, 2, null), Log((3, 0), (0, 10)), Static(1, 2, 3));
        Assert.Equal(-1, node.Machine.QuorumHighWatermark);
        node.Answer(node.LastSend<FetchCall>(), new FetchReply(ErrorCode.None, 2, 3, -1));
        Assert.Equal(-1, node.Machine.QuorumHighWatermark);
        Assert.Equal(-1, node.LastCall<FetchCall>().HighWatermark);
        node.Answer(node.LastSend<FetchCall>(), new FetchReply(ErrorCode.None, 2, 3, 9));
        Assert.Equal((9, 9), (node.Machine.QuorumHighWatermark, node.Machine.HighWatermark));
        Assert.Equal(9, node.LastCall<FetchCall>().HighWatermark);
    }

    [Fact]
    public void The_high_watermark_of_a_diverging_answer_is_not_taken()
    {
        var node = new MachineUnderTest(Options(1), new ElectionState(4, 2, null), Log((3, 0), (0, 10)), Static(1, 2, 3));
        node.Answer(node.LastSend<FetchCall>(), new FetchReply(ErrorCode.None, 2, 4, 14) { Diverging = new LogPosition(6, 3) });
        Assert.Equal((6, 0), (node.Machine.Log.EndOffset, node.Machine.HighWatermark));
    }

    [Fact]
    public void An_answer_that_comes_twice_or_late_cuts_nothing()
    {
        var node = new MachineUnderTest(Options(1), new ElectionState(4, 2, null), Log((3, 0), (0, 10)), Static(1, 2, 3));
        var fetch = node.LastSend<FetchCall>();
        node.Answer(fetch, new FetchReply(ErrorCode.None, 2, 4, 10) { Records = new byte[1] });
        node.Step(new RaftEvent.Appended([new AppendedBatch(10, 15, 4, [])]));
        node.Answer(fetch, new FetchReply(ErrorCode.None, 2, 4, 10) { Diverging = new LogPosition(2, 3) });
        Assert.Equal(15, node.Machine.Log.EndOffset);
    }

    [Fact]
    public void While_the_leader_is_away_others_are_asked_one_at_a_time()
    {
        var node = new MachineUnderTest(
            Options(9) with { CanBecomeVoter = false }, new ElectionState(3, 2, null), EmptyLog(), Dynamic(1, 2, 3));
        var first = node.LastSend<FetchCall>();
        Assert.Equal(2, first.To.Id);
        node.Fail(first);
        var asked = new HashSet<int>();
        for (var i = 0; i < 2; i++)
        {
            asked.Add(node.LastSend<FetchCall>().To.Id);
            node.Answer(
                node.LastSend<FetchCall>(), new FetchReply(ErrorCode.NotLeaderOrFollower, 2, 3, -1) { LeaderEndpoints = EndpointsOf(2) });
        }

        Assert.Equal([1, 3], asked.Order());
        Assert.Equal(3, node.Sends.Count);
        node.Advance(20);
        Assert.Equal(2, node.LastSend<FetchCall>().To.Id);
        node.Advance(2000); // the leader accepts, but never answers
        Assert.NotEqual(2, node.LastSend<FetchCall>().To.Id);
    }

    [Fact]
    public void An_observer_of_a_leader_that_has_resigned_does_not_spin()
    {
        var node = new MachineUnderTest(
            Options(9) with { CanBecomeVoter = false }, new ElectionState(3, 2, null), EmptyLog(), Dynamic(1, 2, 3));
        for (var ms = 0; ms < 2000; ms++)
        {
            while (node.Sends.Count > 0)
            {
                var send = node.Sends[0];
                node.Sends.RemoveAt(0);
                node.Replies.Add(default); // counts what was sent
                node.Answer(send, new FetchReply(ErrorCode.NotLeaderOrFollower, 2, 3, -1) { LeaderEndpoints = EndpointsOf(2) });
            }

            node.Advance(1);
        }

        Assert.InRange(node.Replies.Count, 20, 80);
    }

    [Fact]
    public void A_leader_that_has_resigned_answers_parked_fetches_at_once_and_later_ones_after_a_pause()
    {
        var node = Leader(Dynamic(1, 2, 3));
        node.FetchFrom(2, 3, 1);
        var parked = node.Ask(new FetchCall(1, Key(3), new LogPosition(3, 1), 3, 500));
        Assert.Null(node.AnswerTo(parked));
        node.Step(new RaftEvent.Shutdown());
        Assert.Equal((ErrorCode.NotLeaderOrFollower, 1), (node.AnswerTo(parked)!.Error, node.AnswerTo(parked)!.LeaderId));
        var later = node.Ask(node.FetchOf(Key(3), 3, 1));
        Assert.Null(node.AnswerTo(later));
        node.Advance(50);
        Assert.Equal(ErrorCode.NotLeaderOrFollower, node.AnswerTo(later)!.Error);
    }

    [Fact]
    public void A_fetch_is_parked_until_there_are_records_or_the_high_watermark_rises()
    {
        var node = Leader(Dynamic(1, 2, 3));
        node.FetchFrom(2, 3, 1);
        Assert.Equal(3, node.Machine.HighWatermark);
        var waiting = node.Ask(new FetchCall(1, Key(3), new LogPosition(3, 1), 3, 500));
        Assert.Null(node.AnswerTo(waiting));
        node.AppendRecord();
        Assert.Equal(3, Assert.IsType<FetchReply>(node.AnswerTo(waiting)).ReadFrom);
        waiting = node.Ask(new FetchCall(1, Key(3), new LogPosition(4, 1), 3, 500));
        Assert.Equal(4, Assert.IsType<FetchReply>(node.AnswerTo(waiting)).HighWatermark);
    }

    [Theory]
    [InlineData(-1, 0, 1, 0)]
    [InlineData(3, -1, 1, 0)]
    [InlineData(3, 2, 1, 0)]
    [InlineData(3, 1, 1, -1)]
    public void A_fetch_that_makes_no_sense_is_invalid(long offset, int lastEpoch, int epoch, int maxWaitMs)
    {
        var node = Leader(Dynamic(1, 2, 3));
        var reply = node.Ask<FetchReply>(new FetchCall(epoch, Key(2), new LogPosition(offset, lastEpoch), -1, maxWaitMs));
        Assert.Equal((ErrorCode.InvalidRequest, 1), (reply.Error, reply.LeaderId));
    }

    [Theory]
    [InlineData(0, ErrorCode.FencedLeaderEpoch)]
    [InlineData(2, ErrorCode.UnknownLeaderEpoch)]
    public void A_fetch_of_another_epoch_is_refused_with_the_leader(int epoch, ErrorCode error)
    {
        var reply = Leader(Dynamic(1, 2, 3)).Ask<FetchReply>(new FetchCall(epoch, Key(2), new LogPosition(0, 0), -1, 0));
        Assert.Equal((error, 1, 1), (reply.Error, reply.LeaderId, reply.Epoch));
        Assert.Equal(EndpointsOf(1), reply.LeaderEndpoints);
    }

    [Fact]
    public void A_static_voter_may_come_back_with_another_disk_and_less_of_the_log()
    {
        var node = Leader(Static(1, 2, 3));
        node.FetchFrom(2, 1, 1);
        node.AppendRecord();
        node.FetchFrom(2, 2, 1);
        Assert.Equal(2, node.Machine.HighWatermark);
        node.Ask(node.FetchOf(new ReplicaKey(2, new Uuid(5, 5)), 0, 0));
        node.AppendRecord();
        node.Ask(node.FetchOf(new ReplicaKey(2, new Uuid(5, 5)), 3, 1));
        Assert.Equal(3, node.Machine.HighWatermark); // what the old disk had does not hold it back
    }

    [Fact]
    public void A_single_voter_that_gets_a_second_one_does_not_resign_at_once()
    {
        var node = Leader(Dynamic(1));
        node.Advance(3_600_000);
        node.FetchFrom(2, 3, 1);
        node.Advance(60_000);
        var add = node.Ask(new AddVoterCall(Key(2), EndpointsOf(2), 1000, AckWhenCommitted: false));
        node.Step(new RaftEvent.Probed(node.Probes[^1].ProbeId, (0, 1)));
        Assert.Equal(ErrorCode.None, node.AnswerTo(add)!.Error);
        node.Advance(2900);
        Assert.Equal(RaftRole.Leader, node.Machine.Role);
        node.Advance(200);
        Assert.Equal(RaftRole.Resigned, node.Machine.Role); // the second has to fetch
    }

    [Fact]
    public void A_snapshot_comes_in_pieces_and_replaces_the_log()
    {
        var options = Options(9) with { FetchSnapshotBytesMax = 10 };
        var node = new MachineUnderTest(options, new ElectionState(3, 2, null), Log((1, 0), (0, 4)), Dynamic(1, 2, 3));
        var id = new LogPosition(100, 3);
        node.Answer(node.LastSend<FetchCall>(), new FetchReply(ErrorCode.None, 2, 3, 120) { Snapshot = id });
        Assert.Equal(new FetchSnapshotCall(3, Key(9), id, 0, 10), node.LastCall<FetchSnapshotCall>());
        node.Answer(
            node.LastSend<FetchSnapshotCall>(), new FetchSnapshotReply(ErrorCode.None, 2, 3, id, 0) { Size = 15, Bytes = new byte[10] });
        Assert.Equal(new FetchSnapshotCall(3, Key(9), id, 10, 10), node.LastCall<FetchSnapshotCall>());
        node.Answer(
            node.LastSend<FetchSnapshotCall>(), new FetchSnapshotReply(ErrorCode.None, 2, 3, id, 10) { Size = 15, Bytes = new byte[5] });
        Assert.Equal([false, true], node.LogEffects.OfType<RaftLogEffect.WriteSnapshot>().Select(piece => piece.IsLast));
        var sent = node.Sends.Count;
        node.Step(new RaftEvent.SnapshotInstalled(id, Dynamic(2, 3)));
        Assert.Equal((100, 100, 2), (node.Machine.HighWatermark, node.Machine.Log.StartOffset, node.Machine.History.Voters.Voters.Count));
        Assert.Equal(sent + 1, node.Sends.Count);
        Assert.Equal(id, node.LastCall<FetchCall>().LogEnd);
    }

    [Fact]
    public void A_download_ends_with_its_leader()
    {
        var id = new LogPosition(100, 3);
        var node = new MachineUnderTest(Options(1), new ElectionState(3, 2, null), EmptyLog(), Dynamic(1, 2, 3));
        node.Answer(node.LastSend<FetchCall>(), new FetchReply(ErrorCode.None, 2, 3, 120) { Snapshot = id });
        var piece = node.LastSend<FetchSnapshotCall>();
        node.Ask(new BeginEpochCall(4, 3, Key(1)));
        Assert.Equal((3, new LogPosition(0, 0)), (node.LastSend<FetchCall>().To.Id, node.LastCall<FetchCall>().LogEnd));
        node.Answer(piece, new FetchSnapshotReply(ErrorCode.None, 2, 3, id, 0) { Size = 5, Bytes = new byte[5] });
        Assert.Empty(node.LogEffects);
        Assert.Single(node.Sends, send => send.Request is FetchSnapshotCall);
    }

    [Fact]
    public void A_download_that_takes_longer_than_the_fetch_timeout_goes_on()
    {
        const int pieces = 10;
        var id = new LogPosition(100, 3);
        var node = new MachineUnderTest(Options(1), new ElectionState(3, 2, null), EmptyLog(), Dynamic(1, 2, 3));
        node.Answer(node.LastSend<FetchCall>(), new FetchReply(ErrorCode.None, 2, 3, 120) { Snapshot = id });
        for (var i = 0; i < pieces; i++)
        {
            node.Advance(Options(1).FetchTimeoutMs / 2);
            node.Answer(
                node.LastSend<FetchSnapshotCall>(),
                new FetchSnapshotReply(ErrorCode.None, 2, 3, id, i) { Size = pieces, Bytes = new byte[1] });
        }

        Assert.Equal((RaftRole.Follower, 3), (node.Machine.Role, node.Machine.Epoch));
        Assert.Equal(pieces, node.LogEffects.OfType<RaftLogEffect.WriteSnapshot>().Count());
        Assert.DoesNotContain(node.Sends, send => send.Request is VoteCall);
    }

    [Fact]
    public void A_voter_without_a_leader_looks_for_one()
    {
        var node = new MachineUnderTest(
            Options(1) with { BootstrapServers = [Bootstrap] }, ElectionState.None, EmptyLog(), Dynamic(1, 2, 3));
        Assert.True(node.Machine is { Role: RaftRole.Unattached, IsVoter: true });
        node.Answer(node.LastSend<FetchCall>(), new FetchReply(ErrorCode.FencedLeaderEpoch, 9, 7, -1) { LeaderEndpoints = EndpointsOf(9) });
        Assert.Equal((RaftRole.Follower, 9), (node.Machine.Role, node.Machine.LeaderId)); // it is removed, and learns so by the log
    }

    [Fact]
    public void A_snapshot_that_is_gone_or_is_another_one_is_given_up_for_a_fetch()
    {
        var id = new LogPosition(100, 3);
        foreach (var reply in (FetchSnapshotReply[])[
            new(ErrorCode.SnapshotNotFound, 2, 3, id, 0),
            new(ErrorCode.PositionOutOfRange, 2, 3, id, 0),
            new(ErrorCode.None, 2, 3, new LogPosition(101, 3), 0) { Size = 5, Bytes = new byte[5] },
            new(ErrorCode.None, 2, 3, id, 3) { Size = 5, Bytes = new byte[2] },
            new(ErrorCode.None, 2, 3, id, 0) { Size = 5, Bytes = new byte[6] },
            new(ErrorCode.None, 2, 3, id, 0) { Size = 5 }])
        {
            var node = new MachineUnderTest(Options(9), new ElectionState(3, 2, null), EmptyLog(), Dynamic(1, 2, 3));
            node.Answer(node.LastSend<FetchCall>(), new FetchReply(ErrorCode.None, 2, 3, 120) { Snapshot = id });
            node.Sends.RemoveAll(send => send.Request is FetchCall);
            node.Answer(node.LastSend<FetchSnapshotCall>(), reply);
            node.Advance(100);
            Assert.Empty(node.LogEffects);
            Assert.Contains(node.Sends, send => send.Request is FetchCall);
        }
    }

    [Fact]
    public void A_snapshot_that_cannot_follow_what_is_committed_is_not_taken()
    {
        var node = new MachineUnderTest(
            Options(9), new ElectionState(3, 2, null), RaftLogState.Open(50, 60, [(2, 50)], new LogPosition(50, 2), new LogPosition(50, 2)),
            Dynamic(1, 2, 3));
        foreach (var id in (LogPosition[])[new(50, 3), new(40, 2), new(100, 4)])
        {
            node.Answer(node.LastSend<FetchCall>(), new FetchReply(ErrorCode.None, 2, 3, 120) { Snapshot = id });
            node.Advance(200);
        }

        Assert.DoesNotContain(node.Sends, send => send.Request is FetchSnapshotCall);
        Assert.Equal(50, node.Machine.HighWatermark);
    }

    [Fact]
    public void A_leader_gives_a_snapshot_to_who_has_nothing_and_counts_the_pieces_as_fetches()
    {
        var node = Leader(Dynamic(1, 2, 3));
        node.FetchFrom(2, 3, 1);
        node.Step(new RaftEvent.SnapshotWritten(new LogPosition(3, 1), new LogPosition(3, 1), 0));
        Assert.Equal(new LogPosition(3, 1), node.FetchFrom(3, 0, 0).Snapshot);
        Assert.Equal(
            ErrorCode.SnapshotNotFound,
            node.Ask<FetchSnapshotReply>(new FetchSnapshotCall(1, Key(3), new LogPosition(0, 0), 0, 100)).Error);
        for (var i = 0; i < 10; i++)
        {
            node.Advance(1400);
            Assert.Equal(
                ErrorCode.None, node.Ask<FetchSnapshotReply>(new FetchSnapshotCall(1, Key(3), new LogPosition(3, 1), 0, 100)).Error);
        }

        Assert.Equal(RaftRole.Leader, node.Machine.Role);
    }

    [Fact]
    public void An_observer_is_forgotten_after_five_silent_minutes()
    {
        var node = Leader(Dynamic(1));
        node.FetchFrom(9, 3, 1);
        Assert.Equal(Key(9), Assert.Single(node.Machine.Describe().Observers).Key);
        node.Advance(299_000);
        Assert.Single(node.Machine.Describe().Observers);
        node.Advance(1000);
        Assert.Empty(node.Machine.Describe().Observers);
    }
}
