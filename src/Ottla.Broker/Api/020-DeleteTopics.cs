using Ottla.Broker.Hosts;
using Ottla.Broker.Server;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Controller;

namespace Ottla.Broker.Api;

/// <summary>DeleteTopics (key 20), versions 1 to 6: by name, from version 6 on also by id.</summary>
/// <remarks>Errors per topic: UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC_ID, TOPIC_DELETION_DISABLED, INVALID_REQUEST, NOT_CONTROLLER.</remarks>
internal sealed class DeleteTopicsHandler(ControllerChannel controller) : IApiHandler<DeleteTopicsRequest, DeleteTopicsResponse>
{
    private const short FirstVersionWithTopicIds = 6;

    public async ValueTask<DeleteTopicsResponse?> HandleAsync(RequestContext context, DeleteTopicsRequest request)
    {
        try
        {
            return await controller.SubmitAsync(new DeleteTopicsCommand(request, context.ApiVersion));
        }
        catch (ApiException e)
        {
            var named = context.ApiVersion >= FirstVersionWithTopicIds
                ? request.Topics.Select(topic => (topic.Name, topic.TopicId))
                : request.TopicNames.Select(name => ((string?)name, Kernel.Uuid.Zero));
            return new DeleteTopicsResponse
            {
                Responses = [.. named.Select(topic => new DeleteTopicsResponse.DeletableTopicResult { Name = topic.Item1, TopicId = topic.Item2, ErrorCode = (short)e.Error.Code, ErrorMessage = e.Error.Message })],
            };
        }
    }
}
