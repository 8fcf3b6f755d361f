using Ottla.Broker.Hosts;
using Ottla.Broker.Server;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Controller;

namespace Ottla.Broker.Api;

/// <summary>DeleteTopics (key 20), versions 1 to 6: by name, from version 6 on also by id.</summary>
/// <remarks>
/// Errors per topic: UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC_ID, TOPIC_DELETION_DISABLED, INVALID_REQUEST, NOT_CONTROLLER.
/// </remarks>
internal sealed class DeleteTopicsHandler(IController controller) : IApiHandler<DeleteTopicsRequest, DeleteTopicsResponse>
{
    public async ValueTask<DeleteTopicsResponse?> HandleAsync(RequestContext context, DeleteTopicsRequest request) =>
        await controller.SubmitAsync(new DeleteTopicsCommand(request, context.ApiVersion));
}
