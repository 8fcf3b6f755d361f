using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.StateMachines.Raft;

namespace Ottla.UnitTests.Raft;

/// <summary>The rules of the machine, one at a time.</summary>
public sealed class RaftMachineTests
{
    private static readonly ReplicaKey One = new(1, new Uuid(1, 1));
    private static readonly ReplicaKey Two = new(2, new Uuid(1, 2));
    private static readonly ReplicaKey Three = new(3, new Uuid(1, 3));
    private static readonly Instant Start = new(1_000_000);
    private static readonly RaftEndpoint Endpoint = new("CONTROLLER", "localhost", 9093);

    [Fact]
    public void SingleVoter_LeadsTheNextEpochAtOnce_AndCommitsOnlyWhatIsFlushed()
    {
        var (machine, effects) = Open([One], new ElectionState(4, 1, null), RaftLogState.Open(0, 10, [(4, 0)], null, null));

        Assert.Equal((RaftRole.Leader, 5, 1), (machine.Role, machine.Epoch, machine.LeaderId));
        Assert.Equal(new ElectionState(5, 1, null), effects.Save);
        Assert.Empty(effects.Sends);
        var start = Assert.IsType<RaftLogEffect.AppendEpochStart>(Assert.Single(effects.Log));
        Assert.Equal((10, 5), (start.BaseOffset, start.Epoch));
        Assert.Equal([1], start.GrantingVoterIds);
        Assert.Null(start.Voters);

        Step(machine, new RaftEvent.Appended([new AppendedBatch(10, 11, 5, [])]), effects);
        Assert.True(effects.Flush);
        Assert.Equal(0, machine.HighWatermark);
        Step(machine, new RaftEvent.Flushed(11), effects);
        Assert.True(effects.HighWatermarkAdvanced);
        Assert.Equal(11, machine.HighWatermark);
        Assert.Null(machine.NextDeadline);
    }

    [Fact]
    public void FirstLeaderOfADynamicQuorum_WritesTheVoters_AndALaterOneOnlyWhenItsEndpointChanged()
    {
        var voters = new VoterSet([new Voter(One, [Endpoint])]);
        var fresh = QuorumHistory.Begin(VoterSet.Empty).WithKRaftVersion(-1, 1).WithVoters(-1, voters);
        Assert.NotNull(StartOf(fresh, Endpoint).Voters);
        var written = fresh.WithKRaftVersion(1, 1).WithVoters(2, voters);
        Assert.Null(StartOf(written, Endpoint).Voters);
        var moved = StartOf(written, Endpoint with { Port = 9094 }).Voters;
        Assert.Equal(9094, moved!.Find(1)!.Endpoints[0].Port);
    }

    [Fact]
    public void Vote_IsSavedInTheStepThatGrantsIt_AndGivenOncePerEpoch()
    {
        var (machine, effects) = Open([One, Two, Three], ElectionState.None, EmptyLog());
        Ask(machine, effects, new VoteCall(3, Two, One, new LogPosition(0, 0), IsPreVote: false));
        Assert.True(Answer<VoteReply>(effects).IsGranted);
        Assert.Equal(new ElectionState(3, -1, Two), effects.Save);
        Ask(machine, effects, new VoteCall(3, Three, One, new LogPosition(0, 0), IsPreVote: false));
        Assert.False(Answer<VoteReply>(effects).IsGranted);
        Ask(machine, effects, new VoteCall(3, Two, One, new LogPosition(0, 0), IsPreVote: false));
        Assert.True(Answer<VoteReply>(effects).IsGranted);
        Ask(machine, effects, new VoteCall(2, Two, One, new LogPosition(0, 0), IsPreVote: false));
        Assert.Equal(ErrorCode.FencedLeaderEpoch, Answer<VoteReply>(effects).Error);
    }

