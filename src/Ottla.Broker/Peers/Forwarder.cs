using Ottla.Broker.Api;
using Ottla.Broker.Metadata;
using Ottla.Broker.Server;
using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Wire;
using Ottla.Requests;

namespace Ottla.Broker.Peers;

/// <summary>Hands the requests of clients that change the cluster to the active controller (KIP-590), and says what it answered.</summary>
/// <remarks>
/// What an answer of an Ottla controller speaks of, this broker has taken over when the client sees it: a client that created a topic can
/// use it at once (docs/adr/0013). Used by all connections; lives as long as the broker.
/// </remarks>
public sealed class Forwarder(ControllerChannel channel, MetadataCache metadata, Func<BrokerConfig> config, TimeProvider time)
{
    private const short FirstVersionWithTaggedHeader = 2;

    /// <summary>The channel of requests that are forwarded, and of those that the broker sends in its own name beside them.</summary>
    public ControllerChannel Channel => channel;

    /// <summary>The versions of an API that the active controller serves; null while that is not known.</summary>
    public ApiVersionRange? ControllerVersionsOf(ApiKey key) => channel.ControllerVersions?.RangeOf(key);

    /// <summary>Has the active controller answer a request of a client.</summary>
    /// <param name="context">The client's request.</param>
    /// <param name="request">Its body.</param>
    /// <returns>
    /// The controller's answer; null when the client's connection is to be closed, because the controller cannot read its request.
    /// </returns>
    /// <exception cref="ApiException">
    /// REQUEST_TIMED_OUT: no controller answered in time, or before this broker stopped. UNKNOWN_SERVER_ERROR: it refuses to take
    /// requests from this broker.
    /// </exception>
    public async ValueTask<TResponse?> ForwardAsync<TRequest, TResponse>(RequestContext context, TRequest request)
        where TRequest : IRequestMessage<TRequest>
        where TResponse : class, IResponseMessage<TResponse>
    {
        var envelope = await SendAsync(context, Encode(context, request));
        switch ((ErrorCode)envelope.ErrorCode)
        {
            case ErrorCode.None:
                var answer = Decode<TRequest, TResponse>(context, envelope);
                if (Forwarding.MetadataOffsetOf(envelope) is { } offset)
                    await WaitAsync(cancellation => metadata.WaitForOffset(offset).UntilCanceled(cancellation));
                return answer;
            case ErrorCode.UnsupportedVersion:
                context.Connection.End($"the active controller cannot read {context.ApiKey} version {context.ApiVersion}");
                return null;
            case var error:
                throw new ApiException(
                    ErrorCode.UnknownServerError, $"The active controller refuses the forwarded {context.ApiKey} request: {error}.");
        }
    }

    /// <summary>Has the active controller create topics in this broker's own name, and waits until this broker can serve them.</summary>
    /// <exception cref="ApiException">REQUEST_TIMED_OUT: no controller answered in time.</exception>
    public async Task<CreateTopicsResponse> CreateTopicsAsync(CreateTopicsRequest request)
    {
        CreateTopicsResponse answer;
        try
        {
            answer = await channel.SendAsync<CreateTopicsRequest, CreateTopicsResponse>(request);
        }
        catch (RequestFailedException e)
        {
            throw ToApiException(e);
        }
        catch (OperationCanceledException)
        {
            throw Stopping();
        }

        var expected = answer.Topics.Where(topic => (ErrorCode)topic.ErrorCode is ErrorCode.None or ErrorCode.TopicAlreadyExists)
            .Select(topic => topic.Name).ToList();
        await WaitAsync(
            cancellation => metadata.WhenAsync(image => expected.TrueForAll(name => image.Topics.Find(name) is not null), cancellation));
        return answer;
    }

    private async Task<EnvelopeResponse> SendAsync(RequestContext context, byte[] request)
    {
        var envelope = new EnvelopeRequest
        {
            RequestData = request,
            RequestPrincipal = context.Connection.Principal.Serialize(),
            ClientHostAddress = context.Connection.ClientAddress.GetAddressBytes(),
        };
        try
        {
            return await channel.SendAsync<EnvelopeRequest, EnvelopeResponse>(envelope, context.Connection.Closing);
        }
        catch (RequestFailedException e)
        {
            throw ToApiException(e);
        }
        catch (OperationCanceledException) when (!context.Connection.Closing.IsCancellationRequested)
        {
            throw Stopping();
        }
    }

    private static ApiException ToApiException(RequestFailedException failure) => new(
        failure.Kind is RequestFailureKind.TimedOut or RequestFailureKind.Closed ? ErrorCode.RequestTimedOut : ErrorCode.UnknownServerError,
        failure.Message);

    /// <summary>
    /// The channel is closed because this node stops: the client asks another broker, and may find its request carried out.
    /// </summary>
    private static ApiException Stopping() =>
        new(ErrorCode.RequestTimedOut, "This broker is stopping, and no active controller answered before: ask another broker.");

    /// <summary>
    /// Waits for this broker's own metadata, for a while: what the controller answered is true also when this broker is late.
    /// </summary>
    private async Task WaitAsync(Func<CancellationToken, Task> wait)
    {
        using var timeout = new CancellationTokenSource(TimeSpan.FromMilliseconds(config().RequestTimeoutMs), time);
        try
        {
            await wait(timeout.Token);
        }
        catch (OperationCanceledException) when (timeout.IsCancellationRequested)
        {
            // The client learns the rest from the metadata, as with a broker of Kafka.
        }
    }

    /// <summary>The client's request as it came: its own header and body.</summary>
    private static byte[] Encode<TRequest>(RequestContext context, TRequest request)
        where TRequest : IRequestMessage<TRequest>
    {
        var header = new RequestHeader
        {
            RequestApiKey = (short)context.ApiKey,
            RequestApiVersion = context.ApiVersion,
            CorrelationId = context.CorrelationId,
            ClientId = context.ClientId,
        };
        var buffer = new WireBuffer();
        var writer = new WireWriter(buffer);
        header.Write(ref writer, IsFlexible<TRequest>(context) ? FirstVersionWithTaggedHeader : (short)(FirstVersionWithTaggedHeader - 1));
        request.Write(ref writer, context.ApiVersion);
        writer.Flush();
        return buffer.Written.ToArray();
    }

    /// <exception cref="ApiException">UNKNOWN_SERVER_ERROR: it is no answer to the request.</exception>
    private static TResponse Decode<TRequest, TResponse>(RequestContext context, EnvelopeResponse envelope)
        where TRequest : IRequestMessage<TRequest>
        where TResponse : IResponseMessage<TResponse>
    {
        try
        {
            var reader = new WireReader(envelope.ResponseData ?? []);
            if (reader.ReadInt32() != context.CorrelationId)
                throw new MalformedMessageException("It answers another request.");
            if (IsFlexible<TRequest>(context))
                reader.SkipTaggedFields();
            return TResponse.Read(ref reader, context.ApiVersion);
        }
        catch (ProtocolException e)
        {
            throw new ApiException(
                ErrorCode.UnknownServerError, $"The active controller's answer to {context.ApiKey} cannot be read: {e.Message}");
        }
    }

    private static bool IsFlexible<TRequest>(RequestContext context)
        where TRequest : IRequestMessage<TRequest> => context.ApiVersion >= TRequest.LowestFlexibleVersion;
}
