using System.Diagnostics;
using System.Globalization;
using Microsoft.Extensions.Logging.Abstractions;
using Ottla.Kernel;
using Ottla.Protocol.Batches;
using Ottla.Storage.Files;
using Ottla.Storage.Upkeep;

namespace Ottla.Benchmarks.Restart;

/// <summary>
/// Log directories with many partitions: the broker makes the topics, and their logs are filled by Ottla's storage in this process, stopped
/// in order.
/// </summary>
internal sealed record RestartData(IReadOnlyList<string> Directories, IReadOnlyList<(string Name, int Partitions)> Topics)
{
    /// <summary>Segments of every partition, the active one included; all hold a batch.</summary>
    public const int SegmentsEach = 3;

    private const int PartitionsOfTopic = 1_000;
    private const int BatchBytes = 1_000;

    /// <summary>Makes directories below <paramref name="parent"/>.</summary>
    public static RestartData Make(BenchOptions options, string parent, int directories, int partitions)
    {
        string[] paths = [.. Enumerable.Range(0, directories).Select(number => Path.Combine(parent, $"{number}"))];
        var topics = Enumerable.Range(0, partitions / PartitionsOfTopic).Select(number => ($"restart-{number}", PartitionsOfTopic))
            .ToList();
        using (var broker = RestartedBroker.Start(options, paths, recoveryThreads: 1))
        {
            var started = Stopwatch.GetTimestamp();
            foreach (var (name, count) in topics)
                broker.Admin.CreateTopic(name, count);
            var created = Stopwatch.GetElapsedTime(started).TotalSeconds;
            var stopped = broker.End(NativeMethods.SignalTerminate).TotalSeconds;
            Console.WriteLine(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"  {directories} directories: {partitions} partitions created in {created:0.0} s, {created * 1e6 / partitions:0} us "
                        + $"each; stopped in {stopped:0.0} s"));
        }

        Fill(paths, partitions);
        return new RestartData(paths, topics);
    }

    private static void Fill(string[] paths, int partitions)
    {
        using var manager = LogManager.Open(
            new LogManagerOptions { LogDirectories = paths }, new UnflushedFileSystem(new RealFileSystem()), TimeProvider.System,
            NullLogger.Instance);
        if (manager.Logs.Count != partitions)
            throw new BenchException($"The broker made {manager.Logs.Count} partitions, not {partitions}.");
        foreach (var log in manager.Logs)
        {
            for (var segment = 0; segment < SegmentsEach; segment++)
            {
                var now = Instant.Now(TimeProvider.System);
                if (segment > 0)
                    log.Roll(now);
                log.AppendAsLeader(
                    Load.RequestFrame.Batch(BatchBytes, BatchBytes / 2, now.UnixMilliseconds, out _), Math.Max(log.LatestEpoch, 0),
                    AppendOrigin.Client, now);
            }

            log.AdvanceHighWatermark(log.LogEndOffset);
            log.Flush();
            log.ReleaseIdle(Instant.Now(TimeProvider.System));
            log.ReleaseIdle(Instant.Now(TimeProvider.System)); // once to note that it is idle, once to close its files
        }

        manager.Close(manager.PreviousBrokerEpoch);
    }
}
