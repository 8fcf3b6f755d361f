using Ottla.Broker.Server;
using Ottla.Protocol;

namespace Ottla.Broker.Monitoring;

/// <summary>The requests of a node, by API: Kafka's RequestMetrics.</summary>
/// <remarks>
/// Fetch is given three times, as in Kafka: of consumers, of followers, and of both. What has not been asked for yet has no series.
/// </remarks>
/// <param name="tables">The tables of the node's listeners.</param>
/// <param name="time">The clock.</param>
internal sealed class RequestMetrics(Func<IEnumerable<ApiTable>> tables, TimeProvider time) : MetricSource
{
    private static readonly MetricFamily Requests =
        MetricFamily.Counter("kafka_network_requestmetrics_requests_total", "Requests that were answered, or wanted no answer.", "request");
    private static readonly MetricFamily Errors = MetricFamily.Counter(
        "kafka_network_requestmetrics_errors_total",
        "Error codes in responses, NONE included, one for each part of a response that has one.",
        "request", "error");
    private static readonly MetricFamily TotalTime = MetricFamily.Summary(
        "kafka_network_requestmetrics_totaltimems", "Milliseconds from the arrival of a request to its encoded response.", "request");
    private static readonly MetricFamily LocalTime = MetricFamily.Summary(
        "kafka_network_requestmetrics_localtimems",
        "Milliseconds in which the node worked on a request, or the request waited for its turn.", "request");
    private static readonly MetricFamily RemoteTime = MetricFamily.Summary(
        "kafka_network_requestmetrics_remotetimems",
        "Milliseconds in which a request waited for records, for other replicas or for other nodes.", "request");

    private static readonly MetricFamily ThrottleTime = MetricFamily.Summary(
        "kafka_network_requestmetrics_throttletimems", "Milliseconds for which a client was held back by a quota; 0 for most.", "request");
    private static readonly MetricFamily SendTime = MetricFamily.Summary(
        "kafka_network_requestmetrics_responsesendtimems",
        "Milliseconds from an encoded response until the system had taken all of it, behind the responses before it.", "request");

    private readonly Dictionary<string, Row> _rows = new(StringComparer.Ordinal);

    /// <inheritdoc/>
    public override IReadOnlyList<MetricFamily> Families { get; } =
        [Requests, Errors, TotalTime, LocalTime, RemoteTime, ThrottleTime, SendTime];

    /// <inheritdoc/>
    protected override void Collect(IMetricOutput output, bool isDetailed)
    {
        var read = ByRequest().OrderBy(each => each.Request, StringComparer.Ordinal).Select(Read).OfType<Reading>().ToList();
        Give(Requests, each => output.Add(each.Total.Count, each.Request));
        Give(Errors, each =>
        {
            foreach (var (error, count) in each.Errors)
                output.Add(count, each.Request, error.ToKafkaName());
        });
        Give(TotalTime, each => output.Add(each.Total, each.Request));
        Give(LocalTime, each => output.Add(each.Local, each.Request));
        Give(RemoteTime, each => output.Add(each.Remote, each.Request));
        Give(ThrottleTime, each => output.Add(each.Throttle, each.Request));
        Give(SendTime, each => output.Add(each.Send, each.Request));

        void Give(MetricFamily family, Action<Reading> give)
        {
            output.Begin(family);
            read.ForEach(give);
        }
    }

    /// <summary>The counters of all listeners, by the name of the request.</summary>
    private IEnumerable<(string Request, IReadOnlyList<ApiMetrics> Counters)> ByRequest()
    {
        foreach (var entries in tables().SelectMany(table => table.Entries).GroupBy(entry => entry.Key))
        {
            var name = entries.Key.ToString();
            List<ApiMetrics> counters = [.. entries.Select(entry => entry.Metrics)];
            List<ApiMetrics> ofFollowers = [.. entries.Select(entry => entry.FollowerMetrics).OfType<ApiMetrics>()];
            yield return (name, [.. counters, .. ofFollowers]);
            if (ofFollowers.Count == 0)
                continue;
            yield return ($"{name}Consumer", counters);
            yield return ($"{name}Follower", ofFollowers);
        }
    }

    private Reading? Read((string Request, IReadOnlyList<ApiMetrics> Counters) each)
    {
        var (total, local, remote) = (new TimeHistogram.TimeCounts(), new TimeHistogram.TimeCounts(), new TimeHistogram.TimeCounts());
        var (throttles, sends) = (new TimeHistogram.TimeCounts(), new TimeHistogram.TimeCounts());
        var errors = new SortedDictionary<ErrorCode, long>();
        foreach (var counters in each.Counters)
        {
            counters.AddTimesTo(total, local, remote);
            counters.AddTimesTo(throttles, sends);
            foreach (var (error, count) in counters.ReadErrors())
                errors[error] = errors.GetValueOrDefault(error) + count;
        }

        if (total.Count == 0)
            return null;
        if (!_rows.TryGetValue(each.Request, out var row))
            _rows[each.Request] = row = new Row(new(time), new(time), new(time), new(time), new(time));
        throttles.AddZeros(Math.Max(total.Count - throttles.Count, 0)); // those that were not held back
        return new Reading(
            each.Request, errors, row.Total.Read(total), row.Local.Read(local), row.Remote.Read(remote), row.Throttle.Read(throttles),
            row.Send.Read(sends));
    }

    private sealed record Row(TimeWindow Total, TimeWindow Local, TimeWindow Remote, TimeWindow Throttle, TimeWindow Send);

    private sealed record Reading(
        string Request, IReadOnlyDictionary<ErrorCode, long> Errors, TimeSummary Total, TimeSummary Local, TimeSummary Remote,
        TimeSummary Throttle, TimeSummary Send);
}
