using System.Diagnostics;
using System.Globalization;
using Ottla.Benchmarks.Measure;
using Ottla.Benchmarks.Restart;

namespace Ottla.Benchmarks.Churn;

/// <summary>
/// <c>bench churn</c>: topics are made, filled, flushed, compacted, moved between two log directories and deleted in the midst of it, again
/// and again, by several threads.
/// It fails when anything is answered with an error, when the broker ends or logs an error, or when its memory or its descriptors grow.
/// </summary>
internal sealed class ChurnBench(BenchOptions options, TimeSpan duration)
{
    public const string Usage =
        "bench churn [--seconds N] [OPTIONS]    topics come and go while they are flushed, compacted and moved; memory and descriptors "
            + "must stay level";

    private const int Workers = 3;
    private const int SampleMs = 1_000;
    private static readonly TimeSpan DefaultDuration = TimeSpan.FromSeconds(60);

    /// <summary>Everything that works on logs beside clients does so all the time.</summary>
    private static readonly string[] s_settings =
    [
        "log.cleaner.backoff.ms=10",
        "log.cleaner.threads=2",
        "log.segment.delete.delay.ms=500",
        "log.retention.check.interval.ms=500",
        "log.initial.task.delay.ms=500",
        "log.flush.offset.checkpoint.interval.ms=500",
        "replica.high.watermark.checkpoint.interval.ms=500",
    ];

    private long _topics;
    private long _records;
    private string? _failure;

    /// <summary>Reads the arguments and runs.</summary>
    /// <returns>The exit code; null when help is asked for.</returns>
    public static int? Run(IReadOnlyList<string> arguments)
    {
        var duration = DefaultDuration;
        var rest = arguments.ToList();
        var index = rest.IndexOf("--seconds");
        if (index >= 0)
        {
            if (index + 1 == rest.Count || !int.TryParse(rest[index + 1], NumberStyles.None, CultureInfo.InvariantCulture, out var seconds)
                || seconds == 0)
                throw new BenchException("--seconds: a number is expected.");
            duration = TimeSpan.FromSeconds(seconds);
            rest.RemoveRange(index, 2);
        }

        return BenchOptions.Parse(rest) is { } options ? new ChurnBench(options, duration).Execute() : null;
    }

    /// <summary>Churns, and says what came of it.</summary>
    /// <returns>0 when all is well, 1 when it is not.</returns>
    public int Execute()
    {
        var directory = Directory.CreateDirectory(Path.Combine(options.Directory, $"ottla-churn-{Guid.NewGuid():N}")).FullName;
        string[] logDirectories = [Path.Combine(directory, "one"), Path.Combine(directory, "two")];
        try
        {
            var churned = options with { Settings = [.. s_settings, .. options.Settings] };
            using var broker = RestartedBroker.Start(churned, logDirectories, recoveryThreads: 2);
            var levels = Churn(broker, logDirectories);
            var findings = Findings(broker, levels, logDirectories);
            Console.WriteLine(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"{_topics} topics with {_records} records came and went in {duration.TotalSeconds:0} s; {levels.Describe()}"));
            foreach (var finding in findings)
                Console.Error.WriteLine(finding);
            return findings.Count == 0 ? 0 : 1;
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    private ChurnLevels Churn(RestartedBroker broker, string[] logDirectories)
    {
        var levels = new ChurnLevels();
        var started = Stopwatch.GetTimestamp();
        bool MayGoOn() => Stopwatch.GetElapsedTime(started) < duration && Volatile.Read(ref _failure) is null && !broker.HasEnded;
        var threads = Enumerable.Range(0, Workers).Select(worker => new Thread(() => Work(worker, broker, logDirectories, MayGoOn)))
            .ToList();
        threads.ForEach(thread => thread.Start());
        while (MayGoOn())
        {
            Thread.Sleep(SampleMs);
            if (!broker.HasEnded)
                levels.Add(new ChurnSample(ProcessUsage.ResidentBytes(broker.ProcessId), broker.OpenFiles));
        }

        threads.ForEach(thread => thread.Join());
        return levels;
    }

    private void Work(int worker, RestartedBroker broker, string[] logDirectories, Func<bool> mayGoOn)
    {
        try
        {
            using var topics = new ChurnedTopics(broker.Host, broker.Port, logDirectories, seed: worker);
            while (mayGoOn())
            {
                Interlocked.Add(ref _records, topics.LiveOne());
                Interlocked.Increment(ref _topics);
            }
        }
        catch (BenchException e)
        {
            Interlocked.CompareExchange(ref _failure, e.Message, null);
        }
    }

    private List<string> Findings(RestartedBroker broker, ChurnLevels levels, string[] logDirectories)
    {
        List<string> findings = [.. levels.Findings(), .. broker.LoggedErrors.Select(line => $"the broker logged: {line}")];
        if (Volatile.Read(ref _failure) is { } failure)
            findings.Add(failure);
        if (broker.HasEnded)
        {
            findings.Add("the broker ended by itself");
            return findings;
        }

        broker.End(NativeMethods.SignalTerminate);
        if (broker.ExitCode != 0)
            findings.Add($"the broker ended with {broker.ExitCode} after SIGTERM");
        findings.AddRange(logDirectories
            .SelectMany(path => Directory.EnumerateDirectories(path, $"{ChurnedTopics.NamePrefix}*"))
            .Where(path => !path.EndsWith("-delete", StringComparison.Ordinal)) // their time had not come yet
            .Select(path => $"{path} is left over"));
        return findings;
    }
}
