using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.StateMachines.Raft;
using static Ottla.UnitTests.Raft.MachineUnderTest;

namespace Ottla.UnitTests.Raft;

/// <summary>Elections, rule by rule; each with the mistake that somebody has made there.</summary>
public sealed class RaftElectionTests
{
    private static readonly LogPosition Nothing = new(0, 0);

    [Fact]
    public void A_leader_that_restarts_has_resigned_and_neither_votes_nor_leads_in_its_epoch()
    {
        var node = new MachineUnderTest(Options(1), new ElectionState(5, 1, null), Log((5, 0), (0, 12)), Static(1, 2, 3));
        Assert.Equal((RaftRole.Resigned, 5, 1), (node.Machine.Role, node.Machine.Epoch, node.Machine.LeaderId));
        Assert.Equal(2, node.Sends.Count(send => send.Request is EndEpochCall { PreferredCandidates.Count: 0 }));
        Assert.False(node.Ask<VoteReply>(new VoteCall(5, Key(2), Key(1), new LogPosition(100, 4), IsPreVote: false)).IsGranted);
        Assert.True(node.Ask<VoteReply>(new VoteCall(5, Key(2), Key(1), new LogPosition(100, 5), IsPreVote: true)).IsGranted);
        node.Advance(5000);
        Assert.True(node.Machine is { Role: RaftRole.Prospective, Epoch: 6, LeaderId: -1 });
    }

    [Fact]
    public void A_leader_that_resigned_votes_in_a_later_epoch_also_while_it_stops()
    {
        var node = Leader(Dynamic(1, 2, 3));
        node.Step(new RaftEvent.Shutdown());
        Assert.Equal(RaftRole.Resigned, node.Machine.Role);
        Assert.False(node.Machine.IsShutdownComplete);
        Assert.True(node.Ask<VoteReply>(new VoteCall(1, Key(2), Key(1), node.Machine.Log.End, IsPreVote: true)).IsGranted);
        Assert.False(node.Machine.IsShutdownComplete);
        Assert.True(node.Ask<VoteReply>(new VoteCall(2, Key(2), Key(1), node.Machine.Log.End, IsPreVote: false)).IsGranted);
        Assert.True(node.Machine.IsShutdownComplete);
    }

    [Fact]
    public void A_leader_that_stops_does_not_wait_for_voters_that_are_gone()
    {
        var node = Leader(Dynamic(1, 2, 3));
        node.Step(new RaftEvent.Shutdown());
        foreach (var send in node.Sends.Where(send => send.Request is EndEpochCall).ToArray())
            node.Fail(send);
        Assert.True(node.Machine.IsShutdownComplete);
    }

    [Fact]
    public void A_vote_of_a_restarted_loser_is_invalid_but_the_answer_names_the_leader()
    {
        var node = new MachineUnderTest(Options(1), new ElectionState(3, 2, null), Log((3, 0), (0, 7)), Static(1, 2, 3));
        var reply = node.Ask<VoteReply>(new VoteCall(3, Key(3), Key(1), new LogPosition(7, 3), IsPreVote: false));
        Assert.Equal((ErrorCode.InvalidRequest, 2, 3), (reply.Error, reply.LeaderId, reply.Epoch));
        Assert.Equal(EndpointsOf(2), reply.LeaderEndpoints);
    }

    [Fact]
    public void A_restarted_loser_follows_the_leader_that_it_recorded()
    {
        var node = new MachineUnderTest(Options(1), new ElectionState(3, 2, Key(1)), Log((3, 0), (0, 7)), Static(1, 2, 3));
        Assert.Equal((RaftRole.Follower, 2, Key(1)), (node.Machine.Role, node.Machine.LeaderId, node.Machine.Voted));
    }

    [Fact]
    public void A_candidate_that_restarts_stands_again_also_when_the_file_has_no_directory()
    {
        var node = new MachineUnderTest(
            Options(1), new ElectionState(3, -1, new ReplicaKey(1, Uuid.Zero)), Log((2, 0), (0, 7)), Static(1, 2, 3));
        Assert.Equal((RaftRole.Candidate, 3), (node.Machine.Role, node.Machine.Epoch));
        Assert.All(node.Sends, send => Assert.False(((VoteCall)send.Request).IsPreVote));
    }

