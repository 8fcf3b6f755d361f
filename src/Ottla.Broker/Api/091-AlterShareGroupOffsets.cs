using Ottla.Broker.Hosts.Coordinators;
using Ottla.Broker.Hosts.Share;
using Ottla.Broker.Metadata;
using Ottla.Broker.Server;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Groups;
using Ottla.StateMachines.Groups.Share;
using Ottla.StateMachines.Metadata;
using PartitionResponse = Ottla.Protocol.Messages.AlterShareGroupOffsetsResponse.AlterShareGroupOffsetsResponsePartition;
using TopicRequest = Ottla.Protocol.Messages.AlterShareGroupOffsetsRequest.AlterShareGroupOffsetsRequestTopic;
using TopicResponse = Ottla.Protocol.Messages.AlterShareGroupOffsetsResponse.AlterShareGroupOffsetsResponseTopic;

namespace Ottla.Broker.Api;

/// <summary>
/// AlterShareGroupOffsets (key 91), version 0: has a share group without members begin anew in partitions. A group that does not exist is
/// made.
/// </summary>
/// <remarks>
/// Errors: UNSUPPORTED_VERSION where share.version is 0, GROUP_AUTHORIZATION_FAILED, INVALID_GROUP_ID, GROUP_ID_NOT_FOUND (a group of
/// another kind), NON_EMPTY_GROUP, and those of <see cref="CoordinatorHost{TCommand}"/>. Per partition: TOPIC_AUTHORIZATION_FAILED,
/// UNKNOWN_TOPIC_OR_PARTITION, and the errors of its share coordinator.
/// </remarks>
internal sealed class AlterShareGroupOffsetsHandler(
    CoordinatorHost<GroupCommand> groups, ShareGroupState state, ClusterView cluster, Authorizer authorizer)
    : IApiHandler<AlterShareGroupOffsetsRequest, AlterShareGroupOffsetsResponse>
{
    public async ValueTask<AlterShareGroupOffsetsResponse?> HandleAsync(RequestContext context, AlterShareGroupOffsetsRequest request)
    {
        if (!ShareGroupRequests.AreEnabled(cluster))
            throw new ApiException(ErrorCode.UnsupportedVersion);
        authorizer.Require(context, AclOperation.Read, ResourceType.Group, request.GroupId);
        if (request.GroupId.Length == 0)
            throw new ApiException(ErrorCode.InvalidGroupId);
        var image = cluster.Image;
        var known = request.Topics
            .Where(topic => authorizer.Allows(context, AclOperation.Read, ResourceType.Topic, topic.TopicName))
            .Select(topic => (Topic: topic, Image: image.Topics.Find(topic.TopicName))).Where(topic => topic.Image is not null).ToList();
        var offsets =
            from topic in known
            from partition in topic.Topic.Partitions
            where topic.Image!.Partition(partition.PartitionIndex) is not null
            select new InitialShareState(new TopicIdPartition(topic.Image.Id, partition.PartitionIndex), partition.StartOffset);
        var errors = await AlterAsync(request.GroupId, [.. offsets.DistinctBy(offset => offset.Partition)]);
        return new AlterShareGroupOffsetsResponse
        {
            Responses = [.. request.Topics.Select(topic => Answer(context, topic, image.Topics.Find(topic.TopicName), errors))],
        };
    }

    private async ValueTask<IReadOnlyDictionary<TopicIdPartition, ApiError>> AlterAsync(
        string groupId, IReadOnlyList<InitialShareState> offsets)
    {
        var begun = await groups.SubmitAsync(groupId, new AlterShareGroupOffsetsCommand(groupId, offsets));
        var errors = await state.InitializeAsync(begun);
        var initialized = begun.Partitions.Where(each => !errors.ContainsKey(each.Partition)).ToList();
        if (initialized.Count > 0)
        {
            await groups.SubmitAsync(
                groupId, new ShareStateInitializedCommand(begun with { Partitions = initialized }, ApiError.None));
        }

        return errors;
    }

    private TopicResponse Answer(
        RequestContext context, TopicRequest topic, TopicImage? image, IReadOnlyDictionary<TopicIdPartition, ApiError> errors) => new()
        {
            TopicName = topic.TopicName,
            TopicId = image?.Id ?? Uuid.Zero,
            Partitions = [.. topic.Partitions.Select(partition =>
        {
            var index = partition.PartitionIndex;
            var error = !authorizer.Allows(context, AclOperation.Read, ResourceType.Topic, topic.TopicName)
                ? Authorizer.Refusal(ResourceType.Topic).Error
                : image?.Partition(index) is null
                    ? ShareGroupRequests.UnknownPartition
                    : errors.GetValueOrDefault(new TopicIdPartition(image.Id, index), ApiError.None);
            return new PartitionResponse { PartitionIndex = index, ErrorCode = (short)error.Code, ErrorMessage = error.Message };
        })],
        };
}
