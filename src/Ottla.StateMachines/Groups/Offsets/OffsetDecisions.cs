using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Coordinators;
using Ottla.StateMachines.Groups.Classic;

namespace Ottla.StateMachines.Groups.Offsets;

/// <summary>Decides about the offsets that groups commit.</summary>
/// <remarks>
/// Part of a <see cref="GroupMachine"/>; lives as long. The first offset of an unknown group creates a simple classic group
/// (<see cref="ClassicGroup.CreateSimple"/>), also while the log is loaded; a group record that comes later replaces it. When the last
/// offset of an empty group expires, the group is deleted (<see cref="Group.WriteTombstones"/>), and so is an empty group without offsets.
/// </remarks>
public sealed partial class OffsetDecisions(GroupContext context)
{
    /// <summary>The first version of OffsetCommit whose clients know GROUP_ID_NOT_FOUND.</summary>
    private const short FirstCommitVersionWithGroupIdNotFound = 9;

    /// <summary>The first version of TxnOffsetCommit whose clients know GROUP_ID_NOT_FOUND and STALE_MEMBER_EPOCH (KIP-1319).</summary>
    private const short FirstTransactionalVersionWithGroupErrors = 6;

    /// <summary>The retention time in a request that uses the broker's retention.</summary>
    private const long BrokersRetentionTime = -1;

    private readonly OffsetStore _offsets = new();

    /// <summary>The number of committed offsets.</summary>
    internal int Count => _offsets.Count;

    /// <summary>OffsetCommit. Metadata that is too long fails only its partition.</summary>
    /// <remarks>
    /// Fails as a whole: GROUP_ID_NOT_FOUND (before version 9 ILLEGAL_GENERATION), and the errors of the group's check of the requester.
    /// </remarks>
    public void Commit(OffsetCommitCommand command, ReplyTo<IReadOnlyList<ErrorCode>> replyTo, Instant now, CoordinatorEffects effects)
    {
        var request = command.Request;
        var version = command.Origin.ApiVersion;
        var group = GroupToCommitFor(request.GroupId, request.GenerationIdOrMemberEpoch, version >= FirstCommitVersionWithGroupIdNotFound);
        group?.ValidateOffsetCommit(
            request.MemberId, request.GroupInstanceId, request.GenerationIdOrMemberEpoch, isTransactional: false, version);
        ExtendSession(group, request.MemberId, now);

        Instant? expiresAt = request.RetentionTimeMs == BrokersRetentionTime ? null : now.AddMilliseconds(request.RetentionTimeMs);
        var committer = new Committer(group, request.GroupId, request.MemberId, request.GenerationIdOrMemberEpoch);
        var errors = new List<ErrorCode>();
        foreach (var topic in request.Topics)
        {
            foreach (var partition in topic.Partitions)
            {
                var offset = new CommittedOffset(
                    RecordOffset: -1, partition.CommittedOffset, partition.CommittedLeaderEpoch, partition.CommittedMetadata ?? "", now,
                    expiresAt, topic.TopicId);
                errors.Add(CommitPartition(committer, topic.Name, partition.PartitionIndex, offset, effects));
            }
        }

        effects.Reply(replyTo, errors);
    }

    /// <summary>TxnOffsetCommit: the offsets are pending until the marker of the transaction.</summary>
    /// <remarks>
    /// Like <see cref="Commit"/>. Before version 6 ILLEGAL_GENERATION replaces GROUP_ID_NOT_FOUND and STALE_MEMBER_EPOCH.
    /// </remarks>
    public void CommitInTransaction(
        TxnOffsetCommitCommand command, ReplyTo<IReadOnlyList<ErrorCode>> replyTo, Instant now, CoordinatorEffects effects)
    {
        var request = command.Request;
        var knowsGroupErrors = command.Origin.ApiVersion >= FirstTransactionalVersionWithGroupErrors;
        var group = GroupToCommitFor(request.GroupId, request.GenerationIdOrMemberEpoch, knowsGroupErrors);
        var committer = new Committer(group, request.GroupId, request.MemberId, request.GenerationIdOrMemberEpoch);
        var errors = new List<ErrorCode>();
        try
        {
            group?.ValidateOffsetCommit(request.MemberId, request.GroupInstanceId, request.GenerationIdOrMemberEpoch, isTransactional: true,
                command.Origin.ApiVersion);
            foreach (var topic in request.Topics)
            {
                foreach (var partition in topic.Partitions)
                {
                    var offset = new CommittedOffset(
                        RecordOffset: -1, partition.CommittedOffset, partition.CommittedLeaderEpoch, partition.CommittedMetadata ?? "", now,
                        ExpiresAt: null, topic.TopicId);
                    errors.Add(CommitPartition(committer, topic.Name, partition.PartitionIndex, offset, effects));
                }
            }
        }
        catch (ApiException e) when (e.Error.Code == ErrorCode.StaleMemberEpoch && !knowsGroupErrors)
        {
            throw new ApiException(ErrorCode.IllegalGeneration, e.Error.Message);
        }

        if (effects.Records.Count > 0)
            effects.Transaction = new ProducerIdAndEpoch(request.ProducerId, request.ProducerEpoch);
        effects.Reply(replyTo, errors);
    }

