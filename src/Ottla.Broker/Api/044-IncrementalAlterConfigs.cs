using Ottla.Broker.Hosts;
using Ottla.Broker.Server;
using Ottla.Protocol;
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
            var response = await controller.SubmitAsync(new IncrementalAlterConfigsCommand(request));
            // Of a resource type that nobody knows a broker says this, and a controller that.
            foreach (var answer in response.Responses.Where(answer => answer.ErrorCode == (short)ErrorCode.UnsupportedVersion))
                answer.ErrorCode = (short)ErrorCode.InvalidRequest;
            return response;
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