    [Fact]
    public void Vote_IsRefusedToAShorterLog_AndToOneMeantForAnotherDirectory()
    {
        var (machine, effects) = Open(
            [One, Two, Three], new ElectionState(2, -1, null), RaftLogState.Open(0, 10, [(1, 0), (2, 5)], null, null));
        Ask(machine, effects, new VoteCall(3, Two, One, new LogPosition(100, 1), IsPreVote: false));
        Assert.False(Answer<VoteReply>(effects).IsGranted);
        Ask(machine, effects, new VoteCall(3, Three, One, new LogPosition(9, 2), IsPreVote: false));
        Assert.False(Answer<VoteReply>(effects).IsGranted);
        Ask(machine, effects, new VoteCall(3, Three, new ReplicaKey(1, new Uuid(9, 9)), new LogPosition(10, 2), IsPreVote: false));
        Assert.Equal(ErrorCode.InvalidVoterKey, Answer<VoteReply>(effects).Error);
        Ask(machine, effects, new VoteCall(3, Three, One, new LogPosition(10, 2), IsPreVote: false));
        Assert.True(Answer<VoteReply>(effects).IsGranted);
    }

    [Fact]
    public void PreVote_ChangesNothing_AndIsRefusedWhileTheLeaderAnswers()
    {
        var (machine, effects) = Open([One, Two, Three], new ElectionState(2, 2, null), EmptyLog());
        Assert.Equal(RaftRole.Follower, machine.Role);
        Ask(machine, effects, new VoteCall(2, Three, One, new LogPosition(0, 0), IsPreVote: true));
        Assert.True(Answer<VoteReply>(effects).IsGranted);
        Assert.Null(effects.Save);
        var fetch = new RaftEvent.ResponseReceived(0, new FetchReply(ErrorCode.None, 2, 2, 0));
        Step(machine, fetch, effects);
        Ask(machine, effects, new VoteCall(2, Three, One, new LogPosition(0, 0), IsPreVote: true));
        Assert.False(Answer<VoteReply>(effects).IsGranted);
        Assert.Equal(RaftRole.Follower, machine.Role);
    }

    [Fact]
    public void Leader_CommitsWhatAMajorityFlushed_FromItsOwnEpochOn_AndResignsWithoutOne()
    {
        var (machine, effects) = Elect();
        Fetch(machine, effects, Two, new LogPosition(5, 1));
        Assert.Equal(0, machine.HighWatermark); // flushed by two, but of an older epoch
        Step(machine, new RaftEvent.Flushed(6), effects);
        Fetch(machine, effects, Two, new LogPosition(6, machine.Epoch));
        Assert.Equal(6, machine.HighWatermark);
        Fetch(machine, effects, Three, new LogPosition(9, machine.Epoch));
        Assert.NotNull(Answer<FetchReply>(effects).Diverging);

        Step(machine, new RaftEvent.Timer(), effects, Start.AddMilliseconds(60_000));
        Assert.Equal(RaftRole.Resigned, machine.Role);
        Assert.Contains(effects.Sends, send => send.Request is EndEpochCall);
    }

    [Fact]
    public void Follower_TruncatesToWhereTheLogsDiverge_ThenAppendsAndFetchesAgainOnlyAfterTheFlush()
    {
        var (machine, effects) = Open(
            [One, Two, Three], new ElectionState(3, 2, null), RaftLogState.Open(0, 10, [(1, 0), (2, 6)], null, null));
        Assert.Equal(new LogPosition(10, 2), ((FetchCall)Assert.Single(effects.Sends).Request).LogEnd);
        Step(machine, new RaftEvent.ResponseReceived(0, new FetchReply(ErrorCode.None, 2, 3, 6) { Diverging = new LogPosition(8, 1) }),
            effects);
        Assert.Equal(new RaftLogEffect.Truncate(6), Assert.Single(effects.Log));
        Assert.Equal(new LogPosition(6, 1), ((FetchCall)Assert.Single(effects.Sends).Request).LogEnd);
        Step(machine, new RaftEvent.ResponseReceived(1, new FetchReply(ErrorCode.None, 2, 3, 8) { Records = new byte[1] }), effects);
        Assert.Empty(effects.Sends);
        Step(machine, new RaftEvent.Appended([new AppendedBatch(6, 8, 1, [])]), effects);
        Assert.True(effects.Flush);
        Assert.Empty(effects.Sends);
        Assert.Equal(6, machine.HighWatermark);
        Step(machine, new RaftEvent.Flushed(8), effects);
        Assert.Equal(8, machine.HighWatermark);
        Assert.Single(effects.Sends);
    }

