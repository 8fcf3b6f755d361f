using System.Collections.Immutable;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.StateMachines.Coordinators;
using Ottla.StateMachines.Groups.Classic;
using Ottla.StateMachines.Groups.Consumer;

namespace Ottla.StateMachines.Groups.Migration;

/// <summary>Converts groups between the protocols, as <c>group.consumer.migration.policy</c> allows.</summary>
/// <remarks>
/// Part of a <see cref="GroupMachine"/>; lives as long. A classic group is converted when the first member of the consumer protocol joins,
/// and back when the last one leaves. Members keep their subscriptions and partitions. Offsets are separate from the group and stay.
/// </remarks>
internal sealed class GroupMigration(GroupContext context, ConsumerDecisions consumer, ClassicRebalance rebalance) : IGroupMigration
{
    private string Policy => context.Config.GroupConsumerMigrationPolicy.ToUpperInvariant();

    /// <summary>Whether a group may have members of both protocols.</summary>
    public bool IsEnabled => Policy != "DISABLED";

    private bool IsUpgradeEnabled => Policy is "UPGRADE" or "BIDIRECTIONAL";

    private bool IsDowngradeEnabled => Policy is "DOWNGRADE" or "BIDIRECTIONAL";

    /// <inheritdoc/>
    public ConsumerGroup Upgrade(Group classic, CoordinatorEffects effects)
    {
        var from = (ClassicGroup)classic;
        if (!IsUpgradeEnabled)
            throw RefuseUpgrade(from, "online upgrade is disabled");
        if (!from.UsesConsumerProtocol)
            throw RefuseUpgrade(from, "the group does not use the consumer embedded protocol");
        if (from.Members.Count > context.Config.GroupConsumerMaxSize)
            throw RefuseUpgrade(from, "the group size exceeds the consumer group maximum size");
        ConsumerGroupMember[] members;
        try
        {
            members = [.. from.Members.Select(member => ToConsumer(member, from))];
        }
        catch (ProtocolException)
        {
            throw RefuseUpgrade(from, "the embedded consumer protocol is malformed");
        }

        from.WriteTombstones(effects);
        var to = new ConsumerGroup(from.GroupId);
        foreach (var record in Records(from, members))
        {
            to.Apply(record);
            effects.Write(record);
        }

        return to;
    }

    /// <inheritdoc/>
    public void FinishUpgrade(Group classic, Instant now, CoordinatorEffects effects)
    {
        var from = (ClassicGroup)classic;
        foreach (var member in from.Members)
        {
            ClassicRebalance.AnswerAwaiting(from, member, ErrorCode.RebalanceInProgress, member.MemberId, effects);
            consumer.ScheduleSession(from.GroupId, member.MemberId, member.SessionTimeoutMs, now);
        }
    }

    /// <inheritdoc/>
    public bool TryDowngrade(ConsumerGroup group, IReadOnlyCollection<ConsumerGroupMember> leaving, Instant now, CoordinatorEffects effects)
    {
        var leavingIds = leaving.Select(member => member.MemberId).ToHashSet(StringComparer.Ordinal);
        ConsumerGroupMember[] remaining = [.. group.Members.Where(member => !leavingIds.Contains(member.MemberId))];
        if (remaining.Length == 0 || !MayBeClassic(remaining) || ToClassic(group, remaining, now) is not { } classic)
            return false;
        Replace(group, classic, now, effects);
        rebalance.Prepare(classic, now, effects);
        return true;
    }

    /// <summary>
    /// Converts a consumer group to a classic one when a classic member replaces its last member of the consumer protocol, if that is
    /// possible.
    /// </summary>
    /// <param name="group">The group.</param>
    /// <param name="replaced">The static member that is replaced.</param>
    /// <param name="successor">The successor with its subscription.</param>
    /// <param name="owned">The partitions that the successor owns.</param>
    /// <param name="now">The time.</param>
    /// <param name="effects">Receives the records.</param>
    /// <returns>
    /// The successor's epoch for the response to its join: 0 if it must join again. Null when the group must stay a consumer group.
    /// </returns>
    public int? TryDowngrade(
        ConsumerGroup group,
        ConsumerGroupMember replaced,
        ConsumerGroupMember successor,
        IReadOnlySet<TopicIdPartition> owned,
        Instant now,
        CoordinatorEffects effects)
    {
        ConsumerGroupMember[] others = [.. group.Members.Where(member => member.MemberId != replaced.MemberId)];
        if (replaced.Classic is not null || !MayBeClassic([.. others, successor])
            || ToClassic(group, [.. others, successor], now, replaced.MemberId) is not { } classic)
            return null;
        Replace(group, classic, now, effects);

        // Every member must have its target assignment. Otherwise one member could still consume a partition that the classic group gives
        // to another.
        var isStale = IsAssignmentStale(group, [.. others, successor]) || !successor.SubscribesToSame(replaced);
        if (isStale || !others.All(member => member.IsReconciledTo(group.AssignmentEpoch)))
            rebalance.Prepare(classic, now, effects);
        if (isStale)
            return successor.MemberEpoch;
        var subscribed = GroupSubscription.IdsOf(successor.SubscribedTopicNames, context.Image.Topics);
        var target = group.TargetOf(replaced.MemberId);
        var reconciliation = new MemberReconciliation(
            group.AssignmentEpoch, target, subscribed, HasSubscriptionChanged: false, owned, group.IsOwned);
        return reconciliation.Apply(successor).MemberEpoch;
    }

