using Ottla.Broker.Hosts;
using Ottla.Broker.Server;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Controller;

namespace Ottla.Broker.Api;

/// <summary>UpdateFeatures (key 57), versions 0 to 2: changes finalized feature levels.</summary>
/// <remarks>Errors: INVALID_UPDATE_VERSION, FEATURE_UPDATE_FAILED, INVALID_REQUEST, NOT_CONTROLLER; below version 2 per feature.</remarks>
internal sealed class UpdateFeaturesHandler(IController controller) : IApiHandler<UpdateFeaturesRequest, UpdateFeaturesResponse>
{
    public async ValueTask<UpdateFeaturesResponse?> HandleAsync(RequestContext context, UpdateFeaturesRequest request) =>
        await controller.SubmitAsync(new UpdateFeaturesCommand(request, context.ApiVersion));
}
