using System.Diagnostics;
using System.Net.Security;
using Ottla.Benchmarks.Scenarios;

namespace Ottla.Benchmarks.Load;

/// <summary>Produces one prebuilt batch again and again, on every connection, round robin over the partitions.</summary>
internal static class ProduceLoad
{
    private const double BytesPerMegabyte = 1e6;

    public static LoadOutcome Run(
        ProduceScenario scenario, string host, int port, string topic, SslClientAuthenticationOptions? tls = null)
    {
        if (scenario.Acks == 0)
            throw new BenchException("A produce without acknowledgement has nothing to wait for.");
        var batch = RequestFrame.Batch(
            scenario.BatchBytes, scenario.RecordBytes, DateTimeOffset.UtcNow.ToUnixTimeMilliseconds(), out var records);
        var requests = (int)(scenario.Megabytes * BytesPerMegabyte / scenario.Connections / batch.Length) + 1;
        // Every connection patches correlation ids into frames of its own.
        var frames = Enumerable.Range(0, scenario.Connections).Select(_ => FramesOf(scenario, topic, batch)).ToArray();
        return Worker.RunAll(scenario.Connections, worker =>
        {
            worker.LatencyTicks = new long[requests];
            using var connection = new LoadConnection(host, port, tls: tls);
            Produce(connection, frames[worker.Index], firstFrame: worker.Index, scenario.InFlight, worker.LatencyTicks);
            worker.Requests = requests;
            worker.Bytes = (long)requests * batch.Length;
            worker.Records = (long)requests * records;
        });
    }

    private static byte[][] FramesOf(ProduceScenario scenario, string topic, byte[] batch) =>
        [.. Enumerable.Range(0, ScenarioCatalog.Partitions)
            .Select(partition => RequestFrame.Produce(topic, partition, scenario.Acks, batch))];

    /// <summary>Sends as many requests as there is room for in <paramref name="latencyTicks"/>.</summary>
    private static void Produce(LoadConnection connection, byte[][] frames, int firstFrame, int inFlight, long[] latencyTicks)
    {
        var sentAt = new long[inFlight];
        var sent = 0;
        var answered = 0;
        while (answered < latencyTicks.Length)
        {
            while (sent < latencyTicks.Length && sent - answered < inFlight)
            {
                var frame = frames[(firstFrame + sent) % frames.Length];
                RequestFrame.SetCorrelationId(frame, sent);
                sentAt[sent % inFlight] = Stopwatch.GetTimestamp();
                connection.Send(frame);
                sent++;
            }

            do
            {
                ResponseReader.CheckProduce(connection.Receive(answered).Span);
                latencyTicks[answered] = Stopwatch.GetTimestamp() - sentAt[answered % inFlight];
                answered++;
            }
            while (answered < sent && connection.HasResponse);
        }
    }
}