    [Fact]
    public void History_FollowsTruncationAndSnapshots()
    {
        var first = new VoterSet([new Voter(One, [])]);
        var second = new VoterSet([new Voter(One, []), new Voter(Two, [])]);
        var history = QuorumHistory.Begin(first).WithKRaftVersion(3, 1).WithVoters(4, second);
        Assert.Equal((2, 1), (history.VotersAt(5).Voters.Count, history.VotersAt(4).Voters.Count));
        Assert.Equal((1, 0), (history.KRaftVersionAt(4), history.KRaftVersionAt(3)));
        Assert.Equal((1, (short)1), (history.TruncatedTo(4).Voters.Voters.Count, history.TruncatedTo(4).KRaftVersion));
        Assert.Equal((2, 4L), (history.TrimmedTo(9).Voters.Voters.Count, history.TrimmedTo(9).VotersOffset));
    }

    private static RaftLogState EmptyLog() => RaftLogState.Open(0, 0, [], null, null);

    private static RaftLogEffect.AppendEpochStart StartOf(QuorumHistory history, RaftEndpoint endpoint)
    {
        var machine = new RaftMachine(new RaftOptions { Local = One, Endpoints = [endpoint] }, new Prng(1));
        var effects = new RaftEffects();
        Step(machine, new RaftEvent.Started(ElectionState.None, EmptyLog(), history), effects);
        return Assert.IsType<RaftLogEffect.AppendEpochStart>(Assert.Single(effects.Log));
    }

    private static (RaftMachine Machine, RaftEffects Effects) Open(ReplicaKey[] voters, ElectionState election, RaftLogState log)
    {
        var machine = new RaftMachine(new RaftOptions { Local = voters[0] }, new Prng(1));
        var effects = new RaftEffects();
        var set = new VoterSet(voters.Select(key => new Voter(key, [new RaftEndpoint("CONTROLLER", $"node{key.Id}", 9093)])));
        Step(machine, new RaftEvent.Started(election, log, QuorumHistory.Begin(set)), effects);
        return (machine, effects);
    }

    /// <summary>
    /// Voter one of three, leading epoch 2 with five records of epoch 1 and its own LeaderChange at offset 5, not flushed yet.
    /// </summary>
    private static (RaftMachine Machine, RaftEffects Effects) Elect()
    {
        var (machine, effects) = Open([One, Two, Three], new ElectionState(1, -1, null), RaftLogState.Open(0, 5, [(1, 0)], null, null));
        Step(machine, new RaftEvent.Timer(), effects, Start.AddMilliseconds(5000));
        foreach (var isPreVote in new[] { true, false })
        {
            var vote = effects.Sends.First(send => send.To.Id == 2);
            Assert.Equal(isPreVote, Assert.IsType<VoteCall>(vote.Request).IsPreVote);
            Step(machine, new RaftEvent.ResponseReceived(vote.CorrelationId, new VoteReply(ErrorCode.None, -1, machine.Epoch, true)),
                effects, Start.AddMilliseconds(5000));
        }

        Assert.Equal((RaftRole.Leader, 2), (machine.Role, machine.Epoch));
        Step(machine, new RaftEvent.Appended([new AppendedBatch(5, 6, 2, [])]), effects);
        return (machine, effects);
    }

    private static void Ask(RaftMachine machine, RaftEffects effects, RaftRequest request) =>
        Step(machine, new RaftEvent.RequestReceived(77, request), effects);

    private static void Fetch(RaftMachine machine, RaftEffects effects, ReplicaKey replica, LogPosition end) =>
        Ask(machine, effects, new FetchCall(machine.Epoch, replica, end, long.MaxValue, 500));

    private static T Answer<T>(RaftEffects effects)
        where T : RaftResponse => Assert.IsType<T>(effects.Replies.Last().Response);

    private static void Step(RaftMachine machine, RaftEvent raftEvent, RaftEffects effects, Instant? now = null)
    {
        effects.Clear();
        machine.Step(raftEvent, now ?? Start, effects);
    }
}
