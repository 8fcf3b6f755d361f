using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Groups;
using Ottla.StateMachines.Groups.Classic;

namespace Ottla.UnitTests.Groups;

/// <summary>A coordinator and its clients' requests of the classic protocol, in the words of tests.</summary>
internal sealed class GroupTestBed : CoordinatorTestBed
{
    public const int SessionTimeoutMs = 10_000;
    public const int RebalanceTimeoutMs = 60_000;
    public const int InitialDelayMs = 3_000;

    public GroupTestBed(params (string Name, string Value)[] configs)
        : base(seed: 1, configs.Prepend(("group.initial.rebalance.delay.ms", $"{InitialDelayMs}")))
    {
    }

    public ClassicGroup Group => Coordinator.Machine.Context.Find<ClassicGroup>(GroupId)!;

    public static RequestOrigin Origin(short version = 9) => new("client", "/127.0.0.1", version);

    public static byte[] Subscription(params string[] topics) =>
        ConsumerProtocol.WriteSubscription(new ConsumerProtocolSubscription { Topics = topics }, 1);

    public Answer<JoinGroupResponse> Join(
        string memberId = "",
        string? instance = null,
        short version = 9,
        string type = "consumer",
        string[]? protocols = null,
        byte[]? metadata = null,
        int sessionTimeoutMs = SessionTimeoutMs,
        int rebalanceTimeoutMs = RebalanceTimeoutMs,
        string groupId = GroupId) =>
        Send(new JoinGroupCommand(Origin(version), new JoinGroupRequest
        {
            GroupId = groupId,
            MemberId = memberId,
            GroupInstanceId = instance,
            SessionTimeoutMs = sessionTimeoutMs,
            RebalanceTimeoutMs = rebalanceTimeoutMs,
            ProtocolType = type,
            Protocols = [.. (protocols ?? ["range"]).Select(name => new JoinGroupRequest.JoinGroupRequestProtocol
            {
                Name = name,
                Metadata = metadata ?? Subscription("topic"),
            })],
        }));

    /// <summary>Joins as clients do: without an id, and again with the one that was given.</summary>
    public (string MemberId, Answer<JoinGroupResponse> Answer) JoinWithNewId(string[]? protocols = null)
    {
        var first = Join(protocols: protocols);
        Assert.Equal((short)ErrorCode.MemberIdRequired, first.Value.ErrorCode);
        return (first.Value.MemberId, Join(first.Value.MemberId, protocols: protocols));
    }

    public Answer<SyncGroupResponse> Sync(
        JoinGroupResponse joined,
        short version = 5,
        string? instance = null,
        string? type = "consumer",
        string? name = "range",
        int? generation = null,
        string? memberId = null,
        string groupId = GroupId,
        params (string MemberId, byte[] Assignment)[] assignments) =>
        Send(new SyncGroupCommand(Origin(version), new SyncGroupRequest
        {
            GroupId = groupId,
            GenerationId = generation ?? joined.GenerationId,
            MemberId = memberId ?? joined.MemberId,
            GroupInstanceId = instance,
            ProtocolType = type,
            ProtocolName = name,
            Assignments = [
                .. assignments.Select(
                    each => new SyncGroupRequest.SyncGroupRequestAssignment { MemberId = each.MemberId, Assignment = each.Assignment })],
        }));

    public ErrorCode Heartbeat(string memberId, int generation, string? instance = null, string groupId = GroupId) =>
        (ErrorCode)Send(new HeartbeatCommand(Origin(4), new HeartbeatRequest
        {
            GroupId = groupId,
            MemberId = memberId,
            GenerationId = generation,
            GroupInstanceId = instance,
        })).Value.ErrorCode;

    public ErrorCode Heartbeat(JoinGroupResponse joined) => Heartbeat(joined.MemberId, joined.GenerationId);

    public LeaveGroupResponse Leave(params (string MemberId, string? Instance)[] members) =>
        Send(new LeaveGroupCommand(Origin(5), new LeaveGroupRequest
        {
            GroupId = GroupId,
            Members = [.. members.Select(
                member => new LeaveGroupRequest.MemberIdentity { MemberId = member.MemberId, GroupInstanceId = member.Instance })],
        })).Value;

    /// <summary>
    /// A group that is stable in generation 1, all of whose members were there from the beginning. The first is the leader.
    /// </summary>
    public JoinGroupResponse[] StableGroup(int members = 1, string?[]? instances = null, string[]? protocols = null)
    {
        var joins = Enumerable.Range(0, members).Select(i => instances?[i] is { } instance
            ? Join(instance: instance, protocols: protocols)
            : JoinWithNewId(protocols).Answer).ToArray();
        AdvanceUntil(joins[0]);
        return Stabilize([.. joins.Select(join => join.Value)], instances);
    }

    /// <summary>Lets the initial rebalance take its time, which members that come meanwhile make longer.</summary>
    public void AdvanceUntil<TReply>(Answer<TReply> answer)
        where TReply : class
    {
        for (var waitedMs = 0; !answer.IsThere && waitedMs < RebalanceTimeoutMs; waitedMs += InitialDelayMs)
            Advance(InitialDelayMs);
    }

    /// <summary>Has the members of a new generation ask for their assignments, the leader last: each gets its id's bytes.</summary>
    public JoinGroupResponse[] Stabilize(JoinGroupResponse[] joined, string?[]? instances = null)
    {
        var protocol = Group.ProtocolName;
        var syncs = joined
            .Select((join, i) => (Join: join, Instance: instances?[i]))
            .OrderBy(member => member.Join.MemberId == member.Join.Leader)
            .Select(member => (member.Join, Answer: Sync(
                member.Join,
                instance: member.Instance,
                name: protocol,
                assignments: member.Join.MemberId == member.Join.Leader
                    ? [.. joined.Select(each => (each.MemberId, Bytes(each.MemberId)))] : [])))
            .ToArray();
        Assert.All(syncs, sync => Assert.Equal(Bytes(sync.Join.MemberId), sync.Answer.Value.Assignment));
        Assert.Equal(ClassicGroupState.Stable, Group.State);
        return joined;
    }

    public static byte[] Bytes(string text) => System.Text.Encoding.UTF8.GetBytes(text);

    /// <summary>What is known of a group by its records alone.</summary>
    public ClassicGroup? Replayed(string groupId = GroupId) => Coordinator.Replay().Context.Find<ClassicGroup>(groupId);
}
