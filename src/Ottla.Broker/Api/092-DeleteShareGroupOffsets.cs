using Ottla.Broker.Hosts.Coordinators;
using Ottla.Broker.Hosts.Share;
using Ottla.Broker.Metadata;
using Ottla.Broker.Server;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Groups;
using Ottla.StateMachines.Groups.Share;
using TopicResponse = Ottla.Protocol.Messages.DeleteShareGroupOffsetsResponse.DeleteShareGroupOffsetsResponseTopic;

namespace Ottla.Broker.Api;

/// <summary>DeleteShareGroupOffsets (key 92), version 0: a share group without members forgets topics.</summary>
/// <remarks>
/// Errors: UNSUPPORTED_VERSION where share.version is 0, GROUP_AUTHORIZATION_FAILED, INVALID_GROUP_ID, GROUP_ID_NOT_FOUND, NON_EMPTY_GROUP,
/// and those of <see cref="CoordinatorHost{TCommand}"/>. Per topic: TOPIC_AUTHORIZATION_FAILED, UNKNOWN_TOPIC_OR_PARTITION (also when the
/// group has no state of it), and the errors of the share coordinators.
/// </remarks>
internal sealed class DeleteShareGroupOffsetsHandler(
    CoordinatorHost<GroupCommand> groups, ShareGroupState state, ClusterView cluster, Authorizer authorizer)
    : IApiHandler<DeleteShareGroupOffsetsRequest, DeleteShareGroupOffsetsResponse>
{
    private static readonly ApiError NothingToDelete =
        new(ErrorCode.UnknownTopicOrPartition, "There is no offset information to delete.");

    public async ValueTask<DeleteShareGroupOffsetsResponse?> HandleAsync(RequestContext context, DeleteShareGroupOffsetsRequest request)
    {
        if (!ShareGroupRequests.AreEnabled(cluster))
            throw new ApiException(ErrorCode.UnsupportedVersion);
        authorizer.Require(context, AclOperation.Delete, ResourceType.Group, request.GroupId);
        if (request.GroupId.Length == 0)
            throw new ApiException(ErrorCode.InvalidGroupId);
        var topics = request.Topics.Select(topic => topic.TopicName).Distinct(StringComparer.Ordinal)
            .Select(name => (Name: name, Id: IdOf(context, name))).ToList();
        var errors = await DeleteAsync(request.GroupId, [.. topics.Where(topic => topic.Id is not null).Select(topic => topic.Id!.Value)]);
        return new DeleteShareGroupOffsetsResponse
        {
            Responses = [.. topics.Select(topic =>
            {
                var error = topic.Id is { } id ? errors[id] : ErrorOf(context, topic.Name);
                var isKnown = topic.Id is not null && error.Code == ErrorCode.None;
                return new TopicResponse
                {
                    TopicName = topic.Name,
                    TopicId = isKnown ? topic.Id!.Value : Uuid.Zero,
                    ErrorCode = (short)error.Code,
                    ErrorMessage = error.Message,
                };
            })],
        };
    }

    private Uuid? IdOf(RequestContext context, string topic) =>
        authorizer.Allows(context, AclOperation.Read, ResourceType.Topic, topic) ? cluster.Image.Topics.Find(topic)?.Id : null;

    private ApiError ErrorOf(RequestContext context, string topic) =>
        authorizer.Allows(context, AclOperation.Read, ResourceType.Topic, topic)
            ? ShareGroupRequests.UnknownPartition
            : Authorizer.Refusal(ResourceType.Topic).Error;

    /// <returns>The result for each topic.</returns>
    private async ValueTask<IReadOnlyDictionary<Uuid, ApiError>> DeleteAsync(string groupId, IReadOnlyList<Uuid> topicIds)
    {
        var partitions = await groups.SubmitAsync(groupId, new DeleteShareGroupStateCommand(groupId, topicIds));
        var failed = await state.DeleteAsync(groupId, partitions);
        var errors = topicIds.ToDictionary(
            id => id,
            id => partitions.Any(partition => partition.TopicId == id)
                ? failed.FirstOrDefault(each => each.Key.TopicId == id).Value
                : NothingToDelete);
        Uuid[] deleted = [.. errors.Where(topic => !topic.Value.IsFailure).Select(topic => topic.Key)];
        if (deleted.Length > 0)
            await groups.SubmitAsync(groupId, new ShareStateDeletedCommand(groupId, deleted));
        return errors;
    }
}
