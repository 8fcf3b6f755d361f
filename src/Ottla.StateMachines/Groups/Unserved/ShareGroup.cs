using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Coordinators;

namespace Ottla.StateMachines.Groups.Unserved;

/// <summary>A share group (KIP-932), which this version knows only by its records. See <see cref="UnservedGroup"/>.</summary>
public sealed class ShareGroup(string groupId) : UnservedGroup(groupId)
{
    private ShareGroupMetadataValue _metadata = new();
    private bool _hasShareState;

    /// <inheritdoc/>
    public override GroupType Type => GroupType.Share;

    /// <inheritdoc/>
    public override string StateName => IsEmpty ? "Empty" : "Stable";

    /// <inheritdoc/>
    public override bool ExpiresWithItsOffsets => false;

    /// <inheritdoc/>
    public override bool IsSubscribedTo(string topic) => false;

    /// <inheritdoc/>
    public override void ValidateOffsetCommit(
        string memberId, string? groupInstanceId, int generationIdOrMemberEpoch, bool isTransactional, short apiVersion) =>
        throw NotAConsumerGroup();

    /// <inheritdoc/>
    public override void ValidateOffsetFetch(string? memberId, int memberEpoch) => throw NotAConsumerGroup();

    /// <inheritdoc/>
    public override void ValidateOffsetDelete() => throw NotAConsumerGroup();

    /// <inheritdoc/>
    public override void ValidateDelete()
    {
        base.ValidateDelete();

        // The share coordinator would have to delete its state first. Otherwise the next group with this id would find it.
        if (_hasShareState)
        {
            throw Refuse(
                ErrorCode.CoordinatorNotAvailable,
                $"The state of share group {GroupId} cannot be deleted: this broker has no share coordinator.");
        }
    }

    /// <inheritdoc/>
    public override Instant? ExpirationBase(string topic, Instant committedAt) => null;

    /// <inheritdoc/>
    public override bool Apply(in CoordinatorRecord record)
    {
        switch (record.Key)
        {
            case ShareGroupMetadataKey:
                if (record.Value is not ShareGroupMetadataValue metadata)
                    return false;
                _metadata = metadata;
                break;
            case ShareGroupMemberMetadataKey key:
                ApplyMember(key.MemberId, record.Value is not null);
                break;
            case ShareGroupCurrentMemberAssignmentKey key:
                var assigned = record.Value as ShareGroupCurrentMemberAssignmentValue;
                ApplyAssignment(key.MemberId, assigned is null ? null : new UnservedMember(assigned.MemberEpoch, assigned.State));
                break;
            case ShareGroupTargetAssignmentMetadataKey:
                AssignmentEpoch = (record.Value as ShareGroupTargetAssignmentMetadataValue)?.AssignmentEpoch ?? -1;
                break;
            case ShareGroupTargetAssignmentMemberKey key:
                ApplyTarget(key.MemberId, record.Value is not null);
                break;
            case ShareGroupStatePartitionMetadataKey:
                _hasShareState = record.Value is ShareGroupStatePartitionMetadataValue { } state
                    && state.InitializingTopics.Length + state.InitializedTopics.Length + state.DeletingTopics.Length > 0;
                break;
            default:
                throw new InvariantViolationException($"a record of type {record.Key.RecordKey} is not of a share group");
        }

        return true;
    }

    private protected override IRecordMessage TargetMetadataKey => new ShareGroupTargetAssignmentMetadataKey { GroupId = GroupId };

    private protected override IEnumerable<IRecordMessage> LastKeys =>
        [new ShareGroupStatePartitionMetadataKey { GroupId = GroupId }, new ShareGroupMetadataKey { GroupId = GroupId }];

    private protected override IRecordMessage MemberKeyOf(string memberId) =>
        new ShareGroupMemberMetadataKey { GroupId = GroupId, MemberId = memberId };

    private protected override IRecordMessage AssignmentKeyOf(string memberId) =>
        new ShareGroupCurrentMemberAssignmentKey { GroupId = GroupId, MemberId = memberId };

    private protected override IRecordMessage TargetKeyOf(string memberId) =>
        new ShareGroupTargetAssignmentMemberKey { GroupId = GroupId, MemberId = memberId };

    private protected override CoordinatorRecord ToNextEpoch() => new(
        new ShareGroupMetadataKey { GroupId = GroupId },
        new ShareGroupMetadataValue { Epoch = _metadata.Epoch + 1, MetadataHash = _metadata.MetadataHash },
        ValueVersion: 0);

    private ApiException NotAConsumerGroup() => Refuse(ErrorCode.GroupIdNotFound, $"Group {GroupId} is not a consumer group.");
}
