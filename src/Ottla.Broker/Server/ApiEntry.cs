using System.Runtime.CompilerServices;
using Ottla.Kernel;
using Ottla.Network.Framing;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Wire;
using Ottla.StateMachines.Authorization;

namespace Ottla.Broker.Server;

/// <summary>An API that a node serves: its schema, its handler, and the rules for all its requests.</summary>
public abstract class ApiEntry
{
    private RequiredOperation? _neededOnCluster;
    private Authorizer _authorizer = Authorizer.None;

    private protected ApiEntry(ApiKey key, Type handlerType, bool isHot)
    {
        Schema = ApiSchemas.All.Single(schema => schema.Key == key);
        HandlerType = handlerType;
        Rules = ApiRules.Of(key);
        Metrics = new ApiMetrics(isHot);
        FollowerMetrics = key == ApiKey.Fetch ? new ApiMetrics(isHot) : null;
    }

    /// <summary>The API.</summary>
    public ApiKey Key => Schema.Key;

    /// <summary>Its schema: the versions, and the listeners that serve it.</summary>
    public ApiSchema Schema { get; }

    /// <summary>The handler's class; for a forwarded API, that of the controller's handler.</summary>
    public Type HandlerType { get; init; }

    /// <summary>Whether a broker forwards requests to the active controller.</summary>
    public bool IsForwarded { get; init; }

    /// <summary>Whether ApiVersions lists it. What it does not list is served all the same, as in Kafka.</summary>
    public bool IsOffered { get; init; } = true;

    /// <summary>The listeners that serve it, as the schema says.</summary>
    public ApiListeners Listeners =>
        (Schema.OnBroker ? ApiListeners.Broker : 0) | (Schema.OnController ? ApiListeners.Controller : 0);

    /// <summary>The operations that the sender of a request needs, and whether the request quota applies.</summary>
    public ApiRules Rules { get; }

    /// <summary>Counts its requests; for Fetch those of consumers.</summary>
    public ApiMetrics Metrics { get; }

    /// <summary>Counts the Fetch requests of followers; null for all other APIs.</summary>
    public ApiMetrics? FollowerMetrics { get; }

    /// <summary>The oldest version served.</summary>
    public short LowestVersion => Schema.LowestVersion;

    /// <summary>The newest version served.</summary>
    public short HighestVersion => Schema.HighestStableVersion;

    /// <summary>
    /// Whether several requests of one connection may wait at once: the next request of this API starts when the previous one has done its
    /// first stage. Requests of other APIs start when all earlier requests of their connection are answered, as Kafka's clients expect.
    /// </summary>
    public bool OverlapsItself { get; init; }

    /// <summary>Whether every request leaves the network loop, because its size does not tell how long it takes.</summary>
    public bool IsAlwaysHeavy { get; init; }

    /// <summary>A request with a longer body leaves the network loop before it is decoded.</summary>
    public int BodyBytesOnLoopMax { get; init; } = 16 * 1024;

    /// <summary>Whether a version is served.</summary>
    public bool Supports(short version) => version >= LowestVersion && version <= HighestVersion;

    /// <summary>The version of the request header that goes with a version of the request.</summary>
    public short RequestHeaderVersion(short version) => version >= Schema.LowestFlexibleVersion ? (short)2 : (short)1;

    /// <summary>
    /// Decodes the request, reserves the next place in <paramref name="queue"/> for the response, and starts the handler.
    /// </summary>
    /// <param name="context">The context of the request.</param>
    /// <param name="body">The request behind its header.</param>
    /// <param name="queue">The responses of its connection.</param>
    /// <param name="heavy">Runs the request if it takes long.</param>
    /// <returns>Completes when the first stage is done and no longer uses <paramref name="body"/>.</returns>
    /// <exception cref="ProtocolException">The request is malformed, and has no place in the queue.</exception>
    internal abstract ValueTask Start(in RequestContext context, Memory<byte> body, ResponseQueue queue, HeavyRequests heavy);

