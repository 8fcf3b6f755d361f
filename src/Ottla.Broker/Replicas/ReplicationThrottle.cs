using System.Globalization;
using Ottla.Kernel;
using Ottla.StateMachines.Replication;

namespace Ottla.Broker.Replicas;

/// <summary>
/// The throttle of one direction of replication on this broker (KIP-73): what leaders send, or what followers fetch. Thread-safe; lives as
/// long as the broker.
/// </summary>
/// <param name="quota">Measures; the throttle guards it.</param>
/// <param name="bytesPerSecond">The present rate limit; <see cref="long.MaxValue"/> for none.</param>
/// <param name="time">The clock.</param>
public sealed class ReplicationThrottle(ReplicationQuota quota, Func<long> bytesPerSecond, TimeProvider time)
{
    private readonly Lock _lock = new();

    /// <summary>Whether throttled replicas that are not in sync have to wait.</summary>
    public bool IsExceeded
    {
        get
        {
            var limit = bytesPerSecond();
            if (limit == long.MaxValue)
                return false;
            lock (_lock)
                return quota.IsExceeded(limit, Instant.Now(time));
        }
    }

    /// <summary>Counts what was sent or fetched for a throttled replica.</summary>
    public void Record(long bytes)
    {
        lock (_lock)
            quota.Record(bytes, Instant.Now(time));
    }

    /// <summary>Whether a topic's list of throttled replicas names one.</summary>
    /// <param name="replicas">
    /// <c>leader.replication.throttled.replicas</c> or <c>follower.replication.throttled.replicas</c>: "*", or entries partition:broker.
    /// </param>
    /// <param name="partition">The partition.</param>
    /// <param name="brokerId">The broker.</param>
    public static bool Names(IReadOnlyList<string> replicas, int partition, int brokerId)
    {
        foreach (var entry in replicas)
        {
            if (entry == "*")
                return true;
            var colon = entry.IndexOf(':', StringComparison.Ordinal);
            if (colon > 0 && IsNumber(entry.AsSpan(0, colon), partition) && IsNumber(entry.AsSpan(colon + 1), brokerId))
                return true;
        }

        return false;
    }

    private static bool IsNumber(ReadOnlySpan<char> text, int number) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var value) && value == number;
}
