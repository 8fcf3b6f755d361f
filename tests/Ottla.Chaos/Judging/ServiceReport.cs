using System.Globalization;
using System.Text;
using Ottla.Chaos.Clients;
using Ottla.HistoryChecker.History;

namespace Ottla.Chaos.Judging;

/// <summary>What a fault was to the clients.</summary>
/// <param name="Number">Of the fault.</param>
/// <param name="What">The fault.</param>
/// <param name="From">When it began.</param>
/// <param name="To">When the next one began.</param>
/// <param name="LedByVictim">The partitions that its machine led at that moment.</param>
internal sealed record FaultWindow(
    int Number, string What, TimeSpan From, TimeSpan To, IReadOnlyList<int> LedByVictim);

/// <summary>
/// How well the cluster served: the longest time without an acknowledged record that a fault caused, over the partitions; how long it took
/// from a leader's death to the next record; how long records took, and what clients saw of it.
/// </summary>
internal sealed class ServiceReport
{
    private readonly List<Sent>[] _acknowledged;
    private readonly List<(TimeSpan At, string Text)> _errors;
    private readonly IReadOnlyList<FaultWindow> _windows;

    public ServiceReport(Workload workload, int partitions, IReadOnlyList<FaultWindow> windows)
    {
        _acknowledged = [.. Enumerable.Range(0, partitions).Select(_ => new List<Sent>())];
        foreach (var sent in workload.Writers.SelectMany(writer => writer.AllSent).Where(sent => sent.Outcome == Outcome.Ok))
            _acknowledged[sent.Partition].Add(sent);
        foreach (var partition in _acknowledged)
            partition.Sort((a, b) => a.AckedAt.CompareTo(b.AckedAt));
        _errors = [.. workload.Writers.SelectMany(writer => writer.Errors)];
        _windows = windows;
    }

    /// <inheritdoc/>
    public override string ToString()
    {
        var text = new StringBuilder();
        var failovers = new List<double>();
        foreach (var window in _windows)
        {
            var failover = window.LedByVictim.Select(partition => NextAfter(partition, window.From)).ToList();
            failovers.AddRange(failover.Select(each => each.TotalSeconds));
            var records = _acknowledged.SelectMany(partition => partition)
                .Where(sent => sent.AckedAt >= window.From && sent.AckedAt < window.To)
                .Select(sent => (sent.AckedAt - sent.SentAt).TotalMilliseconds);
            text.Append(CultureInfo.InvariantCulture, $"fault {window.Number,3} at {window.From.TotalSeconds,7:0.0} s: {window.What}; ");
            text.Append(CultureInfo.InvariantCulture, $"longest gap {LongestGap(window).TotalSeconds:0.00} s");
            if (failover.Count > 0)
            {
                var (shortest, longest) = (failover.Min().TotalSeconds, failover.Max().TotalSeconds);
                text.Append(CultureInfo.InvariantCulture, $", next record after {shortest:0.00} to {longest:0.00} s");
            }

            text.Append(CultureInfo.InvariantCulture, $", latency {Percentiles(records)}");
            text.AppendLine(CultureInfo.InvariantCulture, $", {CountErrors(window)} errors told by clients");
        }

        text.AppendLine(CultureInfo.InvariantCulture, $"latency of all: {Percentiles(_acknowledged.SelectMany(partition => partition)
            .Select(sent => (sent.AckedAt - sent.SentAt).TotalMilliseconds))}");
        if (failovers.Count > 0)
        {
            text.AppendLine(
                CultureInfo.InvariantCulture,
                $"from a leader's death to the next record, {failovers.Count} partitions: median {At(failovers, 0.5):0.00} s, "
                    + $"p99 {At(failovers, 0.99):0.00} s");
        }

        return text.ToString();
    }

    private TimeSpan NextAfter(int partition, TimeSpan time) =>
        _acknowledged[partition].Where(sent => sent.AckedAt > time).Select(sent => sent.AckedAt - time).FirstOrDefault(TimeSpan.MaxValue);

    /// <summary>The longest time between two records of a partition whose middle lies in the window.</summary>
    private TimeSpan LongestGap(FaultWindow window)
    {
        var longest = TimeSpan.Zero;
        foreach (var partition in _acknowledged)
        {
            for (var i = 1; i < partition.Count; i++)
            {
                var (before, after) = (partition[i - 1].AckedAt, partition[i].AckedAt);
                var middle = before + (after - before) / 2;
                if (after - before > longest && middle >= window.From && middle < window.To)
                    longest = after - before;
            }
        }

        return longest;
    }

    private int CountErrors(FaultWindow window) => _errors.Count(error => error.At >= window.From && error.At < window.To);

    private static string Percentiles(IEnumerable<double> milliseconds)
    {
        var sorted = milliseconds.Order().ToList();
        return sorted.Count == 0
            ? "none"
            : string.Create(
                CultureInfo.InvariantCulture,
                $"p50 {At(sorted, 0.5):0.0} p99 {At(sorted, 0.99):0} p99.9 {At(sorted, 0.999):0} max {sorted[^1]:0} ms");
    }

    private static double At(List<double> values, double share)
    {
        var sorted = values.Order().ToList();
        return sorted[Math.Max(0, (int)Math.Ceiling(share * sorted.Count) - 1)];
    }
}
