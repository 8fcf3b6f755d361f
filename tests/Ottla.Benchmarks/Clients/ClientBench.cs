using System.Globalization;
using Ottla.Benchmarks.Targets;

namespace Ottla.Benchmarks.Clients;

/// <summary>
/// <c>bench client</c>: <c>Ottla.Client</c> beside Confluent.Kafka, in turn and in both orders, each run in a process of its own.
/// </summary>
/// <remarks>What was sent is counted by the broker's end offsets. The rows' numbers are geometric means over the rounds.</remarks>
internal sealed class ClientBench(BenchOptions options, IReadOnlyList<string> only)
{
    public const string Usage =
        "bench client [OPTIONS] [LOAD...]      Ottla.Client beside Confluent.Kafka; loads: forget, enqueue, await, transactions, consume, "
            + "consume-batches, consume-raw";

    private const int Partitions = 4;
    private const string Ours = "ottla";
    private const string Theirs = "confluent";

    private static readonly string[] s_loads = ["forget", "enqueue", "await", "transactions", "consume", "consume-batches", "consume-raw"];
    private static readonly int[] s_recordBytes = [100, 1_000];

    private int _topics;

    /// <summary>Reads the arguments, and measures.</summary>
    public static int? Run(string[] arguments)
    {
        string[] loads = [.. arguments.Where(s_loads.Contains)];
        return BenchOptions.Parse([.. arguments.Except(loads)]) is { } options
            ? new ClientBench(options, loads.Length > 0 ? loads : s_loads).Execute()
            : null;
    }

    private int Execute()
    {
        if (!File.Exists(ClientRun.Program))
            throw new BenchException($"There is no {ClientRun.Program}: ./dev bench client builds it.");
        var workDirectory = Directory.CreateDirectory(Path.Combine(options.Directory, $"ottla-clients-{Guid.NewGuid():N}")).FullName;
        try
        {
            using Target broker = options.Broker is { } running
                ? new Target("broker", running.Host, running.Port, running.ProcessId, counters: null)
                : TargetLauncher.ForBroker(options, workDirectory).Start(out _);
            Console.WriteLine(
                $"{Partitions} partitions on one node, no compression; Ottla.Client and Confluent.Kafka 2.16 with their defaults but for "
                    + $"what the loads say; {options.Rounds} rounds, in turn who is first\n"
                    + "load             bytes  client      records/s  CPU us/record  B/record  GCs  peak MB  rate    CPU");
            foreach (var recordBytes in s_recordBytes)
            {
                foreach (var load in only)
                    Measure(broker, load, recordBytes);
            }

            return 0;
        }
        finally
        {
            Directory.Delete(workDirectory, recursive: true);
        }
    }

    private void Measure(Target broker, string load, int recordBytes)
    {
        var records = (load == "transactions" ? 500_000L : load == "await" ? 1_000_000L : 4_000_000L) / (recordBytes > 500 ? 4 : 1);
        if (options.IsQuick)
            records /= 20;
        var warmUp = records; // the runtime compiles hot code twice, and takes its time
        var isRead = load.StartsWith("consume", StringComparison.Ordinal);
        var topic = isRead ? Fill(broker, recordBytes, warmUp + records + 10_000) : "";
        var runs = new Dictionary<string, List<ClientRun>> { [Ours] = [], [Theirs] = [] };
        for (var round = 0; round < Math.Max(options.Rounds, 1); round++)
        {
            foreach (var client in round % 2 == 0 ? new[] { Ours, Theirs } : [Theirs, Ours])
            {
                // What has no counterpart is set beside the nearest thing: records one by one.
                var named = client == Theirs && isRead ? "consume" : load;
                runs[client].Add(isRead
                    ? Execute(broker, client, named, topic, recordBytes, warmUp, records)
                    : Send(broker, client, named, recordBytes, warmUp, records));
            }
        }

        if (isRead)
            broker.Admin.DeleteTopic(topic);
        var ours = new Row(runs[Ours], records);
        var theirs = new Row(runs[Theirs], records);
        Print(load, recordBytes, Ours, ours, string.Create(
            CultureInfo.InvariantCulture, $"  {ours.Rate / theirs.Rate:0.00}x  {ours.CpuMicroseconds / theirs.CpuMicroseconds:0.00}x"));
        Print(load, recordBytes, Theirs, theirs, "");
    }

    private string NewTopic(Target broker)
    {
        var topic = $"clients-{_topics++}";
        broker.Admin.CreateTopic(topic, Partitions);
        return topic;
    }

    private string Fill(Target broker, int recordBytes, long records)
    {
        var topic = NewTopic(broker);
        Execute(broker, Ours, "enqueue", topic, recordBytes, 0, records);
        return topic;
    }

    private ClientRun Send(Target broker, string client, string load, int recordBytes, long warmUp, long records)
    {
        var topic = NewTopic(broker);
        var run = Execute(broker, client, load, topic, recordBytes, warmUp, records);
        var written = broker.Admin.CountRecords(topic, Partitions);
        broker.Admin.DeleteTopic(topic);
        // The warm-up may come more than once; markers of transactions have offsets, too.
        var isThere = written >= warmUp + records && (load == "transactions" || written % records == 0);
        return isThere ? run : throw Lost();

        BenchException Lost() => new($"{client} {load}: {warmUp + records} records were sent, and the broker has {written}.");
    }

    private static ClientRun Execute(
        Target broker, string client, string load, string topic, int recordBytes, long warmUp, long records) => ClientRun.Execute(
        client, load, $"{broker.Host}:{broker.Port}", topic, Text(recordBytes), Text(warmUp), Text(records));

    private static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);

    private static void Print(string load, int recordBytes, string client, Row row, string ratios) => Console.WriteLine(string.Create(
        CultureInfo.InvariantCulture,
        $"{load,-15}  {recordBytes,5}  {client,-9}  {row.Rate,10:0}  {row.CpuMicroseconds,13:0.000}  {row.AllocatedBytes,8:0.0}  "
            + $"{row.Collections,3:0}  {row.PeakBytes / 1e6,7:0}{ratios}"));

    private sealed class Row(List<ClientRun> runs, long records)
    {
        public double Rate { get; } = Mean(runs, run => records / run.Seconds);

        public double CpuMicroseconds { get; } = Mean(runs, run => run.CpuSeconds / records * 1e6);

        public double AllocatedBytes { get; } = runs.Average(run => run.AllocatedBytes / (double)records);

        public double Collections { get; } = runs.Average(run => run.Collections);

        public double PeakBytes { get; } = runs.Average(run => run.PeakBytes);

        private static double Mean(List<ClientRun> runs, Func<ClientRun, double> value) =>
            Math.Exp(runs.Average(run => Math.Log(Math.Max(value(run), 1e-9))));
    }
}
