using System.Collections.Immutable;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.StateMachines.Controller;
using Ottla.StateMachines.Coordinators;

namespace Ottla.StateMachines.Groups.Consumer;

/// <summary>A consumer group (KIP-848): its members, what each is to have, and what each has.</summary>
/// <remarks>
/// What it holds comes from records, but for when its topics are to be looked at again, and whether its regular expressions are being
/// looked up. Epochs only grow: the group's with what is asked for, the assignment's when that has been distributed, a member's when it
/// has taken over its part.
/// </remarks>
public sealed partial class ConsumerGroup(string groupId) : Group(groupId)
{
    /// <summary>The epoch of a group before its first member.</summary>
    private const int FirstEpoch = 1;

    private readonly SortedDictionary<string, ConsumerGroupMember> _members = new(StringComparer.Ordinal);
    private readonly SortedDictionary<string, ImmutableSortedSet<TopicIdPartition>> _targets = new(StringComparer.Ordinal);
    private readonly SortedDictionary<string, ResolvedRegularExpression> _resolved = new(StringComparer.Ordinal);
    private readonly SortedDictionary<string, int> _regexSubscribers = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _memberIdsByInstanceId = new(StringComparer.Ordinal);
    private readonly Dictionary<TopicIdPartition, string> _owners = [];

    private GroupSubscription? _subscription;
    private Instant _nextMetadataCheck;
    private int _epochOfMetadataCheck;

    /// <inheritdoc/>
    public override GroupType Type => GroupType.Consumer;

    /// <inheritdoc/>
    public override string ProtocolType => ConsumerProtocol.ProtocolType;

    /// <inheritdoc/>
    public override string StateName
    {
        get
        {
            if (IsEmpty)
                return "Empty";
            if (GroupEpoch > AssignmentEpoch)
                return "Assigning";
            return _members.Values.All(member => member.IsReconciledTo(AssignmentEpoch)) ? "Stable" : "Reconciling";
        }
    }

    /// <inheritdoc/>
    public override bool IsEmpty => _members.Count == 0;

    /// <summary>Grows with every change of what is asked for.</summary>
    public int GroupEpoch { get; private set; } = FirstEpoch;

    /// <summary>What the topics looked like in this epoch.</summary>
    public long MetadataHash { get; private set; }

    /// <summary>The group's epoch that the target assignment is for; -1 while it is being deleted.</summary>
    public int AssignmentEpoch { get; private set; } = FirstEpoch;

    /// <summary>When the target assignment was made; 0 when there was none, or nobody knows.</summary>
    public Instant AssignmentTimestamp { get; private set; }

    /// <summary>Whether the log still has the topics' metadata of a broker before 4.1, to be deleted with the next change.</summary>
    public bool HasPartitionMetadataRecord { get; private set; }

    /// <summary>The members, ordered by their ids.</summary>
    public IReadOnlyCollection<ConsumerGroupMember> Members => _members.Values;

    /// <summary>The target assignment, by member.</summary>
    public IReadOnlyDictionary<string, ImmutableSortedSet<TopicIdPartition>> Targets => _targets;

    /// <summary>What the members' regular expressions match.</summary>
    public IReadOnlyDictionary<string, ResolvedRegularExpression> ResolvedRegularExpressions => _resolved;

    /// <summary>The members' regular expressions, resolved or not.</summary>
    public IReadOnlyCollection<string> SubscribedRegularExpressions => _regexSubscribers.Keys;

    /// <summary>What the members subscribe to, all in all.</summary>
    public GroupSubscription Subscription => _subscription ??= GroupSubscription.Of(_members.Values, _resolved);

    /// <inheritdoc/>
    public override bool HasMember(string memberId) => _members.ContainsKey(memberId);

    /// <inheritdoc/>
    public override bool IsSubscribedTo(string topic) => Subscription.Topics.Contains(topic);

    /// <summary>The member with an id; null when there is none.</summary>
    public ConsumerGroupMember? Find(string memberId) => _members.GetValueOrDefault(memberId);

    /// <summary>The member with an id.</summary>
    /// <exception cref="ApiException">UNKNOWN_MEMBER_ID.</exception>
    public ConsumerGroupMember Get(string memberId) =>
        Find(memberId) ?? throw Refuse(ErrorCode.UnknownMemberId, $"Member {memberId} is not a member of group {GroupId}.");

    /// <summary>The static member with an instance id; null when there is none.</summary>
    public ConsumerGroupMember? FindStatic(string? instanceId) =>
        instanceId is not null && _memberIdsByInstanceId.TryGetValue(instanceId, out var memberId) ? Find(memberId) : null;

    /// <summary>What a member is to have.</summary>
    public ImmutableSortedSet<TopicIdPartition> TargetOf(string memberId) => _targets.GetValueOrDefault(memberId, []);

    /// <summary>Whether a member has a partition, or has yet to give it up.</summary>
    public bool IsOwned(TopicIdPartition partition) => _owners.ContainsKey(partition);

