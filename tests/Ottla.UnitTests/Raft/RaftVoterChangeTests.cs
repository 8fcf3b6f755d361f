using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.StateMachines.Raft;
using static Ottla.UnitTests.Raft.MachineUnderTest;

namespace Ottla.UnitTests.Raft;

/// <summary>Changes of the voters (KIP-853), rule by rule and in the order in which Kafka checks.</summary>
public sealed class RaftVoterChangeTests
{
    private static AddVoterCall Add(int id, bool acknowledgeAtCommit = true) => new(Key(id), EndpointsOf(id), 1000, acknowledgeAtCommit);

    [Fact]
    public void A_voter_is_added_once_it_has_caught_up_and_answers_and_the_new_majority_commits_it()
    {
        var node = Leader(Dynamic(1));
        node.FetchFrom(2, 3, 1);
        var add = node.Ask(Add(2));
        Assert.Equal(new RaftNode(2, "node2", 9093), Assert.Single(node.Probes).To);
        node.Step(new RaftEvent.Probed(node.Probes[0].ProbeId, (0, 1)));
        Assert.Equal([1, 2], node.Machine.History.Voters.Voters.Select(voter => voter.Key.Id)); // in force as it is appended
        Assert.Null(node.AnswerTo(add));
        Assert.Equal(3, node.Machine.HighWatermark);
        node.FetchFrom(2, 4, 1);
        Assert.Equal((4, ErrorCode.None), (node.Machine.HighWatermark, node.AnswerTo(add)!.Error));
    }

    [Fact]
    public void A_voter_that_joins_by_itself_is_answered_at_the_append()
    {
        var node = Leader(Dynamic(1));
        node.FetchFrom(2, 3, 1);
        var add = node.Ask(Add(2, acknowledgeAtCommit: false));
        node.Step(new RaftEvent.Probed(node.Probes[0].ProbeId, (0, 1)));
        Assert.Equal(ErrorCode.None, node.AnswerTo(add)!.Error);
        Assert.Equal(ErrorCode.RequestTimedOut, node.Ask<AddVoterReply>(Add(3)).Error); // it is pending until the commit
    }

    [Fact]
    public void The_checks_of_an_addition_come_in_kafkas_order()
    {
        var fresh = Leader(Dynamic(1, 2, 3));
        Assert.Equal(ErrorCode.InvalidRequest, fresh.Ask<AddVoterReply>(Add(-1)).Error);
        Assert.Equal(ErrorCode.InvalidRequest, fresh.Ask<AddVoterReply>(Add(4) with { Voter = new ReplicaKey(4, Uuid.Zero) }).Error);
        Assert.Equal(
            ErrorCode.InvalidRequest, fresh.Ask<AddVoterReply>(Add(4) with { Endpoints = [new RaftEndpoint("OTHER", "h", 1)] }).Error);
        Assert.Equal(ErrorCode.RequestTimedOut, fresh.Ask<AddVoterReply>(Add(4)).Error); // nothing committed in this epoch
        fresh.FetchFrom(2, 3, 1);
        Assert.Equal(ErrorCode.DuplicateVoter, fresh.Ask<AddVoterReply>(Add(2) with { Voter = new ReplicaKey(2, new Uuid(9, 9)) }).Error);
        fresh.Ask(Add(4));
        Assert.Equal(ErrorCode.RequestTimedOut, fresh.Ask<AddVoterReply>(Add(5)).Error); // another change is under way
        Assert.Single(fresh.Probes);

        var old = Leader(Static(1, 2, 3));
        old.FetchFrom(2, 1, 1);
        Assert.Equal(ErrorCode.UnsupportedVersion, old.Ask<AddVoterReply>(Add(4)).Error);
        Assert.Equal(ErrorCode.UnsupportedVersion, old.Ask<RemoveVoterReply>(new RemoveVoterCall(Key(2))).Error);

        var follower = new MachineUnderTest(Options(1), new ElectionState(2, 2, null), EmptyLog(), Dynamic(1, 2, 3));
        Assert.Equal(ErrorCode.NotLeaderOrFollower, follower.Ask<AddVoterReply>(Add(4)).Error);
    }

