using System.Buffers.Binary;
using System.Net;
using Microsoft.Extensions.Logging;
using Ottla.Broker.Hosts;
using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Wire;

namespace Ottla.Broker.Api;

/// <summary>Envelope (key 58), version 0: a broker forwards the request of a client, with its principal and address (KIP-590).</summary>
/// <remarks>
/// Errors: PRINCIPAL_DESERIALIZATION_FAILURE; INVALID_REQUEST for a malformed address, or for an API that brokers do not forward;
/// UNSUPPORTED_VERSION for a malformed request inside; NOT_CONTROLLER, after which the broker asks the next controller. All other errors
/// are those of the request inside, in its own response.
/// </remarks>
internal sealed partial class EnvelopeHandler(Func<ApiTable> apis, ControllerHost controller, ILogger logger)
    : IApiHandler<EnvelopeRequest, EnvelopeResponse>
{
    public async ValueTask<EnvelopeResponse?> HandleAsync(RequestContext context, EnvelopeRequest request)
    {
        var client = ClientOf(context.Connection, request);
        var entry = Open(context, client, request.RequestData, out var inner, out var body);
        if (!controller.IsActive)
            throw new ApiException(ErrorCode.NotController, "This node is not the active controller.");
        byte[] answer;
        try
        {
            answer = await entry.AnswerInnerAsync(inner, body, e => LogFailed(inner.ApiKey, inner.ApiVersion, e));
        }
        catch (ProtocolException e)
        {
            throw new ApiException(ErrorCode.UnsupportedVersion, $"The {inner.ApiKey} request in the envelope is malformed: {e.Message}");
        }

        var response = new EnvelopeResponse { ResponseData = answer };

        // The change in the answer is committed, so its offset is below the high watermark.
        if (Forwarding.ChangesMetadata(inner.ApiKey))
            Forwarding.SetMetadataOffset(response, controller.CommittedOffset);
        return response;
    }

    /// <summary>The client, as the broker describes it.</summary>
    private static ConnectionInfo ClientOf(ConnectionInfo broker, EnvelopeRequest request)
    {
        ClientPrincipal principal;
        try
        {
            principal = ClientPrincipal.Deserialize(request.RequestPrincipal ?? []);
        }
        catch (ProtocolException e)
        {
            throw new ApiException(
                ErrorCode.PrincipalDeserializationFailure, $"Failed to deserialize client principal from envelope: {e.Message}");
        }

        if (request.ClientHostAddress.Length is not (4 or 16))
            throw new ApiException(ErrorCode.InvalidRequest, "Failed to parse client address from envelope");
        return broker with { ClientAddress = new IPAddress(request.ClientHostAddress), Principal = principal, IsForwarded = true };
    }

    /// <summary>Reads the header of the request inside, and finds its API.</summary>
    private ApiEntry Open(
        RequestContext envelope, ConnectionInfo client, byte[] request, out RequestContext context, out Memory<byte> body)
    {
        if (!BinaryPrimitives.TryReadInt16BigEndian(request, out var key) || !Enum.IsDefined((ApiKey)key))
            throw Unreadable("its API is unknown");
        if (!Forwarding.IsForwardable((ApiKey)key))
            throw new ApiException(ErrorCode.InvalidRequest, $"API {(ApiKey)key} is not enabled or is not eligible for forwarding");
        if (apis().Find(key) is not { } entry)
            throw Unreadable($"{(ApiKey)key} is not served here");
        try
        {
            var reader = new WireReader(request);
            var peek = reader;
            peek.ReadInt16();
            var version = peek.ReadInt16();
            if (!entry.Supports(version))
                throw Unreadable($"{entry.Key} is not served in version {version}");
            var header = RequestHeader.Read(ref reader, entry.RequestHeaderVersion(version));
            context = new RequestContext(entry.Key, version, header.CorrelationId, header.ClientId, client);
            body = request.AsMemory(reader.Position);
            return entry;
        }
        catch (ProtocolException e)
        {
            throw Unreadable(e.Message);
        }

        ApiException Unreadable(string why) => new(
            ErrorCode.UnsupportedVersion, $"The request in the envelope of {envelope.ClientId} cannot be read: {why}.");
    }

    [LoggerMessage(
        Level = LogLevel.Error, Message = "The forwarded request {Api} version {Version} failed; the client gets UNKNOWN_SERVER_ERROR")]
    private partial void LogFailed(ApiKey api, short version, Exception e);
}
