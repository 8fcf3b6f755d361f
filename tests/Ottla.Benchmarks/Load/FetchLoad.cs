using System.Buffers.Binary;
using System.Diagnostics;
using System.Net.Security;
using Ottla.Benchmarks.Scenarios;

namespace Ottla.Benchmarks.Load;

/// <summary>Reads partitions from their start, one request at a time on every connection; each connection starts over at the end.</summary>
internal static class FetchLoad
{
    private const double BytesPerMegabyte = 1e6;
    private const int MaxWaitMs = 500;
    private const int EmptyFetchesMax = 20;

    public static LoadOutcome Run(
        FetchScenario scenario, string host, int port, string topic, SslClientAuthenticationOptions? tls = null)
    {
        var bytes = (long)(scenario.Megabytes * BytesPerMegabyte / scenario.Connections);
        return Worker.RunAll(scenario.Connections, worker =>
        {
            using var connection = new LoadConnection(host, port, tls: tls);
            Fetch(connection, new FetchCursor(topic, worker.Index % ScenarioCatalog.Partitions, scenario.MaxBytes, MaxWaitMs), bytes,
                worker);
        });
    }

    private static void Fetch(LoadConnection connection, FetchCursor cursor, long bytes, Worker worker)
    {
        var latencies = new List<long>(1024);
        var emptyFetches = 0;
        while (worker.Bytes < bytes)
        {
            var sentAt = Stopwatch.GetTimestamp();
            var received = cursor.Fetch(connection, out var batches);
            latencies.Add(Stopwatch.GetTimestamp() - sentAt);
            worker.Requests++;
            worker.Bytes += received;
            worker.Records += batches.Records;
            if (batches.Batches > 0)
                continue;
            if (received > 0 || ++emptyFetches > EmptyFetchesMax)
                throw new BenchException("There is nothing to read.");
            cursor.Rewind();
        }

        worker.LatencyTicks = [.. latencies];
    }
}

/// <summary>Where a connection reads, and its one Fetch request, patched for every use. Owned by the connection's thread.</summary>
internal sealed class FetchCursor
{
    private readonly byte[] _frame;
    private readonly int _offsetPosition;
    private int _correlationId;
    private long _offset;

    public FetchCursor(string topic, int partition, int maxBytes, int maxWaitMs)
    {
        _frame = RequestFrame.Fetch(topic, partition, maxBytes, maxWaitMs, offset: 0);
        _offsetPosition = RequestFrame.FetchOffsetPosition(topic, partition, maxBytes, maxWaitMs);
    }

    /// <summary>Fetches once, and goes on behind what it brought.</summary>
    /// <returns>The record bytes received.</returns>
    public int Fetch(LoadConnection connection, out FetchedBatches batches)
    {
        RequestFrame.SetCorrelationId(_frame, ++_correlationId);
        BinaryPrimitives.WriteInt64BigEndian(_frame.AsSpan(_offsetPosition), _offset);
        connection.Send(_frame);
        var records = ResponseReader.FetchedRecords(connection.Receive(_correlationId).Span);
        batches = FetchedBatches.Walk(records, _offset);
        _offset = batches.NextOffset;
        return records.Length;
    }

    /// <summary>Back to the start of the partition.</summary>
    public void Rewind() => _offset = 0;
}