    [Fact]
    public void A_voter_that_does_not_answer_or_is_too_old_or_lags_is_not_added()
    {
        foreach (var (range, fetched, error) in (((short, short)?, bool, ErrorCode)[])[
            (null, true, ErrorCode.RequestTimedOut), ((0, 0), true, ErrorCode.InvalidRequest), ((0, 1), false, ErrorCode.RequestTimedOut)])
        {
            var node = Leader(Dynamic(1));
            if (fetched)
                node.FetchFrom(2, 3, 1);
            else
                node.Ask(node.FetchOf(new ReplicaKey(2, new Uuid(9, 9)), 3, 1)); // its former disk had caught up
            var add = node.Ask(Add(2));
            node.Step(new RaftEvent.Probed(node.Probes[0].ProbeId, range));
            Assert.Equal(error, node.AnswerTo(add)!.Error);
            Assert.Equal([1], node.Machine.History.Voters.Voters.Select(voter => voter.Key.Id));
        }
    }

    [Fact]
    public void A_probe_that_comes_too_late_adds_nobody()
    {
        var node = Leader(Dynamic(1));
        node.FetchFrom(2, 3, 1);
        var add = node.Ask(Add(2));
        node.Advance(2000);
        Assert.Equal(ErrorCode.RequestTimedOut, node.AnswerTo(add)!.Error);
        node.Step(new RaftEvent.Probed(node.Probes[0].ProbeId, (0, 1)));
        Assert.Single(node.Machine.History.Voters.Voters);
    }

    [Fact]
    public void A_change_waits_until_the_one_before_is_committed_even_if_its_request_has_timed_out()
    {
        var node = Leader(Dynamic(1, 2, 3));
        node.FetchFrom(2, 3, 1);
        var remove = node.Ask(new RemoveVoterCall(Key(3)));
        Assert.Equal([1, 2], node.Machine.History.Voters.Voters.Select(voter => voter.Key.Id));
        node.Advance(2000);
        Assert.Equal(ErrorCode.RequestTimedOut, node.AnswerTo(remove)!.Error);
        Assert.Equal(ErrorCode.RequestTimedOut, node.Ask<RemoveVoterReply>(new RemoveVoterCall(Key(2))).Error);
        node.FetchFrom(3, 4, 1); // a voter no more: it does not count
        Assert.Equal(3, node.Machine.HighWatermark);
        node.FetchFrom(2, 4, 1);
        Assert.Equal(4, node.Machine.HighWatermark);
        node.Ask(new RemoveVoterCall(Key(2)));
        Assert.Equal((1, 5), (node.Machine.History.Voters.Voters.Count, node.Machine.HighWatermark)); // alone, it commits by itself
    }

    [Fact]
    public void The_last_voter_and_unknown_ones_are_not_removed()
    {
        var node = Leader(Dynamic(1));
        Assert.Equal(ErrorCode.VoterNotFound, node.Ask<RemoveVoterReply>(new RemoveVoterCall(Key(1))).Error);
        Assert.Equal(ErrorCode.VoterNotFound, node.Ask<RemoveVoterReply>(new RemoveVoterCall(Key(7))).Error);
        Assert.Equal(ErrorCode.InvalidRequest, node.Ask<RemoveVoterReply>(new RemoveVoterCall(new ReplicaKey(1, Uuid.Zero))).Error);
    }

    [Fact]
    public void A_leader_that_removes_itself_leads_until_the_others_have_committed_it_and_counts_no_more()
    {
        var node = Leader(Dynamic(1, 2, 3));
        node.FetchFrom(2, 3, 1);
        var remove = node.Ask(new RemoveVoterCall(Key(1)));
        node.FetchFrom(2, 4, 1);
        Assert.Equal((RaftRole.Leader, 3), (node.Machine.Role, node.Machine.HighWatermark));
        node.FetchFrom(3, 4, 1);
        Assert.Equal(ErrorCode.None, node.AnswerTo(remove)!.Error);
        Assert.Equal((RaftRole.Resigned, 4), (node.Machine.Role, node.Machine.HighWatermark));
        Assert.Equal([Key(2), Key(3)], node.LastCall<EndEpochCall>().PreferredCandidates);
        node.Advance(10_000);
        Assert.Equal((RaftRole.Unattached, 2), (node.Machine.Role, node.Machine.Epoch));
        Assert.DoesNotContain(node.Sends, send => send.Request is VoteCall { Epoch: 2 });
    }

