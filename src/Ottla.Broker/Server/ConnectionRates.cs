using Ottla.StateMachines.Quotas;

namespace Ottla.Broker.Server;

/// <summary>How many connections may be accepted per second.</summary>
/// <param name="Broker">On all listeners together: <c>max.connection.creation.rate</c>.</param>
/// <param name="ByListener">On each listener: <c>listener.name.{name}.max.connection.creation.rate</c>, or the limit of the broker.</param>
/// <param name="ProtectedListener">
/// The inter-broker listener, to which <paramref name="Broker"/> does not apply unless it is the only listener.
/// </param>
/// <param name="Samples"><c>quota.window.num</c>.</param>
/// <param name="SampleMs"><c>quota.window.size.seconds</c>, in milliseconds; also the longest wait.</param>
public sealed record ConnectionRateLimits(
    int Broker, IReadOnlyDictionary<string, int> ByListener, string? ProtectedListener, int Samples, long SampleMs)
{
    /// <summary>No limit.</summary>
    public static ConnectionRateLimits None { get; } = new(int.MaxValue, new Dictionary<string, int>(), null, 11, 1000);
}

/// <summary>
/// The rates of new connections and their limits. The accept loops of one server share it, under one lock.
/// </summary>
internal sealed class ConnectionRates
{
    private readonly Lock _lock = new();
    private readonly SampledRate _ofBroker = new();
    private readonly Dictionary<string, SampledRate> _byListener = new(StringComparer.Ordinal);

    /// <summary>Counts a connection.</summary>
    /// <returns>How long the listener must wait before it serves this connection and accepts the next, in milliseconds.</returns>
    public long Record(string listener, ConnectionRateLimits limits, long nowMs)
    {
        lock (_lock)
        {
            var waitMs = listener == limits.ProtectedListener ? 0 : Record(_ofBroker, limits.Broker, limits, nowMs);
            if (!_byListener.TryGetValue(listener, out var ofListener))
                _byListener.Add(listener, ofListener = new SampledRate());
            return Math.Max(waitMs, Record(ofListener, limits.ByListener.GetValueOrDefault(listener, int.MaxValue), limits, nowMs));
        }
    }

    private static long Record(SampledRate rate, int limit, ConnectionRateLimits limits, long nowMs)
    {
        if (limit == int.MaxValue)
            return 0;
        rate.Record(1, nowMs, limits.Samples, limits.SampleMs);
        return rate.WaitMs(limit, nowMs, limits.SampleMs);
    }
}
