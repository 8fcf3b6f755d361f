using Ottla.Client;
using Ottla.HistoryChecker;
using Ottla.HistoryChecker.History;
using Ottla.Kernel;
using Ottla.Simulator.Library;
using Ottla.Simulator.Worlds;
using Ottla.UnitTests.Client.Errors;

namespace Ottla.UnitTests.Client.Behaviours;

/// <summary>A cluster in which behaviours are shown one after another, and its history. Lives as long as its world.</summary>
/// <param name="world">The cluster.</param>
/// <param name="director">Who moves leaders.</param>
/// <param name="nodes">The number of nodes.</param>
/// <param name="fault">What goes wrong.</param>
internal sealed class BehaviourHost(ClientWorld world, SimProcess director, int nodes, FaultSwitch fault)
{
    private static readonly TimeSpan s_healing = TimeSpan.FromMinutes(2);

    private long _lastValue;
    private Task _move = Task.CompletedTask;

    /// <summary>A client that meets no faults.</summary>
    private ClientRun _calm = null!;

    public HistoryRecorder History { get; } = new();

    public int Nodes => nodes;

    public bool IsCalm => fault.Name == "none";

    public long NextValue() => ++_lastValue;

    /// <summary>Shows behaviours.</summary>
    /// <returns>What does not go as it should.</returns>
    public async Task<List<string>> ShowAsync(IEnumerable<Behaviour> behaviours)
    {
        var failures = new List<string>();
        await world.WithClientAsync(async calm =>
        {
            _calm = calm;
            foreach (var behaviour in behaviours)
            {
                if (await FindFailureAsync(behaviour) is { } failure)
                    failures.Add($"{behaviour.Name}: {failure}");
            }
        }, Patient);
        var report = HistoryAnalysis.Check(History.Operations);
        if (!report.IsClean)
            failures.Add(report.ToString());
        return failures;
    }

    /// <summary>Lets the cluster have the first version of transactions only.</summary>
    public Task DowngradeTransactionsAsync() => world.WithClientAsync(async calm =>
    {
        var update = new Dictionary<string, FeatureUpdate> { ["transaction.version"] = new(1, FeatureUpgradeType.SafeDowngrade) };
        (await calm.Client.CreateAdmin().UpdateFeaturesAsync(update)).ThrowIfFailed();
    });

    /// <summary>Creates a topic.</summary>
    public Task CreateTopicAsync(
        string name, int partitions, IEnumerable<(string Name, string Value)> configs) => CalmlyAsync(async client =>
    {
        var topic = new NewTopic(name)
        {
            Partitions = partitions,
            Configs = configs.ToDictionary(each => each.Name, each => (string?)each.Value),
        };
        (await client.CreateAdmin().CreateTopicsAsync([topic])).ThrowIfFailed();
    });

    /// <summary>Sends records with new values, and has the history say so.</summary>
    /// <returns>The values.</returns>
    public async Task<List<long>> FeedAsync(TopicPartition partition, int count)
    {
        var values = Enumerable.Range(0, count).Select(_ => NextValue()).ToList();
        await CalmlyAsync(async client =>
        {
            await using var producer = client.CreateProducer<byte[], long>();
            var process = History.NextProcess();
            foreach (var value in values)
            {
                var record = new ProducerRecord<byte[], long>(partition.Topic, null, value) { Partition = partition.Partition };
                var metadata = await producer.ProduceAsync(record);
                History.Add(new Operation
                {
                    Process = process,
                    Outcome = Outcome.Ok,
                    Steps = [new Send(partition.ToString(), value, metadata.Offset >= 0 ? metadata.Offset : null)],
                });
            }
        });
        return values;
    }

    /// <summary>Starts to move something, unless something is on its way already.</summary>
    public void Move(Func<Task> move)
    {
        if (_move.IsCompleted)
            _move = director.Start(move);
    }

    /// <summary>Has other replicas lead partitions. A single node leads them anew, after a restart.</summary>
    public async Task MoveLeadersAsync(IReadOnlyList<TopicPartition> partitions)
    {
        if (nodes == 1)
        {
            await RestartAsync(1);
            return;
        }

        await CalmlyAsync(client => ReverseAsync(client.CreateAdmin(), partitions));
    }