    [Fact]
    public void A_voter_that_was_replaced_counts_no_more_though_its_former_disk_fetches_on()
    {
        var node = Leader(Dynamic(1, 2, 3));
        var replaced = new ReplicaKey(3, new Uuid(9, 9));
        node.FetchFrom(3, 3, 1);
        node.FetchFrom(2, 3, 1);
        node.Ask(new RemoveVoterCall(Key(3)));
        node.FetchFrom(2, 4, 1);
        node.Ask(node.FetchOf(replaced, 4, 1));
        node.Ask(Add(3) with { Voter = replaced });
        node.Step(new RaftEvent.Probed(node.Probes[^1].ProbeId, (0, 1)));
        Assert.Equal([Key(1), Key(2), replaced], node.Machine.History.Voters.Voters.Select(voter => voter.Key));
        node.FetchFrom(3, 5, 1);
        node.AppendRecord();
        Assert.Equal(4, node.Machine.HighWatermark);
        node.Ask(node.FetchOf(replaced, 6, 1));
        Assert.Equal(6, node.Machine.HighWatermark);
    }

    [Fact]
    public void A_change_that_is_truncated_is_undone()
    {
        var three = new VoterSet([VoterOf(1), VoterOf(2), VoterOf(3)]);
        var history = Dynamic(1, 2).WithVoters(8, three);
        var node = new MachineUnderTest(Options(3), new ElectionState(2, 1, null), Log((1, 0), (0, 9)), history);
        Assert.True(node.Machine.IsVoter);
        node.Answer(node.LastSend<FetchCall>(), new FetchReply(ErrorCode.None, 1, 2, 5) { Diverging = new LogPosition(8, 1) });
        Assert.False(node.Machine.IsVoter);
        Assert.Equal([1, 2], node.Machine.History.Voters.Voters.Select(voter => voter.Key.Id));
    }

    [Fact]
    public void A_request_under_way_is_refused_when_its_leader_resigns()
    {
        var node = Leader(Dynamic(1, 2, 3));
        node.FetchFrom(2, 3, 1);
        var add = node.Ask(Add(4));
        node.Step(new RaftEvent.Shutdown());
        Assert.Equal(ErrorCode.NotLeaderOrFollower, node.AnswerTo(add)!.Error);
    }

    [Fact]
    public void A_voter_whose_entry_differs_tells_the_leader_from_time_to_time()
    {
        var moved = Options(1) with { Endpoints = [new RaftEndpoint(Listener, "elsewhere", 9093)] };
        var node = new MachineUnderTest(moved, new ElectionState(2, 2, null), EmptyLog(), Dynamic(1, 2, 3));
        for (var i = 0; i < 8; i++)
        {
            node.Answer(node.LastSend<FetchCall>(), new FetchReply(ErrorCode.None, 2, 2, 0));
            node.Advance(500);
        }

        node.Answer(node.LastSend<FetchCall>(), new FetchReply(ErrorCode.None, 2, 2, 0));
        var update = node.LastSend<UpdateVoterCall>();
        Assert.Equal("elsewhere", ((UpdateVoterCall)update.Request).Voter.Endpoints[0].Host);
        node.Answer(update, new UpdateVoterReply(ErrorCode.None, 2, 2));
        node.Advance(500);
        Assert.Single(node.Sends, send => send.Request is UpdateVoterCall);

        var unmoved = new MachineUnderTest(Options(1), new ElectionState(2, 2, null), EmptyLog(), Dynamic(1, 2, 3));
        for (var i = 0; i < 20; i++)
        {
            unmoved.Answer(unmoved.LastSend<FetchCall>(), new FetchReply(ErrorCode.None, 2, 2, 0));
            unmoved.Advance(500);
        }

        Assert.DoesNotContain(unmoved.Sends, send => send.Request is UpdateVoterCall);
    }

    [Fact]
    public void A_voter_that_moved_is_written_after_it_answers_at_the_new_address_with_the_same_range()
    {
        var node = Leader(Dynamic(1, 2, 3));
        var moved = VoterOf(2) with { Endpoints = [new RaftEndpoint(Listener, "elsewhere", 9093)] };
        Assert.Equal(ErrorCode.RequestTimedOut, node.Ask<UpdateVoterReply>(new UpdateVoterCall(1, moved)).Error);
        node.FetchFrom(3, 3, 1);
        Assert.Equal(ErrorCode.FencedLeaderEpoch, node.Ask<UpdateVoterReply>(new UpdateVoterCall(0, moved)).Error);
        Assert.Equal(
            ErrorCode.InvalidRequest, node.Ask<UpdateVoterReply>(new UpdateVoterCall(1, moved with { KRaftVersionMin = 2 })).Error);

        var wrong = node.Ask(new UpdateVoterCall(1, moved));
        node.Step(new RaftEvent.Probed(node.Probes[^1].ProbeId, (0, 0)));
        Assert.Equal(ErrorCode.InvalidRequest, node.AnswerTo(wrong)!.Error);
        var unknown = node.Ask(new UpdateVoterCall(1, moved with { Key = new ReplicaKey(2, new Uuid(9, 9)) }));
        node.Step(new RaftEvent.Probed(node.Probes[^1].ProbeId, (0, 1)));
        Assert.Equal(ErrorCode.VoterNotFound, node.AnswerTo(unknown)!.Error);

        var update = node.Ask(new UpdateVoterCall(1, moved));
        Assert.Equal("elsewhere", node.Probes[^1].To.Host);
        node.Step(new RaftEvent.Probed(node.Probes[^1].ProbeId, (0, 1)));
        Assert.Equal(ErrorCode.None, node.AnswerTo(update)!.Error);
        Assert.Equal("elsewhere", node.Machine.History.Voters.Find(2)!.Endpoints[0].Host);
    }

