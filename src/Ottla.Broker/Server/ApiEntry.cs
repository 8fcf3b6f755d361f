using Ottla.Kernel;
using Ottla.Network.Framing;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Wire;

namespace Ottla.Broker.Server;

/// <summary>An API that this broker serves: its schema and its handler.</summary>
public abstract class ApiEntry
{
    private protected ApiEntry(ApiKey key, Type handlerType)
    {
        Schema = ApiSchemas.All.Single(schema => schema.Key == key);
        HandlerType = handlerType;
    }

    /// <summary>The API.</summary>
    public ApiKey Key => Schema.Key;

    /// <summary>What the schemas say of it.</summary>
    public ApiSchema Schema { get; }

    /// <summary>The class that serves it.</summary>
    public Type HandlerType { get; }

    /// <summary>The oldest version served.</summary>
    public short LowestVersion => Schema.LowestVersion;

    /// <summary>The newest version served.</summary>
    public short HighestVersion => Schema.HighestStableVersion;

    /// <summary>Whether a version is served.</summary>
    public bool Supports(short version) => version >= LowestVersion && version <= HighestVersion;

    /// <summary>The version of the request header that goes with a version of the request.</summary>
    public short RequestHeaderVersion(short version) => version >= Schema.LowestFlexibleVersion ? (short)2 : (short)1;

    /// <summary>Decodes the request and starts its handler; the response takes the next place in <paramref name="queue"/>, now or later.</summary>
    /// <exception cref="ProtocolException">The request is malformed; it takes no place.</exception>
    internal abstract void Start(RequestContext context, ref WireReader reader, ResponseQueue queue);

    /// <summary>Encodes a response behind its header.</summary>
    internal void Encode(RequestContext context, IMessage response, short version, FrameBuffer frame)
    {
        try
        {
            var writer = new WireWriter(frame);
            writer.WriteInt32(context.CorrelationId);
            // An ApiVersions response always has the old header: the client cannot know yet which one to expect (KIP-511).
            if (version >= Schema.LowestFlexibleVersion && Key != ApiKey.ApiVersions)
                writer.WriteTagCount(0);
            response.Write(ref writer, version);
            writer.Flush();
        }
        catch (ProtocolException e)
        {
            frame.Dispose();
            throw new InvalidOperationException($"The response to {Key} version {version} cannot be encoded.", e); // our bug, not the client's
        }
    }
}

/// <inheritdoc cref="ApiEntry"/>
public abstract class ApiEntry<TRequest, TResponse> : ApiEntry
    where TRequest : IRequestMessage<TRequest>
    where TResponse : class, IResponseMessage<TResponse>
{
    private protected ApiEntry(Type handlerType)
        : base(TRequest.ApiKey, handlerType)
    {
    }

    /// <summary>Sends the response in its turn, now or once the handler is done.</summary>
    /// <param name="context">The request's.</param>
    /// <param name="response">What the handler is making.</param>
    /// <param name="slot">The response's place.</param>
    /// <param name="exchange">The messages to give back then; null when they are garbage.</param>
    private protected void Answer(RequestContext context, ValueTask<TResponse?> response, ResponseSlot slot, MessageExchange? exchange)
    {
        if (response.IsCompletedSuccessfully)
            Complete(context, response.Result, slot, exchange);
        else
            _ = AnswerLaterAsync(context, response, slot, exchange);
    }

    private async Task AnswerLaterAsync(RequestContext context, ValueTask<TResponse?> response, ResponseSlot slot, MessageExchange? exchange)
    {
        try
        {
            Complete(context, await response, slot, exchange);
            slot.Queue.FlushInBackground();
        }
        catch (Exception e) // whatever it is, it must reach the connection: nobody awaits this method
        {
            slot.Queue.Fail(e);
        }
    }

    private void Complete(RequestContext context, TResponse? response, ResponseSlot slot, MessageExchange? exchange)
    {
        Invariant.Check(!slot.IsComplete, "a request is answered once");
        if (response is null)
        {
            slot.CompleteWithoutResponse();
        }
        else
        {
            var frame = slot.Queue.RentFrame();
            Encode(context, response, context.ApiVersion, frame);
            slot.Complete(frame);
        }

        if (exchange is not null)
            slot.Queue.Exchanges.Return(exchange);
    }
}

/// <summary>An API whose messages are made for each request.</summary>
public sealed class PlainApiEntry<TRequest, TResponse>(IApiHandler<TRequest, TResponse> handler) : ApiEntry<TRequest, TResponse>(handler.GetType())
    where TRequest : IRequestMessage<TRequest>
    where TResponse : class, IResponseMessage<TResponse>
{
    internal override void Start(RequestContext context, ref WireReader reader, ResponseQueue queue)
    {
        var request = TRequest.Read(ref reader, context.ApiVersion);
        var slot = queue.Open();
        Answer(context, handler.HandleAsync(context, request), slot, exchange: null);
    }
}

/// <summary>An API of the hot path, whose messages are used again.</summary>
public sealed class ReusingApiEntry<TRequest, TResponse>(IReusingApiHandler<TRequest, TResponse> handler) : ApiEntry<TRequest, TResponse>(handler.GetType())
    where TRequest : class, IRequestMessage<TRequest>, IReusableMessage, new()
    where TResponse : class, IResponseMessage<TResponse>, IReusableMessage, new()
{
    internal override void Start(RequestContext context, ref WireReader reader, ResponseQueue queue)
    {
        var exchange = queue.Exchanges.Rent<MessageExchange<TRequest, TResponse>>();
        exchange.Request.ReadAgain(ref reader, context.ApiVersion);
        var slot = queue.Open();
        Answer(context, handler.HandleAsync(context, exchange.Request, exchange.Response), slot, exchange);
    }
}
