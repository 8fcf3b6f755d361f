using System.Collections.Immutable;
using Ottla.Kernel;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Coordinators;

namespace Ottla.StateMachines.Groups.Consumer;

// How records change a group.
public sealed partial class ConsumerGroup
{
    /// <summary>The epoch of a member that is about to be deleted.</summary>
    private const int DepartedMemberEpoch = MemberEpochs.Leave;

    /// <summary>Applies a record of this group. A tombstone of something that does not exist has no effect.</summary>
    /// <returns>False when the record deletes the group.</returns>
    public bool Apply(in CoordinatorRecord record)
    {
        switch (record.Key)
        {
            case ConsumerGroupMetadataKey:
                if (record.Value is not ConsumerGroupMetadataValue epoch)
                    return false;
                (GroupEpoch, MetadataHash) = (epoch.Epoch, epoch.MetadataHash);
                break;
            case ConsumerGroupPartitionMetadataKey:
                HasPartitionMetadataRecord = record.Value is not null;
                break;
            case ConsumerGroupMemberMetadataKey key:
                Apply(key.MemberId, (ConsumerGroupMemberMetadataValue?)record.Value);
                break;
            case ConsumerGroupTargetAssignmentMetadataKey:
                var target = (ConsumerGroupTargetAssignmentMetadataValue?)record.Value;
                (AssignmentEpoch, AssignmentTimestamp) = (target?.AssignmentEpoch ?? -1, new Instant(target?.AssignmentTimestamp ?? 0));
                break;
            case ConsumerGroupTargetAssignmentMemberKey key:
                Apply(key.MemberId, (ConsumerGroupTargetAssignmentMemberValue?)record.Value);
                break;
            case ConsumerGroupCurrentMemberAssignmentKey key:
                Apply(key.MemberId, (ConsumerGroupCurrentMemberAssignmentValue?)record.Value);
                break;
            case ConsumerGroupRegularExpressionKey key:
                ApplyResolution(key.RegularExpression, (ConsumerGroupRegularExpressionValue?)record.Value);
                break;
            default:
                throw new InvariantViolationException($"a record of type {record.Key.RecordKey} is not a consumer group record");
        }

        return true;
    }

    private void Apply(string memberId, ConsumerGroupMemberMetadataValue? value)
    {
        if (value is not null)
            Put((Find(memberId) ?? new ConsumerGroupMember(memberId)).With(value));
        else if (Find(memberId) is { } member)
            Remove(member);
    }

    private void Apply(string memberId, ConsumerGroupTargetAssignmentMemberValue? value)
    {
        if (value is null)
            _targets.Remove(memberId);
        else
            _targets[memberId] = [.. value.TopicPartitions
                .SelectMany(topic => topic.Partitions, (topic, partition) => new TopicIdPartition(topic.TopicId, partition))];
    }

    private void Apply(string memberId, ConsumerGroupCurrentMemberAssignmentValue? value)
    {
        if (value is not null)
        {
            Put((Find(memberId) ?? new ConsumerGroupMember(memberId)).With(value));
        }
        else if (Find(memberId) is { } member)
        {
            Put(member with
            {
                MemberEpoch = DepartedMemberEpoch,
                PreviousMemberEpoch = DepartedMemberEpoch,
                AssignedPartitions = ConsumerGroupMember.NoPartitions,
                PartitionsPendingRevocation = ConsumerGroupMember.NoPartitions,
            });
        }
    }

    private void ApplyResolution(string regex, ConsumerGroupRegularExpressionValue? value)
    {
        if (value is null)
            _resolved.Remove(regex);
        else
            _resolved[regex] = new(GroupSubscription.NoTopics.Union(value.Topics), value.Version, new Instant(value.Timestamp));
        _subscription = null;
    }

    private void Put(ConsumerGroupMember member)
    {
        if (Find(member.MemberId) is { } before)
            Forget(before);
        _members[member.MemberId] = member;
        if (member.SubscribedTopicRegex.Length > 0)
            _regexSubscribers[member.SubscribedTopicRegex] = CountSubscribers(member.SubscribedTopicRegex) + 1;
        if (member.InstanceId is not null)
            _memberIdsByInstanceId[member.InstanceId] = member.MemberId;

        // A later record wins: a member gets a partition only after the previous owner gave it up.
        foreach (var partition in member.AssignedPartitions.Keys)
            _owners[partition] = member.MemberId;
        foreach (var partition in member.PartitionsPendingRevocation.Keys)
            _owners[partition] = member.MemberId;
    }

    private void Remove(ConsumerGroupMember member)
    {
        Forget(member);
        _members.Remove(member.MemberId);
    }

    private void Forget(ConsumerGroupMember member)
    {
        _subscription = null;
        if (member.SubscribedTopicRegex.Length > 0 && --_regexSubscribers[member.SubscribedTopicRegex] == 0)
            _regexSubscribers.Remove(member.SubscribedTopicRegex);
        if (member.InstanceId is not null && _memberIdsByInstanceId.GetValueOrDefault(member.InstanceId) == member.MemberId)
            _memberIdsByInstanceId.Remove(member.InstanceId);
        foreach (var partition in member.AssignedPartitions.Keys)
            ReleasePartition(partition, member.MemberId);
        foreach (var partition in member.PartitionsPendingRevocation.Keys)
            ReleasePartition(partition, member.MemberId);
    }

    private void ReleasePartition(TopicIdPartition partition, string memberId)
    {
        if (_owners.GetValueOrDefault(partition) == memberId)
            _owners.Remove(partition);
    }
}
