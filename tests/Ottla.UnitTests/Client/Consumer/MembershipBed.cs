using Ottla.Client;
using Ottla.Client.Consumers.Assignors;
using Ottla.Client.Consumers.Membership;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.UnitTests.Client.Consumer;

/// <summary>Drives the machine of a member: gives it answers and time, and tells what it wants done.</summary>
internal sealed class MembershipBed
{
    public static readonly Uuid TopicId = new(1, 2);

    private readonly List<MembershipAction> _actions = [];

    private MembershipBed(IMembershipMachine machine)
    {
        Machine = machine;
        HearOfTopics();
    }

    public IMembershipMachine Machine { get; }

    public Instant Now { get; private set; } = new(1_000_000);

    /// <summary>The request that was sent last.</summary>
    public MembershipAction.Send? Sent { get; private set; }

    public static MembershipBed Classic(string assignor = "range", string? instanceId = null)
    {
        var settings = Settings(instanceId) with { Assignors = [ConsumerAssignors.Named(assignor)] };
        return new MembershipBed(new ClassicMembership(settings, new GroupSubscription(new HashSet<string> { "t" })));
    }

    public static MembershipBed Newer(string? instanceId = null, string? regex = null, string? assignor = null) =>
        new(new ConsumerMembership(
            Settings(instanceId) with { ServerAssignor = assignor },
            new GroupSubscription(regex is null ? new HashSet<string> { "t" } : [], regex), "me"));

    /// <summary>Moves the time, has the machine decide, and tells what it wants done, in words.</summary>
    public string Step(long ms = 0)
    {
        Now = Now.AddMilliseconds(ms);
        _actions.Clear();
        Machine.Advance(Now, _actions);
        foreach (var send in _actions.OfType<MembershipAction.Send>())
            Sent = send;
        return string.Join("; ", _actions.Select(Describe));
    }

    /// <summary>Answers the last request, and has the machine decide.</summary>
    public string Answer(IMessage answer)
    {
        Machine.OnAnswer(Now, Sent!.Attempt, answer);
        return Step();
    }

    /// <summary>The last request gets no answer.</summary>
    public string Break(ErrorCode error = ErrorCode.NetworkException)
    {
        Machine.OnRequestFailed(Now, Sent!.Attempt, new KafkaException(error));
        return Step();
    }

    public string Poll()
    {
        Machine.OnPollBegun(Now);
        return Step();
    }

    public string EndPoll()
    {
        Machine.OnPollEnded(Now);
        return Step();
    }

    public string FoundCoordinator()
    {
        Machine.OnCoordinatorFound(Now);
        return Step();
    }

    public string CalledBack()
    {
        Machine.OnCallbackDone(Now);
        return Step();
    }

    /// <summary>Topics have changed, or were asked for by somebody else.</summary>
    public void HearOfTopics(int partitions = 3) => Machine.OnTopics(Topics(partitions, isFresh: false));

    /// <summary>The topics that the machine asked for are known.</summary>
    public string KnowTopics(int partitions = 3)
    {
        Machine.OnTopics(Topics(partitions, isFresh: true));
        return Step();
    }

    /// <summary>Joins a classic group as its leader and only member, up to the assignment.</summary>
    public MembershipBed JoinClassic()
    {
        Assert.Equal("find", Poll());
        Assert.Equal("JoinGroup(, -1)", FoundCoordinator());
        Assert.Equal("JoinGroup(m1, -1)", Answer(new JoinGroupResponse { ErrorCode = (short)ErrorCode.MemberIdRequired, MemberId = "m1" }));
        Assert.Equal("learn t", Answer(Joined()));
        Assert.Equal("SyncGroup(m1, 5)", KnowTopics());
        Assert.Equal("assign t-0,t-1,t-2 added t-0,t-1,t-2", Answer(Synced(0, 1, 2)));
        Assert.Equal("", CalledBack());
        Assert.True(Machine.IsStable);
        return this;
    }