    /// <summary>How many members subscribe to a regular expression.</summary>
    public int CountSubscribers(string regex) => _regexSubscribers.GetValueOrDefault(regex);

    /// <summary>
    /// The look-up of what the members' regular expressions match that has not been answered yet; null when there is none.
    /// </summary>
    public ResolveExpressionsOutput? ResolutionUnderWay { get; private set; }

    /// <summary>What the members' regular expressions match is being looked up.</summary>
    public void BeginResolution(ResolveExpressionsOutput output) => ResolutionUnderWay = output;

    /// <summary>A look-up was answered.</summary>
    /// <returns>False when it is not the one under way: its group was another.</returns>
    public bool TryEndResolution(ResolveExpressionsOutput output)
    {
        if (!ReferenceEquals(ResolutionUnderWay, output))
            return false;
        ResolutionUnderWay = null;
        return true;
    }

    /// <summary>Whether the topics are to be compared with <see cref="MetadataHash"/>: they may have changed, or the last time came to nothing.</summary>
    public bool IsMetadataCheckDue(Instant now) => now >= _nextMetadataCheck || GroupEpoch < _epochOfMetadataCheck;

    /// <summary>The topics may have changed.</summary>
    public void RequestMetadataCheck() => (_nextMetadataCheck, _epochOfMetadataCheck) = (default, 0);

    /// <summary>The topics were looked at, which led to <paramref name="groupEpoch"/>; unless they change, that is enough for a long time.</summary>
    public void NoteMetadataCheck(Instant now, int groupEpoch) => (_nextMetadataCheck, _epochOfMetadataCheck) = (now.AddMilliseconds(int.MaxValue), groupEpoch);

    /// <inheritdoc/>
    public override void ValidateOffsetCommit(string memberId, string? groupInstanceId, int generationIdOrMemberEpoch, bool isTransactional, short apiVersion)
    {
        const short firstVersionWithMemberEpochs = 9;
        if (generationIdOrMemberEpoch < 0 && IsEmpty)
            return;
        if (isTransactional && generationIdOrMemberEpoch == -1 && memberId.Length == 0 && groupInstanceId is null)
            return;
        var member = Get(memberId);
        if (!isTransactional && member.Classic is null && apiVersion < firstVersionWithMemberEpochs)
            throw Refuse(ErrorCode.UnsupportedVersion, "OffsetCommit version 9 or above must be used by members using the consumer group protocol");
        if (generationIdOrMemberEpoch > member.MemberEpoch)
            throw RefuseEpoch(member, $"Received epoch {generationIdOrMemberEpoch} is newer than current member epoch {member.MemberEpoch}.");
    }

    /// <inheritdoc/>
    public override void ValidatePartitionCommit(string memberId, int generationIdOrMemberEpoch, string topic, Uuid topicId, int partition)
    {
        // A member may commit in an older epoch what it has had since (KIP-1251).
        if (Find(memberId) is not { } member || generationIdOrMemberEpoch >= member.MemberEpoch)
            return;
        var id = new TopicIdPartition(topicId, partition);
        if (!member.AssignedPartitions.TryGetValue(id, out var epoch) && !member.PartitionsPendingRevocation.TryGetValue(id, out epoch))
            throw RefuseEpoch(member, $"Partition {topic}-{partition} is not assigned or pending revocation for member.");
        if (generationIdOrMemberEpoch < epoch)
            throw RefuseEpoch(member, $"Received epoch {generationIdOrMemberEpoch} is older than assignment epoch {epoch} for partition {topic}-{partition}.");
    }

    /// <inheritdoc/>
    public override void ValidateOffsetFetch(string? memberId, int memberEpoch)
    {
        if (memberId is null && memberEpoch < 0)
            return;
        var member = Get(memberId ?? "");
        if (memberEpoch != member.MemberEpoch)
            throw RefuseEpoch(member, $"The received member epoch {memberEpoch} does not match the expected member epoch {member.MemberEpoch}.");
    }

    /// <inheritdoc/>
    public override void ValidateOffsetDelete()
    {
        // Whether a topic's offsets may go depends on IsSubscribedTo alone.
    }

    /// <inheritdoc/>
    public override void ValidateDelete()
    {
        if (!IsEmpty)
            throw Refuse(ErrorCode.NonEmptyGroup, "The group is not empty.");
    }

    /// <inheritdoc/>
    public override void WriteTombstones(CoordinatorEffects effects) =>
        effects.Write(ConsumerGroupRecords.GroupTombstones(GroupId, _members.Keys, _resolved.Keys));

    /// <inheritdoc/>
    public override Instant? ExpirationBase(string topic, Instant committedAt) => IsSubscribedTo(topic) ? null : committedAt;

    private static ApiException RefuseEpoch(ConsumerGroupMember member, string message) =>
        Refuse(member.Classic is null ? ErrorCode.StaleMemberEpoch : ErrorCode.IllegalGeneration, message);
}
