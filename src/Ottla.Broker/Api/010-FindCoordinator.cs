using Ottla.Broker.Hosts.Coordinators;
using Ottla.Broker.Metadata;
using Ottla.Broker.Server;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Coordinator = Ottla.Protocol.Messages.FindCoordinatorResponse.Coordinator;

namespace Ottla.Broker.Api;

/// <summary>
/// FindCoordinator (key 10), versions 0 to 6: the coordinator of a group (key type 0), a transactional id (1, from version 1) or a share
/// partition (2, from version 6).
/// </summary>
/// <remarks>
/// The key hashes to a partition of an internal topic, whose leader is the coordinator; the first request creates the topic. From version 4
/// on a request has many keys. Errors: INVALID_REQUEST (an unknown key type, or a malformed key of a share partition),
/// GROUP_AUTHORIZATION_FAILED, TRANSACTIONAL_ID_AUTHORIZATION_FAILED, CLUSTER_AUTHORIZATION_FAILED (of the whole request, for share
/// partitions), COORDINATOR_NOT_AVAILABLE: the partition has no leader, or the topic cannot be created.
/// </remarks>
internal sealed class FindCoordinatorHandler(ClusterView cluster, TopicAutoCreation topics, Authorizer authorizer)
    : IApiHandler<FindCoordinatorRequest, FindCoordinatorResponse>
{
    private const sbyte GroupKey = 0;
    private const sbyte TransactionKey = 1;
    private const sbyte ShareKey = 2;
    private const short FirstVersionWithBatches = 4;
    private const short FirstVersionWithShareKeys = 6;
    private const string NoErrorText = "NONE"; // the message of a success in old versions
    private const string NotAvailableText = "The coordinator is not available.";
    private const string InvalidRequestText = "This most likely occurs because of a request being malformed by the client library or "
        + "the message was sent to an incompatible broker. See the broker logs for more details.";

    public async ValueTask<FindCoordinatorResponse?> HandleAsync(RequestContext context, FindCoordinatorRequest request)
    {
        string[] keys = context.ApiVersion >= FirstVersionWithBatches ? request.CoordinatorKeys : [request.Key];
        var answers = new Coordinator[keys.Length];
        for (var i = 0; i < keys.Length; i++)
            answers[i] = await FindAsync(context, request.KeyType, keys[i]);
        if (context.ApiVersion >= FirstVersionWithBatches)
            return new FindCoordinatorResponse { Coordinators = answers };
        var answer = answers[0];
        return new FindCoordinatorResponse
        {
            ErrorCode = answer.ErrorCode,
            ErrorMessage = answer.ErrorCode switch
            {
                (short)ErrorCode.None => NoErrorText,
                (short)ErrorCode.InvalidRequest => InvalidRequestText,
                (short)ErrorCode.GroupAuthorizationFailed => Authorizer.TextOf(ResourceType.Group),
                (short)ErrorCode.TransactionalIdAuthorizationFailed => Authorizer.TextOf(ResourceType.TransactionalId),
                _ => NotAvailableText,
            },
            NodeId = answer.NodeId,
            Host = answer.Host,
            Port = answer.Port,
        };
    }

    private async ValueTask<Coordinator> FindAsync(RequestContext context, sbyte keyType, string key)
    {
        if (keyType is not (GroupKey or TransactionKey or ShareKey))
            return Failed(key, ErrorCode.InvalidRequest, InvalidRequestText); // the only error with a message in new versions
        if (keyType != ShareKey)
        {
            var type = keyType == GroupKey ? ResourceType.Group : ResourceType.TransactionalId;
            if (!authorizer.Allows(context, AclOperation.Describe, type, key))
                return Failed(key, Authorizer.ErrorOf(type));
        }
        else if (context.ApiVersion >= FirstVersionWithShareKeys)
        {
            authorizer.RequireOnCluster(context, AclOperation.ClusterAction);
        }

        if (!IsValid(context, keyType, key))
            return Failed(key, ErrorCode.InvalidRequest);
        var name = InternalTopicOf(keyType);
        if (cluster.Image.Topics.Find(name) is null)
            await topics.CreateInternalAsync([name]); // a failure shows below: the partition has no leader
        var image = cluster.Image;
        if (image.Topics.Find(name) is not { } topic)
            return Failed(key, ErrorCode.CoordinatorNotAvailable);
        var partition = topic.Partitions[CoordinatorKeys.PartitionOf(key, topic.Partitions.Length)];
        var broker = ClusterView.ActiveBrokers(image, context.Connection.ListenerName)
            .FirstOrDefault(broker => broker.Id == partition.Leader);
        return broker is null
            ? Failed(key, ErrorCode.CoordinatorNotAvailable)
            : new Coordinator { Key = key, NodeId = broker.Id, Host = broker.Host, Port = broker.Port };
    }

    /// <summary>The topic that keys of a type hash to.</summary>
    private static string InternalTopicOf(sbyte keyType) => keyType switch
    {
        GroupKey => TopicNames.ConsumerOffsets,
        TransactionKey => TopicNames.TransactionState,
        _ => TopicNames.ShareGroupState,
    };

    private static bool IsValid(RequestContext context, sbyte keyType, string key) => keyType switch
    {
        GroupKey or TransactionKey => true,
        _ => context.ApiVersion >= FirstVersionWithShareKeys && IsShareKey(key),
    };

    /// <summary>"group:topic id:partition"; the group may have colons too.</summary>
    private static bool IsShareKey(string key) =>
        key.Split(':') is [.., var topicId, var partition] && key.Length > topicId.Length + partition.Length + 2
        && Uuid.TryParse(topicId, out _) && int.TryParse(partition, out var index) && index >= 0;

    private static Coordinator Failed(string key, ErrorCode error, string message = "") =>
        new() { Key = key, NodeId = -1, Port = -1, ErrorCode = (short)error, ErrorMessage = message };
}
