using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Coordinators;
using Ottla.StateMachines.Groups.Classic;
using Ottla.StateMachines.Groups.Consumer;
using Ottla.StateMachines.Groups.Migration;
using Ottla.StateMachines.Groups.Offsets;
using Ottla.StateMachines.Groups.Share;
using Ottla.StateMachines.Groups.Unserved;
using Ottla.StateMachines.Metadata;

namespace Ottla.StateMachines.Groups;

/// <summary>
/// The coordinator of the groups of one partition of <c>__consumer_offsets</c>: classic groups and consumer groups (KIP-848) with their
/// offsets, and share groups (KIP-932).
/// </summary>
/// <remarks>
/// It decides nothing itself: it passes each command, record and deadline to the part that handles it. The parts share a
/// <see cref="GroupContext"/>.
/// </remarks>
public sealed class GroupMachine : ICoordinatorMachine<GroupCommand>
{
    /// <summary>The most groups that are listed on the calling thread.</summary>
    private const int CheapListGroupsMax = 1000;

    private readonly GroupContext _context;
    private readonly ClassicDecisions _classic;
    private readonly ConsumerDecisions _consumer;
    private readonly OffsetDecisions _offsets;
    private readonly ShareDecisions _share;
    private readonly ShareOffsetDecisions _shareOffsets;
    private readonly UnservedDecisions _unserved;
    private readonly GroupAdministration _administration;

    /// <summary>Makes a machine without groups.</summary>
    /// <param name="random">The source of member ids.</param>
    public GroupMachine(Prng random)
    {
        _context = new GroupContext(random);
        _consumer = new ConsumerDecisions(_context);
        var rebalance = new ClassicRebalance(_context);
        var migration = new GroupMigration(_context, _consumer, rebalance);
        _consumer.Migration = migration;
        _classic = new ClassicDecisions(_context, rebalance, new ClassicMembers(_context, _consumer, migration));
        _offsets = new OffsetDecisions(_context);
        _share = new ShareDecisions(_context);
        _shareOffsets = new ShareOffsetDecisions(_context, _share);
        _unserved = new UnservedDecisions(_context);
        _administration = new GroupAdministration(_context, _offsets);
    }

    /// <inheritdoc/>
    public Instant? NextDeadline => _context.Deadlines.Next;

    /// <summary>The state that the parts share, for tests and simulations.</summary>
    public GroupContext Context => _context;

    /// <inheritdoc/>
    public bool IsCostly(GroupCommand command, Instant now) => command switch
    {
        ConsumerGroupHeartbeatCommand heartbeat => _consumer.IsCostly(heartbeat, now),
        ShareGroupHeartbeatCommand heartbeat => _share.IsCostly(heartbeat, now),
        ListGroupsCommand or CountMembersCommand => _context.Groups.Count > CheapListGroupsMax,
        _ => false,
    };

    /// <inheritdoc/>
    public void Decide(GroupCommand command, ReplyTo replyTo, Instant now, CoordinatorEffects effects)
    {
        switch (command)
        {
            case HeartbeatCommand heartbeat: _classic.Heartbeat(heartbeat, replyTo.For(heartbeat), now, effects); break;
            case ConsumerGroupHeartbeatCommand heartbeat: _consumer.Heartbeat(heartbeat, replyTo.For(heartbeat), now, effects); break;
            case ExpressionsResolvedCommand resolved: _consumer.TakeResolution(resolved, replyTo.For(resolved), now, effects); break;
            case OffsetCommitCommand commit: _offsets.Commit(commit, replyTo.For(commit), now, effects); break;
            case OffsetFetchCommand fetch: _offsets.Fetch(fetch, replyTo.For(fetch), effects); break;
            case JoinGroupCommand join: _classic.Join(join, replyTo.For(join), now, effects); break;
            case SyncGroupCommand sync: _classic.Sync(sync, replyTo.For(sync), now, effects); break;
            case LeaveGroupCommand leave: _classic.Leave(leave, replyTo.For(leave), now, effects); break;
            case TxnOffsetCommitCommand commit: _offsets.CommitInTransaction(commit, replyTo.For(commit), now, effects); break;
            case OffsetDeleteCommand delete: _offsets.Delete(delete, replyTo.For(delete), effects); break;
            case ConsumerGroupDescribeCommand describe: _consumer.Describe(describe, replyTo.For(describe), effects); break;
            case ShareGroupHeartbeatCommand heartbeat: _share.Heartbeat(heartbeat, replyTo.For(heartbeat), now, effects); break;
            case ShareGroupDescribeCommand describe: _share.Describe(describe, replyTo.For(describe), effects); break;
            case ListShareStateCommand list: _shareOffsets.List(list, replyTo.For(list), effects); break;
            case AlterShareGroupOffsetsCommand alter: _shareOffsets.Alter(alter, replyTo.For(alter), now, effects); break;
            case ShareStateInitializedCommand done: _shareOffsets.TakeInitialized(done, replyTo.For(done), effects); break;
            case DeleteShareGroupStateCommand delete: _shareOffsets.Delete(delete, replyTo.For(delete), effects); break;
            case ShareStateDeletedCommand deleted: _shareOffsets.TakeDeleted(deleted, replyTo.For(deleted), effects); break;
            case DescribeGroupCommand describe: _classic.Describe(describe, replyTo.For(describe), effects); break;
            case ListGroupsCommand list: _administration.List(list, replyTo.For(list), effects); break;
            case CountMembersCommand count: _administration.CountMembers(replyTo.For(count), effects); break;
            case PrepareDeleteGroupCommand prepare: _shareOffsets.PrepareDelete(prepare, replyTo.For(prepare), effects); break;
            case DeleteGroupCommand delete: _administration.Delete(delete, replyTo.For(delete), effects); break;
            default:
                throw new ApiException(
                ErrorCode.UnsupportedVersion, $"The group coordinator does not support {command.GetType().Name}.");
        }
    }

