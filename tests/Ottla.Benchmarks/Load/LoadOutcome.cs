using System.Diagnostics;
using System.Net.Sockets;
using Ottla.Benchmarks.Measure;

namespace Ottla.Benchmarks.Load;

/// <summary>What a load saw.</summary>
internal sealed record LoadOutcome(long Bytes, long Requests, long Records, double Seconds, Latency? Latency)
{
    /// <summary>Of an end-to-end load: until the acknowledgement.</summary>
    public Latency? AckLatency { get; init; }
}

/// <summary>What one connection of a load counts. Owned by the connection's thread until the load has ended.</summary>
internal sealed class Worker(int index)
{
    public int Index { get; } = index;

    public long Bytes { get; set; }

    public long Requests { get; set; }

    public long Records { get; set; }

    /// <summary>Ticks of each request.</summary>
    public long[] LatencyTicks { get; set; } = [];

    /// <summary>Runs <paramref name="body"/> once per worker, each on a thread of its own, and adds up what they counted.</summary>
    /// <exception cref="BenchException">One of them failed.</exception>
    public static LoadOutcome RunAll(int workers, Action<Worker> body)
    {
        var all = Enumerable.Range(0, workers).Select(index => new Worker(index)).ToArray();
        var started = Stopwatch.GetTimestamp();
        RunThreads([.. all.Select(worker => (Action)(() => body(worker)))]);
        var seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        long[] ticks = [.. all.SelectMany(worker => worker.LatencyTicks)];
        return new LoadOutcome(
            all.Sum(worker => worker.Bytes),
            all.Sum(worker => worker.Requests),
            all.Sum(worker => worker.Records),
            seconds,
            Latency.Of(ticks, Stopwatch.Frequency));
    }

    /// <summary>Runs each on a thread of its own and waits for all.</summary>
    /// <exception cref="BenchException">One of them failed; the first failure.</exception>
    public static void RunThreads(params Action[] bodies)
    {
        BenchException? failure = null;
        var threads = bodies.Select(body => new Thread(() => RunOne(body)) { IsBackground = true }).ToArray();
        foreach (var thread in threads)
            thread.Start();
        foreach (var thread in threads)
            thread.Join();
        if (failure is not null)
            throw failure;

        void RunOne(Action body)
        {
            try
            {
                body();
            }
            catch (Exception e) when (e is BenchException or SocketException or ArgumentException)
            {
                // An ArgumentException is a response shorter than its version says.
                var error = e as BenchException ?? new BenchException($"{e.GetType().Name}: {e.Message}", e);
                Interlocked.CompareExchange(ref failure, error, null);
            }
        }
    }
}
