using Ottla.Broker.Hosts;
using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Authorization;
using Ottla.StateMachines.Controller;

namespace Ottla.Broker.Api;

/// <summary>DeleteTopics (key 20), versions 1 to 6: by name, from version 6 on also by id.</summary>
/// <remarks>
/// Errors per topic: TOPIC_AUTHORIZATION_FAILED (without the name for an id, unless the client may describe the topic),
/// UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC_ID, TOPIC_DELETION_DISABLED, INVALID_REQUEST, NOT_CONTROLLER.
/// </remarks>
internal sealed class DeleteTopicsHandler(IController controller, Authorizer authorizer, ClientQuotas quotas)
    : IApiHandler<DeleteTopicsRequest, DeleteTopicsResponse>
{
    private const short FirstVersionWithQuotaError = 5;

    public async ValueTask<DeleteTopicsResponse?> HandleAsync(RequestContext context, DeleteTopicsRequest request)
    {
        var quota = quotas.MutationsOf(context, isStrict: context.ApiVersion >= FirstVersionWithQuotaError);
        var response = await controller.SubmitAsync(new DeleteTopicsCommand(request, context.ApiVersion)
        {
            Access = AccessOf(context),
            TryTake = quota is null ? null : quota.TryTake,
        });
        response.ThrottleTimeMs = quota?.ThrottleTimeMs ?? 0;
        return response;
    }

    /// <summary>What the client may do; null for everything.</summary>
    private TopicDeletionAccess? AccessOf(RequestContext context) =>
        !authorizer.IsEnabled || authorizer.Sees(context, AclOperation.Delete, ResourceType.Cluster, AclBinding.ClusterName)
            ? null
            : new TopicDeletionAccess(
                name => authorizer.Allows(context, AclOperation.Describe, ResourceType.Topic, name),
                name => authorizer.Allows(context, AclOperation.Delete, ResourceType.Topic, name));
}