    /// <summary>Joins a group of the newer protocol, up to the assignment.</summary>
    public MembershipBed JoinNewer()
    {
        Assert.Equal("find", Poll());
        Assert.Equal("ConsumerGroupHeartbeat(me, 0)", FoundCoordinator());
        Assert.Equal("assign t-0,t-1 added t-0,t-1", Answer(Beaten(1, 0, 1)));
        Assert.Equal("ConsumerGroupHeartbeat(me, 1)", CalledBack());
        Assert.Equal([0, 1], Heartbeat.TopicPartitions!.Single().Partitions);
        Assert.Equal("", Answer(Beaten(1)));
        Assert.True(Machine.IsStable);
        return this;
    }

    public ConsumerGroupHeartbeatRequest Heartbeat => (ConsumerGroupHeartbeatRequest)Sent!.Request;

    public static JoinGroupResponse Joined(int generation = 5, string assignor = "range", bool leads = true) => new()
    {
        GenerationId = generation,
        MemberId = "m1",
        Leader = leads ? "m1" : "m2",
        ProtocolType = "consumer",
        ProtocolName = assignor,
        Members = leads ? [new JoinGroupResponse.JoinGroupResponseMember { MemberId = "m1", Metadata = Subscription() }] : [],
    };

    public static SyncGroupResponse Synced(params int[] partitions) => new()
    {
        Assignment = partitions.Length == 0
            ? [] : ClassicMembership.WriteAssignment(partitions.Select(partition => new TopicPartition("t", partition))),
    };

    /// <summary>An answer to a heartbeat; with partitions it has an assignment.</summary>
    public static ConsumerGroupHeartbeatResponse Beaten(int epoch, params int[] partitions) => new()
    {
        MemberEpoch = epoch,
        HeartbeatIntervalMs = 5_000,
        Assignment = partitions.Length == 0 ? null : Assignment(partitions),
    };

    public static ConsumerGroupHeartbeatResponse.AssignmentData Assignment(params int[] partitions) => new()
    {
        TopicPartitions = partitions.Length == 0
            ? [] : [new ConsumerGroupHeartbeatResponse.TopicPartitionsData { TopicId = TopicId, Partitions = partitions }],
    };

    public static ConsumerGroupHeartbeatResponse Refused(ErrorCode error) => new() { ErrorCode = (short)error };

    private static byte[] Subscription() => ConsumerProtocol.WriteSubscription(
        new ConsumerProtocolSubscription { Topics = ["t"] }, ConsumerProtocolSubscription.HighestVersion);

    private static MembershipSettings Settings(string? instanceId) => new() { GroupId = "g", InstanceId = instanceId };

    public static TopicKnowledge Topics(int partitions, bool isFresh) => new(
        new Dictionary<string, AssignorTopic> { ["t"] = new AssignorTopic(partitions) }, new Dictionary<Uuid, string> { [TopicId] = "t" },
        isFresh);

    private static string Describe(MembershipAction action) => action switch
    {
        MembershipAction.FindCoordinator => "find",
        MembershipAction.Send { Request: JoinGroupRequest join } =>
            $"JoinGroup({join.MemberId}, {ConsumerProtocol.ReadSubscription(join.Protocols[0].Metadata).GenerationId})",
        MembershipAction.Send { Request: SyncGroupRequest sync } => $"SyncGroup({sync.MemberId}, {sync.GenerationId})",
        MembershipAction.Send { Request: HeartbeatRequest beat } => $"Heartbeat({beat.MemberId}, {beat.GenerationId})",
        MembershipAction.Send { Request: LeaveGroupRequest leave } =>
            $"LeaveGroup({leave.Members[0].MemberId}, {leave.Members[0].GroupInstanceId ?? "null"})",
        MembershipAction.Send { Request: ConsumerGroupHeartbeatRequest beat } =>
            $"ConsumerGroupHeartbeat({beat.MemberId}, {beat.MemberEpoch})",
        MembershipAction.Revoke revoke => $"revoke {string.Join(',', revoke.Partitions)}",
        MembershipAction.Lose lose => $"lose {string.Join(',', lose.Partitions)}",
        MembershipAction.Assign assign => $"assign {string.Join(',', assign.All)} added {string.Join(',', assign.Added)}",
        MembershipAction.LearnTopics learn => $"learn {string.Join(',', learn.Names)}{string.Join(',', learn.Ids)}",
        MembershipAction.Fail fail => $"fail {fail.Error.ErrorCode}",
        _ => throw new InvalidOperationException(action.GetType().Name),
    };
}
