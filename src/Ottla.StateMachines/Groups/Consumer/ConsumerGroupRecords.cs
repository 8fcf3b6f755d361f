using System.Collections.Immutable;
using Ottla.Kernel;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Coordinators;

namespace Ottla.StateMachines.Groups.Consumer;

/// <summary>Makes the records of consumer groups. All values have version 0.</summary>
public static class ConsumerGroupRecords
{
    /// <summary>The metadata and subscription of a member (type 5).</summary>
    public static CoordinatorRecord Member(string groupId, ConsumerGroupMember member) => new(
        new ConsumerGroupMemberMetadataKey { GroupId = groupId, MemberId = member.MemberId },
        new ConsumerGroupMemberMetadataValue
        {
            InstanceId = member.InstanceId,
            RackId = member.RackId,
            ClientId = member.ClientId,
            ClientHost = member.ClientHost,
            SubscribedTopicNames = [.. member.SubscribedTopicNames],
            SubscribedTopicRegex = member.SubscribedTopicRegex,
            RebalanceTimeoutMs = member.RebalanceTimeoutMs,
            ServerAssignor = member.ServerAssignor,
            ClassicMemberMetadata = member.Classic is { } classic
                ? new ConsumerGroupMemberMetadataValue.ClassicMemberMetadataData
                {
                    SessionTimeoutMs = classic.SessionTimeoutMs,
                    SupportedProtocols = [.. classic.SupportedProtocols.Select(
                        protocol =>
                            new ConsumerGroupMemberMetadataValue.ClassicProtocol { Name = protocol.Name, Metadata = protocol.Metadata })],
                }
                : null,
        },
        0);

    /// <summary>The epoch of a group and the hash of its topics' metadata (type 3).</summary>
    public static CoordinatorRecord Epoch(string groupId, int epoch, long metadataHash) =>
        new(new ConsumerGroupMetadataKey { GroupId = groupId },
            new ConsumerGroupMetadataValue { Epoch = epoch, MetadataHash = metadataHash }, 0);

    /// <summary>The epoch of the target assignment and the time of its computation (type 6).</summary>
    public static CoordinatorRecord TargetEpoch(string groupId, int epoch, Instant timestamp) => new(
        new ConsumerGroupTargetAssignmentMetadataKey { GroupId = groupId },
        new ConsumerGroupTargetAssignmentMetadataValue { AssignmentEpoch = epoch, AssignmentTimestamp = timestamp.UnixMilliseconds },
        0);

    /// <summary>The target assignment of a member (type 7).</summary>
    public static CoordinatorRecord Target(string groupId, string memberId, ImmutableSortedSet<TopicIdPartition> target) => new(
        new ConsumerGroupTargetAssignmentMemberKey { GroupId = groupId, MemberId = memberId },
        new ConsumerGroupTargetAssignmentMemberValue
        {
            TopicPartitions = [.. ByTopic(target).Select(topic => new ConsumerGroupTargetAssignmentMemberValue.TopicPartition
            {
                TopicId = topic.Id,
                Partitions = topic.Partitions,
            })],
        },
        0);

    /// <summary>The current assignment of a member (type 8).</summary>
    public static CoordinatorRecord Assignment(string groupId, ConsumerGroupMember member) => new(
        new ConsumerGroupCurrentMemberAssignmentKey { GroupId = groupId, MemberId = member.MemberId },
        new ConsumerGroupCurrentMemberAssignmentValue
        {
            MemberEpoch = member.MemberEpoch,
            PreviousMemberEpoch = member.PreviousMemberEpoch,
            State = (sbyte)member.State,
            AssignedPartitions = WithEpochs(member.AssignedPartitions),
            PartitionsPendingRevocation = WithEpochs(member.PartitionsPendingRevocation),
        },
        0);

    /// <summary>The topics that a regular expression matches (type 16).</summary>
    public static CoordinatorRecord RegularExpression(string groupId, string regex, ResolvedRegularExpression resolved) => new(
        new ConsumerGroupRegularExpressionKey { GroupId = groupId, RegularExpression = regex },
        new ConsumerGroupRegularExpressionValue
        {
            Topics = [.. resolved.Topics],
            Version = resolved.Version,
            Timestamp = resolved.Timestamp.UnixMilliseconds,
        },
        0);

    /// <summary>Deletes the resolution of a regular expression.</summary>
    public static CoordinatorRecord RegularExpressionTombstone(string groupId, string regex) =>
        CoordinatorRecord.Tombstone(new ConsumerGroupRegularExpressionKey { GroupId = groupId, RegularExpression = regex });

    /// <summary>
    /// Deletes the partition metadata record of brokers before 4.1, which stored the metadata of topics instead of a hash (type 4).
    /// </summary>
    public static CoordinatorRecord PartitionMetadataTombstone(string groupId) =>
        CoordinatorRecord.Tombstone(new ConsumerGroupPartitionMetadataKey { GroupId = groupId });

