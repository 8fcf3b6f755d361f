using Ottla.Broker.Api;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Quotas;

namespace Ottla.Broker.Server;

/// <summary>Counts answered requests against the quotas of their clients, as Kafka does. Stateless.</summary>
internal static class QuotaEnforcement
{
    private static readonly double s_percentPerTick = 100.0 / TimeSpan.TicksPerSecond;

    /// <summary>Counts a request that is answered, or wants no answer.</summary>
    /// <param name="quotas">The quotas.</param>
    /// <param name="context">The context of the request.</param>
    /// <param name="entry">Its API.</param>
    /// <param name="request">The request.</param>
    /// <param name="response">The answer; null for none.</param>
    /// <param name="responseBytes">The bytes of the answer.</param>
    /// <returns>How long the client is to be held back, in milliseconds; 0 for not at all.</returns>
    public static int Record(
        ClientQuotas quotas, in RequestContext context, ApiEntry entry, IMessage request, IMessage? response, int responseBytes)
    {
        // What the active controller answers says how long it wants the client held back.
        var throttleMs = entry.IsForwarded && response is IThrottledMessage forwarded ? forwarded.ThrottleTimeMs : 0;
        if (request is ProduceRequest)
            throttleMs = Math.Max(throttleMs, quotas.Record(context, QuotaKind.Produce, context.SizeBytes));
        var isOfConsumer = request is FetchRequest fetch && !ReplicaFetchHandler.IsFromReplica(context, fetch);
        if (isOfConsumer)
            throttleMs = Math.Max(throttleMs, quotas.Record(context, QuotaKind.Fetch, responseBytes));
        if (response is not null && CountsTime(entry, request, isOfConsumer))
            throttleMs = Math.Max(throttleMs, quotas.Record(context, QuotaKind.Request, context.HandlerTime.Ticks * s_percentPerTick));
        if (throttleMs > 0 && isOfConsumer)
            quotas.TakeBack(context, QuotaKind.Fetch, responseBytes); // the answer goes without records
        return throttleMs;
    }

    /// <summary>Makes the answer to a client that is held back: it says for how long, and a fetch returns nothing.</summary>
    public static void Throttle(IMessage request, IMessage response, int throttleMs)
    {
        if (request is FetchRequest fetch && response is FetchResponse fetched)
        {
            // A client begins its session anew after an empty answer to a full fetch (KIP-219).
            var sessionId = fetch.SessionEpoch > 0 ? fetched.SessionId : 0;
            fetched.Reset();
            fetched.SessionId = sessionId;
        }

        if (response is IThrottledMessage throttled)
            throttled.ThrottleTimeMs = throttleMs;
    }

    private static bool CountsTime(ApiEntry entry, IMessage request, bool isOfConsumer) => entry.Rules.Quota switch
    {
        RequestQuota.None => false,
        RequestQuota.Clients => request is not FetchRequest || isOfConsumer,
        _ => true,
    };
}
