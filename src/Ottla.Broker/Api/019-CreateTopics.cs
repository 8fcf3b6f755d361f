using Ottla.Broker.Hosts;
using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Authorization;
using Ottla.StateMachines.Controller;

namespace Ottla.Broker.Api;

/// <summary>
/// CreateTopics (key 19), versions 2 to 7. The controller decides; the answer waits until this broker can serve the topics.
/// </summary>
/// <remarks>
/// A client that may not describe the configs of a topic is not told of them. Errors per topic: TOPIC_AUTHORIZATION_FAILED,
/// TOPIC_ALREADY_EXISTS, INVALID_TOPIC_EXCEPTION, INVALID_PARTITIONS, INVALID_REPLICATION_FACTOR, INVALID_REPLICA_ASSIGNMENT,
/// INVALID_CONFIG, INVALID_REQUEST, POLICY_VIOLATION, NOT_CONTROLLER.
/// </remarks>
internal sealed class CreateTopicsHandler(IController controller, Authorizer authorizer, ClientQuotas quotas)
    : IApiHandler<CreateTopicsRequest, CreateTopicsResponse>
{
    private const short FirstVersionWithQuotaError = 6;

    public async ValueTask<CreateTopicsResponse?> HandleAsync(RequestContext context, CreateTopicsRequest request)
    {
        var refused = authorizer.IsEnabled ? TakeRefused(context, request) : [];
        var quota = quotas.MutationsOf(context, isStrict: context.ApiVersion >= FirstVersionWithQuotaError);
        var response = await controller.SubmitAsync(new CreateTopicsCommand(request) { TryTake = quota is null ? null : quota.TryTake });
        response.ThrottleTimeMs = quota?.ThrottleTimeMs ?? 0;
        if (!authorizer.IsEnabled)
            return response;
        foreach (var topic in response.Topics)
        {
            if (topic.ErrorCode == (short)ErrorCode.None
                && !authorizer.Sees(context, AclOperation.DescribeConfigs, ResourceType.Topic, topic.Name))
                HideConfigs(topic);
        }

        response.Topics = [.. response.Topics, .. refused.Select(Refused)];
        return response;
    }

    /// <summary>
    /// Takes out of a request the topics that the client may not create. What is wrong with a request itself comes first.
    /// </summary>
    private List<string> TakeRefused(RequestContext context, CreateTopicsRequest request)
    {
        if (authorizer.Sees(context, AclOperation.Create, ResourceType.Cluster, AclBinding.ClusterName))
            return [];
        List<string> refused =
        [
            .. request.Topics.GroupBy(topic => topic.Name, StringComparer.Ordinal).Where(same => same.Count() == 1)
                .Select(same => same.Key).Where(name => name != TopicNames.ClusterMetadata
                    && !authorizer.Allows(context, AclOperation.Create, ResourceType.Topic, name)),
        ];
        if (refused.Count > 0)
            request.Topics = [.. request.Topics.Where(topic => !refused.Contains(topic.Name, StringComparer.Ordinal))];
        return refused;
    }

    private static void HideConfigs(CreateTopicsResponse.CreatableTopicResult topic)
    {
        topic.TopicConfigErrorCode = (short)ErrorCode.TopicAuthorizationFailed;
        topic.Configs = [];
        topic.NumPartitions = -1;
        topic.ReplicationFactor = -1;
    }

    private static CreateTopicsResponse.CreatableTopicResult Refused(string name) => new()
    {
        Name = name,
        ErrorCode = (short)ErrorCode.TopicAuthorizationFailed,
        ErrorMessage = "Authorization failed.",
    };
}
