using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Protocol.Batches;
using Ottla.StateMachines.Metadata;

namespace Ottla.StateMachines.Telemetry;

/// <summary>Who a client is, as far as subscriptions can select it. What is not known is null, and no expression matches it.</summary>
/// <param name="ClientId">What it calls itself.</param>
/// <param name="SoftwareName">The name of its library.</param>
/// <param name="SoftwareVersion">The version of its library.</param>
/// <param name="SourceAddress">Its address.</param>
/// <param name="SourcePort">Its port.</param>
public sealed record TelemetryClient(
    string? ClientId, string? SoftwareName, string? SoftwareVersion, string? SourceAddress, string? SourcePort);

/// <summary>What a client is asked to push.</summary>
/// <param name="Id">A number of the metrics, the interval and the client: the same on every broker, Kafka's too.</param>
/// <param name="Metrics">Prefixes of names; one that is <c>*</c> for all of them.</param>
/// <param name="IntervalMs">The time between two pushes.</param>
public sealed record WantedMetrics(int Id, ImmutableArray<string> Metrics, int IntervalMs);

/// <summary>All <c>client-metrics</c> subscriptions of a cluster at one moment (KIP-714). Immutable.</summary>
public sealed class TelemetrySubscriptions
{
    private const string All = "*";
    private const int DefaultIntervalMs = 300_000;

    /// <summary>A subscription whose expression takes longer for one client does not match it.</summary>
    private static readonly TimeSpan MatchTimeMax = TimeSpan.FromMilliseconds(50);

    private readonly ImmutableArray<Subscription> _subscriptions;

    private TelemetrySubscriptions(ImmutableArray<Subscription> subscriptions) => _subscriptions = subscriptions;

    /// <summary>None.</summary>
    public static TelemetrySubscriptions None { get; } = new([]);

    /// <summary>How many there are.</summary>
    public int Count => _subscriptions.Length;

    /// <summary>Reads the subscriptions.</summary>
    /// <param name="configs">The configs of the cluster.</param>
    /// <param name="onInvalid">
    /// Hears of a subscription that cannot be read, as another program may have written it: it selects nobody.
    /// </param>
    public static TelemetrySubscriptions From(ConfigsImage configs, Action<string, string> onInvalid)
    {
        var subscriptions = ImmutableArray.CreateBuilder<Subscription>();
        foreach (var (resource, values) in configs.ByResource)
        {
            if (resource.Type != ConfigResourceType.ClientMetrics)
                continue;
            try
            {
                subscriptions.Add(new Subscription(
                    resource.Name,
                    [.. ValueOf(values, "metrics").AsList],
                    ValueOf(values, "interval.ms").AsInt,
                    [.. ValueOf(values, "match").AsList.Select(Selector.Parse)]));
            }
            catch (Exception e) when (e is ConfigException or ArgumentException or FormatException)
            {
                onInvalid(resource.Name, e.Message);
            }
        }

        return new TelemetrySubscriptions(
            [.. JavaHashOrder.Of(subscriptions, each => JavaHashCode.Of(each.Name))]);
    }

    /// <summary>What a client is to push: the metrics of all subscriptions that select it, at the shortest of their intervals.</summary>
    public WantedMetrics For(Uuid instance, TelemetryClient client)
    {
        var metrics = new List<string>();
        var intervalMs = DefaultIntervalMs;
        foreach (var subscription in _subscriptions)
        {
            if (!subscription.Selectors.All(selector => selector.Selects(instance, client)))
                continue;
            metrics.AddRange(JavaHashOrder.Of(subscription.Metrics));
            intervalMs = Math.Min(intervalMs, subscription.IntervalMs);
        }

        ImmutableArray<string> wanted = metrics.Contains(All) ? [All] : [.. JavaHashOrder.Of(metrics)];
        return new WantedMetrics(IdOf(wanted, intervalMs, instance), wanted, intervalMs);
    }

    /// <summary>The id as Kafka makes it, so that a client may push to any broker what one has asked it for.</summary>
    private static int IdOf(ImmutableArray<string> metrics, int intervalMs, Uuid instance)
    {
        var text = string.Create(CultureInfo.InvariantCulture, $"[{string.Join(", ", metrics)}]{intervalMs}");
        var halves = instance.High ^ instance.Low;
        return unchecked((int)Crc32C.Compute(Encoding.UTF8.GetBytes(text)) ^ (int)(halves >> 32) ^ (int)halves);
    }

    private static ConfigValue ValueOf(ImmutableSortedDictionary<string, string> values, string name)
    {
        var definition = ConfigRegistry.ClientMetrics[name];
        return values.TryGetValue(name, out var text) ? definition.Parse(text) : definition.Default;
    }

    private sealed record Subscription(
        string Name, ImmutableArray<string> Metrics, int IntervalMs, ImmutableArray<Selector> Selectors);

    /// <summary>An entry of <c>match</c>: a property of clients, and what all of it has to match.</summary>
    private sealed record Selector(Func<Uuid, TelemetryClient, string?> Read, Regex Expression)
    {
        public static Selector Parse(string entry)
        {
            var parts = entry.Split('=');
            if (parts.Length != 2)
                throw new FormatException($"{entry} is no selector=pattern");
            Func<Uuid, TelemetryClient, string?> read = parts[0].Trim() switch
            {
                "client_instance_id" => static (instance, _) => instance.ToString(),
                "client_id" => static (_, client) => client.ClientId,
                "client_software_name" => static (_, client) => client.SoftwareName,
                "client_software_version" => static (_, client) => client.SoftwareVersion,
                "client_source_address" => static (_, client) => client.SourceAddress,
                "client_source_port" => static (_, client) => client.SourcePort,
                var unknown => throw new FormatException($"{unknown} is no selector"),
            };
            return new Selector(read, new Regex($@"\A(?:{parts[1].Trim()})\z", RegexOptions.CultureInvariant, MatchTimeMax));
        }

        public bool Selects(Uuid instance, TelemetryClient client)
        {
            try
            {
                return Read(instance, client) is { } text && Expression.IsMatch(text);
            }
            catch (RegexMatchTimeoutException)
            {
                return false;
            }
        }
    }
}
