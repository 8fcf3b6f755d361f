using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.Broker.Server;

/// <summary>Serves one API, in all its versions.</summary>
/// <remarks>
/// A handler has two stages. Before its first await it runs in the order of the connection's requests, and may use the records of the
/// request, which point into the received frame. After the first await they are gone. The next request of the connection starts when this
/// one is answered, unless the API allows an overlap (<see cref="ApiEntry.OverlapsItself"/>).
/// </remarks>
public interface IApiHandler<in TRequest, TResponse>
    where TRequest : IRequestMessage<TRequest>
    where TResponse : class, IResponseMessage<TResponse>
{
    /// <summary>Answers a request; null when the client wants no answer.</summary>
    /// <exception cref="Exception">
    /// The API's error response carries its error. An exception that has no Kafka error is logged and answered with UNKNOWN_SERVER_ERROR.
    /// </exception>
    ValueTask<TResponse?> HandleAsync(RequestContext context, TRequest request);

    /// <summary>Translates an error that the handler throws for clients of a version. NONE answers as if nothing had failed.</summary>
    ErrorCode ErrorFor(short version, ErrorCode error) => error;

    /// <summary>
    /// Estimates how long the work before the first await takes, in microseconds. Long requests leave the network loop
    /// (<see cref="HeavyRequests"/>).
    /// </summary>
    /// <remarks>Runs on the network loop, so it must be quick. Large requests leave the loop anyway.</remarks>
    int EstimateMicroseconds(RequestContext context, TRequest request) => 0;
}

/// <summary>Serves an API of the hot path, like <see cref="IApiHandler{TRequest, TResponse}"/>, with messages that are reused.</summary>
/// <remarks>
/// Request and response belong to the connection, which reuses them when the response is encoded: a handler keeps no reference into them.
/// </remarks>
public interface IReusingApiHandler<in TRequest, TResponse>
    where TRequest : IRequestMessage<TRequest>, IReusableMessage
    where TResponse : class, IResponseMessage<TResponse>, IReusableMessage
{
    /// <summary>
    /// Answers a request: fills <paramref name="response"/>, which is empty, and returns it; null when the client wants no answer.
    /// </summary>
    /// <exception cref="Exception">As for <see cref="IApiHandler{TRequest, TResponse}.HandleAsync"/>.</exception>
    ValueTask<TResponse?> HandleAsync(RequestContext context, TRequest request, TResponse response);

    /// <inheritdoc cref="IApiHandler{TRequest, TResponse}.EstimateMicroseconds"/>
    int EstimateMicroseconds(RequestContext context, TRequest request) => 0;

    /// <summary>Whether the client waits for a response. If it does not, a failure closes the connection.</summary>
    bool WantsResponse(TRequest request) => true;

    /// <summary>Whether a Fetch request is of a follower: those are counted by themselves.</summary>
    bool IsOfFollower(RequestContext context, TRequest request) => false;
}
