using System.Diagnostics;
using Ottla.Benchmarks.Load;
using Ottla.Benchmarks.Reports;
using Ottla.Benchmarks.Scenarios;
using Ottla.Benchmarks.Targets;

namespace Ottla.Benchmarks.Measure;

/// <summary>One scenario, once, on one target.</summary>
internal static class Measurement
{
    private static readonly int Self = Environment.ProcessId;
    private static int _topics;

    /// <summary>Runs a load on a topic of its own, or none, and returns its numbers.</summary>
    /// <exception cref="BenchException">It failed.</exception>
    public static Sample Of(Scenario scenario, Target target) => scenario switch
    {
        IdleScenario idle => OfIdle(idle, target),
        ScaleScenario scale => ScaleLoad.Run(scale, target, $"bench-{Self}-{++_topics}"),
        _ => OfLoad(scenario, target, topic => RunLoad(scenario, target, topic)),
    };

    /// <summary>Starts and stops processes; the latency is the time to the first answer.</summary>
    public static Sample OfStart(StartScenario scenario, TargetLauncher launcher)
    {
        var firstAnswers = new long[scenario.Starts];
        var cpuSeconds = new double[scenario.Starts];
        var residentBytes = new double[scenario.Starts];
        for (var i = 0; i < scenario.Starts; i++)
        {
            using var target = launcher.Start(out var firstAnswer);
            firstAnswers[i] = firstAnswer.Ticks;
            cpuSeconds[i] = ProcessUsage.CpuSeconds(target.ProcessId);
            residentBytes[i] = ProcessUsage.ResidentBytes(target.ProcessId);
        }

        return new Sample { CpuSeconds = Median.Of(cpuSeconds), ResidentBytes = Median.Of(residentBytes) }.With(
            Latency.Of(firstAnswers, TimeSpan.TicksPerSecond));
    }

    /// <summary>Counts the system calls of a load per request, on a topic of its own.</summary>
    /// <returns>Null when they cannot be counted.</returns>
    public static double? SystemCallsOf(Scenario scenario, Target target, string directory)
    {
        long? calls = null;
        var sample = OfLoad(scenario, target, topic =>
        {
            LoadOutcome? outcome = null;
            calls = SystemCalls.During(target.ProcessId, directory, () => outcome = RunLoad(scenario, target, topic));
            return outcome ?? RunLoad(scenario, target, topic);
        });
        return calls / sample.Requests;
    }

    private static LoadOutcome RunLoad(Scenario scenario, Target target, string topic) => scenario switch
    {
        ProduceScenario produce => ProduceLoad.Run(produce, target.Host, target.Port, topic),
        FetchScenario fetch => FetchLoad.Run(fetch, target.Host, target.Port, topic),
        EndToEndScenario endToEnd => EndToEndLoad.Run(endToEnd, target.Host, target.Port, topic),
        _ => throw new BenchException($"{scenario.Name} is no load."),
    };

    private static Sample OfIdle(IdleScenario scenario, Target target)
    {
        var runtimeBefore = target.NextRuntimeSample();
        var cpuBefore = ProcessUsage.CpuSeconds(target.ProcessId);
        var started = Stopwatch.GetTimestamp();
        Thread.Sleep(TimeSpan.FromSeconds(scenario.Seconds));
        var cpuSeconds = ProcessUsage.CpuSeconds(target.ProcessId) - cpuBefore;
        var seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        return new Sample { Seconds = seconds, CpuSeconds = cpuSeconds, ResidentBytes = ProcessUsage.ResidentBytes(target.ProcessId) }
            .With(Difference(runtimeBefore, target));
    }

    private static Sample OfLoad(Scenario scenario, Target target, Func<string, LoadOutcome> run)
    {
        Settle();
        var topic = $"bench-{Self}-{++_topics}-{scenario.Name}";
        target.Admin.CreateTopic(topic, ScenarioCatalog.Partitions);
        if (scenario is FetchScenario fetch)
        {
            ProduceLoad.Run(ScenarioCatalog.PreloadFor(fetch), target.Host, target.Port, topic);
            NativeMethods.Sync();
        }

        var runtimeBefore = target.NextRuntimeSample();
        var cpuBefore = ProcessUsage.CpuSeconds(target.ProcessId);
        var clientCpuBefore = ProcessUsage.CpuSeconds(Self);
        var outcome = run(topic);
        var sample = new Sample
        {
            CpuSeconds = ProcessUsage.CpuSeconds(target.ProcessId) - cpuBefore,
            ClientCpuSeconds = ProcessUsage.CpuSeconds(Self) - clientCpuBefore,
            ResidentBytes = ProcessUsage.ResidentBytes(target.ProcessId),
            Seconds = outcome.Seconds,
            Bytes = outcome.Bytes,
            Requests = outcome.Requests,
            Records = outcome.Records,
            AckP50Ms = outcome.AckLatency?.P50Ms,
            AckP99Ms = outcome.AckLatency?.P99Ms,
            AckP999Ms = outcome.AckLatency?.P999Ms,
        };
        sample = sample.With(outcome.Latency).With(Difference(runtimeBefore, target));
        CheckStored(scenario, target, topic, outcome);
        target.Admin.DeleteTopic(topic);
        return sample;
    }

    /// <summary>A broker that acknowledges what it does not store would be fast.</summary>
    private static void CheckStored(Scenario scenario, Target target, string topic, LoadOutcome outcome)
    {
        if (scenario is FetchScenario)
            return;
        var stored = target.Admin.CountRecords(topic, ScenarioCatalog.Partitions);
        if (stored != outcome.Records)
            throw new BenchException($"{outcome.Records} records were acknowledged, but {stored} are stored.");
    }

    private static RuntimeSample? Difference(RuntimeSample? before, Target target) =>
        before is not null && target.NextRuntimeSample() is { } after ? after.Since(before) : null;

    /// <summary>
    /// Every load meets an empty, clean page cache: reclaiming and writing back would cost several times the work itself. Needs root to be
    /// complete.
    /// </summary>
    private static void Settle()
    {
        NativeMethods.Sync();
        try
        {
            File.WriteAllText("/proc/sys/vm/drop_caches", "3");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Not root, or a container: what is synced is at least clean.
        }
    }
}