    [Fact]
    public void A_replica_whose_directory_is_no_voter_does_not_stand()
    {
        var other = new VoterSet([new Voter(new ReplicaKey(1, new Uuid(9, 9)), EndpointsOf(1)), VoterOf(2), VoterOf(3)]);
        var history = QuorumHistory.Begin(VoterSet.Empty).WithKRaftVersion(-1, 1).WithVoters(-1, other);
        var node = new MachineUnderTest(Options(1), ElectionState.None, EmptyLog(), history);
        for (var i = 0; i < 10; i++)
            node.Advance(5000);
        Assert.Equal(RaftRole.Unattached, node.Machine.Role);
        Assert.DoesNotContain(node.Sends, send => send.Request is VoteCall);
    }

    /// <summary>
    /// Node 2 needs the vote of node 1, whose log is longer. So node 1 has to stand, though the end of its log makes it no voter.
    /// </summary>
    [Fact]
    public void A_voter_whose_removal_is_not_committed_stands_without_a_vote_of_its_own()
    {
        var history = Dynamic(1, 2).WithVoters(5, new VoterSet([VoterOf(2)]));
        var node = new MachineUnderTest(Options(1), ElectionState.None, Log((1, 0), (0, 7)), history);
        node.Advance(5000);
        Assert.Equal(RaftRole.Prospective, node.Machine.Role);
        node.Elect();
        Assert.Equal(RaftRole.Leader, node.Machine.Role);
        Assert.False(node.Machine.IsVoter);
        node.FetchFrom(2, node.Machine.Log.EndOffset, node.Machine.Epoch);
        Assert.Equal(RaftRole.Resigned, node.Machine.Role); // the removal is committed
        Assert.Equal(Key(2), Assert.Single(node.Machine.History.Voters.Voters).Key);
    }

    [Fact]
    public void A_pre_vote_is_refused_while_the_leader_answers_and_changes_nothing()
    {
        var node = new MachineUnderTest(Options(1), new ElectionState(2, 2, null), EmptyLog(), Static(1, 2, 3));
        Assert.True(node.Ask<VoteReply>(new VoteCall(2, Key(3), Key(1), Nothing, IsPreVote: true)).IsGranted);
        node.Answer(node.LastSend<FetchCall>(), new FetchReply(ErrorCode.None, 2, 2, 0));
        Assert.False(node.Ask<VoteReply>(new VoteCall(2, Key(3), Key(1), Nothing, IsPreVote: true)).IsGranted);
        Assert.Null(node.Saved);
        Assert.False(
            Leader(Dynamic(1, 2, 3)).Ask<VoteReply>(new VoteCall(1, Key(2), Key(1), new LogPosition(99, 1), IsPreVote: true)).IsGranted);
    }

    [Fact]
    public void A_pre_vote_of_a_later_epoch_moves_to_it_but_is_no_vote()
    {
        var node = new MachineUnderTest(Options(1), new ElectionState(2, 2, null), EmptyLog(), Static(1, 2, 3));
        Assert.True(node.Ask<VoteReply>(new VoteCall(7, Key(3), Key(1), Nothing, IsPreVote: true)).IsGranted);
        Assert.Equal(new ElectionState(7, -1, null), node.Saved);
    }

    [Fact]
    public void A_learnt_epoch_is_no_vote()
    {
        var node = new MachineUnderTest(Options(1), ElectionState.None, Log((1, 0), (0, 50)), Static(1, 2, 3));
        Assert.False(node.Ask<VoteReply>(new VoteCall(9, Key(2), Key(1), new LogPosition(10, 1), IsPreVote: false)).IsGranted);
        Assert.Equal(new ElectionState(9, -1, null), node.Saved);
        Assert.False(node.Ask<VoteReply>(new VoteCall(9, Key(2), Key(1), new LogPosition(10, 1), IsPreVote: false)).IsGranted);
    }

    [Fact]
    public void A_vote_survives_what_else_happens_in_its_epoch()
    {
        var node = new MachineUnderTest(Options(1), ElectionState.None, EmptyLog(), Static(1, 2, 3));
        Assert.True(node.Ask<VoteReply>(new VoteCall(3, Key(2), Key(1), Nothing, IsPreVote: false)).IsGranted);
        node.Advance(10_000); // prospective, and back
        node.Ask(new BeginEpochCall(3, 2, Key(1)));
        Assert.Equal(RaftRole.Follower, node.Machine.Role);
        Assert.False(node.Ask<VoteReply>(new VoteCall(3, Key(3), Key(1), Nothing, IsPreVote: false)).IsGranted);
        Assert.Equal(Key(2), node.Machine.Voted);
    }

