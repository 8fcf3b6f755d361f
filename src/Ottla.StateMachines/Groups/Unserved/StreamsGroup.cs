using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Coordinators;

namespace Ottla.StateMachines.Groups.Unserved;

/// <summary>
/// A streams group (KIP-1071), which this version knows only by its records, and its offsets. See <see cref="UnservedGroup"/>.
/// </summary>
public sealed class StreamsGroup(string groupId) : UnservedGroup(groupId)
{
    private const short FirstCommitVersionWithMemberEpochs = 9;
    private const sbyte StableMember = 1;

    private readonly HashSet<string> _sourceTopics = new(StringComparer.Ordinal);
    private StreamsGroupMetadataValue _metadata = new();
    private int? _topologyEpoch;

    /// <inheritdoc/>
    public override GroupType Type => GroupType.Streams;

    /// <inheritdoc/>
    public override string StateName
    {
        get
        {
            if (IsEmpty)
                return "Empty";
            if (_topologyEpoch is null || _topologyEpoch != _metadata.ValidatedTopologyEpoch)
                return "NotReady";
            if (_metadata.Epoch > AssignmentEpoch)
                return "Assigning";
            var isStable = Members.Values.All(member => member.State == StableMember && member.MemberEpoch == AssignmentEpoch);
            return isStable ? "Stable" : "Reconciling";
        }
    }

    /// <inheritdoc/>
    public override bool IsSubscribedTo(string topic) => !IsEmpty && _sourceTopics.Contains(topic);

    /// <inheritdoc/>
    /// <remarks>Members get no new epochs here, so an older epoch is stale for every partition.</remarks>
    public override void ValidateOffsetCommit(
        string memberId, string? groupInstanceId, int generationIdOrMemberEpoch, bool isTransactional, short apiVersion)
    {
        if (generationIdOrMemberEpoch < 0 && IsEmpty)
            return;
        if (isTransactional && generationIdOrMemberEpoch == -1 && memberId.Length == 0 && groupInstanceId is null)
            return;
        var member = Get(memberId);
        if (!isTransactional && apiVersion < FirstCommitVersionWithMemberEpochs)
        {
            throw Refuse(
                ErrorCode.UnsupportedVersion, "OffsetCommit version 9 or above must be used by members using the streams group protocol");
        }

        CheckEpoch(member, generationIdOrMemberEpoch);
    }

    /// <inheritdoc/>
    public override void ValidateOffsetFetch(string? memberId, int memberEpoch)
    {
        if (memberId is not null || memberEpoch >= 0)
            CheckEpoch(Get(memberId ?? ""), memberEpoch);
    }

    /// <inheritdoc/>
    public override void ValidateOffsetDelete()
    {
        // Only IsSubscribedTo decides whether offsets of a topic may be deleted.
    }

    /// <inheritdoc/>
    public override Instant? ExpirationBase(string topic, Instant committedAt) => IsSubscribedTo(topic) ? null : committedAt;

    /// <inheritdoc/>
    public override bool Apply(in CoordinatorRecord record)
    {
        switch (record.Key)
        {
            case StreamsGroupMetadataKey:
                if (record.Value is not StreamsGroupMetadataValue metadata)
                    return false;
                _metadata = metadata;
                break;
            case StreamsGroupMemberMetadataKey key:
                ApplyMember(key.MemberId, record.Value is not null);
                break;
            case StreamsGroupCurrentMemberAssignmentKey key:
                var assigned = record.Value as StreamsGroupCurrentMemberAssignmentValue;
                ApplyAssignment(key.MemberId, assigned is null ? null : new UnservedMember(assigned.MemberEpoch, assigned.State));
                break;
            case StreamsGroupTargetAssignmentMetadataKey:
                AssignmentEpoch = (record.Value as StreamsGroupTargetAssignmentMetadataValue)?.AssignmentEpoch ?? -1;
                break;
            case StreamsGroupTargetAssignmentMemberKey key:
                ApplyTarget(key.MemberId, record.Value is not null);
                break;
            case StreamsGroupTopologyKey:
                Apply(record.Value as StreamsGroupTopologyValue);
                break;
            default:
                throw new InvariantViolationException($"a record of type {record.Key.RecordKey} is not of a streams group");
        }

        return true;
    }

    private protected override IRecordMessage TargetMetadataKey => new StreamsGroupTargetAssignmentMetadataKey { GroupId = GroupId };

    private protected override IEnumerable<IRecordMessage> LastKeys =>
        [new StreamsGroupMetadataKey { GroupId = GroupId }, new StreamsGroupTopologyKey { GroupId = GroupId }];

    private protected override IRecordMessage MemberKeyOf(string memberId) =>
        new StreamsGroupMemberMetadataKey { GroupId = GroupId, MemberId = memberId };

    private protected override IRecordMessage AssignmentKeyOf(string memberId) =>
        new StreamsGroupCurrentMemberAssignmentKey { GroupId = GroupId, MemberId = memberId };

    private protected override IRecordMessage TargetKeyOf(string memberId) =>
        new StreamsGroupTargetAssignmentMemberKey { GroupId = GroupId, MemberId = memberId };

    private protected override CoordinatorRecord ToNextEpoch() => new(
        new StreamsGroupMetadataKey { GroupId = GroupId },
        new StreamsGroupMetadataValue
        {
            Epoch = _metadata.Epoch + 1,
            MetadataHash = _metadata.MetadataHash,
            ValidatedTopologyEpoch = _metadata.ValidatedTopologyEpoch,
            LastAssignmentConfigs = _metadata.LastAssignmentConfigs,
            StoredDescriptionTopologyEpoch = _metadata.StoredDescriptionTopologyEpoch,
            FailedDescriptionTopologyEpoch = _metadata.FailedDescriptionTopologyEpoch,
        },
        ValueVersion: 0);

    private void Apply(StreamsGroupTopologyValue? topology)
    {
        _topologyEpoch = topology?.Epoch;
        _sourceTopics.Clear();
        foreach (var subtopology in topology?.Subtopologies ?? [])
        {
            _sourceTopics.UnionWith(subtopology.SourceTopics);
            _sourceTopics.UnionWith(subtopology.RepartitionSourceTopics.Select(topic => topic.Name));
        }
    }

    private UnservedMember Get(string memberId) => Members.TryGetValue(memberId, out var member)
        ? member
        : throw Refuse(ErrorCode.UnknownMemberId, $"Member {memberId} is not a member of group {GroupId}.");

    private static void CheckEpoch(UnservedMember member, int received)
    {
        if (received != member.MemberEpoch)
        {
            throw Refuse(
                ErrorCode.StaleMemberEpoch,
                $"The received member epoch {received} does not match the expected member epoch {member.MemberEpoch}.");
        }
    }
}
