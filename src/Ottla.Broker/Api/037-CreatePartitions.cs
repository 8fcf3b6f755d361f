using Ottla.Broker.Hosts;
using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Controller;

namespace Ottla.Broker.Api;

/// <summary>CreatePartitions (key 37), versions 0 to 3: adds partitions to topics.</summary>
/// <remarks>
/// Errors per topic: TOPIC_AUTHORIZATION_FAILED, UNKNOWN_TOPIC_OR_PARTITION, INVALID_PARTITIONS, INVALID_REPLICA_ASSIGNMENT,
/// INVALID_REPLICATION_FACTOR, INVALID_REQUEST, NOT_CONTROLLER.
/// </remarks>
internal sealed class CreatePartitionsHandler(IController controller, Authorizer authorizer, ClientQuotas quotas)
    : IApiHandler<CreatePartitionsRequest, CreatePartitionsResponse>
{
    private const short FirstVersionWithQuotaError = 3;

    public async ValueTask<CreatePartitionsResponse?> HandleAsync(RequestContext context, CreatePartitionsRequest request)
    {
        List<string> refused =
        [
            .. request.Topics.GroupBy(topic => topic.Name, StringComparer.Ordinal).Where(same => same.Count() == 1)
                .Select(same => same.Key).Where(name => !authorizer.Allows(context, AclOperation.Alter, ResourceType.Topic, name)),
        ];
        if (refused.Count > 0)
            request.Topics = [.. request.Topics.Where(topic => !refused.Contains(topic.Name, StringComparer.Ordinal))];
        var quota = quotas.MutationsOf(context, isStrict: context.ApiVersion >= FirstVersionWithQuotaError);
        var response = await controller.SubmitAsync(
            new CreatePartitionsCommand(request) { TryTake = quota is null ? null : quota.TryTake });
        response.ThrottleTimeMs = quota?.ThrottleTimeMs ?? 0;
        response.Results = [.. response.Results, .. refused.Select(Refused)];
        return response;
    }

    private static CreatePartitionsResponse.CreatePartitionsTopicResult Refused(string name) =>
        new() { Name = name, ErrorCode = (short)ErrorCode.TopicAuthorizationFailed };
}
