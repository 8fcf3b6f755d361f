using Ottla.Broker.Hosts;
using Ottla.Broker.Server;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Controller;

namespace Ottla.Broker.Api;

/// <summary>IncrementalAlterConfigs (key 44), versions 0 to 1: sets, deletes, appends to or subtracts from single configs of topics, brokers, groups and client metrics.</summary>
/// <remarks>Errors per resource: INVALID_CONFIG, INVALID_REQUEST, UNKNOWN_TOPIC_OR_PARTITION, NOT_CONTROLLER.</remarks>
internal sealed class IncrementalAlterConfigsHandler(ControllerChannel controller) : IApiHandler<IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse>
{
    public async ValueTask<IncrementalAlterConfigsResponse?> HandleAsync(RequestContext context, IncrementalAlterConfigsRequest request)
    {
        try
        {
            return await controller.SubmitAsync(new IncrementalAlterConfigsCommand(request));
        }
        catch (ApiException e)
        {
            return new IncrementalAlterConfigsResponse
            {
                Responses =
                [
                    .. request.Resources.Select(resource => new IncrementalAlterConfigsResponse.AlterConfigsResourceResponse
                    {
                        ResourceType = resource.ResourceType,
                        ResourceName = resource.ResourceName,
                        ErrorCode = (short)e.Error.Code,
                        ErrorMessage = e.Error.Message,
                    }),
                ],
            };
        }
    }
}
