using System.Diagnostics;
using System.Globalization;
using Ottla.Benchmarks.Load;
using Ottla.Benchmarks.Measure;
using Ottla.Benchmarks.Scenarios;
using Ottla.Benchmarks.Targets;
using Ottla.Broker.Monitoring;

namespace Ottla.Benchmarks.Monitoring;

/// <summary>
/// <c>bench metrics</c>: what a scrape costs a broker with many partitions, what it costs producers to be scraped each second, and what it
/// costs to count a request.
/// </summary>
internal sealed class MetricsBench(BenchOptions options)
{
    private const int TopicCount = 20;
    private const int PartitionsEach = 500;
    private const int QuickPartitionsEach = 50;
    private const int Scrapes = 50;
    private const int WarmUpScrapes = 5;
    private const int CountedRequests = 20_000_000;
    private const double BytesPerGigabyte = 1e9;
    private const string Topic = "produced";

    private static readonly TimeSpan ScrapeInterval = TimeSpan.FromSeconds(1);

    private readonly ProduceScenario _load = new(
        "produce-16K-8conn", Connections: 8, InFlight: 5, BatchBytes: 16_384, RecordBytes: 100, Acks: 1,
        Megabytes: options.IsQuick ? 50 : 800);

    /// <summary>Measures, and prints a table for each.</summary>
    public int Execute()
    {
        var workDirectory = Directory.CreateDirectory(Path.Combine(options.Directory, $"ottla-bench-{Guid.NewGuid():N}")).FullName;
        var port = TargetLauncher.FreePort();
        var monitored = options with { Settings = [.. options.Settings, $"ottla.monitoring.listener=127.0.0.1:{port}"] };
        try
        {
            using var broker = TargetLauncher.ForBroker(monitored, workDirectory).Start(out _);
            using var http = new HttpClient();
            var page = new Uri(string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{port}/metrics"));
            var cpuPerRequest = MeasureProduce(broker, http, page);
            MeasureCounting(cpuPerRequest);
            MeasureScrapes(broker, http, page);
            return 0;
        }
        finally
        {
            Directory.Delete(workDirectory, recursive: true);
        }
    }

    /// <returns>Processor seconds of the broker for each request, without scrapes.</returns>
    private double MeasureProduce(StartedTarget broker, HttpClient http, Uri page)
    {
        broker.Admin.CreateTopic(Topic, ScenarioCatalog.Partitions);
        Produce(broker, page: null, http); // both runtimes have compiled their code then
        var (alone, scraped) = (new List<double>(), new List<double>());
        for (var round = 0; round < options.Rounds; round++)
        {
            alone.Add(Produce(broker, page: null, http));
            scraped.Add(Produce(broker, page, http));
        }

        var (without, with) = (Median(alone), Median(scraped));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{_load.Name}, {_load.Megabytes} MB, the median of {options.Rounds} rounds: CPU s/GB {without:0.000} without scrapes, "
            + $"{with:0.000} with one each second"));
        return without * _load.BatchBytes / BytesPerGigabyte;
    }

    /// <summary>Produces, and scrapes meanwhile if there is a page.</summary>
    /// <returns>Processor seconds of the broker per 10^9 bytes.</returns>
    private double Produce(StartedTarget broker, Uri? page, HttpClient http)
    {
        using var done = new CancellationTokenSource();
        var scraping = page is null ? null : new Thread(() => ScrapeUntil(http, page, done.Token));
        var before = ProcessUsage.CpuSeconds(broker.ProcessId);
        scraping?.Start();
        var outcome = ProduceLoad.Run(_load, broker.Host, broker.Port, Topic);
        done.Cancel();
        scraping?.Join();
        return (ProcessUsage.CpuSeconds(broker.ProcessId) - before) * BytesPerGigabyte / outcome.Bytes;
    }

    private static void ScrapeUntil(HttpClient http, Uri page, CancellationToken done)
    {
        do
            Scrape(http, page);
        while (!done.WaitHandle.WaitOne(ScrapeInterval));
    }

    /// <summary>
    /// Does what a produce request of one partition is counted by: two times, three sums of the partition and one of the API, and the clock
    /// before and after the wait of the network thread.
    /// </summary>
    private static void MeasureCounting(double cpuPerRequest)
    {
        var (atOnce, sends) = (new TimeHistogram(), new TimeHistogram());
        var sums = new long[4];
        var idle = 0L;
        Count(CountedRequests / 10);
        var allocated = GC.GetAllocatedBytesForCurrentThread();
        var began = Stopwatch.GetTimestamp();
        Count(CountedRequests);
        var seconds = Stopwatch.GetElapsedTime(began).TotalSeconds / CountedRequests;
        allocated = GC.GetAllocatedBytesForCurrentThread() - allocated;
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"to count a request: {seconds * 1e9:0} ns, {allocated / CountedRequests} bytes allocated: "
            + $"{seconds / cpuPerRequest * 100:0.0} % of the {cpuPerRequest * 1e6:0.0} us that the broker works on it"));

        void Count(int requests)
        {
            for (var i = 0; i < requests; i++)
            {
                var time = TimeSpan.FromTicks(i & 1023);
                atOnce.Record(time);
                sends.Record(time);
                foreach (ref var sum in sums.AsSpan())
                    Interlocked.Increment(ref sum);
                Volatile.Write(ref idle, idle - Stopwatch.GetTimestamp());
                Volatile.Write(ref idle, idle + Stopwatch.GetTimestamp());
            }
        }
    }

    private void MeasureScrapes(StartedTarget broker, HttpClient http, Uri page)
    {
        var each = options.IsQuick ? QuickPartitionsEach : PartitionsEach;
        for (var i = 0; i < TopicCount; i++)
            broker.Admin.CreateTopic(string.Create(CultureInfo.InvariantCulture, $"scraped-{i}"), each);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"scrapes with {(TopicCount * each) + ScenarioCatalog.Partitions} partitions in {TopicCount + 1} topics, the median of "
            + $"{Scrapes}"));
        Console.WriteLine("path                   lines        bytes   time ms   CPU ms");
        foreach (var path in (Uri[])[page, new Uri($"{page}/detailed")])
        {
            for (var i = 0; i < WarmUpScrapes; i++)
                Scrape(http, path);
            var text = "";
            var times = new List<double>();
            var cpu = ProcessUsage.CpuSeconds(broker.ProcessId);
            for (var i = 0; i < Scrapes; i++)
            {
                var began = Stopwatch.GetTimestamp();
                text = Scrape(http, path);
                times.Add(Stopwatch.GetElapsedTime(began).TotalMilliseconds);
            }

            cpu = ProcessUsage.CpuSeconds(broker.ProcessId) - cpu;
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{path.AbsolutePath,-18} {text.Count(character => character == '\n'),9:N0} {text.Length,12:N0} {Median(times),9:0.0} "
                + $"{cpu * 1000 / Scrapes,8:0.0}"));
        }
    }

    private static string Scrape(HttpClient http, Uri page)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, page);
        using var answer = http.Send(request);
        answer.EnsureSuccessStatusCode();
        using var reader = new StreamReader(answer.Content.ReadAsStream());
        return reader.ReadToEnd();
    }

    private static double Median(List<double> values)
    {
        values.Sort();
        return values[values.Count / 2];
    }
}