    [Fact]
    public void A_candidate_that_lost_waits_out_its_time()
    {
        var node = new MachineUnderTest(Options(1), ElectionState.None, EmptyLog(), Static(1, 2, 3));
        node.Advance(5000);
        foreach (var send in node.Sends.Where(send => send.Request is VoteCall { IsPreVote: true }).Take(1).ToArray())
            node.Answer(send, new VoteReply(ErrorCode.None, -1, 0, true));
        Assert.Equal((RaftRole.Candidate, 1), (node.Machine.Role, node.Machine.Epoch));
        foreach (var send in node.Sends.Where(send => send.Request is VoteCall { IsPreVote: false }).ToArray())
            node.Answer(send, new VoteReply(ErrorCode.None, -1, 1, false));
        Assert.Equal(RaftRole.Candidate, node.Machine.Role);
        var votes = node.Sends.Count;
        node.Advance(500);
        Assert.Equal((RaftRole.Candidate, votes), (node.Machine.Role, node.Sends.Count));
        node.Advance(2000);
        Assert.Equal((RaftRole.Prospective, 1), (node.Machine.Role, node.Machine.Epoch));
    }

    [Fact]
    public void Answers_count_once_and_only_for_what_was_asked()
    {
        var node = new MachineUnderTest(Options(1), ElectionState.None, EmptyLog(), Static(1, 2, 3, 4, 5));
        node.Advance(5000);
        var first = node.LastSend<VoteCall>();
        for (var i = 0; i < 3; i++)
            node.Answer(first, new VoteReply(ErrorCode.None, -1, 0, true));
        Assert.Equal(RaftRole.Prospective, node.Machine.Role);
        foreach (var send in node.Sends.Where(send => send.Request is VoteCall { IsPreVote: true }).ToArray())
            node.Answer(send, new VoteReply(ErrorCode.None, -1, 0, true));
        Assert.Equal(RaftRole.Candidate, node.Machine.Role); // the pre-votes that came late are no votes
    }

    [Fact]
    public void An_answer_of_a_later_epoch_ends_a_candidacy()
    {
        var node = new MachineUnderTest(Options(1), new ElectionState(4, -1, new ReplicaKey(1, Uuid.Zero)), EmptyLog(), Static(1, 2, 3));
        node.Answer(
            node.LastSend<VoteCall>(), new VoteReply(ErrorCode.FencedLeaderEpoch, 2, 7, false) { LeaderEndpoints = EndpointsOf(2) });
        Assert.Equal((RaftRole.Follower, 7, 2), (node.Machine.Role, node.Machine.Epoch, node.Machine.LeaderId));
    }

    [Fact]
    public void A_voter_that_does_not_know_pre_votes_makes_a_candidate_at_once()
    {
        var node = new MachineUnderTest(Options(1), ElectionState.None, EmptyLog(), Static(1, 2, 3));
        node.Advance(5000);
        node.Answer(node.LastSend<VoteCall>(), new VoteReply(ErrorCode.UnsupportedVersion, -1, -1, false));
        Assert.Equal((RaftRole.Candidate, 1), (node.Machine.Role, node.Machine.Epoch));
    }

    [Theory]
    [InlineData(new[] { 1, 2 }, 0)]
    [InlineData(new[] { 2, 1 }, 500)]
    [InlineData(new[] { 2, 3, 1 }, 500)]
    [InlineData(new[] { 2, 1, 3 }, 250)]
    [InlineData(new[] { 2, 3 }, 1000)]
    [InlineData(new int[0], 1000)]
    public void Successors_stand_in_their_order(int[] order, long waitMs)
    {
        var node = new MachineUnderTest(Options(1), new ElectionState(2, 4, null), EmptyLog(), Static(1, 2, 3, 4));
        Assert.Equal(
            ErrorCode.None, node.Ask<EndEpochReply>(new EndEpochCall(2, 4, [.. order.Select(id => new ReplicaKey(id, Uuid.Zero))])).Error);
        if (waitMs > 0)
        {
            node.Advance(waitMs - 1);
            Assert.Equal(RaftRole.Follower, node.Machine.Role);
            node.Advance(1);
        }

        Assert.Equal(RaftRole.Prospective, node.Machine.Role);
    }