    /// <summary>Answers a request that came inside an Envelope.</summary>
    /// <param name="context">The context of the inner request.</param>
    /// <param name="body">The inner request behind its header.</param>
    /// <param name="onFailure">Receives an exception that has no Kafka error.</param>
    /// <returns>The response behind its header.</returns>
    /// <exception cref="ProtocolException">The request is malformed.</exception>
    /// <exception cref="ApiException">NOT_CONTROLLER: an error of the Envelope, for the broker that sent it.</exception>
    internal virtual ValueTask<byte[]> AnswerInnerAsync(RequestContext context, Memory<byte> body, Action<Exception> onFailure) =>
        throw new InvalidOperationException($"{Key} requests do not come in an Envelope.");

    /// <summary>Answers a request with an error, without its handler.</summary>
    /// <exception cref="ProtocolException">The request is malformed, and has no place in the queue.</exception>
    internal abstract void Refuse(in RequestContext context, Memory<byte> body, ResponseQueue queue, ErrorCode error, string? message);

    /// <summary>
    /// Has the entry check, before its handler, the operation on the cluster that all its requests need. What depends on the request is
    /// checked by the handler.
    /// </summary>
    /// <param name="listener">The kind of listener that serves it.</param>
    /// <param name="authorizer">Says what senders may do.</param>
    internal void Guard(ApiListeners listener, Authorizer authorizer)
    {
        _authorizer = authorizer;

        // The controller checks what a broker forwards.
        _neededOnCluster = IsForwarded || !authorizer.IsEnabled ? null : Rules.NeededOnCluster(listener);
    }

    /// <exception cref="ApiException">CLUSTER_AUTHORIZATION_FAILED.</exception>
    private protected void CheckCluster(in RequestContext context)
    {
        if (_neededOnCluster is not { } needed)
            return;
        if (needed.Or is { } alternative
            && _authorizer.Sees(context, alternative.Operation, ResourceType.Cluster, AclBinding.ClusterName))
            return;
        _authorizer.RequireOnCluster(context, needed.Operation);
    }

    /// <summary>Encodes a response behind its header.</summary>
    internal void Encode(in RequestContext context, IMessage response, short version, FrameBuffer frame)
    {
        try
        {
            WriteResponse(context, response, version, frame);
        }
        catch (ProtocolException e)
        {
            frame.Dispose();
            // a bug of this broker, not of the client
            throw new InvalidOperationException($"The response to {Key} version {version} cannot be encoded.", e);
        }
    }

    private protected void WriteResponse(in RequestContext context, IMessage response, short version, IFrameOutput output)
    {
        var writer = new WireWriter(output);
        writer.WriteInt32(context.CorrelationId);
        // An ApiVersions response always has the old header: the client cannot know yet which one to expect (KIP-511).
        if (version >= Schema.LowestFlexibleVersion && Key != ApiKey.ApiVersions)
            writer.WriteTagCount(0);
        response.Write(ref writer, version);
        writer.Flush();
    }
}

