using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.Broker.Server;

/// <summary>Serves one API, in all its versions.</summary>
/// <remarks>
/// Two stages: what runs before the first await happens in the order of the requests of a connection, and may use the records of the
/// request, which are windows of the received frame. After the first await they are gone. The next request of the connection starts once
/// this one is answered, unless the API overlaps itself (<see cref="ApiEntry.OverlapsItself"/>).
/// </remarks>
public interface IApiHandler<in TRequest, TResponse>
    where TRequest : IRequestMessage<TRequest>
    where TResponse : class, IResponseMessage<TResponse>
{
    /// <summary>Answers a request; null when the client wants no answer.</summary>
    /// <exception cref="Exception">
    /// Answered with an error in the API's own shape; what is no error of Kafka's is logged and answered with UNKNOWN_SERVER_ERROR.
    /// </exception>
    ValueTask<TResponse?> HandleAsync(RequestContext context, TRequest request);

    /// <summary>The error that clients of a version are told for one that the handler throws; NONE answers as if nothing had failed.</summary>
    ErrorCode ErrorFor(short version, ErrorCode error) => error;

    /// <summary>
    /// About how long the work before the first await takes, in microseconds. What takes long leaves the network loop
    /// (<see cref="HeavyRequests"/>).
    /// </summary>
    /// <remarks>Called on the network loop: it looks at no more than it must. Large requests leave it anyway.</remarks>
    int EstimateMicroseconds(RequestContext context, TRequest request) => 0;
}

/// <summary>Serves an API of the hot path, as <see cref="IApiHandler{TRequest, TResponse}"/> does, without making messages anew.</summary>
/// <remarks>Request and response are the connection's, used again once the response is encoded: no reference into them may be kept.</remarks>
public interface IReusingApiHandler<in TRequest, TResponse>
    where TRequest : IRequestMessage<TRequest>, IReusableMessage
    where TResponse : class, IResponseMessage<TResponse>, IReusableMessage
{
    /// <summary>Answers a request by filling <paramref name="response"/>, which is as new, and returning it; null when the client wants no answer.</summary>
    /// <exception cref="Exception">As of <see cref="IApiHandler{TRequest, TResponse}.HandleAsync"/>.</exception>
    ValueTask<TResponse?> HandleAsync(RequestContext context, TRequest request, TResponse response);

    /// <inheritdoc cref="IApiHandler{TRequest, TResponse}.EstimateMicroseconds"/>
    int EstimateMicroseconds(RequestContext context, TRequest request) => 0;

    /// <summary>Whether the client waits for a response. Where it does not, a failure closes the connection.</summary>
    bool WantsResponse(TRequest request) => true;
}
