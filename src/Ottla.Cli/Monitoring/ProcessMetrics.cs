#pragma warning disable RS0030 // This file is about the process, not about the broker's data: the simulator never runs it.

using System.Globalization;
using Ottla.Broker.Monitoring;

namespace Ottla.Cli.Monitoring;

/// <summary>
/// The process and the runtime, under the names of Prometheus' clients. What the system does not tell, as in a root without /proc, is left
/// out.
/// </summary>
/// <param name="time">The clock.</param>
/// <param name="droppedLines">How many lines of the log were dropped so far.</param>
internal sealed class ProcessMetrics(TimeProvider time, Func<long> droppedLines) : MetricSource
{
    private const string OpenFiles = "/proc/self/fd";
    private const string Limits = "/proc/self/limits";
    private const string DiskUse = "/proc/self/io";

    private static readonly MetricFamily Processor =
        MetricFamily.Counter("process_cpu_seconds_total", "Seconds of processor time, of the user and of the system.");
    private static readonly MetricFamily Resident = MetricFamily.Gauge("process_resident_memory_bytes", "Bytes of memory in use.");
    private static readonly MetricFamily Started =
        MetricFamily.Gauge("process_start_time_seconds", "When this part of the process began, in seconds since 1970.");
    private static readonly MetricFamily Descriptors = MetricFamily.Gauge("process_open_fds", "Open files and sockets.");
    private static readonly MetricFamily DescriptorsMax = MetricFamily.Gauge("process_max_fds", "Most files and sockets that may be open.");
    private static readonly MetricFamily DiskReads = MetricFamily.Gauge(
        "kafka_server_kafkaserver_linux_disk_read_bytes", "Bytes that the process has had the system read from disks.");
    private static readonly MetricFamily DiskWrites = MetricFamily.Gauge(
        "kafka_server_kafkaserver_linux_disk_write_bytes", "Bytes that the process has had the system write to disks.");
    private static readonly MetricFamily Allocated =
        MetricFamily.Counter("dotnet_gc_allocated_bytes_total", "Bytes that were allocated on the heap.");
    private static readonly MetricFamily Heap = MetricFamily.Gauge("dotnet_gc_heap_bytes", "Bytes on the heap, as far as is known.");
    private static readonly MetricFamily Collections =
        MetricFamily.Counter("dotnet_gc_collections_total", "Garbage collections, each counted in its generation only.", "generation");
    private static readonly MetricFamily Paused =
        MetricFamily.Counter("dotnet_gc_pause_seconds_total", "Seconds in which collections stood everything still.");
    private static readonly MetricFamily PoolQueue =
        MetricFamily.Gauge("dotnet_threadpool_queue_length", "Work that waits for a thread of the pool.");
    private static readonly MetricFamily PoolThreads = MetricFamily.Gauge("dotnet_threadpool_threads", "Threads of the pool.");

    private static readonly MetricFamily DroppedLines = MetricFamily.Counter(
        "ottla_log_dropped_lines_total", "Lines of the log that were dropped, because nobody read standard error.");

    private readonly double _startSeconds = time.GetUtcNow().ToUnixTimeMilliseconds() / 1000.0;

    /// <inheritdoc/>
    public override IReadOnlyList<MetricFamily> Families { get; } =
    [
        Processor, Resident, Started, Descriptors, DescriptorsMax, DiskReads, DiskWrites, Allocated, Heap, Collections, Paused, PoolQueue,
        PoolThreads, DroppedLines,
    ];

    /// <inheritdoc/>
    protected override void Collect(IMetricOutput output, bool isDetailed)
    {
        Give(output, Processor, Environment.CpuUsage.TotalTime.TotalSeconds);
        Give(output, Resident, Environment.WorkingSet);
        Give(output, Started, _startSeconds);
        if (Directory.Exists(OpenFiles))
            Give(output, Descriptors, Directory.EnumerateFileSystemEntries(OpenFiles).Count());
        if (File.Exists(Limits))
            Give(output, DescriptorsMax, ReadDescriptorsMax());
        GiveDiskUse(output);

        Give(output, Allocated, GC.GetTotalAllocatedBytes());
        Give(output, Heap, GC.GetTotalMemory(forceFullCollection: false));
        output.Begin(Collections);
        for (var generation = 0; generation <= GC.MaxGeneration; generation++)
        {
            var later = generation < GC.MaxGeneration ? GC.CollectionCount(generation + 1) : 0;
            output.Add(GC.CollectionCount(generation) - later, generation.ToString(CultureInfo.InvariantCulture));
        }

        Give(output, Paused, GC.GetTotalPauseDuration().TotalSeconds);
        Give(output, PoolQueue, ThreadPool.PendingWorkItemCount);
        Give(output, PoolThreads, ThreadPool.ThreadCount);
        Give(output, DroppedLines, droppedLines());
    }

    private static void GiveDiskUse(IMetricOutput output)
    {
        string[] lines;
        try
        {
            lines = File.ReadAllLines(DiskUse);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return; // not there, or not for this process to read
        }

        Give(output, DiskReads, ValueOf("read_bytes"));
        Give(output, DiskWrites, ValueOf("write_bytes"));

        double ValueOf(string name)
        {
            var line = lines.FirstOrDefault(line => line.StartsWith($"{name}: ", StringComparison.Ordinal));
            return double.TryParse(line?[(name.Length + 2)..], CultureInfo.InvariantCulture, out var value) ? value : double.NaN;
        }
    }

    /// <summary>The soft limit, as the kernel tells it; infinite when there is none.</summary>
    private static double ReadDescriptorsMax()
    {
        const string name = "Max open files";
        var line = File.ReadLines(Limits).FirstOrDefault(line => line.StartsWith(name, StringComparison.Ordinal));
        var soft = line?[name.Length..].Split(' ', StringSplitOptions.RemoveEmptyEntries).FirstOrDefault();
        return double.TryParse(soft, CultureInfo.InvariantCulture, out var limit) ? limit : double.PositiveInfinity;
    }
}
