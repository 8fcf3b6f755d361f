using System.Collections.Immutable;
using Ottla.Kernel;
using Ottla.StateMachines.Coordinators;
using Ottla.StateMachines.Groups.Assignors;
using Ottla.StateMachines.Groups.Consumer;

namespace Ottla.StateMachines.Groups.Share;

/// <summary>
/// Applies a heartbeat to a member of a share group, and computes the consequences for the group and the member's assignment. Lives for
/// one step.
/// </summary>
/// <remarks>
/// The group changes only when the records are applied, so during the step it shows the old state; <see cref="Members"/> shows the new one.
/// The order is that of the records: the member, the group epoch, the target assignment, the member's assignment, the partitions to
/// initialise.
/// </remarks>
internal sealed class ShareMemberUpdate(
    GroupContext context, ShareGroup group, ShareGroupMember before, ShareGroupMember reported, Instant now, CoordinatorEffects effects)
{
    private readonly ShareGroupSettings _settings = new(context.Image, context.Config, group.GroupId);
    private ImmutableSortedSet<string> _topics = group.SubscribedTopics;

    /// <summary>The members after the step, in the order in which Kafka's coordinator assigns to them.</summary>
    private IReadOnlyList<ShareGroupMember> Members
    {
        get
        {
            var members = group.Members.ToDictionary(member => member.MemberId, StringComparer.Ordinal);
            members[reported.MemberId] = reported;
            return [.. JavaHashOrder.Of(members.Keys.Order(StringComparer.Ordinal)).Select(id => members[id])];
        }
    }

    /// <summary>Computes all changes and writes their records.</summary>
    /// <returns>The member after the step.</returns>
    public ShareGroupMember Run()
    {
        if (!reported.HasSameMetadata(before))
            effects.Write(ShareGroupRecords.Member(group.GroupId, reported));
        var epochGrows = !reported.SubscribesToSame(before);
        if (group.AssignmentEpoch >= group.GroupEpoch)
            epochGrows |= HasUnassignedPartitions();
        var groupEpoch = UpdateEpoch(ref epochGrows);
        var (targetEpoch, target) = UpdateTarget(groupEpoch);
        var member = epochGrows || !reported.IsReconciledTo(targetEpoch) ? Reconcile(targetEpoch, target) : reported;
        Initialize(groupEpoch);
        return member;
    }

    /// <summary>Whether members subscribe to initialised partitions that no member has.</summary>
    private bool HasUnassignedPartitions()
    {
        if (group.IsEmpty || group.SubscribedTopics.IsEmpty)
            return false;
        var assigned = group.Targets.Values.SelectMany(partitions => partitions).ToHashSet();
        return group.StatePartitions.Initialized.Any(topic =>
            group.SubscribedTopics.Contains(topic.Value.Name)
            && !topic.Value.Partitions.All(partition => assigned.Contains(new TopicIdPartition(topic.Key, partition))));
    }

    /// <summary>Raises the group epoch if subscriptions or topics changed, or partitions wait to be assigned.</summary>
    private int UpdateEpoch(ref bool epochGrows)
    {
        if (!epochGrows && !group.IsMetadataCheckDue(now))
            return group.GroupEpoch;
        _topics = ShareGroup.TopicsOf(group.Members.Where(member => member.MemberId != reported.MemberId).Append(reported));
        var hash = TopicMetadataHash.Of(_topics, context.Image);
        var groupEpoch = group.GroupEpoch;
        epochGrows |= hash != group.MetadataHash;
        if (epochGrows)
            effects.Write(ShareGroupRecords.Epoch(group.GroupId, ++groupEpoch, hash));
        group.RecordMetadataCheck(now, groupEpoch);
        return groupEpoch;
    }

    /// <summary>Computes a target assignment for the group epoch, unless the last one is too recent.</summary>
    private (int Epoch, ImmutableSortedSet<TopicIdPartition> Target) UpdateTarget(int groupEpoch)
    {
        if (group.AssignmentEpoch >= groupEpoch || !group.MayAssign(_settings.AssignmentIntervalMs, now))
            return (group.AssignmentEpoch, group.TargetOf(reported.MemberId));
        var members = Members;
        var targets = SimpleAssignor.Assign(ProblemOf(members), group.StatePartitions.IsInitialized);
        var target = ImmutableSortedSet<TopicIdPartition>.Empty;
        for (var i = 0; i < members.Count; i++)
        {
            var memberId = members[i].MemberId;
            if (!group.Targets.TryGetValue(memberId, out var known) || !targets[i].SequenceEqual(known))
                effects.Write(ShareGroupRecords.Target(group.GroupId, memberId, targets[i]));
            if (memberId == reported.MemberId)
                target = targets[i];
        }

        effects.Write(ShareGroupRecords.TargetEpoch(group.GroupId, groupEpoch, now));
        return (groupEpoch, target);
    }

    private AssignmentProblem ProblemOf(IReadOnlyList<ShareGroupMember> members)
    {
        var topics = context.Image.Topics;
        return new AssignmentProblem(
            [.. members.Select(member => new AssignorMember(
                member.MemberId, InstanceId: null, member.RackId, GroupSubscription.IdsOf(member.SubscribedTopicNames, topics),
                group.TargetOf(member.MemberId)))],
            members.All(member => member.SubscribesToSame(members[0])),
            topic => topics.Find(topic)!.Partitions.Length);
    }

    private ShareGroupMember Reconcile(int targetEpoch, ImmutableSortedSet<TopicIdPartition> target)
    {
        var subscribed = GroupSubscription.IdsOf(reported.SubscribedTopicNames, context.Image.Topics);
        var member = reported.With(targetEpoch, [.. target.Where(partition => subscribed.Contains(partition.TopicId))]);
        if (member.MemberEpoch != reported.MemberEpoch || !member.AssignedPartitions.SequenceEqual(reported.AssignedPartitions))
            effects.Write(ShareGroupRecords.Assignment(group.GroupId, member));
        return member;
    }

    /// <summary>Has the share coordinators begin with the partitions that they do not know yet.</summary>
    private void Initialize(int groupEpoch)
    {
        var known = group.StatePartitions;
        var after = known;
        var begun = new List<InitialShareState>();
        foreach (var topic in _topics.Select(context.Image.Topics.Find).OfType<Metadata.TopicImage>())
        {
            var missing = MissingOf(topic);
            if (missing.IsEmpty)
                continue;
            after = after.Begin(topic.Id, new ShareTopic(topic.Name, missing));

            // Partitions that were added to a topic begin at their first record: else what was produced before now would be lost.
            var startOffset = known.Knows(topic.Id) ? 0 : StateMachines.Share.ShareState.UnsetStartOffset;
            begun.AddRange(missing.Select(partition => new InitialShareState(new TopicIdPartition(topic.Id, partition), startOffset)));
        }

        if (begun.Count == 0)
            return;
        effects.Write(ShareGroupRecords.StatePartitions(group.GroupId, after));
        effects.WhenTaken(taken =>
        {
            var topicIds = begun.Select(each => each.Partition.TopicId).Distinct();
            context.Find<ShareGroup>(group.GroupId)?.RecordInitializing(topicIds, now); // the records of this step may create the group
            taken.Output(new InitializeShareStateOutput(group.GroupId, groupEpoch, begun));
        });
    }

    /// <summary>The partitions of a topic that are neither initialised, nor being initialised since a short time.</summary>
    private ImmutableSortedSet<int> MissingOf(Metadata.TopicImage topic)
    {
        var initialized = group.StatePartitions.Initialized.GetValueOrDefault(topic.Id)?.Partitions ?? [];
        if (initialized.Count == topic.Partitions.Length)
            return [];
        var missing = Enumerable.Range(0, topic.Partitions.Length).Except(initialized).ToImmutableSortedSet();
        var isWaitedFor = group.InitializingSince(topic.Id) is { } since
            && now < since.AddMilliseconds(context.Config.Get("group.share.initialize.retry.interval.ms").AsInt);
        return isWaitedFor && group.StatePartitions.Initializing.TryGetValue(topic.Id, out var initializing)
            ? missing.Except(initializing.Partitions)
            : missing;
    }
}