/// <inheritdoc cref="ApiEntry"/>
public abstract class ApiEntry<TRequest, TResponse> : ApiEntry
    where TRequest : IRequestMessage<TRequest>, IFailableRequest<TResponse>
    where TResponse : class, IResponseMessage<TResponse>
{
    private protected ApiEntry(Type handlerType, bool isHot)
        : base(TRequest.ApiKey, handlerType, isHot)
    {
    }

    /// <inheritdoc/>
    internal override ValueTask Start(in RequestContext context, Memory<byte> body, ResponseQueue queue, HeavyRequests heavy) =>
        body.Length <= BodyBytesOnLoopMax ? StartDecoded(Decode(context, body, queue), heavy) : StartLarge(context, body, queue, heavy);

    /// <inheritdoc/>
    internal override void Refuse(in RequestContext context, Memory<byte> body, ResponseQueue queue, ErrorCode error, string? message)
    {
        var exchange = Decode(context, body, queue);
        Complete(exchange, WantsResponse(exchange.Request)
            ? exchange.Request.ToErrorResponse(context.ApiVersion, (short)error, message)
            : null);
    }

    /// <summary>Decodes a request and reserves the place of its response.</summary>
    private protected abstract Exchange<TRequest, TResponse> Decode(in RequestContext context, Memory<byte> body, ResponseQueue queue);

    /// <summary>Handles a decoded request: here, or on a thread for requests that take long.</summary>
    private protected abstract ValueTask StartDecoded(Exchange<TRequest, TResponse> exchange, HeavyRequests heavy);

    private ValueTask StartLarge(RequestContext context, Memory<byte> body, ResponseQueue queue, HeavyRequests heavy) =>
        new(heavy.RunAsync(() => Handle(Decode(context, body, queue), isOnConnection: false)));

    /// <summary>Calls the handler. Returns an exception that it throws before its first await as a failed task.</summary>
    private protected abstract ValueTask<TResponse?> CallHandler(Exchange<TRequest, TResponse> exchange);

    /// <inheritdoc cref="IApiHandler{TRequest, TResponse}.ErrorFor"/>
    private protected virtual ErrorCode ErrorFor(short version, ErrorCode error) => error;

    /// <summary>Whether a client waits for the response.</summary>
    private protected virtual bool WantsResponse(TRequest request) => true;

    /// <inheritdoc cref="IReusingApiHandler{TRequest, TResponse}.IsOfFollower"/>
    private protected virtual bool IsOfFollower(in RequestContext context, TRequest request) => true;

    /// <summary>Has the handler do its first stage, and sees to the response.</summary>
    /// <param name="exchange">The request.</param>
    /// <param name="isOnConnection">
    /// Whether the connection's own task calls. That task sends the ready responses itself, when it has started all requests that came in.
    /// </param>
    private protected void Handle(Exchange<TRequest, TResponse> exchange, bool isOnConnection)
    {
        ValueTask<TResponse?> response;
        try
        {
            if (exchange.Slot.Queue.Quotas is { AreOnRequests: true })
            {
                response = CallTimed(exchange);
            }
            else
            {
                CheckCluster(exchange.Context);
                response = CallHandler(exchange);
            }
        }
        catch (Exception e) // a bug, a failed disk, or an error that the handler leaves to this class
        {
            response = ValueTask.FromException<TResponse?>(e);
        }

        if (isOnConnection && response.IsCompletedSuccessfully)
            Complete(exchange, response.Result);
        else
            exchange.Await(this, response, wakesInline: isOnConnection);
    }

    private ApiMetrics MetricsOf(Exchange<TRequest, TResponse> exchange) =>
        FollowerMetrics is { } followers && IsOfFollower(exchange.Context, exchange.Request) ? followers : Metrics;

    /// <summary>Calls the handler, and notes how long it works before it waits for anything: a quota counts it.</summary>
    private ValueTask<TResponse?> CallTimed(Exchange<TRequest, TResponse> exchange)
    {
        var queue = exchange.Slot.Queue;
        var startedAt = queue.Now;
        try
        {
            CheckCluster(exchange.Context);
            return CallHandler(exchange);
        }
        finally
        {
            exchange.Context = exchange.Context with { HandlerTime = queue.TimeSince(startedAt) };
        }
    }

    /// <summary>Sees to a response that came later, on whatever thread completed it.</summary>
    internal void FinishLate(Exchange<TRequest, TResponse> exchange, ValueTaskAwaiter<TResponse?> response, bool wakesInline)
    {
        var queue = exchange.Slot.Queue;
        try
        {
            TResponse? answer;
            try
            {
                answer = response.GetResult();
            }
            catch (Exception e)
            {
                answer = Fail(exchange, e);
            }

            Complete(exchange, answer);
            queue.OnAnswerReady(wakesInline);
        }
        catch (Exception e) // whatever it is, it must reach the connection: nobody waits for this method
        {
            queue.Fail(e);
        }
    }

    /// <summary>
    /// Makes the response to a request whose handler threw, with the error where the API's schema has it, as Kafka's requests do.
    /// </summary>
    private TResponse? Fail(Exchange<TRequest, TResponse> exchange, Exception exception)
    {
        var context = exchange.Context;
        if (exception is OperationCanceledException && context.Connection.Closing.IsCancellationRequested)
            throw exception; // the client is gone
        var (error, message) = RequestFailure.ErrorOf(exception);
        if (error == ErrorCode.UnknownServerError)
            exchange.Slot.Queue.ReportFailure(context, exception);
        if (WantsResponse(exchange.Request))
            return exchange.Request.ToErrorResponse(context.ApiVersion, (short)ErrorFor(context.ApiVersion, error), message);
        context.Connection.End($"{context.ApiKey} request {context.CorrelationId}, which wants no response, failed: {error}");
        return null;
    }

    private void Complete(Exchange<TRequest, TResponse> exchange, TResponse? response)
    {
        var slot = exchange.Slot;
        var queue = slot.Queue;
        Invariant.Check(!slot.IsComplete, "a request is answered once");
        if (response is null)
        {
            if (queue.Quotas is { AreOnRequests: true } quotas)
                queue.Mute(QuotaEnforcement.Record(quotas, exchange.Context, this, exchange.Request, null, 0));
            MetricsOf(exchange).CountUnanswered(queue.TimeSince(exchange.Context), queue.TimeWaited(exchange));
            slot.CompleteWithoutResponse();
        }
        else
        {
            response = EncodeOrFail(exchange, response);
            if (IsForwarded || queue.Quotas is { AreOnRequests: true })
                response = Throttle(exchange, response);
            MetricsOf(exchange).Count(
                response, exchange.Context.ApiVersion, queue.TimeSince(exchange.Context), queue.TimeWaited(exchange));
            slot.Complete(MetricsOf(exchange));
        }

        queue.Exchanges.Return(exchange);
    }

    /// <summary>Counts the request against its client's quotas. If it is above them, the client is told so and held back.</summary>
    /// <returns>What was encoded.</returns>
    private TResponse Throttle(Exchange<TRequest, TResponse> exchange, TResponse response)
    {
        var (queue, frame) = (exchange.Slot.Queue, exchange.Slot.Frame);
        if (queue.Quotas is not { } quotas)
            return response;
        var throttleMs = QuotaEnforcement.Record(quotas, exchange.Context, this, exchange.Request, response, frame.TotalLength);
        if (throttleMs <= 0)
            return response;
        queue.Mute(throttleMs);
        MetricsOf(exchange).CountThrottled(TimeSpan.FromMilliseconds(throttleMs));
        frame.Dispose();
        QuotaEnforcement.Throttle(exchange.Request, response, throttleMs);
        return EncodeOrFail(exchange, response);
    }

    /// <summary>Encodes a response into its slot, or the error that replaces it when it cannot be encoded.</summary>
    /// <returns>What was encoded.</returns>
    private TResponse EncodeOrFail(Exchange<TRequest, TResponse> exchange, TResponse response)
    {
        try
        {
            Encode(exchange.Context, response, exchange.Context.ApiVersion, exchange.Slot.Frame);
            return response;
        }
        catch (InvalidOperationException e)
        {
            exchange.Slot.Queue.ReportFailure(exchange.Context, e);
        }

        response = exchange.Request.ToErrorResponse(exchange.Context.ApiVersion, (short)ErrorCode.UnknownServerError, null);
        Encode(exchange.Context, response, exchange.Context.ApiVersion, exchange.Slot.Frame);
        return response;
    }
}

