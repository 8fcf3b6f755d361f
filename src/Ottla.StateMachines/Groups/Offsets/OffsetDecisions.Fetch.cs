using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Coordinators;
using PartitionResponse = Ottla.Protocol.Messages.OffsetFetchResponse.OffsetFetchResponsePartitions;
using TopicRequest = Ottla.Protocol.Messages.OffsetFetchRequest.OffsetFetchRequestTopics;
using TopicResponse = Ottla.Protocol.Messages.OffsetFetchResponse.OffsetFetchResponseTopics;

namespace Ottla.StateMachines.Groups.Offsets;

public sealed partial class OffsetDecisions
{
    private const long NoOffset = -1;

    /// <summary>
    /// OffsetFetch. A partition without a commit has offset -1. A partition with a pending transactional commit has UNSTABLE_OFFSET_COMMIT
    /// if the client requires stable offsets.
    /// </summary>
    /// <remarks>
    /// Fails as a whole: UNKNOWN_MEMBER_ID, STALE_MEMBER_EPOCH. A group that does not exist has no offsets; that is no error.
    /// </remarks>
    public void Fetch(OffsetFetchCommand command, ReplyTo<OffsetFetchResponse.OffsetFetchResponseGroup> replyTo, CoordinatorEffects effects)
    {
        var request = command.Group;
        CheckFetch(request);
        effects.Reply(replyTo, new OffsetFetchResponse.OffsetFetchResponseGroup
        {
            GroupId = request.GroupId,
            Topics = request.Topics is { } topics
                ? [.. topics.Select(topic => FetchTopic(request.GroupId, topic, command.RequireStable))]
                : FetchAll(request.GroupId, command.RequireStable),
        });
    }

    private void CheckFetch(OffsetFetchRequest.OffsetFetchRequestGroup request)
    {
        try
        {
            context.Find(request.GroupId)?.ValidateOffsetFetch(request.MemberId, request.MemberEpoch);
        }
        catch (ApiException e) when (e.Error.Code == ErrorCode.GroupIdNotFound)
        {
            // A group of a kind without offsets is treated as unknown.
        }
    }

    private TopicResponse FetchTopic(string groupId, TopicRequest topic, bool requireStable) => new()
    {
        Name = topic.Name,
        TopicId = topic.TopicId,
        Partitions = [.. topic.PartitionIndexes.Select(partition =>
        {
            var name = new OffsetName(groupId, topic.Name, partition);
            var offset = _offsets.Find(name);
            return ToResponse(name, offset is null || IsOfAnother(offset.TopicId, topic.TopicId) ? null : offset, requireStable);
        })],
    };

    private TopicResponse[] FetchAll(string groupId, bool requireStable) => _offsets.Of(groupId) is not { } topics
        ? []
        : [.. topics.Select(topic => new TopicResponse
        {
            Name = topic.Key,
            Partitions = [.. topic.Value
                .Select(partition => ToResponse(new OffsetName(groupId, topic.Key, partition.Key), partition.Value, requireStable))],
        })];

    private PartitionResponse ToResponse(in OffsetName name, CommittedOffset? offset, bool requireStable)
    {
        var isUnstable = requireStable && _offsets.IsPending(name);
        if (isUnstable || offset is null)
        {
            return new PartitionResponse
            {
                PartitionIndex = name.Partition,
                CommittedOffset = NoOffset,
                ErrorCode = (short)(isUnstable ? ErrorCode.UnstableOffsetCommit : ErrorCode.None),
            };
        }

        return new PartitionResponse
        {
            PartitionIndex = name.Partition,
            CommittedOffset = offset.Offset,
            CommittedLeaderEpoch = offset.LeaderEpoch,
            Metadata = offset.Metadata,
        };
    }

    /// <summary>Whether the offset was committed for another topic with the same name.</summary>
    private static bool IsOfAnother(Uuid committed, Uuid asked) => committed != Uuid.Zero && asked != Uuid.Zero && committed != asked;
}
