using System.Globalization;

namespace Ottla.Benchmarks.Reports;

/// <summary>Whether the broker got dearer since an earlier result of the same machine. Pure.</summary>
/// <remarks>CPU is compared as its ratio to the floor of the same run: what the machine had to do besides cancels out.</remarks>
internal static class RegressionCheck
{
    /// <summary>What may be lost to noise.</summary>
    public const double Tolerance = 0.10;

    /// <summary>Bytes per request below which a difference is the runtime's rounding.</summary>
    private const double AllocatedBytesIgnored = 64;

    /// <summary>A line for each scenario that got more than a tenth dearer in CPU per GB or in allocations.</summary>
    public static IReadOnlyList<string> Find(BenchResult before, BenchResult now)
    {
        var found = new List<string>();
        foreach (var row in now.Scenarios.Where(row => row.Target == ResultTable.BrokerName))
        {
            if (Of(before, row.Scenario, ResultTable.BrokerName) is not { } earlier)
                continue;
            Compare(row.Scenario, "CPU to the floor", CpuRatio(before, row.Scenario), CpuRatio(now, row.Scenario), 0);
            Compare(row.Scenario, "bytes allocated per request", earlier.AllocatedBytesPerRequest, row.Median.AllocatedBytesPerRequest,
                AllocatedBytesIgnored);
        }

        return found;

        void Compare(string scenario, string what, double? earlier, double? later, double ignored)
        {
            if (later > (earlier * (1 + Tolerance)) + ignored)
                found.Add(string.Create(
                    CultureInfo.InvariantCulture, $"{scenario}: {what} was {earlier:0.00} in {before.Commit} and is {later:0.00} now"));
        }
    }

    private static double? CpuRatio(BenchResult result, string scenario) =>
        Of(result, scenario, ResultTable.BrokerName)?.CpuSecondsPerGigabyte / Of(
            result, scenario, ResultTable.FloorName)?.CpuSecondsPerGigabyte;

    private static Sample? Of(BenchResult result, string scenario, string target) =>
        result.Scenarios.FirstOrDefault(row => row.Scenario == scenario && row.Target == target)?.Median;
}
