using Ottla.Broker.Server;
using Ottla.Configuration;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Controller;
using Ottla.StateMachines.Metadata;

namespace Ottla.Broker.Api;

/// <summary>
/// AlterConfigs (key 33), versions 0 to 2: replaces all configs of a resource, and deletes those that the request does not name. Superseded
/// by IncrementalAlterConfigs.
/// </summary>
/// <remarks>Errors per resource: INVALID_CONFIG, INVALID_REQUEST, UNKNOWN_TOPIC_OR_PARTITION, NOT_CONTROLLER.</remarks>
internal sealed class AlterConfigsHandler(IConfigAlterer alterer) : IApiHandler<AlterConfigsRequest, AlterConfigsResponse>
{
    public async ValueTask<AlterConfigsResponse?> HandleAsync(RequestContext context, AlterConfigsRequest request)
    {
        var errors = await alterer.AlterAsync(context, [.. request.Resources.Select(ToChange)], request.ValidateOnly);
        return new AlterConfigsResponse
        {
            Responses =
            [
                .. request.Resources.Zip(errors, (resource, error) => new AlterConfigsResponse.AlterConfigsResourceResponse
                {
                    ResourceType = resource.ResourceType,
                    ResourceName = resource.ResourceName,
                    ErrorCode = (short)error.Code,
                    ErrorMessage = error.Message,
                }),
            ],
        };
    }

    private static ConfigChange ToChange(AlterConfigsRequest.AlterConfigsResource resource) => new(
        new ConfigResource((ConfigResourceType)resource.ResourceType, resource.ResourceName),
        [.. resource.Configs.Select(altered => new ConfigAlteration(altered.Name, AlterConfigOperation.Set, altered.Value))],
        ReplacesAll: true);
}
