using Ottla.Protocol.Messages;

namespace Ottla.Broker.Server;

/// <summary>Serves one API, in all its versions.</summary>
/// <remarks>
/// Two stages: what runs before the first await happens in the order of the requests of a connection, and may use the records of the request,
/// which are windows of the received frame. After the first await they are gone; other requests of the connection go on meanwhile.
/// </remarks>
public interface IApiHandler<in TRequest, TResponse>
    where TRequest : IRequestMessage<TRequest>
    where TResponse : class, IResponseMessage<TResponse>
{
    /// <summary>Answers a request; null when the client wants no answer.</summary>
    /// <exception cref="Exception">A bug or a lost disk: it is logged, and the connection closed. Kafka's errors are part of the response.</exception>
    ValueTask<TResponse?> HandleAsync(RequestContext context, TRequest request);
}
