using System.Diagnostics;
using Ottla.Benchmarks.Measure;
using Ottla.Benchmarks.Scenarios;

namespace Ottla.Benchmarks.Load;

/// <summary>
/// One producer at a fixed rate and one consumer with a long poll, on a new partition. A slow answer delays what follows, and that delay
/// counts.
/// </summary>
internal static class EndToEndLoad
{
    private const int Partition = 0;
    private const int MaxBytes = 1_048_576;
    private const int MaxWaitMs = 500;
    private const double HeadStartSeconds = 0.2;
    private const int EmptyFetchesMax = 20;
    private const double SpinSeconds = 100e-6; // a sleep may overshoot by this much

    public static LoadOutcome Run(EndToEndScenario scenario, string host, int port, string topic)
    {
        var batch = RequestFrame.Batch(
            scenario.BatchBytes, scenario.RecordBytes, DateTimeOffset.UtcNow.ToUnixTimeMilliseconds(), out var records);
        var frame = RequestFrame.Produce(topic, Partition, scenario.Acks, batch);
        var schedule = new Schedule(Stopwatch.GetTimestamp() + Ticks(HeadStartSeconds), Ticks(1.0 / scenario.RatePerSecond));
        var ackTicks = new long[scenario.Requests];
        var endTicks = new long[scenario.Requests];
        var started = Stopwatch.GetTimestamp();
        Worker.RunThreads(
            () => Produce(host, port, frame, schedule, ackTicks),
            () => Consume(host, port, topic, schedule, endTicks));
        return new LoadOutcome(
            (long)scenario.Requests * batch.Length,
            scenario.Requests,
            (long)scenario.Requests * records,
            Stopwatch.GetElapsedTime(started).TotalSeconds,
            Latency.Of(endTicks, Stopwatch.Frequency))
        {
            AckLatency = Latency.Of(ackTicks, Stopwatch.Frequency),
        };
    }

    private static void Produce(string host, int port, byte[] frame, Schedule schedule, long[] ackTicks)
    {
        using var connection = new LoadConnection(host, port);
        for (var i = 0; i < ackTicks.Length; i++)
        {
            var due = schedule.DueAt(i);
            WaitUntil(due);
            RequestFrame.SetCorrelationId(frame, i);
            connection.Send(frame);
            ResponseReader.CheckProduce(connection.Receive(i).Span);
            ackTicks[i] = Stopwatch.GetTimestamp() - due;
        }
    }

    /// <summary>Batches come in the order they were sent, so the n-th is the one that was due as the n-th.</summary>
    private static void Consume(string host, int port, string topic, Schedule schedule, long[] endTicks)
    {
        using var connection = new LoadConnection(host, port);
        var cursor = new FetchCursor(topic, Partition, MaxBytes, MaxWaitMs);
        var emptyFetches = 0;
        for (var seen = 0; seen < endTicks.Length;)
        {
            cursor.Fetch(connection, out var batches);
            var now = Stopwatch.GetTimestamp();
            for (var i = 0; i < batches.Batches && seen < endTicks.Length; i++, seen++)
                endTicks[seen] = now - schedule.DueAt(seen);
            emptyFetches = batches.Batches > 0 ? 0 : emptyFetches + 1;
            if (emptyFetches > EmptyFetchesMax)
                throw new BenchException($"Only {seen} of {endTicks.Length} batches came.");
        }
    }

    private static void WaitUntil(long due)
    {
        while (true)
        {
            var remainingSeconds = (due - Stopwatch.GetTimestamp()) / (double)Stopwatch.Frequency;
            if (remainingSeconds <= 0)
                return;
            if (remainingSeconds > 2 * SpinSeconds)
                _ = NativeMethods.SleepMicroseconds((uint)((remainingSeconds - SpinSeconds) * 1e6));
            else
                Thread.SpinWait(1);
        }
    }

    private static long Ticks(double seconds) => (long)(seconds * Stopwatch.Frequency);

    private readonly record struct Schedule(long FirstDue, long Interval)
    {
        public long DueAt(int index) => FirstDue + (index * Interval);
    }
}
