using Ottla.Benchmarks.Load;
using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.Benchmarks.Coordinators;

/// <summary>Members of groups that have joined: the heartbeat of each, as a frame that is sent again and again.</summary>
internal static class GroupMembers
{
    public const short HeartbeatVersion = 3;
    public const short ConsumerHeartbeatVersion = 0;

    private const short JoinVersion = 3; // the last one without a round trip for the member id
    private const short SyncVersion = 2;
    private const int SessionTimeoutMs = 300_000;

    /// <summary>Heartbeats until every member has its share take this often at the most.</summary>
    private const int SettlingRoundsMax = 20;

    /// <summary>Has groups of classic members join and sync, all members of a group over one connection.</summary>
    public static byte[][] JoinClassic(LoadConnection connection, IReadOnlyList<string> groups, int membersEach)
    {
        var frames = new List<byte[]>();
        foreach (var group in groups)
        {
            var join = new JoinGroupRequest
            {
                GroupId = group,
                SessionTimeoutMs = SessionTimeoutMs,
                RebalanceTimeoutMs = SessionTimeoutMs,
                ProtocolType = "consumer",
                Protocols = [new() { Name = "range", Metadata = [0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff] }],
            };
            for (var i = 0; i < membersEach; i++)
                connection.Send(RequestFrame.Encode(join, JoinVersion, i));
            var joined = Enumerable.Range(0, membersEach).Select(i => connection.Receive<JoinGroupResponse>(i, JoinVersion)).ToArray();
            foreach (var member in joined)
                ThrowIfError("JoinGroup", member.ErrorCode);
            if (joined.Any(member => member.GenerationId != joined[0].GenerationId))
                throw new BenchException($"{group} did not get together in one generation: raise group.initial.rebalance.delay.ms.");
            for (var i = 0; i < membersEach; i++)
                connection.Send(RequestFrame.Encode(SyncOf(group, joined[i], joined), SyncVersion, i));
            for (var i = 0; i < membersEach; i++)
                ThrowIfError("SyncGroup", connection.Receive<SyncGroupResponse>(i, SyncVersion).ErrorCode);
            frames.AddRange(joined.Select(member => RequestFrame.Encode(
                new HeartbeatRequest { GroupId = group, MemberId = member.MemberId, GenerationId = member.GenerationId }, HeartbeatVersion,
                0)));
        }

        return [.. frames];
    }

    /// <summary>Has groups of members of the new protocol (KIP-848) join, and heartbeat until everybody is at the group's epoch.</summary>
    public static byte[][] JoinConsumer(LoadConnection connection, IReadOnlyList<string> groups, int membersEach, string topic)
    {
        var frames = new List<byte[]>();
        foreach (var group in groups)
        {
            var members = new ConsumerGroupHeartbeatResponse[membersEach];
            var owned = new ConsumerGroupHeartbeatRequest.TopicPartitionsData[membersEach][];
            for (var i = 0; i < membersEach; i++)
            {
                members[i] = Beat(new ConsumerGroupHeartbeatRequest
                {
                    GroupId = group,
                    MemberEpoch = 0,
                    RebalanceTimeoutMs = SessionTimeoutMs,
                    SubscribedTopicNames = [topic],
                    TopicPartitions = [],
                });
                owned[i] = AssignedTo(members[i]) ?? [];
            }

            for (var round = 0; members.Any(member => member.MemberEpoch != members.Max(other => other.MemberEpoch)) || round == 0; round++)
            {
                if (round == SettlingRoundsMax)
                    throw new BenchException(
                        $"{group} does not settle: epochs {string.Join(", ", members.Select(member => member.MemberEpoch))}.");
                for (var i = 0; i < membersEach; i++)
                {
                    var next = Beat(
                        new ConsumerGroupHeartbeatRequest
                        {
                            GroupId = group,
                            MemberId = members[i].MemberId!,
                            MemberEpoch = members[i].MemberEpoch,
                            TopicPartitions = owned[i]
                        });
                    owned[i] = AssignedTo(next) ?? owned[i];
                    members[i] = next;
                }
            }

            frames.AddRange(members.Select(member => RequestFrame.Encode(
                new ConsumerGroupHeartbeatRequest { GroupId = group, MemberId = member.MemberId!, MemberEpoch = member.MemberEpoch },
                ConsumerHeartbeatVersion, 0)));
        }

        return [.. frames];

        ConsumerGroupHeartbeatResponse Beat(ConsumerGroupHeartbeatRequest request)
        {
            var response = connection.Ask<ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse>(request, ConsumerHeartbeatVersion);
            ThrowIfError("ConsumerGroupHeartbeat", response.ErrorCode);
            return response;
        }
    }

    private static ConsumerGroupHeartbeatRequest.TopicPartitionsData[]? AssignedTo(ConsumerGroupHeartbeatResponse response) =>
        response.Assignment?.TopicPartitions
        .Select(topic => new ConsumerGroupHeartbeatRequest.TopicPartitionsData { TopicId = topic.TopicId, Partitions = topic.Partitions })
        .ToArray();

    private static SyncGroupRequest SyncOf(string group, JoinGroupResponse member, JoinGroupResponse[] all) => new()
    {
        GroupId = group,
        MemberId = member.MemberId,
        GenerationId = member.GenerationId,
        Assignments = member.MemberId == member.Leader
            ? [.. all.Select(one => new SyncGroupRequest.SyncGroupRequestAssignment { MemberId = one.MemberId, Assignment = [1] })] : [],
    };

    private static void ThrowIfError(string api, short error)
    {
        if (error != (short)ErrorCode.None)
            throw new BenchException($"{api} was answered with {(ErrorCode)error}.");
    }
}
