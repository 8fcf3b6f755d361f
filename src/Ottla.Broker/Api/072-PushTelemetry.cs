using Ottla.Broker.Server;
using Ottla.Broker.Telemetry;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Telemetry;

namespace Ottla.Broker.Api;

/// <summary>PushTelemetry (key 72), version 0: the metrics of a client, which are handed on by OTLP (KIP-714).</summary>
/// <remarks>
/// Errors, in the order in which they are looked for: INVALID_REQUEST for a reserved id, or after the last push of a client;
/// THROTTLING_QUOTA_EXCEEDED before the interval has passed; UNKNOWN_SUBSCRIPTION_ID when the client is asked for something else by now;
/// UNSUPPORTED_COMPRESSION_TYPE; TELEMETRY_TOO_LARGE; INVALID_RECORD for what cannot be decompressed, becomes too large by it, or is no
/// message of OpenTelemetry.
/// </remarks>
internal sealed class PushTelemetryHandler(ClientTelemetry telemetry) : IApiHandler<PushTelemetryRequest, PushTelemetryResponse>
{
    public ValueTask<PushTelemetryResponse?> HandleAsync(RequestContext context, PushTelemetryRequest request)
    {
        var push = new TelemetryPush(
            request.ClientInstanceId, request.SubscriptionId, request.CompressionType, request.Metrics.Length, request.Terminating);
        telemetry.Push(context, push, request.Metrics);
        return ValueTask.FromResult<PushTelemetryResponse?>(new PushTelemetryResponse());
    }
}
