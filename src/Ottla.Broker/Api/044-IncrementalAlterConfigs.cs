using Ottla.Broker.Server;
using Ottla.Configuration;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Controller;
using Ottla.StateMachines.Metadata;

namespace Ottla.Broker.Api;

/// <summary>
/// IncrementalAlterConfigs (key 44), versions 0 to 1: sets, deletes, appends to or subtracts from single configs of topics, brokers, groups
/// and client metrics, and levels of broker loggers.
/// </summary>
/// <remarks>Errors per resource: INVALID_CONFIG, INVALID_REQUEST, UNKNOWN_TOPIC_OR_PARTITION, NOT_CONTROLLER.</remarks>
internal sealed class IncrementalAlterConfigsHandler(IConfigAlterer alterer)
    : IApiHandler<IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse>
{
    public async ValueTask<IncrementalAlterConfigsResponse?> HandleAsync(RequestContext context, IncrementalAlterConfigsRequest request)
    {
        var errors = await alterer.AlterAsync(context, [.. request.Resources.Select(ToChange)], request.ValidateOnly);
        return new IncrementalAlterConfigsResponse
        {
            Responses =
            [
                .. request.Resources.Zip(errors, (resource, error) => new IncrementalAlterConfigsResponse.AlterConfigsResourceResponse
                {
                    ResourceType = resource.ResourceType,
                    ResourceName = resource.ResourceName,
                    ErrorCode = (short)error.Code,
                    ErrorMessage = error.Message,
                }),
            ],
        };
    }

    private static ConfigChange ToChange(IncrementalAlterConfigsRequest.AlterConfigsResource resource) => new(
        new ConfigResource((ConfigResourceType)resource.ResourceType, resource.ResourceName),
        [.. resource.Configs.Select(
            altered => new ConfigAlteration(altered.Name, (AlterConfigOperation)altered.ConfigOperation, altered.Value))],
        ReplacesAll: false);
}