    [Theory]
    [InlineData(3, 0)] // node 1 is the next voter after node 3
    [InlineData(2, 100)] // node 3 is, and has that long to win
    public void A_follower_whose_leader_has_ended_stands_in_its_turn_and_grants_pre_votes_at_once(int leader, int waitMs)
    {
        var node = Following(leader);
        var other = leader == 2 ? 3 : 2;
        Assert.False(node.Ask<VoteReply>(new VoteCall(2, Key(other), Key(1), Nothing, IsPreVote: true)).IsGranted);
        node.Step(new RaftEvent.ProcessEnded(leader));
        Assert.True(node.Ask<VoteReply>(new VoteCall(2, Key(other), Key(1), Nothing, IsPreVote: true)).IsGranted);
        if (waitMs > 0)
        {
            node.Advance(waitMs - 1);
            Assert.Equal(RaftRole.Follower, node.Machine.Role);
            node.Advance(1);
        }

        Assert.Equal((RaftRole.Prospective, 2), (node.Machine.Role, node.Machine.Epoch));
    }

    [Fact]
    public void A_follower_whose_leader_has_ended_keeps_its_turn_when_the_one_before_has_a_shorter_log_and_loses()
    {
        var node = new MachineUnderTest(Options(1), new ElectionState(2, 2, null), Log((2, 0), (0, 7)), Static(1, 2, 3));
        node.Step(new RaftEvent.ProcessEnded(2));
        Assert.False(node.Ask<VoteReply>(new VoteCall(3, Key(3), Key(1), new LogPosition(5, 2), IsPreVote: false)).IsGranted);
        Assert.Equal((RaftRole.Unattached, 3), (node.Machine.Role, node.Machine.Epoch));
        node.Advance(100);
        Assert.Equal((RaftRole.Prospective, 3), (node.Machine.Role, node.Machine.Epoch));
    }

    [Fact]
    public void A_voter_that_has_not_noticed_the_end_of_the_leader_is_asked_again()
    {
        var node = Following(3);
        node.Step(new RaftEvent.ProcessEnded(3));
        var refused = node.Sends.Last(send => send.Request is VoteCall && send.To.Id == 2);
        node.Answer(refused, new VoteReply(ErrorCode.None, 3, 2, false));
        node.Advance(20);
        var repeated = node.Sends.Last(send => send.Request is VoteCall && send.To.Id == 2);
        Assert.True(repeated.CorrelationId > refused.CorrelationId);
        node.Answer(repeated, new VoteReply(ErrorCode.None, 3, 2, true));
        Assert.Equal((RaftRole.Candidate, 3), (node.Machine.Role, node.Machine.Epoch));
    }

    [Fact]
    public void A_leader_that_answers_has_not_ended()
    {
        var node = Following(3);
        node.Step(new RaftEvent.ProcessEnded(3));
        node.Answer(node.Sends.Last(send => send.Request is VoteCall && send.To.Id == 3), new VoteReply(ErrorCode.None, 3, 2, false));
        node.Answer(node.Sends.Last(send => send.Request is VoteCall && send.To.Id == 2), new VoteReply(ErrorCode.None, 3, 2, false));
        Assert.Equal((RaftRole.Follower, 3, 2), (node.Machine.Role, node.Machine.LeaderId, node.Machine.Epoch));
        node.Advance(1500);
        Assert.Equal(RaftRole.Follower, node.Machine.Role);
    }

    [Fact]
    public void The_end_of_a_node_that_does_not_lead_changes_nothing()
    {
        var node = Following(3);
        node.Step(new RaftEvent.ProcessEnded(2));
        Assert.False(node.Ask<VoteReply>(new VoteCall(2, Key(2), Key(1), Nothing, IsPreVote: true)).IsGranted);
        node.Advance(1500);
        Assert.Equal(RaftRole.Follower, node.Machine.Role);
        var leader = Leader(Dynamic(1, 2, 3));
        leader.Step(new RaftEvent.ProcessEnded(1));
        leader.Step(new RaftEvent.ProcessEnded(2));
        Assert.Equal(RaftRole.Leader, leader.Machine.Role);
    }

