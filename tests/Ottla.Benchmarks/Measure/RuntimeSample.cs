using System.Globalization;

namespace Ottla.Benchmarks.Measure;

/// <summary>One report of a .NET process on itself, as <c>OTTLA_COUNTERS_FILE</c> has it: totals since it began.</summary>
internal sealed record RuntimeSample(
    long AllocatedBytes, long Gen0Collections, long Gen1Collections, long Gen2Collections, long GcPauseMs, long WorkingSetBytes)
{
    /// <summary>Reads the text of a counters file.</summary>
    /// <exception cref="BenchException">A counter is missing.</exception>
    public static RuntimeSample Parse(string text)
    {
        var values = new Dictionary<string, long>(StringComparer.Ordinal);
        foreach (var line in text.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            if (line.Split(' ') is [var name, var number]
                && long.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out var value))
                values[name] = value;
        }

        return new RuntimeSample(
            Get("allocated_bytes"), Get("gen0_collections"), Get("gen1_collections"), Get("gen2_collections"), Get("gc_pause_ms"),
            Get("working_set_bytes"));

        long Get(string name) =>
            values.TryGetValue(name, out var value) ? value : throw new BenchException($"The counters file does not say {name}.");
    }

    /// <summary>What happened between two samples of one process.</summary>
    public RuntimeSample Since(RuntimeSample earlier) => new(
        AllocatedBytes - earlier.AllocatedBytes,
        Gen0Collections - earlier.Gen0Collections,
        Gen1Collections - earlier.Gen1Collections,
        Gen2Collections - earlier.Gen2Collections,
        GcPauseMs - earlier.GcPauseMs,
        WorkingSetBytes);
}
