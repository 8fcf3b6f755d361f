using Ottla.Kernel;
using Ottla.Protocol.Batches;
using Ottla.Protocol.Messages;

namespace Ottla.Client.Push;

/// <summary>What the cluster wants to know of a client, and how (KIP-714). Immutable.</summary>
internal sealed class TelemetrySubscription
{
    /// <summary>The interval in ms where the cluster names none that is possible, and after a failure without a subscription.</summary>
    public const int DefaultIntervalMs = 5 * 60 * 1000;

    private const int DefaultBytesMax = 1024 * 1024;
    private const string Everything = "*";

    private readonly string[] _prefixes;
    private readonly bool _wantsAll;

    /// <summary>Takes over an answer without an error.</summary>
    public TelemetrySubscription(GetTelemetrySubscriptionsResponse answer)
    {
        ClientInstanceId = answer.ClientInstanceId;
        Id = answer.SubscriptionId;
        IntervalMs = answer.PushIntervalMs > 0 ? answer.PushIntervalMs : DefaultIntervalMs;
        BytesMax = answer.TelemetryMaxBytes > 0 ? answer.TelemetryMaxBytes : DefaultBytesMax;
        IsDelta = answer.DeltaTemporality;
        Compressions = [.. answer.AcceptedCompressionTypes.Where(type => type is >= 0 and <= (sbyte)CompressionType.Zstd)
            .Select(type => (CompressionType)type)];
        _prefixes = answer.RequestedMetrics;
        _wantsAll = _prefixes is [Everything];
    }

    /// <summary>The id that the cluster has given this client.</summary>
    public Uuid ClientInstanceId { get; }

    /// <summary>Changes with what is subscribed to.</summary>
    public int Id { get; }

    /// <summary>The time from one push to the next, in ms.</summary>
    public int IntervalMs { get; }

    /// <summary>The most bytes of a push.</summary>
    public int BytesMax { get; }

    /// <summary>Whether sums are those since the last push, and not since the client began.</summary>
    public bool IsDelta { get; }

    /// <summary>The compression types that the cluster takes, the best first; no compression it takes always.</summary>
    public IReadOnlyList<CompressionType> Compressions { get; }

    /// <summary>Whether anything is subscribed to.</summary>
    public bool WantsAny => _prefixes.Length > 0;

    /// <summary>Whether a metric is subscribed to: one of the names is the beginning of its own.</summary>
    public bool Wants(string name)
    {
        if (_wantsAll)
            return true;
        foreach (var prefix in _prefixes)
        {
            if (name.StartsWith(prefix, StringComparison.Ordinal))
                return true;
        }

        return false;
    }
}
