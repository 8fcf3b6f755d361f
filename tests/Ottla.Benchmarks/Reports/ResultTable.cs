using System.Globalization;
using System.Text;

namespace Ottla.Benchmarks.Reports;

/// <summary>Results as text: a line per scenario and target, with the ratio to the floor behind.</summary>
internal static class ResultTable
{
    public const string BrokerName = "ottla";
    public const string FloorName = "floor";
    public const string ComparedName = "compared";

    private const int ScenarioWidth = 25;
    private const int TargetWidth = 9;

    private static readonly Column[] Columns =
    [
        new("MB/s", 8, "0.0", sample => sample.MegabytesPerSecond),
        new("req/s", 8, "0", sample => sample.RequestsPerSecond),
        new("CPU s/GB", 10, "0.000", sample => sample.CpuSecondsPerGigabyte),
        new("client", 8, "0.000", sample => sample.ClientCpuSecondsPerGigabyte),
        new("p50 ms", 8, "0.00", sample => sample.P50Ms),
        new("p99 ms", 8, "0.00", sample => sample.P99Ms),
        new("p99.9", 8, "0.00", sample => sample.P999Ms),
        new("RSS MB", 7, "0", sample => sample.ResidentBytes / 1e6),
        new("B/req", 8, "0", sample => sample.AllocatedBytesPerRequest),
        new("calls/req", 10, "0.00", sample => sample.SystemCallsPerRequest),
        new("B/record", 9, "0.00", sample => sample.AllocatedBytesPerRecord),
        new("GCs", 5, "0", sample => sample.Gen0Collections),
        new("pause ms", 9, "0", sample => sample.GcPauseMs),
    ];

    /// <summary>The whole text of a result.</summary>
    public static string Render(BenchResult result)
    {
        var machine = result.Machine;
        var text = new StringBuilder();
        text.Append(
            CultureInfo.InvariantCulture,
            $"{result.Date.UtcDateTime:yyyy-MM-dd HH:mm} UTC, commit {result.Commit}, median of "
                + $"{result.Rounds}{(result.IsQuick ? ", QUICK: a smoke test, not a measurement" : "")}\n");
        text.Append(
            CultureInfo.InvariantCulture,
            $"{machine.CpuModel}, {machine.Cores} cores, {machine.MemoryBytes / 1e9:0} GB, Linux {machine.Kernel}, {machine.Runtime}, "
                + $"{machine.FileSystem}\n\n");
        text.Append("scenario".PadRight(ScenarioWidth)).Append("target".PadRight(TargetWidth));
        foreach (var column in Columns)
            text.Append(column.Title.PadLeft(column.Width));
        text.Append("   to the floor\n");
        foreach (var row in result.Scenarios)
            AppendRow(text, row, MedianOf(result, row.Scenario, FloorName), row.Target == BrokerName
                ? MedianOf(result, row.Scenario, ComparedName) : null);
        return text.ToString();
    }

    private static Sample? MedianOf(BenchResult result, string scenario, string target) =>
        result.Scenarios.FirstOrDefault(row => row.Scenario == scenario && row.Target == target)?.Median;

    private static void AppendRow(StringBuilder text, ScenarioResult row, Sample? floor, Sample? compared)
    {
        text.Append(row.Scenario.PadRight(ScenarioWidth)).Append(row.Target.PadRight(TargetWidth));
        foreach (var column in Columns)
            text.Append(Format(column.Value(row.Median), column.Format).PadLeft(column.Width));
        if (Notes(row, floor, compared) is { Length: > 0 } notes)
            text.Append("   ").Append(notes);
        text.Append('\n');
    }

    private static string Notes(ScenarioResult row, Sample? floor, Sample? compared)
    {
        var median = row.Median;
        var notes = new List<string>();
        if (floor is not null && row.Target != FloorName)
            AddRatios("", floor);
        if (compared is not null)
            AddRatios("to compared: ", compared);
        if (median.ResidentBytesEach is { } each)
            notes.Add($"{Format(each / 1000, "0.0")} KB each");
        if (median.Bytes is null && median.CpuSeconds is { } cpu)
            notes.Add($"{Format(cpu * 1000, "0")} ms CPU{(median.Seconds is { } seconds ? $" in {Format(seconds, "0.0")} s" : "")}");
        if (median.AckP99Ms is not null)
            notes.Add($"ack p50 {Format(median.AckP50Ms, "0.00")} p99 {Format(median.AckP99Ms, "0.00")} ms");
        return string.Join(", ", notes);

        void AddRatios(string prefix, Sample other)
        {
            Add($"{prefix}MB/s", median.MegabytesPerSecond / other.MegabytesPerSecond);
            Add($"{prefix}CPU", median.CpuSeconds / other.CpuSeconds);
            Add($"{prefix}p50", median.P50Ms / other.P50Ms);
            Add($"{prefix}p99", median.P99Ms / other.P99Ms);
        }

        void Add(string what, double? ratio)
        {
            if (ratio is { } present && double.IsFinite(present))
                notes.Add($"{what} {Format(present, "0.00")}x");
        }
    }

    private static string Format(double? value, string format) =>
        value is { } number ? number.ToString(format, CultureInfo.InvariantCulture) : "-";

    private sealed record Column(string Title, int Width, string Format, Func<Sample, double?> Value);
}
