using System.Collections.Immutable;
using Ottla.Kernel;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Coordinators;
using Ottla.StateMachines.Groups.Consumer;

namespace Ottla.StateMachines.Groups.Share;

/// <summary>Makes the records of share groups. All values have version 0.</summary>
public static class ShareGroupRecords
{
    /// <summary>The metadata and subscription of a member (type 10).</summary>
    public static CoordinatorRecord Member(string groupId, ShareGroupMember member) => new(
        new ShareGroupMemberMetadataKey { GroupId = groupId, MemberId = member.MemberId },
        new ShareGroupMemberMetadataValue
        {
            RackId = member.RackId,
            ClientId = member.ClientId,
            ClientHost = member.ClientHost,
            SubscribedTopicNames = [.. member.SubscribedTopicNames],
        },
        0);

    /// <summary>The epoch of a group and the hash of its topics' metadata (type 11).</summary>
    public static CoordinatorRecord Epoch(string groupId, int epoch, long metadataHash) => new(
        new ShareGroupMetadataKey { GroupId = groupId }, new ShareGroupMetadataValue { Epoch = epoch, MetadataHash = metadataHash }, 0);

    /// <summary>The epoch of the target assignment and the time of its computation (type 12).</summary>
    public static CoordinatorRecord TargetEpoch(string groupId, int epoch, Instant timestamp) => new(
        new ShareGroupTargetAssignmentMetadataKey { GroupId = groupId },
        new ShareGroupTargetAssignmentMetadataValue { AssignmentEpoch = epoch, AssignmentTimestamp = timestamp.UnixMilliseconds },
        0);

    /// <summary>The target assignment of a member (type 13).</summary>
    public static CoordinatorRecord Target(string groupId, string memberId, ImmutableSortedSet<TopicIdPartition> target) => new(
        new ShareGroupTargetAssignmentMemberKey { GroupId = groupId, MemberId = memberId },
        new ShareGroupTargetAssignmentMemberValue
        {
            TopicPartitions =
            [
                .. ConsumerGroupRecords.ByTopic(target).Select(topic => new ShareGroupTargetAssignmentMemberValue.TopicPartition
                {
                    TopicId = topic.Id,
                    Partitions = topic.Partitions,
                }),
            ],
        },
        0);

    /// <summary>The current assignment of a member (type 14).</summary>
    public static CoordinatorRecord Assignment(string groupId, ShareGroupMember member) => new(
        new ShareGroupCurrentMemberAssignmentKey { GroupId = groupId, MemberId = member.MemberId },
        new ShareGroupCurrentMemberAssignmentValue
        {
            MemberEpoch = member.MemberEpoch,
            PreviousMemberEpoch = member.PreviousMemberEpoch,
            State = member.State,
            AssignedPartitions =
            [
                .. ConsumerGroupRecords.ByTopic(member.AssignedPartitions)
                    .Select(topic => new ShareGroupCurrentMemberAssignmentValue.TopicPartitions
                    {
                        TopicId = topic.Id,
                        Partitions = topic.Partitions,
                    }),
            ],
        },
        0);

    /// <summary>For which partitions the share coordinators have state (type 15).</summary>
    public static CoordinatorRecord StatePartitions(string groupId, ShareStatePartitions partitions) =>
        new(new ShareGroupStatePartitionMetadataKey { GroupId = groupId }, partitions.ToValue(), 0);

    /// <summary>Deletes a member. The order matters: the assignments are deleted before the member.</summary>
    public static IEnumerable<CoordinatorRecord> MemberTombstones(string groupId, string memberId) =>
    [
        CoordinatorRecord.Tombstone(new ShareGroupCurrentMemberAssignmentKey { GroupId = groupId, MemberId = memberId }),
        CoordinatorRecord.Tombstone(new ShareGroupTargetAssignmentMemberKey { GroupId = groupId, MemberId = memberId }),
        CoordinatorRecord.Tombstone(new ShareGroupMemberMetadataKey { GroupId = groupId, MemberId = memberId }),
    ];

    /// <summary>Deletes a group without members.</summary>
    public static IEnumerable<CoordinatorRecord> GroupTombstones(string groupId) =>
    [
        CoordinatorRecord.Tombstone(new ShareGroupTargetAssignmentMetadataKey { GroupId = groupId }),
        CoordinatorRecord.Tombstone(new ShareGroupStatePartitionMetadataKey { GroupId = groupId }),
        CoordinatorRecord.Tombstone(new ShareGroupMetadataKey { GroupId = groupId }),
    ];

    /// <summary>The group id in a key.</summary>
    public static string GroupIdOf(IRecordMessage key) => key switch
    {
        ShareGroupMetadataKey of => of.GroupId,
        ShareGroupMemberMetadataKey of => of.GroupId,
        ShareGroupTargetAssignmentMetadataKey of => of.GroupId,
        ShareGroupTargetAssignmentMemberKey of => of.GroupId,
        ShareGroupCurrentMemberAssignmentKey of => of.GroupId,
        ShareGroupStatePartitionMetadataKey of => of.GroupId,
        _ => throw new InvariantViolationException($"a record of type {key.RecordKey} is not a share group record"),
    };
}