    /// <inheritdoc/>
    public void OnDeadline(Instant now, CoordinatorEffects effects)
    {
        if (!_context.Deadlines.TryTakeDue(now, out var due))
            return;
        switch (due.Purpose)
        {
            case DeadlinePurpose.ClassicSession or DeadlinePurpose.ClassicJoin or DeadlinePurpose.ClassicSync:
                _classic.OnDeadline(due, now, effects);
                break;
            case DeadlinePurpose.OffsetExpiration:
                _offsets.OnDeadline(due, now, effects);
                break;
            case DeadlinePurpose.ShareSession:
                _share.OnDeadline(due, now, effects);
                break;
            case DeadlinePurpose.UnservedSession:
                _unserved.OnDeadline(due, effects);
                break;
            default:
                _consumer.OnDeadline(due, now, effects);
                break;
        }
    }

    /// <inheritdoc/>
    /// <exception cref="InvariantViolationException">
    /// The record has a type that Kafka 4.4 does not write here: the log comes from a newer version, or is corrupt.
    /// </exception>
    public void Apply(long offset, in CoordinatorRecord record, ProducerIdAndEpoch transaction)
    {
        switch (record.Key)
        {
            case OffsetCommitKey or LegacyOffsetCommitKey:
                _offsets.Apply(offset, record, transaction);
                break;
            case GroupMetadataKey:
                _classic.Apply(record);
                break;
            case ConsumerGroupMetadataKey or ConsumerGroupPartitionMetadataKey or ConsumerGroupMemberMetadataKey
                or ConsumerGroupTargetAssignmentMetadataKey or ConsumerGroupTargetAssignmentMemberKey
                or ConsumerGroupCurrentMemberAssignmentKey or ConsumerGroupRegularExpressionKey:
                _consumer.Apply(record);
                break;
            case ShareGroupMemberMetadataKey or ShareGroupMetadataKey or ShareGroupTargetAssignmentMetadataKey
                or ShareGroupTargetAssignmentMemberKey or ShareGroupCurrentMemberAssignmentKey or ShareGroupStatePartitionMetadataKey:
                _share.Apply(record);
                break;
            case StreamsGroupMetadataKey or StreamsGroupMemberMetadataKey or StreamsGroupTargetAssignmentMetadataKey
                or StreamsGroupTargetAssignmentMemberKey or StreamsGroupCurrentMemberAssignmentKey or StreamsGroupTopologyKey:
                _unserved.Apply(record);
                break;
            default:
                throw new InvariantViolationException($"the group coordinator does not support records of type {record.Key.RecordKey}");
        }
    }

    /// <inheritdoc/>
    public void ApplyMarker(ProducerIdAndEpoch transaction, bool isCommit) => _offsets.ApplyMarker(transaction, isCommit);

    /// <inheritdoc/>
    public void OnLoaded(MetadataImage image, BrokerConfig config, Instant now, CoordinatorEffects effects)
    {
        Invariant.Check(!_context.IsLoaded, "a machine is loaded exactly once");
        (_context.Image, _context.Config, _context.IsLoaded) = (image, config, true);
        _classic.OnLoaded(now, effects);
        _consumer.OnLoaded(now);
        _share.OnLoaded(now);
        _unserved.OnLoaded(now);
        _offsets.OnLoaded(now);
    }

    /// <inheritdoc/>
    public void OnMetadata(MetadataDelta delta, BrokerConfig config, Instant now, CoordinatorEffects effects)
    {
        (_context.Image, _context.Config) = (delta.New, config);
        _consumer.OnMetadata(delta);
        _share.OnMetadata(delta, effects);
        _offsets.OnMetadata(delta, effects);
    }

    /// <inheritdoc/>
    public void OnUnloading() => _context.Deadlines.Clear();
}