    /// <summary>Deletes a member. The order matters: the assignments are deleted before the member.</summary>
    public static IEnumerable<CoordinatorRecord> MemberTombstones(string groupId, string memberId) => Tombstones(groupId, [memberId], []);

    /// <summary>
    /// Deletes members. The records of <paramref name="between"/> come after the members' assignments and before the members.
    /// </summary>
    private static IEnumerable<CoordinatorRecord> Tombstones(
        string groupId, IReadOnlyCollection<string> memberIds, IEnumerable<CoordinatorRecord> between) =>
    [
        .. memberIds.Select(
            id => CoordinatorRecord.Tombstone(new ConsumerGroupCurrentMemberAssignmentKey { GroupId = groupId, MemberId = id })),
        .. memberIds.Select(
            id => CoordinatorRecord.Tombstone(new ConsumerGroupTargetAssignmentMemberKey { GroupId = groupId, MemberId = id })),
        .. between,
        .. memberIds.Select(id => CoordinatorRecord.Tombstone(new ConsumerGroupMemberMetadataKey { GroupId = groupId, MemberId = id })),
    ];

    /// <summary>Deletes a group with its members and resolved regular expressions.</summary>
    public static IEnumerable<CoordinatorRecord> GroupTombstones(
        string groupId, IReadOnlyCollection<string> memberIds, IEnumerable<string> regexes) =>
    [
        .. Tombstones(
            groupId, memberIds, [CoordinatorRecord.Tombstone(new ConsumerGroupTargetAssignmentMetadataKey { GroupId = groupId })]),
        .. regexes.Select(regex => RegularExpressionTombstone(groupId, regex)),
        PartitionMetadataTombstone(groupId),
        CoordinatorRecord.Tombstone(new ConsumerGroupMetadataKey { GroupId = groupId }),
    ];

    /// <summary>All records of a group, as a conversion writes them.</summary>
    public static IEnumerable<CoordinatorRecord> Group(ConsumerGroup group) =>
    [
        .. group.Members.Select(member => Member(group.GroupId, member)),
        Epoch(group.GroupId, group.GroupEpoch, group.MetadataHash),
        .. group.Members.Select(member => Target(group.GroupId, member.MemberId, group.TargetOf(member.MemberId))),
        TargetEpoch(group.GroupId, group.AssignmentEpoch, group.AssignmentTimestamp),
        .. group.Members.Select(member => Assignment(group.GroupId, member)),
    ];

    /// <summary>The group id in a key.</summary>
    public static string GroupIdOf(IRecordMessage key) => key switch
    {
        ConsumerGroupMetadataKey of => of.GroupId,
        ConsumerGroupPartitionMetadataKey of => of.GroupId,
        ConsumerGroupMemberMetadataKey of => of.GroupId,
        ConsumerGroupTargetAssignmentMetadataKey of => of.GroupId,
        ConsumerGroupTargetAssignmentMemberKey of => of.GroupId,
        ConsumerGroupCurrentMemberAssignmentKey of => of.GroupId,
        ConsumerGroupRegularExpressionKey of => of.GroupId,
        _ => throw new InvariantViolationException($"a record of type {key.RecordKey} is not a consumer group record"),
    };

    /// <summary>Groups partitions by topic, in the order of the topics.</summary>
    public static IEnumerable<(Uuid Id, int[] Partitions)> ByTopic(IEnumerable<TopicIdPartition> partitions) =>
        partitions.GroupBy(partition => partition.TopicId, partition => partition.Partition).Select(topic => (topic.Key, topic.ToArray()));

    /// <summary>
    /// The partitions of a record with their epochs. Records from before KIP-1251 have no epochs for partitions; the member's epoch is used
    /// if it is positive.
    /// </summary>
    internal static ImmutableSortedDictionary<TopicIdPartition, int> WithEpochs(
        ConsumerGroupCurrentMemberAssignmentValue.TopicPartitions[] topics, int memberEpoch)
    {
        var partitions = ConsumerGroupMember.NoPartitions.ToBuilder();
        foreach (var topic in topics)
        {
            for (var i = 0; i < topic.Partitions.Length; i++)
            {
                var epoch = topic.AssignmentEpochs is { } epochs && epochs.Length == topic.Partitions.Length
                    ? epochs[i]
                    : Math.Max(memberEpoch, 0);
                partitions[new TopicIdPartition(topic.TopicId, topic.Partitions[i])] = epoch;
            }
        }

        return partitions.ToImmutable();
    }

    private static ConsumerGroupCurrentMemberAssignmentValue.TopicPartitions[] WithEpochs(
        ImmutableSortedDictionary<TopicIdPartition, int> partitions) =>
    [
        .. partitions.GroupBy(entry => entry.Key.TopicId).Select(topic => new ConsumerGroupCurrentMemberAssignmentValue.TopicPartitions
        {
            TopicId = topic.Key,
            Partitions = [.. topic.Select(entry => entry.Key.Partition)],
            AssignmentEpochs = [.. topic.Select(entry => entry.Value)],
        }),
    ];
}