    private static async Task ReverseAsync(IAdmin admin, IReadOnlyList<TopicPartition> partitions)
    {
        var topics = await admin.DescribeTopicsAsync(partitions.Select(partition => partition.Topic).Distinct());
        var orders = new Dictionary<TopicPartition, IReadOnlyList<int>?>();
        foreach (var partition in partitions)
        {
            if (topics[partition.Topic] is { IsSuccess: true, Value: var topic }
                && topic.Partitions.FirstOrDefault(each => each.Index == partition.Partition) is { Replicas: { Count: > 1 } replicas })
                orders[partition] = [.. replicas.Skip(1), replicas[0]];
        }

        if (orders.Count == 0)
            return;
        await admin.AlterPartitionReassignmentsAsync(orders);
        await admin.ElectLeadersAsync(ElectionType.Preferred, orders.Keys);
    }

    /// <summary>Has another node be the active controller. A single node is it anew, after a restart.</summary>
    public Task MoveControllerAsync() => RestartAsync(
        world.Cluster.Nodes[1].Serving?.Shared.Raft.KnownLeader.LeaderId is { } leader and > 0 ? leader : 1);

    /// <summary>Has a node stop and start again.</summary>
    public async Task RestartAsync(int node)
    {
        await world.Cluster.Nodes[node].StopAsync();
        await world.Cluster.Nodes[node].StartAsync();
    }

    /// <summary>Reads all committed records of partitions, and has the history say so.</summary>
    public async Task<List<long>> ReadAllAsync(IReadOnlyList<TopicPartition> partitions)
    {
        var values = new List<long>();
        await CalmlyAsync(client => ReadAllAsync(client, partitions, values));
        return values;
    }

    private async Task ReadAllAsync(OttlaClient client, IReadOnlyList<TopicPartition> partitions, List<long> values)
    {
        await using var consumer = new Consumer<byte[], long>(
            client, new ConsumerOptions { IsolationLevel = IsolationLevel.ReadCommitted, OffsetReset = OffsetReset.Earliest });
        // The end of the log: the markers of a transaction that has just ended may be on their way.
        var ends = (await client.CreateAdmin().ListOffsetsAsync(partitions.ToDictionary(partition => partition, _ => OffsetSpec.Latest)))
            .GetValues();
        consumer.Assign(partitions);
        var number = History.NextProcess();
        History.Add(new Operation
        {
            Process = number,
            Outcome = Outcome.Ok,
            Steps = [new Assign([.. partitions.Select(partition => new AssignedPartition(partition.ToString(), 0))])],
        });
        foreach (var partition in partitions)
            await consumer.PositionAsync(partition);
        while (partitions.Any(partition => consumer.Position(partition) < ends[partition].Offset))
        {
            if (await consumer.ConsumeOneAsync(TimeSpan.FromMilliseconds(100)) is not { } record)
                continue;
            values.Add(record.Value);
            History.Add(new Operation { Process = number, Outcome = Outcome.Ok, Steps = [LibraryReaders.ToPoll([record])] });
        }
    }

    /// <summary>Does something with the client that meets no faults, in the process where it lives.</summary>
    private Task CalmlyAsync(Func<OttlaClient, Task> body) => _calm.Process.Start(() => body(_calm.Client));

    private static OttlaClientOptions Patient(OttlaClientOptions options) => options with
    {
        RequestTimeout = TimeSpan.FromSeconds(2),
        ApiTimeout = TimeSpan.FromSeconds(60),
    };

    private async Task<string?> FindFailureAsync(Behaviour behaviour)
    {
        string? failure = null;
        await world.WithClientAsync(async client =>
        {
            var run = new BehaviourRun(this, client);
            client.Faults.Decide = request => fault.Decide(run, request);
            try
            {
                await behaviour.RunAsync(run);
                client.Faults.Decide = null;
                await HealAsync();
                await run.AuditAsync();
            }
            catch (Exception e) when (e is not Ottla.Simulator.SimulationException)
            {
                failure = $"{e}\nwhat was sent last: {string.Join(' ', client.Faults.Seen.TakeLast(60).Select(
                    request => $"{request.At:mm:ss.fff} {request.Key} {request.Number}"))}";
            }

            client.Faults.Decide = null;
            await HealAsync();
        }, Patient);
        return failure;
    }

    private async Task HealAsync()
    {
        await _move;
        var end = director.Clock.GetUtcNow() + s_healing;
        while (!world.Cluster.IsWhole)
        {
            Assert.True(director.Clock.GetUtcNow() < end, "the cluster does not become whole again");
            await Task.Delay(TimeSpan.FromMilliseconds(50), director.Clock);
        }
    }
}
