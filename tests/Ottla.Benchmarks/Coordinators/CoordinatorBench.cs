using System.Globalization;
using Ottla.Benchmarks.Load;
using Ottla.Benchmarks.Measure;
using Ottla.Benchmarks.Scenarios;
using Ottla.Benchmarks.Targets;
using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.Benchmarks.Coordinators;

/// <summary>
/// <c>bench coordinators</c>: heartbeats of many groups under both protocols, offset commits beside what the floor takes for an append, and
/// transactions.
/// </summary>
internal sealed class CoordinatorBench(BenchOptions options)
{
    private const int Groups = 1000;
    private const int MembersEach = 10;
    private const int Connections = 8;
    private const int HeartbeatsPerSecond = 2000;
    private const int RateSeconds = 10;
    private const int HeartbeatsEach = 40_000;
    private const int HeartbeatsInFlight = 16;
    private const int CommitsEach = 8_000;
    private const int TransactionsOfAll = 5_000;
    private const string Topic = "coordinators";
    private const short FindCoordinatorVersion = 2;
    private const short OffsetCommitVersion = 7;
    private const int PollMs = 20;

    /// <summary>From the correlation id on: throttle time, error.</summary>
    private const int HeartbeatErrorPosition = sizeof(int) + sizeof(int);

    /// <summary>The same behind the empty tags of a flexible response header.</summary>
    private const int ConsumerHeartbeatErrorPosition = HeartbeatErrorPosition + 1;

    /// <summary>Runs.</summary>
    public int Execute()
    {
        var workDirectory = Directory.CreateDirectory(Path.Combine(options.Directory, $"ottla-bench-{Guid.NewGuid():N}")).FullName;
        try
        {
            var settings = options with
            {
                Settings = [
                    .. options.Settings, "group.initial.rebalance.delay.ms=30", "group.consumer.heartbeat.interval.ms=15000",
                    "group.consumer.session.timeout.ms=60000", "group.consumer.assignment.interval.ms=0"],
            };
            using var broker = TargetLauncher.ForBroker(settings, workDirectory).Start(out _);
            using var floor = TargetLauncher.ForFloor(workDirectory).Start(out _);
            broker.Admin.CreateTopic(Topic, ScenarioCatalog.Partitions);
            Console.WriteLine($"{Groups} groups of {MembersEach} members, {Connections} connections");
            AwaitCoordinators(broker);
            Heartbeats(broker, "classic", HeartbeatErrorPosition,
                (connection, groups) => GroupMembers.JoinClassic(connection, groups, MembersEach));
            Heartbeats(broker, "consumer", ConsumerHeartbeatErrorPosition,
                (connection, groups) => GroupMembers.JoinConsumer(connection, groups, MembersEach, Topic));
            foreach (var inFlight in new[] { 1, 5 })
                Commits(broker, floor, inFlight);
            foreach (var producers in new[] { 1, 10, 100 })
                Print($"transactions of {producers} producers", broker,
                    () => TransactionLoad.Run((broker.Host, broker.Port), Topic, producers, TransactionsOfAll / producers));
            return 0;
        }
        finally
        {
            Directory.Delete(workDirectory, recursive: true);
        }
    }

    private static void Heartbeats(StartedTarget broker, string protocol, int errorPosition, Func<LoadConnection, string[], byte[][]> join)
    {
        var before = ProcessUsage.ResidentBytes(broker.ProcessId);
        var frames = new byte[Connections][][];
        var joined = Worker.RunAll(Connections, worker =>
        {
            using var connection = new LoadConnection(broker.Host, broker.Port);
            string[] groups = [
                .. Enumerable.Range(0, Groups).Where(number => number % Connections == worker.Index)
                .Select(number => $"{protocol}-{number}")];
            frames[worker.Index] = join(connection, groups);
            worker.Requests = frames[worker.Index].Length;
        });
        var grown = ProcessUsage.ResidentBytes(broker.ProcessId) - before;
        Console.WriteLine(
            string.Create(
                CultureInfo.InvariantCulture,
                $"{protocol}: {joined.Requests} members joined in {joined.Seconds:0.0} s; {grown / joined.Requests / 1000:0.0} KB each, "
                    + $"RSS {ProcessUsage.ResidentBytes(broker.ProcessId) / 1e6:0} MB"));
        Print($"{protocol} heartbeats at {HeartbeatsPerSecond}/s", broker,
            () => FrameLoad.AtRate((broker.Host, broker.Port), frames, HeartbeatsPerSecond, RateSeconds, errorPosition));
        Print($"{protocol} heartbeats, {HeartbeatsInFlight} in flight", broker,
            () => FrameLoad.AsFastAsAnswered((broker.Host, broker.Port), frames, HeartbeatsInFlight, HeartbeatsEach, errorPosition));
    }