/// <summary>An API that makes new messages for each request.</summary>
public sealed class PlainApiEntry<TRequest, TResponse>(IApiHandler<TRequest, TResponse> handler)
    : ApiEntry<TRequest, TResponse>(handler.GetType(), isHot: false)
    where TRequest : IRequestMessage<TRequest>, IFailableRequest<TResponse>
    where TResponse : class, IResponseMessage<TResponse>
{
    private protected override Exchange<TRequest, TResponse> Decode(in RequestContext context, Memory<byte> body, ResponseQueue queue)
    {
        var reader = new WireReader(body);
        var request = TRequest.Read(ref reader, context.ApiVersion);
        var exchange = queue.Exchanges.Rent<Exchange<TRequest, TResponse>>();
        exchange.Context = context;
        exchange.Request = request;
        exchange.Slot = queue.Open(OverlapsItself);
        return exchange;
    }

    private protected override ValueTask StartDecoded(Exchange<TRequest, TResponse> exchange, HeavyRequests heavy)
    {
        if (IsAlwaysHeavy || handler.EstimateMicroseconds(exchange.Context, exchange.Request) > HeavyRequests.MicrosecondsOnLoopMax)
            heavy.Queue(new HeavyWork(this, exchange)); // the request no longer uses the body, and later requests wait for it
        else
            Handle(exchange, isOnConnection: true);
        return default;
    }

    private protected override ValueTask<TResponse?> CallHandler(Exchange<TRequest, TResponse> exchange) =>
        handler.HandleAsync(exchange.Context, exchange.Request);

    /// <inheritdoc/>
    internal override async ValueTask<byte[]> AnswerInnerAsync(RequestContext context, Memory<byte> body, Action<Exception> onFailure)
    {
        var reader = new WireReader(body);
        var request = TRequest.Read(ref reader, context.ApiVersion);
        TResponse? response;
        try
        {
            CheckCluster(context);
            response = await handler.HandleAsync(context, request);
        }
        catch (Exception e) when (e is not (ApiException { Error.Code: ErrorCode.NotController } or ProtocolException))
        {
            var (error, message) = RequestFailure.ErrorOf(e);
            if (error == ErrorCode.UnknownServerError)
                onFailure(e);
            response = request.ToErrorResponse(context.ApiVersion, (short)ErrorFor(context.ApiVersion, error), message);
        }

        var buffer = new WireBuffer();
        WriteResponse(context, response!, context.ApiVersion, buffer);
        return buffer.Written.ToArray();
    }

    private protected override ErrorCode ErrorFor(short version, ErrorCode error) => handler.ErrorFor(version, error);

    private sealed class HeavyWork(PlainApiEntry<TRequest, TResponse> entry, Exchange<TRequest, TResponse> exchange) : IThreadPoolWorkItem
    {
        public void Execute() => entry.Handle(exchange, isOnConnection: false);
    }
}