    // Also when topics changed since the group epoch began.
    private bool IsAssignmentStale(ConsumerGroup group, ConsumerGroupMember[] members)
    {
        var topics = GroupSubscription.Of(members, group.ResolvedRegularExpressions).Topics;
        return group.AssignmentEpoch < group.GroupEpoch || TopicMetadataHash.Of(topics, context.Image) != group.MetadataHash;
    }

    private static ApiException RefuseUpgrade(ClassicGroup group, string reason) =>
        new(ErrorCode.GroupIdNotFound, $"Cannot upgrade classic group {group.GroupId} to consumer group because {reason}.");

    private IEnumerable<CoordinatorRecord> Records(ClassicGroup from, ConsumerGroupMember[] members)
    {
        var topics = GroupSubscription.Of(members, new Dictionary<string, ResolvedRegularExpression>()).Topics;
        return
        [
            .. members.Select(member => ConsumerGroupRecords.Member(from.GroupId, member)),
            ConsumerGroupRecords.Epoch(from.GroupId, from.GenerationId, TopicMetadataHash.Of(topics, context.Image)),
            .. members.Select(member => ConsumerGroupRecords.Target(from.GroupId, member.MemberId, [.. member.AssignedPartitions.Keys])),
            ConsumerGroupRecords.TargetEpoch(from.GroupId, from.GenerationId, default),
            .. members.Select(member => ConsumerGroupRecords.Assignment(from.GroupId, member)),
        ];
    }

    // The member's target is what it has. When the classic group rebalances, the member must join again and gets a new one.
    private ConsumerGroupMember ToConsumer(ClassicGroupMember member, ClassicGroup group)
    {
        var subscription = ConsumerProtocol.ReadSubscription(member.Metadata(group.ProtocolName ?? group.SelectProtocol()));
        return new ConsumerGroupMember(member.MemberId)
        {
            MemberEpoch = group.GenerationId,
            PreviousMemberEpoch = group.GenerationId,
            InstanceId = member.GroupInstanceId,
            RackId = subscription.RackId,
            RebalanceTimeoutMs = member.RebalanceTimeoutMs,
            ClientId = member.ClientId,
            ClientHost = member.ClientHost,
            SubscribedTopicNames = GroupSubscription.NoTopics.Union(subscription.Topics),
            AssignedPartitions = AssignedTo(member, group).ToImmutableSortedDictionary(partition => partition, _ => group.GenerationId),
            Classic = new ClassicMemberMetadata(member.SessionTimeoutMs, [.. member.Protocols]),
        };
    }

    private IReadOnlySet<TopicIdPartition> AssignedTo(ClassicGroupMember member, ClassicGroup group)
    {
        if (member.Assignment.Length == 0)
            return ImmutableHashSet<TopicIdPartition>.Empty;
        var assignment = ConsumerProtocol.ReadAssignment(member.Assignment);
        if (assignment.UserData is { Length: > 0 })
            throw RefuseUpgrade(group, "an unsupported custom assignor is in use");
        return ClassicMembers.Identify(
            assignment.AssignedPartitions.Select(topic => (topic.Topic, topic.Partitions)), context.Image.Topics);
    }

    private bool MayBeClassic(ConsumerGroupMember[] members) =>
        IsDowngradeEnabled && members.Length <= context.Config.GroupMaxSize && members.All(member => member.Classic is not null);

    private void Replace(ConsumerGroup group, ClassicGroup classic, Instant now, CoordinatorEffects effects)
    {
        group.WriteTombstones(effects);
        var record = classic.ToRecord();
        effects.Write(record);
        context.Stage(record, classic);
        foreach (var member in classic.Members)
            rebalance.ScheduleSession(classic, member, now);
    }

    // Null when a member's subscription cannot be read. A successor gets the assignment of the member that it replaces.
    private ClassicGroup? ToClassic(ConsumerGroup group, ConsumerGroupMember[] members, Instant now, string? replacedMemberId = null)
    {
        var classic = ClassicGroup.FromConsumers(
            group.GroupId,
            group.GroupEpoch,
            members.Select(member => new ClassicGroupMember
            {
                MemberId = member.MemberId,
                GroupInstanceId = member.InstanceId,
                ClientId = member.ClientId,
                ClientHost = member.ClientHost,
                RebalanceTimeoutMs = member.RebalanceTimeoutMs,
                SessionTimeoutMs = member.Classic!.SessionTimeoutMs,
                Protocols = member.Classic.SupportedProtocols,
            }),
            now);
        try
        {
            foreach (var member in classic.Members)
            {
                var target = group.TargetOf(group.HasMember(member.MemberId) ? member.MemberId : replacedMemberId!);
                var version = ConsumerProtocol.ReadVersion(member.Metadata(classic.ProtocolName!));
                member.Assignment = ClassicMembers.WriteAssignment(target, version, context.Image.Topics);
            }
        }
        catch (ProtocolException)
        {
            return null;
        }

        return classic;
    }
}
