using System.Buffers.Binary;
using System.Globalization;
using System.Net.Sockets;
using Ottla.Benchmarks.Coordinators;
using Ottla.Benchmarks.Load;
using Ottla.Benchmarks.Measure;
using Ottla.Benchmarks.Scenarios;
using Ottla.Benchmarks.Targets;
using Ottla.Protocol;

namespace Ottla.Benchmarks.Neighbours;

/// <summary><c>bench neighbours</c>: the latency of ordinary clients while one client at a time asks for expensive things.</summary>
/// <remarks>
/// The ordinary ones send small batches at a fixed rate, each on a connection of its own, so that every network loop has some of them.
/// </remarks>
internal sealed class NeighbourBench(BenchOptions options)
{
    private const int Connections = 12;
    private const int RatePerSecond = 600;
    private const int BatchBytes = 1_000;
    private const int RecordBytes = 100;
    private const double WarmUpSeconds = 2;
    private const double Seconds = 10;
    private const string Topic = "neighbours";

    /// <summary>From the correlation id on: topics, the topic's name, partitions, index, error.</summary>
    private static readonly int ErrorPosition = sizeof(int) + sizeof(int) + sizeof(short) + Topic.Length + sizeof(int) + sizeof(int);

    /// <summary>Runs.</summary>
    public int Execute()
    {
        var workDirectory = Directory.CreateDirectory(Path.Combine(options.Directory, $"ottla-bench-{Guid.NewGuid():N}")).FullName;
        try
        {
            using var broker = TargetLauncher.ForBroker(options, workDirectory).Start(out _);
            broker.Admin.CreateTopic(Topic, ScenarioCatalog.Partitions);
            Console.WriteLine(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"{Connections} ordinary clients send {RatePerSecond} batches of {BatchBytes} bytes a second; latency in ms"));
            Console.WriteLine($"{"beside",-34} {"p50",9} {"p99",9} {"p99.9",9} {"max",9} {"load",7}");
            Ordinary(broker, WarmUpSeconds);
            foreach (var load in ExpensiveLoad.All)
                Measure(broker, load);
            return 0;
        }
        finally
        {
            Directory.Delete(workDirectory, recursive: true);
        }
    }

    private static void Measure(StartedTarget broker, ExpensiveLoad load)
    {
        using var stop = new CancellationTokenSource();
        var answered = 0;
        var frame = load.Frame(Topic);
        Thread[] asking =
        [
            .. Enumerable.Range(0, frame is null ? 0 : load.Clients).Select(
                _ => new Thread(() => Ask(broker, load, [.. frame!], ref answered, stop.Token)) { IsBackground = true }),
        ];
        foreach (var thread in asking)
            thread.Start();
        Latency latency;
        try
        {
            latency = Ordinary(broker, Seconds).Latency!;
        }
        catch (BenchException e)
        {
            Console.WriteLine($"{load.Name,-34} an ordinary client gave up: {e.Message}");
            return;
        }
        finally
        {
            stop.Cancel();
            foreach (var thread in asking)
                thread.Join();
        }

        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{load.Name,-34} {latency.P50Ms,9:0.00} {latency.P99Ms,9:0.00} {latency.P999Ms,9:0.00} {latency.MaxMs,9:0.00} {answered,7}"));
    }

    private static LoadOutcome Ordinary(StartedTarget broker, double seconds)
    {
        var batch = RequestFrame.Batch(BatchBytes, RecordBytes, DateTimeOffset.UtcNow.ToUnixTimeMilliseconds(), out _);
        var frames = Enumerable.Range(0, Connections)
            .Select(connection => new[] { RequestFrame.Produce(Topic, connection % ScenarioCatalog.Partitions, acks: 1, batch) })
            .ToArray();
        return FrameLoad.AtRate((broker.Host, broker.Port), frames, RatePerSecond, seconds, ErrorPosition);
    }

    /// <summary>Asks for the expensive thing again and again, whatever is answered.</summary>
    private static void Ask(StartedTarget broker, ExpensiveLoad load, byte[] frame, ref int answered, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            try
            {
                using var connection = new LoadConnection(broker.Host, broker.Port);
                while (!stop.IsCancellationRequested)
                {
                    connection.Send(frame);
                    var answer = connection.Receive(correlationId: 0);
                    if (Interlocked.Increment(ref answered) == 1 && load.IsProduce)
                        Console.WriteLine($"  {load.Name}: {(ErrorCode)BinaryPrimitives.ReadInt16BigEndian(answer.Span[ErrorPosition..])}");
                    stop.WaitHandle.WaitOne(load.PauseMs);
                }
            }
            catch (Exception e) when (e is BenchException or SocketException)
            {
                Console.WriteLine($"  {load.Name}: {e.Message}"); // too large an answer, or none in time: the neighbours are what counts
            }
        }
    }
}