    [Fact]
    public void An_observer_does_not_stand_when_the_leader_has_ended()
    {
        var node = new MachineUnderTest(
            Options(9) with { CanBecomeVoter = false }, new ElectionState(2, 3, null), EmptyLog(), Dynamic(1, 2, 3));
        node.Step(new RaftEvent.ProcessEnded(3));
        node.Advance(10_000);
        Assert.Equal(RaftRole.Follower, node.Machine.Role);
    }

    [Fact]
    public void The_best_followers_are_preferred_by_a_leader_that_resigns()
    {
        var node = Leader(Dynamic(1, 2, 3));
        node.AppendRecord();
        node.FetchFrom(2, 3, 1);
        node.FetchFrom(3, 4, 1);
        node.Step(new RaftEvent.Shutdown());
        Assert.Equal([Key(3), Key(2)], node.LastCall<EndEpochCall>().PreferredCandidates);
    }

    [Fact]
    public void A_message_for_another_directory_moves_the_epoch_but_is_answered_so()
    {
        var node = new MachineUnderTest(Options(1), ElectionState.None, EmptyLog(), Dynamic(1, 2, 3));
        var reply = node.Ask<BeginEpochReply>(new BeginEpochCall(4, 2, new ReplicaKey(1, new Uuid(9, 9))));
        Assert.Equal((ErrorCode.InvalidVoterKey, 2, 4), (reply.Error, reply.LeaderId, reply.Epoch));
        Assert.Equal(RaftRole.Follower, node.Machine.Role);
        // version 0 does not say
        Assert.Equal(ErrorCode.None, node.Ask<BeginEpochReply>(new BeginEpochCall(4, 2, new ReplicaKey(-1, Uuid.Zero))).Error);
    }

    [Fact]
    public void A_known_leader_with_more_endpoints_is_accepted()
    {
        var node = new MachineUnderTest(Options(1), new ElectionState(4, 2, null), EmptyLog(), Dynamic(1, 2, 3));
        RaftEndpoint[] more = [.. EndpointsOf(2), new RaftEndpoint("SECOND", "node2", 9094)];
        Assert.Equal(ErrorCode.None, node.Ask<BeginEpochReply>(new BeginEpochCall(4, 2, Key(1)) { LeaderEndpoints = more }).Error);
        Assert.Equal(more, node.Machine.LeaderEndpoints);
        Assert.Equal(RaftRole.Follower, node.Machine.Role);
    }

    [Fact]
    public void A_leader_that_cannot_be_reached_is_remembered_and_nobody_else_gets_the_vote()
    {
        var node = new MachineUnderTest(Options(1), ElectionState.None, EmptyLog(), Dynamic(1, 2, 3));
        node.Answer(node.LastSend<FetchCall>(), new FetchReply(ErrorCode.NotLeaderOrFollower, 8, 5, -1));
        Assert.Equal((RaftRole.Unattached, 5, 8), (node.Machine.Role, node.Machine.Epoch, node.Machine.LeaderId));
        Assert.False(node.Ask<VoteReply>(new VoteCall(5, Key(2), Key(1), Nothing, IsPreVote: false)).IsGranted);
        node.Ask(new BeginEpochCall(5, 8, Key(1)) { LeaderEndpoints = EndpointsOf(8) });
        Assert.Equal((RaftRole.Follower, "node8"), (node.Machine.Role, node.LastSend<FetchCall>().To.Host));
    }

    [Fact]
    public void A_voter_that_hears_that_it_leads_stays_out_of_the_epoch_that_it_forgot()
    {
        var node = new MachineUnderTest(Options(1), ElectionState.None, EmptyLog(), Static(1, 2, 3));
        node.Answer(node.LastSend<FetchCall>(), new FetchReply(ErrorCode.FencedLeaderEpoch, 1, 6, -1));
        Assert.Equal((RaftRole.Resigned, 6), (node.Machine.Role, node.Machine.Epoch));
        Assert.False(node.Ask<VoteReply>(new VoteCall(6, Key(2), Key(1), Nothing, IsPreVote: false)).IsGranted);
    }

    /// <summary>Voter 1 of three, which fetches from the leader of epoch 2.</summary>
    private static MachineUnderTest Following(int leader)
    {
        var node = new MachineUnderTest(Options(1), new ElectionState(2, leader, null), EmptyLog(), Dynamic(1, 2, 3));
        node.Answer(node.LastSend<FetchCall>(), new FetchReply(ErrorCode.None, leader, 2, 0));
        return node;
    }
}