/// <summary>An API of the hot path, which reuses its messages.</summary>
public sealed class ReusingApiEntry<TRequest, TResponse>(IReusingApiHandler<TRequest, TResponse> handler)
    : ApiEntry<TRequest, TResponse>(handler.GetType(), isHot: true)
    where TRequest : class, IRequestMessage<TRequest>, IFailableRequest<TResponse>, IReusableMessage, new()
    where TResponse : class, IResponseMessage<TResponse>, IReusableMessage, new()
{
    private protected override Exchange<TRequest, TResponse> Decode(in RequestContext context, Memory<byte> body, ResponseQueue queue)
    {
        var exchange = queue.Exchanges.Rent<ReusedExchange<TRequest, TResponse>>();
        var reader = new WireReader(body);
        exchange.Request.ReadAgain(ref reader, context.ApiVersion);
        exchange.Context = context;
        exchange.Slot = queue.Open(OverlapsItself);
        return exchange;
    }

    private protected override ValueTask StartDecoded(Exchange<TRequest, TResponse> exchange, HeavyRequests heavy)
    {
        if (handler.EstimateMicroseconds(exchange.Context, exchange.Request) > HeavyRequests.MicrosecondsOnLoopMax)
            return StartHeavy(exchange, heavy);
        Handle(exchange, isOnConnection: true);
        return default;
    }

    private protected override ValueTask<TResponse?> CallHandler(Exchange<TRequest, TResponse> exchange) =>
        handler.HandleAsync(exchange.Context, exchange.Request, ((ReusedExchange<TRequest, TResponse>)exchange).Response);

    private protected override bool WantsResponse(TRequest request) => handler.WantsResponse(request);

    private protected override bool IsOfFollower(in RequestContext context, TRequest request) => handler.IsOfFollower(context, request);

    /// <summary>
    /// The records of the request point into its frame, so the connection waits until the first stage no longer uses them.
    /// </summary>
    private ValueTask StartHeavy(Exchange<TRequest, TResponse> exchange, HeavyRequests heavy) =>
        new(heavy.RunAsync(() => Handle(exchange, isOnConnection: false)));
}
