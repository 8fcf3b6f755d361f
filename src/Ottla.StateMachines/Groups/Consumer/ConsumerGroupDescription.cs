using Ottla.Kernel;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Groups.Assignors;
using Ottla.StateMachines.Metadata;

namespace Ottla.StateMachines.Groups.Consumer;

/// <summary>Describes a consumer group for ConsumerGroupDescribe.</summary>
internal static class ConsumerGroupDescription
{
    private const sbyte ClassicMember = 0;
    private const sbyte ConsumerMember = 1;

    public static ConsumerGroupDescribeResponse.DescribedGroup Of(ConsumerGroup group, PartitionAssignors assignors, TopicsImage topics) =>
        new()
        {
            GroupId = group.GroupId,
            GroupState = group.StateName,
            GroupEpoch = group.GroupEpoch,
            AssignmentEpoch = group.AssignmentEpoch,
            AssignorName = assignors.Preferred(group.Members.Select(member => member.ServerAssignor)).Name,
            Members = [.. group.Members.Select(member => Of(member, group, topics))],
        };

    private static ConsumerGroupDescribeResponse.Member Of(ConsumerGroupMember member, ConsumerGroup group, TopicsImage topics) => new()
    {
        MemberId = member.MemberId,
        InstanceId = member.InstanceId,
        RackId = member.RackId,
        MemberEpoch = member.MemberEpoch,
        ClientId = member.ClientId,
        ClientHost = member.ClientHost,
        SubscribedTopicNames = [.. member.SubscribedTopicNames],
        SubscribedTopicRegex = member.SubscribedTopicRegex,

        // Partitions that the member has not given up yet still count as assigned.
        Assignment = Of(member.AssignedPartitions.Keys.Concat(member.PartitionsPendingRevocation.Keys).Order(), topics),
        TargetAssignment = Of(group.TargetOf(member.MemberId), topics),
        MemberType = member.Classic is null ? ConsumerMember : ClassicMember,
    };

    private static ConsumerGroupDescribeResponse.AssignmentData Of(IEnumerable<TopicIdPartition> partitions, TopicsImage topics) => new()
    {
        TopicPartitions =
        [
            .. ConsumerGroupRecords.ByTopic(partitions).Where(topic => topics.Find(topic.Id) is not null).Select(
                topic => new ConsumerGroupDescribeResponse.TopicPartitionsData
                {
                    TopicId = topic.Id,
                    TopicName = topics.Find(topic.Id)!.Name,
                    Partitions = topic.Partitions,
                }),
        ],
    };
}
