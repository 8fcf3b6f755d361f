using System.Collections.Immutable;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.StateMachines.Coordinators;

namespace Ottla.StateMachines.Groups.Consumer;

/// <summary>A consumer group (KIP-848): its members, their target assignments and their current assignments.</summary>
/// <remarks>
/// All of its state comes from records, except for the time of the next check of its topics and a running look-up of regular expressions.
/// A member's epoch only grows, like the others: when the member has reached its target.
/// </remarks>
public sealed partial class ConsumerGroup(string groupId) : ModernGroup(groupId)
{
    private readonly SortedDictionary<string, ConsumerGroupMember> _members = new(StringComparer.Ordinal);
    private readonly SortedDictionary<string, ImmutableSortedSet<TopicIdPartition>> _targets = new(StringComparer.Ordinal);
    private readonly SortedDictionary<string, ResolvedRegularExpression> _resolved = new(StringComparer.Ordinal);
    private readonly SortedDictionary<string, int> _regexSubscribers = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _memberIdsByInstanceId = new(StringComparer.Ordinal);
    private readonly Dictionary<TopicIdPartition, string> _owners = [];

    private GroupSubscription? _subscription;

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
    public override int MemberCount => _members.Count;

    /// <inheritdoc/>
    public override bool IsEmpty => _members.Count == 0;

    /// <summary>Whether the log still has the partition metadata record of a broker before 4.1. The next change deletes it.</summary>
    public bool HasPartitionMetadataRecord { get; private set; }

    /// <summary>The members, ordered by id.</summary>
    public IReadOnlyCollection<ConsumerGroupMember> Members => _members.Values;

    /// <summary>The target assignment, by member.</summary>
    public IReadOnlyDictionary<string, ImmutableSortedSet<TopicIdPartition>> Targets => _targets;

    /// <summary>The topics that the members' regular expressions match.</summary>
    public IReadOnlyDictionary<string, ResolvedRegularExpression> ResolvedRegularExpressions => _resolved;

    /// <summary>The members' regular expressions, resolved or not.</summary>
    public IReadOnlyCollection<string> SubscribedRegularExpressions => _regexSubscribers.Keys;

    /// <summary>The combined subscription of all members.</summary>
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

    /// <summary>The target assignment of a member.</summary>
    public ImmutableSortedSet<TopicIdPartition> TargetOf(string memberId) => _targets.GetValueOrDefault(memberId, []);

    /// <summary>Whether a member owns a partition, or has not given it up yet.</summary>
    public bool IsOwned(TopicIdPartition partition) => _owners.ContainsKey(partition);

    /// <summary>The number of members that subscribe to a regular expression.</summary>
    public int CountSubscribers(string regex) => _regexSubscribers.GetValueOrDefault(regex);

    /// <summary>The running look-up of the members' regular expressions; null when there is none.</summary>
    public ResolveExpressionsOutput? ResolutionUnderWay { get; private set; }

    /// <summary>Records that the members' regular expressions are being looked up.</summary>
    public void BeginResolution(ResolveExpressionsOutput output) => ResolutionUnderWay = output;

    /// <summary>Ends a look-up.</summary>
    /// <returns>False when it is not the running one: it belonged to another group with the same id.</returns>
    public bool TryEndResolution(ResolveExpressionsOutput output)
    {
        if (!ReferenceEquals(ResolutionUnderWay, output))
            return false;
        ResolutionUnderWay = null;
        return true;
    }

    /// <inheritdoc/>
    public override void ValidateOffsetCommit(
        string memberId, string? groupInstanceId, int generationIdOrMemberEpoch, bool isTransactional, short apiVersion)
    {
        const short firstVersionWithMemberEpochs = 9;
        if (generationIdOrMemberEpoch < 0 && IsEmpty)
            return;
        if (isTransactional && generationIdOrMemberEpoch == -1 && memberId.Length == 0 && groupInstanceId is null)
            return;
        var member = Get(memberId);
        if (!isTransactional && member.Classic is null && apiVersion < firstVersionWithMemberEpochs)
            throw Refuse(
                ErrorCode.UnsupportedVersion, "OffsetCommit version 9 or above must be used by members using the consumer group protocol");
        if (generationIdOrMemberEpoch > member.MemberEpoch)
            throw RefuseEpoch(
                member, $"Received epoch {generationIdOrMemberEpoch} is newer than current member epoch {member.MemberEpoch}.");
    }

    /// <inheritdoc/>
    public override void ValidatePartitionCommit(string memberId, int generationIdOrMemberEpoch, string topic, Uuid topicId, int partition)
    {
        // A member with an older epoch may commit for a partition that it has owned since then (KIP-1251).
        if (Find(memberId) is not { } member || generationIdOrMemberEpoch >= member.MemberEpoch)
            return;
        var id = new TopicIdPartition(topicId, partition);
        if (!member.AssignedPartitions.TryGetValue(id, out var epoch) && !member.PartitionsPendingRevocation.TryGetValue(id, out epoch))
            throw RefuseEpoch(member, $"Partition {topic}-{partition} is not assigned or pending revocation for member.");
        if (generationIdOrMemberEpoch < epoch)
            throw RefuseEpoch(member,
                $"Received epoch {generationIdOrMemberEpoch} is older than assignment epoch {epoch} for partition {topic}-{partition}.");
    }

    /// <inheritdoc/>
    public override void ValidateOffsetFetch(string? memberId, int memberEpoch)
    {
        if (memberId is null && memberEpoch < 0)
            return;
        var member = Get(memberId ?? "");
        if (memberEpoch != member.MemberEpoch)
            throw RefuseEpoch(
                member, $"The received member epoch {memberEpoch} does not match the expected member epoch {member.MemberEpoch}.");
    }

    /// <inheritdoc/>
    public override void ValidateOffsetDelete()
    {
        // Only IsSubscribedTo decides whether offsets of a topic may be deleted.
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
