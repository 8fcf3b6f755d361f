using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Simulator.Groups;
using Ottla.StateMachines.Coordinators;
using Ottla.StateMachines.Groups;
using Ottla.StateMachines.Groups.Consumer;

namespace Ottla.UnitTests.Groups.Consumer;

/// <summary>A coordinator and its clients' requests of the consumer protocol, in the words of tests.</summary>
internal sealed class ConsumerGroupTestBed : CoordinatorTestBed
{
    // Without an interval between assignments, unless a test is about it: every change is answered at once.
    public ConsumerGroupTestBed(ulong seed = 7, params (string Name, string Value)[] configs)
        : base(seed, configs.Prepend(("group.consumer.assignment.interval.ms", "0")))
    {
    }

    /// <summary>All that was written.</summary>
    public IReadOnlyList<CoordinatorRecord> Log => [.. Coordinator.Log];

    public ConsumerGroup Group => Machine.Context.Find<ConsumerGroup>(GroupId)!;

    public ConsumerGroupMember Member(string memberId) => Group.Get(memberId);

    public static ConsumerGroupHeartbeatRequest Join(string memberId, params string[] topics) => new()
    {
        GroupId = GroupId,
        MemberId = memberId,
        RebalanceTimeoutMs = 300_000,
        SubscribedTopicNames = topics,
        TopicPartitions = [],
    };

    public static ConsumerGroupHeartbeatRequest JoinByRegex(string memberId, string regex)
    {
        var request = Join(memberId);
        (request.SubscribedTopicNames, request.SubscribedTopicRegex) = (null, regex);
        return request;
    }

    public static ConsumerGroupHeartbeatRequest Beat(string memberId, int epoch, IEnumerable<TopicIdPartition>? owned = null) => new()
    {
        GroupId = GroupId,
        MemberId = memberId,
        MemberEpoch = epoch,
        TopicPartitions = owned is null ? null : Owned(owned),
    };

    public static ConsumerGroupHeartbeatRequest.TopicPartitionsData[] Owned(IEnumerable<TopicIdPartition> partitions) =>
        [.. ConsumerGroupRecords.ByTopic(partitions)
            .Select(topic => new ConsumerGroupHeartbeatRequest.TopicPartitionsData { TopicId = topic.Id, Partitions = topic.Partitions })];

    public static IEnumerable<TopicIdPartition> Partitions(ConsumerGroupHeartbeatResponse.AssignmentData assignment) =>
        assignment.TopicPartitions.SelectMany(
            topic => topic.Partitions, (topic, partition) => new TopicIdPartition(topic.TopicId, partition));

    public ConsumerGroupHeartbeatResponse Send(ConsumerGroupHeartbeatRequest request, short version = 1, string clientId = "client") =>
        Do(new ConsumerGroupHeartbeatCommand(new RequestOrigin(clientId, "/127.0.0.1", version), request));

    public ApiError Fails(ConsumerGroupHeartbeatRequest request, short version = 1) =>
        Assert.Throws<ApiException>(() => Send(request, version)).Error;

    /// <summary>The answer to what is answered at once.</summary>
    /// <exception cref="ApiException">It is an error.</exception>
    public TReply Do<TReply>(GroupCommand<TReply> command)
    {
        var answer = Send(command);
        return answer.Failure.IsFailure ? throw new ApiException(answer.Error, answer.Failure.Message) : answer.Value;
    }

    /// <summary>Another machine that has read the log so far.</summary>
    public GroupMachine Replay() => Coordinator.Replay();

    /// <summary>What becomes of the machine when its leader fails: another one reads the log.</summary>
    public void FailOver() => Coordinator.Restart();

    /// <summary>A group in words, to compare it with another.</summary>
    public static string Text(ConsumerGroup? group) => group is null ? "no group" : string.Join('\n', ConsumerGroupRecords.Group(group)
        .Concat(group.ResolvedRegularExpressions.Select(
            entry => ConsumerGroupRecords.RegularExpression(group.GroupId, entry.Key, entry.Value)))
        .Select(Text));

    /// <summary>A record in words: its bytes.</summary>
    public static string Text(CoordinatorRecord record) => SimulatedCoordinator.Text(record);
}
