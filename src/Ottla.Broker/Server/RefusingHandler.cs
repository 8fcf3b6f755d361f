using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.Broker.Server;

/// <summary>Answers every request of an API with an error, because this version lacks its feature. Stateless.</summary>
internal abstract class RefusingHandler<TRequest, TResponse> : IApiHandler<TRequest, TResponse>
    where TRequest : IRequestMessage<TRequest>
    where TResponse : class, IResponseMessage<TResponse>
{
    public ValueTask<TResponse?> HandleAsync(RequestContext context, TRequest request)
    {
        var refusal = Refuse(context);
        return ValueTask.FromException<TResponse?>(new ApiException(refusal.Code, refusal.Message));
    }

    /// <summary>The error.</summary>
    protected abstract ApiError Refuse(RequestContext context);
}
