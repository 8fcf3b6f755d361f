using Ottla.Broker.Server;
using Ottla.Broker.Telemetry;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Telemetry;

namespace Ottla.Broker.Api;

/// <summary>GetTelemetrySubscriptions (key 71), version 0: which metrics a client is to push, and how often (KIP-714).</summary>
/// <remarks>
/// A client without an id gets one. Nobody is asked for anything without subscriptions: the list of metrics is empty. Offered where
/// something takes the metrics. Errors: THROTTLING_QUOTA_EXCEEDED when a client asks again before its interval has passed, unless its last
/// push was refused with UNKNOWN_SUBSCRIPTION_ID or UNSUPPORTED_COMPRESSION_TYPE.
/// </remarks>
internal sealed class GetTelemetrySubscriptionsHandler(ClientTelemetry telemetry)
    : IApiHandler<GetTelemetrySubscriptionsRequest, GetTelemetrySubscriptionsResponse>
{
    public ValueTask<GetTelemetrySubscriptionsResponse?> HandleAsync(RequestContext context, GetTelemetrySubscriptionsRequest request)
    {
        var (instance, wanted) = telemetry.Subscribe(context, request.ClientInstanceId);
        return ValueTask.FromResult<GetTelemetrySubscriptionsResponse?>(new GetTelemetrySubscriptionsResponse
        {
            ClientInstanceId = instance,
            SubscriptionId = wanted.Id,
            AcceptedCompressionTypes = [.. TelemetryIntake.AcceptedCompressions.Select(type => (sbyte)type)],
            PushIntervalMs = wanted.IntervalMs,
            TelemetryMaxBytes = telemetry.BytesMax,
            DeltaTemporality = true,
            RequestedMetrics = [.. wanted.Metrics],
        });
    }
}
