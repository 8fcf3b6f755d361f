using System.Globalization;
using Ottla.Benchmarks.Measure;

namespace Ottla.Benchmarks.Restart;

/// <summary>
/// <c>bench restart</c>: how long a broker takes to serve many partitions again, after an orderly stop and after SIGKILL, and what they
/// cost it.
/// </summary>
internal sealed class RestartBench(BenchOptions options)
{
    private const int Partitions = 10_000;
    private const int QuickPartitions = 1_000;
    private const int SettleMs = 4_000; // the process gives memory back once it rests
    private const int IdleSeconds = 20;

    private static readonly int[] s_directories = [1, 2];
    private static readonly int[] s_threads = [1, 4];

    private readonly int _partitions = options.IsQuick ? QuickPartitions : Partitions;

    /// <summary>Measures, and prints a table.</summary>
    public int Execute()
    {
        var workDirectory = Directory.CreateDirectory(Path.Combine(options.Directory, $"ottla-restart-{Guid.NewGuid():N}")).FullName;
        try
        {
            var emptyBytes = ResidentBytesOfEmptyBroker(workDirectory);
            Console.WriteLine(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"{_partitions} partitions of {RestartData.SegmentsEach} segments in {options.Directory}; a broker without any: "
                        + $"{emptyBytes / 1e6:0.0} MB; medians of {options.Rounds} rounds"));
            var data = s_directories.ToDictionary(
                count => count, count => RestartData.Make(options, Path.Combine(workDirectory, $"data-{count}"), count, _partitions));
            var starts = new List<Start>();
            for (var round = 0; round < options.Rounds; round++)
            {
                foreach (var directories in s_directories)
                {
                    foreach (var threads in s_threads)
                    {
                        starts.Add(StartOn(
                            data[directories], threads, isClean: true, RestartedBroker.SignalKill, isIdleMeasured: round == 0
                            && starts.Count == 0));
                        starts.Add(StartOn(
                            data[directories], threads, isClean: false, NativeMethods.SignalTerminate, isIdleMeasured: false));
                    }
                }
            }

            Print(starts, emptyBytes);
            return 0;
        }
        finally
        {
            Directory.Delete(workDirectory, recursive: true);
        }
    }

    private long ResidentBytesOfEmptyBroker(string workDirectory)
    {
        using var broker = RestartedBroker.Start(options, [Path.Combine(workDirectory, "empty")], recoveryThreads: 1);
        broker.AwaitServed([]);
        Thread.Sleep(SettleMs);
        return ProcessUsage.ResidentBytes(broker.ProcessId);
    }

    /// <summary>Starts on what the last process left, measures, and ends the process as the next start wants it.</summary>
    private Start StartOn(RestartData data, int threads, bool isClean, int endSignal, bool isIdleMeasured)
    {
        using var broker = RestartedBroker.Start(options, data.Directories, threads);
        var served = broker.AwaitServed(data.Topics);
        var cpuSeconds = ProcessUsage.CpuSeconds(broker.ProcessId);
        Thread.Sleep(SettleMs);
        var start = new Start(
            data.Directories.Count, threads, isClean, broker.FirstAnswer.TotalSeconds, served.TotalSeconds, cpuSeconds,
            ProcessUsage.ResidentBytes(broker.ProcessId));
        if (isIdleMeasured)
        {
            var before = ProcessUsage.CpuSeconds(broker.ProcessId);
            Thread.Sleep(TimeSpan.FromSeconds(IdleSeconds));
            Console.WriteLine(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"{IdleSeconds} idle seconds: {(ProcessUsage.CpuSeconds(broker.ProcessId) - before) / IdleSeconds * 100:0.00} % of a "
                        + $"core; open files: {broker.OpenFiles}"));
        }

        var stopSeconds = broker.End(endSignal).TotalSeconds;
        Console.WriteLine(
            string.Create(
                CultureInfo.InvariantCulture,
                $"  {start}{(endSignal == NativeMethods.SignalTerminate ? $"; stopped in {stopSeconds:0.00} s" : "")}"));
        return start;
    }

    private void Print(List<Start> starts, long emptyBytes)
    {
        Console.WriteLine("directories  threads  after   first answer s  all served s    CPU s  CPU us each   RSS MB  KB each");
        foreach (var same in starts.GroupBy(start => (start.Directories, start.Threads, start.IsClean)))
        {
            var cpu = Median(same, start => start.CpuSeconds);
            var bytes = Median(same, start => start.ResidentBytes);
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"{same.Key.Directories,11}  {same.Key.Threads,7}  {(same.Key.IsClean ? "a stop" : "a kill")}  "
                    + $"{Median(same, start => start.FirstAnswerSeconds),14:0.00}  {Median(same, start => start.ServedSeconds),12:0.00}  "
                        + $"{cpu,7:0.00}  {cpu * 1e6 / _partitions,11:0}  {bytes / 1e6,7:0}  "
                            + $"{(bytes - emptyBytes) / 1e3 / _partitions,7:0.0}"));
        }
    }

    private static double Median(IEnumerable<Start> starts, Func<Start, double> value)
    {
        var sorted = starts.Select(value).Order().ToArray();
        return sorted[sorted.Length / 2];
    }

    private sealed record Start(
        int Directories, int Threads, bool IsClean, double FirstAnswerSeconds, double ServedSeconds, double CpuSeconds, long ResidentBytes)
    {
        public override string ToString() => string.Create(
            CultureInfo.InvariantCulture,
            $"{Directories} directories, {Threads} threads, after {(IsClean ? "a stop" : "a kill")}: served in {ServedSeconds:0.00} s, "
                + $"{CpuSeconds:0.00} CPU s, {ResidentBytes / 1e6:0} MB");
    }
}
