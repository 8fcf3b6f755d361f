using System.Text.Json.Serialization;
using Ottla.Benchmarks.Measure;

namespace Ottla.Benchmarks.Reports;

/// <summary>One run of the tool, as it is stored.</summary>
/// <param name="Date">When it began, UTC.</param>
/// <param name="Commit">The commit's short hash, with <c>-dirty</c> behind it when files differed from it.</param>
/// <param name="Machine">What it ran on.</param>
/// <param name="Rounds">How often every scenario ran.</param>
/// <param name="IsQuick">Whether volumes were too small to mean anything.</param>
/// <param name="Scenarios">What was measured, in order.</param>
internal sealed record BenchResult(
    DateTimeOffset Date, string Commit, Machine Machine, int Rounds, bool IsQuick, IReadOnlyList<ScenarioResult> Scenarios);

/// <summary>The machine and what of it makes a difference.</summary>
internal sealed record Machine(string CpuModel, int Cores, string Kernel, string Runtime, long MemoryBytes, string FileSystem);

/// <summary>A scenario on one target.</summary>
/// <param name="Scenario">Its name.</param>
/// <param name="Target">The target's name.</param>
/// <param name="Median">The median of each number over the rounds.</param>
/// <param name="Rounds">Each round.</param>
internal sealed record ScenarioResult(string Scenario, string Target, Sample Median, IReadOnlyList<Sample> Rounds);

/// <summary>The numbers of one round; those that a scenario or a target does not have are null.</summary>
internal sealed record Sample
{
    /// <summary>Wall clock of the load.</summary>
    public double? Seconds { get; init; }

    /// <summary>Bytes of record batches, in either direction.</summary>
    public double? Bytes { get; init; }

    public double? Requests { get; init; }

    public double? Records { get; init; }

    /// <summary>Processor seconds of the target.</summary>
    public double? CpuSeconds { get; init; }

    /// <summary>Processor seconds of the tool itself.</summary>
    public double? ClientCpuSeconds { get; init; }

    /// <summary>Latency of a request; end to end: from when it was due until a consumer held it; start: until the first answer.</summary>
    public double? P50Ms { get; init; }

    public double? P99Ms { get; init; }

    public double? P999Ms { get; init; }

    public double? MaxMs { get; init; }

    /// <summary>End to end: from when it was due until its acknowledgement.</summary>
    public double? AckP50Ms { get; init; }

    public double? AckP99Ms { get; init; }

    public double? AckP999Ms { get; init; }

    /// <summary>Resident bytes of the target when the load had ended.</summary>
    public double? ResidentBytes { get; init; }

    /// <summary>Resident bytes that came with each connection or partition of a scale scenario.</summary>
    public double? ResidentBytesEach { get; init; }

    /// <summary>System calls of the target per request, from a pass of its own.</summary>
    public double? SystemCallsPerRequest { get; init; }

    /// <summary>Bytes that the target's runtime allocated during the load.</summary>
    public double? AllocatedBytes { get; init; }

    public double? Gen0Collections { get; init; }

    public double? Gen1Collections { get; init; }

    public double? Gen2Collections { get; init; }

    public double? GcPauseMs { get; init; }

    [JsonIgnore]
    public double? MegabytesPerSecond => Bytes / Seconds / 1e6;

    [JsonIgnore]
    public double? RequestsPerSecond => Requests / Seconds;

    [JsonIgnore]
    public double? CpuSecondsPerGigabyte => CpuSeconds / Bytes * 1e9;

    [JsonIgnore]
    public double? ClientCpuSecondsPerGigabyte => ClientCpuSeconds / Bytes * 1e9;

    [JsonIgnore]
    public double? AllocatedBytesPerRequest => AllocatedBytes / Requests;

    [JsonIgnore]
    public double? AllocatedBytesPerRecord => AllocatedBytes / Records;

    /// <summary>The same numbers with a latency.</summary>
    public Sample With(Latency? latency) => latency is null
        ? this
        : this with { P50Ms = latency.P50Ms, P99Ms = latency.P99Ms, P999Ms = latency.P999Ms, MaxMs = latency.MaxMs };

    /// <summary>The same numbers with what the runtime counted.</summary>
    public Sample With(RuntimeSample? runtime) => runtime is null
        ? this
        : this with
        {
            AllocatedBytes = runtime.AllocatedBytes,
            Gen0Collections = runtime.Gen0Collections,
            Gen1Collections = runtime.Gen1Collections,
            Gen2Collections = runtime.Gen2Collections,
            GcPauseMs = runtime.GcPauseMs,
        };

    /// <summary>The median of each number on its own.</summary>
    public static Sample MedianOf(IReadOnlyList<Sample> samples)
    {
        return new Sample
        {
            Seconds = Of(s => s.Seconds),
            Bytes = Of(s => s.Bytes),
            Requests = Of(s => s.Requests),
            Records = Of(s => s.Records),
            CpuSeconds = Of(s => s.CpuSeconds),
            ClientCpuSeconds = Of(s => s.ClientCpuSeconds),
            P50Ms = Of(s => s.P50Ms),
            P99Ms = Of(s => s.P99Ms),
            P999Ms = Of(s => s.P999Ms),
            MaxMs = Of(s => s.MaxMs),
            AckP50Ms = Of(s => s.AckP50Ms),
            AckP99Ms = Of(s => s.AckP99Ms),
            AckP999Ms = Of(s => s.AckP999Ms),
            ResidentBytes = Of(s => s.ResidentBytes),
            ResidentBytesEach = Of(s => s.ResidentBytesEach),
            SystemCallsPerRequest = Of(s => s.SystemCallsPerRequest),
            AllocatedBytes = Of(s => s.AllocatedBytes),
            Gen0Collections = Of(s => s.Gen0Collections),
            Gen1Collections = Of(s => s.Gen1Collections),
            Gen2Collections = Of(s => s.Gen2Collections),
            GcPauseMs = Of(s => s.GcPauseMs),
        };

        double? Of(Func<Sample, double?> number) => Measure.Median.OfPresent(samples.Select(number));
    }
}

/// <summary>How results are written, without reflection.</summary>
[JsonSourceGenerationOptions(
    WriteIndented = true,
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(BenchResult))]
internal sealed partial class BenchResultContext : JsonSerializerContext;
