using System.Collections.Immutable;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Coordinators;
using Ottla.StateMachines.Groups.Consumer;

namespace Ottla.StateMachines.Groups.Share;

/// <summary>
/// A share group (KIP-932): its members, their target assignments, and the partitions of which share coordinators have state.
/// </summary>
/// <remarks>
/// All of its state comes from records, except for the time of the next check of its topics and the times at which partitions began to be
/// initialised. Owned by <see cref="ShareDecisions"/>.
/// </remarks>
public sealed class ShareGroup(string groupId) : ModernGroup(groupId)
{
    private const int DepartedMemberEpoch = MemberEpochs.Leave;

    private readonly Dictionary<string, ShareGroupMember> _members = new(StringComparer.Ordinal);
    private readonly Dictionary<string, ImmutableSortedSet<TopicIdPartition>> _targets = new(StringComparer.Ordinal);
    private readonly Dictionary<Uuid, Instant> _initializingSince = [];
    private ImmutableSortedSet<string>? _subscribedTopics;

    /// <inheritdoc/>
    public override GroupType Type => GroupType.Share;

    /// <inheritdoc/>
    public override string ProtocolType => TypeName;

    /// <inheritdoc/>
    public override string StateName => IsEmpty ? "Empty" : "Stable";

    /// <inheritdoc/>
    public override bool IsEmpty => _members.Count == 0;

    /// <inheritdoc/>
    public override int MemberCount => _members.Count;

    /// <inheritdoc/>
    public override bool ExpiresWithItsOffsets => false;

    /// <summary>The members, in no order.</summary>
    public IReadOnlyCollection<ShareGroupMember> Members => _members.Values;

    /// <summary>The target assignment, by member.</summary>
    public IReadOnlyDictionary<string, ImmutableSortedSet<TopicIdPartition>> Targets => _targets;

    /// <summary>The partitions of which share coordinators have state.</summary>
    public ShareStatePartitions StatePartitions { get; private set; } = ShareStatePartitions.None;

    /// <summary>The topics that any member subscribes to, existing or not.</summary>
    public ImmutableSortedSet<string> SubscribedTopics => _subscribedTopics ??= TopicsOf(_members.Values);

    /// <summary>The topics that any of these members subscribes to.</summary>
    public static ImmutableSortedSet<string> TopicsOf(IEnumerable<ShareGroupMember> members) =>
        GroupSubscription.NoTopics.Union(members.SelectMany(member => member.SubscribedTopicNames));

    /// <inheritdoc/>
    public override bool HasMember(string memberId) => _members.ContainsKey(memberId);

    /// <inheritdoc/>
    /// <remarks>Share groups have no offsets in the group coordinator.</remarks>
    public override bool IsSubscribedTo(string topic) => false;

    /// <summary>The member with an id; null when there is none.</summary>
    public ShareGroupMember? Find(string memberId) => _members.GetValueOrDefault(memberId);

    /// <summary>The member with an id.</summary>
    /// <exception cref="ApiException">UNKNOWN_MEMBER_ID.</exception>
    public ShareGroupMember Get(string memberId) =>
        Find(memberId) ?? throw Refuse(ErrorCode.UnknownMemberId, $"Member {memberId} is not a member of group {GroupId}.");

    /// <summary>The target assignment of a member.</summary>
    public ImmutableSortedSet<TopicIdPartition> TargetOf(string memberId) => _targets.GetValueOrDefault(memberId, []);

    /// <summary>Since when partitions of a topic are being initialised; null when none are.</summary>
    public Instant? InitializingSince(Uuid topicId) => _initializingSince.TryGetValue(topicId, out var since) ? since : null;

    /// <summary>Records when partitions of topics began to be initialised.</summary>
    public void RecordInitializing(IEnumerable<Uuid> topicIds, Instant now)
    {
        foreach (var topicId in topicIds)
            _initializingSince[topicId] = now;
    }

    /// <inheritdoc/>
    public override void ValidateOffsetCommit(
        string memberId, string? groupInstanceId, int generationIdOrMemberEpoch, bool isTransactional, short apiVersion) =>
        throw NotAConsumerGroup();

    /// <inheritdoc/>
    public override void ValidateOffsetFetch(string? memberId, int memberEpoch) => throw NotAConsumerGroup();

    /// <inheritdoc/>
    public override void ValidateOffsetDelete() => throw NotAConsumerGroup();

