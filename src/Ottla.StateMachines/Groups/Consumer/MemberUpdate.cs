using System.Collections.Immutable;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.StateMachines.Coordinators;
using Ottla.StateMachines.Groups.Assignors;
using Ottla.StateMachines.Groups.Regex;

namespace Ottla.StateMachines.Groups.Consumer;

/// <summary>
/// Applies a heartbeat to a member, and computes the consequences for the group and the member's assignment. Lives for one step.
/// </summary>
/// <remarks>
/// The group changes only when the records are applied, so during the step it shows the old state; <see cref="Members"/> shows the new one.
/// The order is that of the records: the member, resolved regular expressions, the group epoch, the target assignment, the member's
/// assignment.
/// </remarks>
internal sealed class MemberUpdate
{
    /// <summary>Regular expressions are resolved at most this often, so that several changes cause one rebalance.</summary>
    private const int RegexRefreshIntervalMinMs = 10_000;

    private readonly GroupContext _context;
    private readonly PartitionAssignors _assignors;
    private readonly ConsumerGroup _group;
    private readonly CoordinatorEffects _effects;
    private readonly Instant _now;
    private readonly ConsumerGroupMember _before;
    private readonly string? _replacedMemberId;
    private readonly SortedDictionary<string, ResolvedRegularExpression> _resolved;
    private ConsumerGroupMember _after;
    private bool _epochGrows;

    public MemberUpdate(
        GroupContext context,
        PartitionAssignors assignors,
        ConsumerGroup group,
        AdmittedMember admitted,
        ConsumerGroupMember after,
        Instant now,
        CoordinatorEffects effects)
    {
        (_context, _assignors, _group, _now, _effects) = (context, assignors, group, now, effects);
        (_before, _replacedMemberId) = admitted;
        _after = after;
        _resolved = new SortedDictionary<string, ResolvedRegularExpression>(StringComparer.Ordinal);
        foreach (var (regex, resolution) in group.ResolvedRegularExpressions)
            _resolved.Add(regex, resolution);
    }

    /// <summary>The members after the step, ordered by id.</summary>
    private IEnumerable<ConsumerGroupMember> Members =>
        _group.Members
            .Where(member => member.MemberId != _after.MemberId && member.MemberId != _replacedMemberId)
            .Append(_after)
            .OrderBy(member => member.MemberId, StringComparer.Ordinal);

    /// <summary>Computes all changes and writes their records.</summary>
    /// <param name="owned">The partitions that the member owns; null when the request does not say.</param>
    /// <param name="lastTopicsVersion">The offset of the newest metadata image that changed topics.</param>
    /// <param name="mayDescribe">Whether the member's client may describe a topic; null for all.</param>
    /// <returns>The member after the step.</returns>
    /// <exception cref="ApiException">INVALID_REGULAR_EXPRESSION, FENCED_MEMBER_EPOCH.</exception>
    public ConsumerGroupMember Run(
        IReadOnlySet<TopicIdPartition>? owned, long lastTopicsVersion, Func<string, bool>? mayDescribe)
    {
        if (!_after.HasSameMetadata(_before))
            _effects.Write(ConsumerGroupRecords.Member(_group.GroupId, _after));
        var subscriptionChanged = !_after.SubscribesToSame(_before);
        _epochGrows = !_after.SubscribesToSameNames(_before) || PreferredAssignorChanges();
        ReplaceRegex();
        RefreshRegexes(lastTopicsVersion, mayDescribe);
        var groupEpoch = UpdateEpoch();
        var (targetEpoch, target) = UpdateTarget(groupEpoch);
        if (subscriptionChanged || !_after.IsReconciledTo(targetEpoch))
        {
            var subscribed = GroupSubscription.IdsOf(GroupSubscription.TopicsOf(_after, _resolved), _context.Image.Topics);
            Reconcile(new MemberReconciliation(targetEpoch, target, subscribed, subscriptionChanged, owned, _group.IsOwned));
        }

        return _after;
    }

    private void ReplaceRegex()
    {
        var (old, @new) = (_before.SubscribedTopicRegex, _after.SubscribedTopicRegex);
        if (old == @new)
            return;
        if (old.Length > 0 && _group.CountSubscribers(old) == 1)
        {
            _effects.Write(ConsumerGroupRecords.RegularExpressionTombstone(_group.GroupId, old));
            _resolved.Remove(old);
        }

        if (@new.Length > 0 && _group.CountSubscribers(@new) == 0)
            CheckRegex(@new);

        // An unresolved expression matches nothing yet; the group epoch grows when it is resolved.
        _epochGrows |= @new.Length == 0 || _resolved.ContainsKey(@new);
    }

    private static void CheckRegex(string regex)
    {
        try
        {
            TopicPattern.Parse(regex);
        }
        catch (TopicPatternException e)
        {
            throw new ApiException(
                ErrorCode.InvalidRegularExpression, $"SubscribedTopicRegex `{regex}` is not a valid regular expression: {e.Message}.");
        }
    }

