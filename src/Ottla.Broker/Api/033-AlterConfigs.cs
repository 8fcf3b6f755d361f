using Ottla.Broker.Hosts;
using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Controller;

namespace Ottla.Broker.Api;

/// <summary>AlterConfigs (key 33), versions 0 to 2: replaces all configs of a resource; what is not named is deleted. Superseded by IncrementalAlterConfigs.</summary>
/// <remarks>Errors per resource: INVALID_CONFIG, INVALID_REQUEST, UNKNOWN_TOPIC_OR_PARTITION, NOT_CONTROLLER.</remarks>
internal sealed class AlterConfigsHandler(ControllerChannel controller) : IApiHandler<AlterConfigsRequest, AlterConfigsResponse>
{
    public async ValueTask<AlterConfigsResponse?> HandleAsync(RequestContext context, AlterConfigsRequest request)
    {
        try
        {
            var response = await controller.SubmitAsync(new AlterConfigsCommand(request));
            // Of a resource type that nobody knows a broker says this, and a controller that.
            foreach (var answer in response.Responses.Where(answer => answer.ErrorCode == (short)ErrorCode.UnsupportedVersion))
                answer.ErrorCode = (short)ErrorCode.InvalidRequest;
            return response;
        }
        catch (ApiException e)
        {
            return new AlterConfigsResponse
            {
                Responses =
                [
                    .. request.Resources.Select(resource => new AlterConfigsResponse.AlterConfigsResourceResponse
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