    [Fact]
    public void Static_voters_become_dynamic_once_each_has_told_the_leader_who_it_is()
    {
        var node = Leader(Static(1, 2, 3));
        node.FetchFrom(2, 1, 1);
        UpgradeVersionReply Upgrade(short version, bool validateOnly = false) =>
            node.Ask<UpgradeVersionReply>(new UpgradeVersionCall(1, version, validateOnly));
        Assert.Equal(ErrorCode.InvalidUpdateVersion, Upgrade(1).Error);
        foreach (var id in new[] { 2, 3 })
        {
            var told = node.Ask(new UpdateVoterCall(1, VoterOf(id)));
            node.Step(new RaftEvent.Probed(node.Probes[^1].ProbeId, (0, 1)));
            Assert.Equal(ErrorCode.None, node.AnswerTo(told)!.Error);
            Assert.Equal(Uuid.Zero, node.Machine.History.Voters.Find(id)!.Key.DirectoryId); // only the leader knows
        }

        Assert.Equal(ErrorCode.InvalidUpdateVersion, Upgrade(2).Error);
        Assert.Equal(ErrorCode.None, Upgrade(1, validateOnly: true).Error);
        Assert.Equal(0, node.Machine.History.KRaftVersion);
        var upgrade = node.Ask(new UpgradeVersionCall(1, 1, ValidateOnly: false));
        Assert.Equal((short)1, node.Machine.History.KRaftVersion);
        Assert.Equal([Key(1), Key(2), Key(3)], node.Machine.History.Voters.Voters.Select(voter => voter.Key));
        Assert.Null(node.AnswerTo(upgrade));
        node.FetchFrom(3, 3, 1);
        Assert.Equal(ErrorCode.None, node.AnswerTo(upgrade)!.Error);
        Assert.Equal(ErrorCode.InvalidUpdateVersion, Upgrade(0).Error);
        Assert.Equal(ErrorCode.None, Upgrade(1).Error);
    }

    [Fact]
    public void A_controller_with_a_new_disk_makes_room_for_itself_and_joins()
    {
        var options = Options(4) with { AutoJoin = true };
        var old = new Voter(new ReplicaKey(4, new Uuid(9, 9)), EndpointsOf(4));
        var withOld = new VoterSet([VoterOf(1), VoterOf(2), old]);
        var node = new MachineUnderTest(options, new ElectionState(2, 2, null), EmptyLog(), Dynamic(1, 2).WithVoters(0, withOld));
        Keep(node, 4000);
        Assert.Equal(old.Key, node.LastCall<RemoveVoterCall>().Voter);
        node.Answer(node.LastSend<RemoveVoterCall>(), new RemoveVoterReply(ErrorCode.None, null, -1, -1));
        node.Answer(node.LastSend<FetchCall>(), new FetchReply(ErrorCode.None, 2, 2, 0) { Records = new byte[1] });
        node.Step(new RaftEvent.Appended(
            [new AppendedBatch(0, 1, 2, [new QuorumChange(0, new VoterSet([VoterOf(1), VoterOf(2)]), null)])]));
        Keep(node, 4000);
        Assert.Equal((Key(4), false), (node.LastCall<AddVoterCall>().Voter, node.LastCall<AddVoterCall>().AckWhenCommitted));
        Assert.Single(node.Sends, send => send.Request is AddVoterCall);
    }

    private static void Keep(MachineUnderTest node, int durationMs)
    {
        for (var ms = 0; ms <= durationMs; ms += 500)
        {
            if (node.Sends[^1] is { Request: FetchCall } fetch)
                node.Answer(fetch, new FetchReply(ErrorCode.None, 2, 2, 0));
            node.Advance(500);
        }

        if (node.Sends[^1] is { Request: FetchCall } last)
            node.Answer(last, new FetchReply(ErrorCode.None, 2, 2, 0));
    }
}