    /// <summary>
    /// Requests a look-up of the group's regular expressions when one is new, when topics changed, or when the last look-up is old. The
    /// result arrives as a step of its own.
    /// </summary>
    private void RefreshRegexes(long lastTopicsVersion, Func<string, bool>? mayDescribe)
    {
        if (_group.SubscribedRegularExpressions.Count == 0 && _after.SubscribedTopicRegex.Length == 0)
            return;
        var last = _group.ResolvedRegularExpressions.Values.FirstOrDefault();
        if (_group.ResolutionUnderWay is not null)
            return;
        if (last is not null && _now <= last.Timestamp.AddMilliseconds(RegexRefreshIntervalMinMs))
            return;
        string[] regexes = [.. Members.Select(member => member.SubscribedTopicRegex).Where(regex => regex.Length > 0).Distinct()
            .Order(StringComparer.Ordinal)];
        var isDue = last is null
            || last.Version < lastTopicsVersion
            || _now > last.Timestamp.AddMilliseconds(_context.Config.GroupConsumerRegexRefreshIntervalMs)
            || regexes.Any(regex => !_resolved.ContainsKey(regex));
        if (!isDue || regexes.Length == 0)
            return;
        var output = new ResolveExpressionsOutput(_group.GroupId, regexes, _context.Image) { MayDescribe = mayDescribe };
        _effects.WhenTaken(taken =>
        {
            // The records of this step may create the group.
            _context.Find<ConsumerGroup>(output.GroupId)?.BeginResolution(output);
            taken.Output(output);
        });
    }

    private bool PreferredAssignorChanges() =>
        _after.ServerAssignor != _group.Find(_before.MemberId)?.ServerAssignor
            && PreferredAssignor(Members) != PreferredAssignor(_group.Members);

    /// <summary>The assignor that most members choose.</summary>
    private IPartitionAssignor PreferredAssignor(IEnumerable<ConsumerGroupMember> members) =>
        _assignors.Preferred(members.Select(member => member.ServerAssignor));

    /// <summary>Raises the group epoch if subscriptions or topics changed.</summary>
    private int UpdateEpoch()
    {
        if (!_epochGrows && !_group.IsMetadataCheckDue(_now))
            return _group.GroupEpoch;
        var hash = TopicMetadataHash.Of(GroupSubscription.Of(Members, _resolved).Topics, _context.Image);
        var groupEpoch = _group.GroupEpoch;
        if (_epochGrows || hash != _group.MetadataHash)
            _effects.Write(ConsumerGroupRecords.Epoch(_group.GroupId, ++groupEpoch, hash));
        _group.RecordMetadataCheck(_now, groupEpoch);
        if (_group.HasPartitionMetadataRecord)
            _effects.Write(ConsumerGroupRecords.PartitionMetadataTombstone(_group.GroupId));
        return groupEpoch;
    }

    /// <summary>Computes a target assignment for the group epoch, unless the last one is too recent.</summary>
    private (int Epoch, ImmutableSortedSet<TopicIdPartition> Target) UpdateTarget(int groupEpoch)
    {
        var intervalMs = new ConsumerGroupSettings(_context, _group.GroupId).AssignmentIntervalMs;
        if (_group.AssignmentEpoch >= groupEpoch || !_group.MayAssign(intervalMs, _now))
            return (_group.AssignmentEpoch, TargetOf(_after));
        ConsumerGroupMember[] members = [.. Members];
        var targets = PreferredAssignor(members).Assign(ProblemOf(members));
        for (var i = 0; i < members.Length; i++)
        {
            if (!HasTarget(members[i]) || !targets[i].SequenceEqual(TargetOf(members[i])))
                _effects.Write(ConsumerGroupRecords.Target(_group.GroupId, members[i].MemberId, targets[i]));
        }

        _effects.Write(ConsumerGroupRecords.TargetEpoch(_group.GroupId, groupEpoch, _now));
        return (groupEpoch, targets[Array.IndexOf(members, _after)]);
    }

    private AssignmentProblem ProblemOf(ConsumerGroupMember[] members)
    {
        var topics = _context.Image.Topics;
        var isHomogeneous = GroupSubscription.Of(members, _resolved).IsHomogeneous;
        var common = isHomogeneous ? GroupSubscription.IdsOf(GroupSubscription.TopicsOf(members[0], _resolved), topics) : null;
        return new AssignmentProblem(
            [.. members.Select(member => new AssignorMember(
                member.MemberId,
                member.InstanceId,
                member.RackId,
                common ?? GroupSubscription.IdsOf(GroupSubscription.TopicsOf(member, _resolved), topics),
                TargetOf(member)))],
            isHomogeneous,
            topic => topics.Find(topic)!.Partitions.Length);
    }

    private string TargetKeyOf(ConsumerGroupMember member) =>
        member.MemberId == _after.MemberId && _replacedMemberId is not null ? _replacedMemberId : member.MemberId;

    private bool HasTarget(ConsumerGroupMember member) => _group.Targets.ContainsKey(TargetKeyOf(member));

    private ImmutableSortedSet<TopicIdPartition> TargetOf(ConsumerGroupMember member) => _group.TargetOf(TargetKeyOf(member));

    private void Reconcile(MemberReconciliation reconciliation)
    {
        var reconciled = reconciliation.Apply(_after);
        if (reconciled.HasSameAssignment(_after))
            return;
        _after = reconciled;
        _effects.Write(ConsumerGroupRecords.Assignment(_group.GroupId, _after));
        if (_after.Classic is not null)
            return;
        _effects.WhenTaken(_ =>
        {
            const DeadlinePurpose purpose = DeadlinePurpose.ConsumerRebalance;
            if (_after.State == MemberState.UnrevokedPartitions)
                _context.Deadlines.Schedule(purpose, _group.GroupId, _after.MemberId, _now.AddMilliseconds(_after.RebalanceTimeoutMs));
            else
                _context.Deadlines.Cancel(purpose, _group.GroupId, _after.MemberId);
        });
    }
}
