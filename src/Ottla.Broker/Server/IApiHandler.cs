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

/// <summary>Serves an API of the hot path, as <see cref="IApiHandler{TRequest, TResponse}"/> does, without making messages anew.</summary>
/// <remarks>Request and response are the connection's, used again once the response is encoded: no reference into them may be kept.</remarks>
public interface IReusingApiHandler<in TRequest, TResponse>
    where TRequest : IRequestMessage<TRequest>, IReusableMessage
    where TResponse : class, IResponseMessage<TResponse>, IReusableMessage
{
    /// <summary>Answers a request by filling <paramref name="response"/>, which is as new, and returning it; null when the client wants no answer.</summary>
    /// <exception cref="Exception">A bug or a lost disk: it is logged, and the connection closed. Kafka's errors are part of the response.</exception>
    ValueTask<TResponse?> HandleAsync(RequestContext context, TRequest request, TResponse response);
}