    /// <summary>Checks that the group has no members.</summary>
    /// <exception cref="ApiException">NON_EMPTY_GROUP.</exception>
    public void ValidateEmpty()
    {
        if (!IsEmpty)
            throw Refuse(ErrorCode.NonEmptyGroup, "The group is not empty.");
    }

    /// <inheritdoc/>
    /// <remarks>
    /// The share coordinators delete their state first (<see cref="PrepareDeleteGroupCommand"/>): else the next group with this id would
    /// find it. COORDINATOR_NOT_AVAILABLE: partitions were initialised since.
    /// </remarks>
    public override void ValidateDelete()
    {
        ValidateEmpty();
        if (!StatePartitions.Initialized.IsEmpty || !StatePartitions.Initializing.IsEmpty)
        {
            throw Refuse(
                ErrorCode.CoordinatorNotAvailable, $"The share coordinators still have state of share group {GroupId}; try again.");
        }
    }

    /// <inheritdoc/>
    public override void WriteTombstones(CoordinatorEffects effects) => effects.Write(ShareGroupRecords.GroupTombstones(GroupId));

    /// <inheritdoc/>
    public override Instant? ExpirationBase(string topic, Instant committedAt) => null;

    /// <summary>Applies a record of this group. A tombstone of something that does not exist has no effect.</summary>
    /// <returns>False when the record deletes the group.</returns>
    public bool Apply(in CoordinatorRecord record)
    {
        switch (record.Key)
        {
            case ShareGroupMetadataKey:
                if (record.Value is not ShareGroupMetadataValue epoch)
                    return false;
                (GroupEpoch, MetadataHash) = (epoch.Epoch, epoch.MetadataHash);
                break;
            case ShareGroupMemberMetadataKey key:
                Apply(key.MemberId, (ShareGroupMemberMetadataValue?)record.Value);
                break;
            case ShareGroupTargetAssignmentMetadataKey:
                var target = (ShareGroupTargetAssignmentMetadataValue?)record.Value;
                (AssignmentEpoch, AssignmentTimestamp) = (target?.AssignmentEpoch ?? -1, new Instant(target?.AssignmentTimestamp ?? 0));
                break;
            case ShareGroupTargetAssignmentMemberKey key:
                Apply(key.MemberId, (ShareGroupTargetAssignmentMemberValue?)record.Value);
                break;
            case ShareGroupCurrentMemberAssignmentKey key:
                Apply(key.MemberId, (ShareGroupCurrentMemberAssignmentValue?)record.Value);
                break;
            case ShareGroupStatePartitionMetadataKey:
                Apply((ShareGroupStatePartitionMetadataValue?)record.Value);
                break;
            default:
                throw new InvariantViolationException($"a record of type {record.Key.RecordKey} is not a share group record");
        }

        return true;
    }

    private void Apply(string memberId, ShareGroupMemberMetadataValue? value)
    {
        _subscribedTopics = null;
        if (value is null)
            _members.Remove(memberId);
        else
            _members[memberId] = (Find(memberId) ?? new ShareGroupMember(memberId)).With(value);
    }

    private void Apply(string memberId, ShareGroupTargetAssignmentMemberValue? value)
    {
        if (value is null)
            _targets.Remove(memberId);
        else
            _targets[memberId] = [.. value.TopicPartitions
                .SelectMany(topic => topic.Partitions, (topic, partition) => new TopicIdPartition(topic.TopicId, partition))];
    }

    private void Apply(string memberId, ShareGroupCurrentMemberAssignmentValue? value)
    {
        if (value is not null)
        {
            _members[memberId] = (Find(memberId) ?? new ShareGroupMember(memberId)).With(value);
        }
        else if (Find(memberId) is { } member)
        {
            _members[memberId] = member with
            {
                MemberEpoch = DepartedMemberEpoch,
                PreviousMemberEpoch = DepartedMemberEpoch,
                AssignedPartitions = [],
            };
        }
    }

    private void Apply(ShareGroupStatePartitionMetadataValue? value)
    {
        StatePartitions = value is null ? ShareStatePartitions.None : ShareStatePartitions.From(value);
        foreach (var topicId in _initializingSince.Keys.Where(topicId => !StatePartitions.Initializing.ContainsKey(topicId)).ToArray())
            _initializingSince.Remove(topicId);
    }

    private ApiException NotAConsumerGroup() => Refuse(ErrorCode.GroupIdNotFound, $"Group {GroupId} is not a consumer group.");
}
