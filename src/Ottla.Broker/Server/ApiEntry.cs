using Ottla.Kernel;
using Ottla.Network.Framing;
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

    /// <summary>Decodes the request and starts its handler; the response takes its place in <paramref name="responses"/> now, and is completed now or later.</summary>
    /// <exception cref="Protocol.ProtocolException">The request is malformed; it has no place then, as nobody would ever complete it.</exception>
    internal abstract void Start(RequestContext context, ref WireReader reader, ResponseQueue responses);

    /// <summary>Encodes a response behind its header.</summary>
    internal void Encode(RequestContext context, IMessage response, short version, FrameBuffer frame)
    {
        var writer = new WireWriter(frame);
        writer.WriteInt32(context.CorrelationId);
        // An ApiVersions response always has the old header: the client cannot know yet which one to expect (KIP-511).
        if (version >= Schema.LowestFlexibleVersion && Key != ApiKey.ApiVersions)
            writer.WriteTagCount(0);
        response.Write(ref writer, version);
        writer.Flush();
    }
}

/// <inheritdoc cref="ApiEntry"/>
public sealed class ApiEntry<TRequest, TResponse>(IApiHandler<TRequest, TResponse> handler) : ApiEntry(TRequest.ApiKey, handler.GetType())
    where TRequest : IRequestMessage<TRequest>
    where TResponse : class, IResponseMessage<TResponse>
{
    internal override void Start(RequestContext context, ref WireReader reader, ResponseQueue responses)
    {
        var request = TRequest.Read(ref reader, context.ApiVersion);
        var slot = responses.Open();
        var response = handler.HandleAsync(context, request);
        if (response.IsCompletedSuccessfully)
            Complete(context, response.Result, slot);
        else
            _ = CompleteLaterAsync(context, response, slot);
    }

    private async Task CompleteLaterAsync(RequestContext context, ValueTask<TResponse?> pending, ResponseSlot slot)
    {
        try
        {
            Complete(context, await pending, slot);
            slot.Queue.FlushInBackground();
        }
        catch (Exception e) // whatever it is, it must reach the connection: nobody awaits this method
        {
            slot.Queue.Fail(e);
        }
    }

    private void Complete(RequestContext context, TResponse? response, ResponseSlot slot)
    {
        Invariant.Check(!slot.IsComplete, "a request is answered once");
        if (response is null)
        {
            slot.CompleteWithoutResponse();
            return;
        }

        var frame = slot.Queue.RentFrame();
        Encode(context, response, context.ApiVersion, frame);
        slot.Complete(frame);
    }
}