    /// <summary>OffsetDelete. Partitions of topics that members consume fail with GROUP_SUBSCRIBED_TO_TOPIC.</summary>
    /// <remarks>Fails as a whole: GROUP_ID_NOT_FOUND, NON_EMPTY_GROUP.</remarks>
    public void Delete(OffsetDeleteCommand command, ReplyTo<IReadOnlyList<ErrorCode>> replyTo, CoordinatorEffects effects)
    {
        var request = command.Request;
        var group = context.Find(request.GroupId) ?? throw GroupIdNotFound(request.GroupId);
        group.ValidateOffsetDelete();
        effects.Reply(
            replyTo,
            [
                .. from topic in request.Topics
                   from partition in topic.Partitions
                   select DeletePartition(topic.Name, partition.PartitionIndex),
            ]);

        ErrorCode DeletePartition(string topic, int partition)
        {
            if (group.IsSubscribedTo(topic))
                return ErrorCode.GroupSubscribedToTopic;
            var name = new OffsetName(request.GroupId, topic, partition);
            if (_offsets.Find(name) is not null || _offsets.IsPending(name))
                effects.Write(name.Tombstone());
            return ErrorCode.None;
        }
    }

    /// <summary>Writes the tombstones of all offsets of a group, pending ones included.</summary>
    public void WriteTombstones(string groupId, CoordinatorEffects effects) =>
        effects.Write(_offsets.NamesOf(groupId).Select(name => name.Tombstone()));

    /// <summary>Applies a record of an offset.</summary>
    public void Apply(long offset, in CoordinatorRecord record, ProducerIdAndEpoch transaction)
    {
        var name = record.Key switch
        {
            OffsetCommitKey key => new OffsetName(key.Group, key.Topic, key.Partition),
            LegacyOffsetCommitKey key => new OffsetName(key.Group, key.Topic, key.Partition),
            _ => throw new InvariantViolationException($"a record of type {record.Key.RecordKey} is not an offset record"),
        };
        var committed = record.Value switch
        {
            null => null,
            OffsetCommitValue value => CommittedOffset.Of(offset, value),
            LegacyOffsetCommitValue value => CommittedOffset.Of(offset, value),
            _ => throw new InvariantViolationException($"an offset record has a value of the unexpected type {record.Value.RecordKey}"),
        };
        if (committed is null)
        {
            _offsets.Remove(name);
            return;
        }

        if (context.Find(name.GroupId) is null)
            context.Put(ClassicGroup.CreateSimple(name.GroupId));
        if (transaction == ProducerIdAndEpoch.None)
            _offsets.Put(name, committed);
        else
            _offsets.PutPending(transaction, name, committed);
    }

    /// <summary>Applies the end of a transaction.</summary>
    public void ApplyMarker(ProducerIdAndEpoch transaction, bool isCommit) => _offsets.Complete(transaction.Id, isCommit);

    private ErrorCode CommitPartition(
        in Committer committer, string topic, int partition, CommittedOffset offset, CoordinatorEffects effects)
    {
        if (offset.Metadata.Length > context.Config.OffsetMetadataMaxBytes)
            return ErrorCode.OffsetMetadataTooLarge;
        committer.Group?.ValidatePartitionCommit(
            committer.MemberId, committer.GenerationIdOrMemberEpoch, topic, offset.TopicId, partition);
        effects.Write(offset.ToRecord(new OffsetName(committer.GroupId, topic, partition)));
        return ErrorCode.None;
    }

    /// <summary>The group to commit for; null when this commit creates it.</summary>
    private Group? GroupToCommitFor(string groupId, int generationIdOrMemberEpoch, bool knowsGroupIdNotFound)
    {
        if (context.Find(groupId) is { } group)
            return group;
        if (generationIdOrMemberEpoch < 0)
            return null;
        throw knowsGroupIdNotFound
            ? GroupIdNotFound(groupId)
            : new ApiException(ErrorCode.IllegalGeneration, $"Group {groupId} does not exist.");
    }

    /// <summary>Extends the session of a classic member: a commit counts as a heartbeat.</summary>
    private void ExtendSession(Group? group, string memberId, Instant now)
    {
        if (group is ClassicGroup { State: ClassicGroupState.Stable or ClassicGroupState.PreparingRebalance } classic
            && classic.Member(memberId) is { } member)
            context.Deadlines
                .Schedule(DeadlinePurpose.ClassicSession, classic.GroupId, memberId, now.AddMilliseconds(member.SessionTimeoutMs));
    }

    private static ApiException GroupIdNotFound(string groupId) => new(ErrorCode.GroupIdNotFound, $"Group {groupId} not found.");

    /// <summary>Who commits.</summary>
    /// <param name="Group">The group; null when this commit creates it.</param>
    /// <param name="GroupId">The group's id.</param>
    /// <param name="MemberId">The member; empty for none.</param>
    /// <param name="GenerationIdOrMemberEpoch">The generation or epoch that the member is in; negative for none.</param>
    private readonly record struct Committer(Group? Group, string GroupId, string MemberId, int GenerationIdOrMemberEpoch);
}
