using Ottla.Broker.Hosts.Share;
using Ottla.Broker.Metadata;
using Ottla.Broker.Server;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.StateMachines.Share;

namespace Ottla.Broker.Api;

/// <summary>Takes the acknowledgements of ShareFetch and ShareAcknowledge.</summary>
internal sealed class ShareAcknowledgements(SharePartitions partitions, ClusterView cluster, Authorizer authorizer)
{
    private const short FirstVersionWithRenewal = 2;

    /// <summary>Takes what a member says of its records, all of it or nothing for each partition.</summary>
    /// <param name="context">The request.</param>
    /// <param name="groupId">The group.</param>
    /// <param name="memberId">The member.</param>
    /// <param name="isRenewal">Whether the request says that it renews locks.</param>
    /// <param name="said">What is said, by partition.</param>
    /// <returns>The error of each partition, or none.</returns>
    public async Task<IReadOnlyDictionary<TopicIdPartition, ApiError>> TakeAsync(
        RequestContext context, string groupId, string memberId, bool isRenewal,
        IEnumerable<(TopicIdPartition Partition, IReadOnlyList<AcknowledgementBatch> Batches)> said)
    {
        var mayRenew = isRenewal && context.ApiVersion >= FirstVersionWithRenewal;
        var answers = said.DistinctBy(each => each.Partition)
            .Select(each => (each.Partition, Error: TakeAsync(context, groupId, memberId, mayRenew, each.Partition, each.Batches)))
            .ToList();
        var errors = new Dictionary<TopicIdPartition, ApiError>(answers.Count);
        foreach (var (partition, error) in answers)
            errors[partition] = await error;
        return errors;
    }

    private Task<ApiError> TakeAsync(
        in RequestContext context, string groupId, string memberId, bool mayRenew, TopicIdPartition partition,
        IReadOnlyList<AcknowledgementBatch> batches)
    {
        if (cluster.Image.Topics.Find(partition.TopicId) is not { } topic)
            return Failed(new ApiError(ErrorCode.UnknownTopicId));
        if (!mayRenew && batches.Any(batch => batch.Types.Contains((sbyte)AcknowledgeType.Renew)))
            return Failed(new ApiError(ErrorCode.InvalidRequest));
        if (!authorizer.Allows(context, AclOperation.Read, ResourceType.Topic, topic.Name))
            return Failed(new ApiError(ErrorCode.TopicAuthorizationFailed));
        if (topic.Partition(partition.Partition) is null)
            return Failed(new ApiError(ErrorCode.UnknownTopicOrPartition));
        if (batches.Count == 0)
            return Failed(ApiError.None);
        return partitions.Find(ShareGroupState.KeyOf(groupId, partition)) is { } leader
            ? leader.AcknowledgeAsync(memberId, batches)
            : Failed(new ApiError(ErrorCode.UnknownTopicOrPartition)); // nobody holds anything of it here
    }

    private static Task<ApiError> Failed(ApiError error) => Task.FromResult(error);
}
