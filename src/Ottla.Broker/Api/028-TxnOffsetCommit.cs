using Ottla.Broker.Hosts.Coordinators;
using Ottla.Broker.Hosts.Transactions;
using Ottla.Broker.Metadata;
using Ottla.Broker.Replicas;
using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Groups;
using Ottla.Storage.Producers;
using PartitionRequest = Ottla.Protocol.Messages.TxnOffsetCommitRequest.TxnOffsetCommitRequestPartition;
using PartitionResponse = Ottla.Protocol.Messages.TxnOffsetCommitResponse.TxnOffsetCommitResponsePartition;
using TopicRequest = Ottla.Protocol.Messages.TxnOffsetCommitRequest.TxnOffsetCommitRequestTopic;
using TopicResponse = Ottla.Protocol.Messages.TxnOffsetCommitResponse.TxnOffsetCommitResponseTopic;

namespace Ottla.Broker.Api;

/// <summary>TxnOffsetCommit (key 28), versions 0 to 6: stores offsets of a group that take effect when the transaction commits.</summary>
/// <remarks>
/// Version 3 names the group's member, version 6 names topics by id (KIP-1319). Errors per partition, as for OffsetCommit:
/// UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC_ID (v6), OFFSET_METADATA_TOO_LARGE, UNKNOWN_MEMBER_ID, ILLEGAL_GENERATION (below v6 also for
/// STALE_MEMBER_EPOCH and GROUP_ID_NOT_FOUND), FENCED_INSTANCE_ID, INVALID_GROUP_ID, INVALID_PRODUCER_EPOCH; of the verification (KIP-890;
/// up to version 4 the client must have added the group to the transaction, from version 5 on the broker adds it): INVALID_TXN_STATE,
/// TRANSACTION_ABORTABLE (v4+), INVALID_PRODUCER_ID_MAPPING, CONCURRENT_TRANSACTIONS; and those of <see cref="CoordinatorHost{TCommand}"/>,
/// where versions 0 and 1 have COORDINATOR_NOT_AVAILABLE for COORDINATOR_LOAD_IN_PROGRESS.
/// </remarks>
internal sealed class TxnOffsetCommitHandler(
    CoordinatorHost<GroupCommand> groups, ClusterView cluster, HostedTopics hosted, TransactionVerifier verifier, Authorizer authorizer)
        : IApiHandler<TxnOffsetCommitRequest, TxnOffsetCommitResponse>
{
    private const short FirstVersionWithLoadInProgress = 2;
    private const short FirstVersionWithAbortable = 4;
    private const short FirstVersionThatAddsPartitions = 5;
    private const short FirstVersionWithTopicIds = 6;

    private static readonly OffsetMessages<TopicRequest, PartitionRequest, TopicResponse> Messages = new(
        topic => (topic.Name, topic.TopicId, topic.Partitions),
        partition => partition.PartitionIndex,
        (topic, known) => new TopicRequest { Name = topic.Name, TopicId = topic.Id, Partitions = known },
        (topic, errors) => new TopicResponse
        {
            Name = topic.Name,
            TopicId = topic.TopicId,
            Partitions = [.. errors.Select(error => new PartitionResponse { PartitionIndex = error.Index, ErrorCode = error.ErrorCode })],
        });

    public async ValueTask<TxnOffsetCommitResponse?> HandleAsync(RequestContext context, TxnOffsetCommitRequest request)
    {
        authorizer.Require(context, AclOperation.Write, ResourceType.TransactionalId, request.TransactionalId);
        authorizer.Require(context, AclOperation.Read, ResourceType.Group, request.GroupId);
        var partitions = new OffsetPartitions<TopicRequest, PartitionRequest, TopicResponse>(
            Messages, cluster.Image, byId: context.ApiVersion >= FirstVersionWithTopicIds, request.Topics,
            name => authorizer.Allows(context, AclOperation.Read, ResourceType.Topic, name));
        request.Topics = partitions.Known;
        IReadOnlyList<ErrorCode> errors = [];
        if (partitions.KnownCount > 0)
            errors = await CommitAsync(context, request).OrFailed(error => partitions.FailKnown(ErrorOf(context, error.Code)));
        return new TxnOffsetCommitResponse { Topics = partitions.Answer(errors) };
    }

    /// <exception cref="ApiException">No offset was committed.</exception>
    private async ValueTask<IReadOnlyList<ErrorCode>> CommitAsync(RequestContext context, TxnOffsetCommitRequest request)
    {
        if (request.GroupId.Length == 0)
            throw new ApiException(ErrorCode.InvalidGroupId);
        var command = new TxnOffsetCommitCommand(GroupRequests.OriginOf(context), request);
        return await groups.SubmitAsync(request.GroupId, command, await VerifyAsync(context, request));
    }

    private static ErrorCode ErrorOf(RequestContext context, ErrorCode error) =>
        error == ErrorCode.CoordinatorLoadInProgress && context.ApiVersion < FirstVersionWithLoadInProgress
            ? ErrorCode.CoordinatorNotAvailable
            : error;

    /// <summary>Asks the transaction's coordinator to verify the transaction, or to add the group's partition to it.</summary>
    /// <exception cref="ApiException">The transaction is not open.</exception>
    private async ValueTask<VerificationGuard> VerifyAsync(RequestContext context, TxnOffsetCommitRequest request)
    {
        if (groups.PartitionOf(request.GroupId) is not { } partition || hosted.Find(groups.TopicName)?.Find(partition) is not { } replica)
            throw new ApiException(ErrorCode.NotCoordinator);
        var support = context.ApiVersion >= FirstVersionThatAddsPartitions ? TransactionSupport.LeavesPartitionsToBroker
            : context.ApiVersion >= FirstVersionWithAbortable ? TransactionSupport.KnowsAbortable
            : TransactionSupport.AddsPartitions;
        var producer = new ProducerIdAndEpoch(request.ProducerId, request.ProducerEpoch);
        var write = new TransactionalWrite(replica, RecordBatchLayout.NoSequence);
        var (error, guard) = (await verifier.VerifyAsync(request.TransactionalId, producer, [write], support))[0];
        if (error.IsFailure)
            throw new ApiException(
                error.Code == ErrorCode.NetworkException ? ErrorCode.CoordinatorLoadInProgress : CoordinatorErrors.OfAppend(error.Code),
                error.Message);
        return guard;
    }
}