    /// <summary>Commits of one partition each, beside produce requests of about the same bytes to the floor.</summary>
    private static void Commits(StartedTarget broker, StartedTarget floor, int inFlight)
    {
        const int recordBytes = 110; // a committed offset's key and value
        var frames = Enumerable.Range(0, Connections).Select(
            connection => Enumerable.Range(0, ScenarioCatalog.Partitions)
            .Select(partition => CommitFrame($"commits-{connection}", partition)).ToArray()).ToArray();
        // correlation id, throttle, topics, topic, partitions, index
        var position = sizeof(int) + sizeof(int) + sizeof(int) + sizeof(short) + Topic.Length + sizeof(int) + sizeof(int);
        var commits = Print(
            $"offset commits, {inFlight} in flight", broker, () =>
            FrameLoad.AsFastAsAnswered((broker.Host, broker.Port), frames, inFlight, CommitsEach, position));
        var topic = $"floor-{inFlight}";
        floor.Admin.CreateTopic(topic, ScenarioCatalog.Partitions);
        var append = new ProduceScenario(
            topic, Connections, inFlight, recordBytes + 80, recordBytes, Acks: -1,
            Megabytes: Math.Max(1, CommitsEach * Connections * (recordBytes + 80) / 1_000_000));
        var appends = Print("floor appends of the same bytes", floor, () => ProduceLoad.Run(append, floor.Host, floor.Port, topic));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  commits to appends: {commits / appends:0.00}x"));
    }

    private static byte[] CommitFrame(string group, int partition) => RequestFrame.Encode(
        new OffsetCommitRequest
        {
            GroupId = group,
            GenerationIdOrMemberEpoch = -1,
            MemberId = "",
            Topics = [new() { Name = Topic, Partitions = [
                new() { PartitionIndex = partition, CommittedOffset = 42, CommittedLeaderEpoch = -1, CommittedMetadata = "" }] }],
        },
        OffsetCommitVersion,
        correlationId: 0);

    private static double Print(string what, StartedTarget target, Func<LoadOutcome> run)
    {
        var cpuBefore = ProcessUsage.CpuSeconds(target.ProcessId);
        var outcome = run();
        var cpu = ProcessUsage.CpuSeconds(target.ProcessId) - cpuBefore;
        var perSecond = outcome.Requests / outcome.Seconds;
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"  {what,-40} {perSecond,9:0}/s  p50 {outcome.Latency?.P50Ms:0.00}  p99 {outcome.Latency?.P99Ms:0.00}  p99.9 "
                + $"{outcome.Latency?.P999Ms:0.00} ms  {cpu * 1e6 / outcome.Requests:0.0} us CPU each"));
        return perSecond;
    }

    /// <summary>Waits until both kinds of coordinators are there and loaded.</summary>
    public static void AwaitCoordinators(StartedTarget broker)
    {
        using var connection = new LoadConnection(broker.Host, broker.Port);
        while (Enumerable.Range(0, 2).Any(type =>
                connection.Ask<FindCoordinatorRequest, FindCoordinatorResponse>(
                    new FindCoordinatorRequest { Key = "any", KeyType = (sbyte)type }, FindCoordinatorVersion)
                        .ErrorCode != (short)ErrorCode.None)
            || connection.Ask<ListTransactionsRequest, ListTransactionsResponse>(new ListTransactionsRequest(), version: 0)
            .ErrorCode != (short)ErrorCode.None
            || connection.Ask<ListGroupsRequest, ListGroupsResponse>(new ListGroupsRequest(), version: 2)
            .ErrorCode != (short)ErrorCode.None)
            Thread.Sleep(PollMs);
    }
}
