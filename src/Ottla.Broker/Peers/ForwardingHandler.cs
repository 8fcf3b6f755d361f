using Ottla.Broker.Server;
using Ottla.Protocol.Messages;

namespace Ottla.Broker.Peers;

/// <summary>
/// Serves an API on a broker that only the active controller can answer: it forwards the request, in all of its versions.
/// </summary>
/// <remarks>
/// Errors beside the controller's own: REQUEST_TIMED_OUT (no controller answered within a minute), UNKNOWN_SERVER_ERROR. Where the
/// controller cannot read the request, the client's connection is closed.
/// </remarks>
internal sealed class ForwardingHandler<TRequest, TResponse>(Forwarder forwarder) : IApiHandler<TRequest, TResponse>
    where TRequest : IRequestMessage<TRequest>
    where TResponse : class, IResponseMessage<TResponse>
{
    public ValueTask<TResponse?> HandleAsync(RequestContext context, TRequest request) =>
        forwarder.ForwardAsync<TRequest, TResponse>(context, request);
}
