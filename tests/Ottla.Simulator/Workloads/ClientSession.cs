using System.Net;
using Ottla.HistoryChecker;
using Ottla.HistoryChecker.History;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Simulator.Bugs;
using Ottla.Simulator.Clients;
using Ottla.Simulator.Worlds;

namespace Ottla.Simulator.Workloads;

/// <summary>
/// One run of a workload: clients of a node or a cluster, which live and die, and a history of what they did, which is checked in the end.
/// </summary>
/// <param name="world">Where.</param>
/// <param name="bug">A bug that brokers are to have; null for none.</param>
internal abstract class ClientSession(World world, BrokerBug? bug = null)
{
    public static readonly TimeSpan LongPatience = TimeSpan.FromMinutes(5);

    private long _lastValue;

    public World World => world;

    public IReadOnlyList<Operation> Operations => History.Operations;

    public HistoryRecorder History { get; } = new();

    /// <summary>Whether clients are to come to an end.</summary>
    public bool IsOver { get; set; }

    /// <summary>The brokers that clients know from the beginning.</summary>
    protected abstract IReadOnlyList<IPEndPoint> Bootstrap { get; }

    /// <summary>Whether a record must not be told to have failed for this reason. Only what a client gave up waiting for may.</summary>
    protected virtual bool IsBug(ErrorCode error) => error != ErrorCode.RequestTimedOut;

    /// <summary>Runs the session of a seed. Its failure says what the seed has drawn.</summary>
    /// <param name="seed">Everything random follows from it.</param>
    /// <param name="log">Where to tell what happens; null for silence.</param>
    /// <param name="draw">Draws the conditions.</param>
    /// <param name="create">Makes the session.</param>
    /// <returns>The world, in which all is over.</returns>
    /// <exception cref="SimulationException">An invariant does not hold.</exception>
    public static World RunSeed<TConditions>(
        ulong seed, TextWriter? log, Func<Prng, TConditions> draw, Func<World, TConditions, ClientSession> create)
    {
        var world = new World(seed, log);
        var conditions = draw(world.Random);
        try
        {
            create(world, conditions).Run();
            return world;
        }
        catch (SimulationException e)
        {
            throw new SimulationException($"{e.Message}{Environment.NewLine}({conditions})", e);
        }
    }

    /// <summary>Runs it, and has its history checked.</summary>
    /// <exception cref="SimulationException">An invariant does not hold.</exception>
    public void Run()
    {
        world.Run(DirectAsync);
        var report = HistoryAnalysis.Check(Operations);
        world.Tell("checker", $"{report}");
        if (!report.IsClean)
            throw new SimulationException(report.ToString());
    }

    /// <summary>Called when a client is told that a record is stored, and where; null when the broker does not remember that.</summary>
    public virtual void OnAcknowledged(TopicPartition partition, long? offset)
    {
    }

    /// <summary>Called when a client stands behind all that it has read of a partition.</summary>
    public virtual void OnRead(TopicPartition partition, long end)
    {
    }

    /// <summary>Tells of all that a client has read.</summary>
    public void OnRead(RecordReceiver receiver)
    {
        foreach (var (partition, end) in receiver.Positions)
            OnRead(partition, end);
    }

    /// <summary>What happens, from the first to the last.</summary>
    protected abstract Task DirectAsync(SimProcess director);

    /// <summary>A value that nobody was given before.</summary>
    public long NextValue() => ++_lastValue;

    /// <summary>A client that uses any stable versions, but for those that are given, and gives up on an answer after a time.</summary>
    public SimClient NewClient(SimProcess process, TimeSpan requestTimeout, params (ApiKey Key, short Lowest, short Highest)[] versions) =>
        new(process, Bootstrap, new ClientVersions(new Prng(world.Random.NextUInt64()), versions), new Prng(world.Random.NextUInt64()))
        { Bug = bug, RequestTimeout = requestTimeout };

    /// <summary>A client that uses any stable versions, but for those that are given.</summary>
    public SimClient NewClient(SimProcess process, params (ApiKey Key, short Lowest, short Highest)[] versions) =>
        new(process, Bootstrap, new ClientVersions(new Prng(world.Random.NextUInt64()), versions),
            new Prng(world.Random.NextUInt64()))
        { Bug = bug };

    public static IEnumerable<TopicPartition> PartitionsOf(string topic, int count) =>
        Enumerable.Range(0, count).Select(partition => new TopicPartition(topic, partition));

    public static async Task CreateTopicAsync(
        SimClient client, string topic, int partitions, short replicationFactor = 1, int? segmentBytes = null)
    {
        var creatable = new CreateTopicsRequest.CreatableTopic
        {
            Name = topic,
            NumPartitions = partitions,
            ReplicationFactor = replicationFactor,
            Configs = segmentBytes is { } bytes
                ? [new CreateTopicsRequest.CreatableTopicConfig { Name = "internal.segment.bytes", Value = $"{bytes}" }] : [],
        };
        var request = new CreateTopicsRequest { TimeoutMs = 1000, Topics = [creatable] };
        var response = await client.CallUntilAnsweredAsync<CreateTopicsRequest, CreateTopicsResponse>(
            request, answer => (ErrorCode)answer.Topics[0].ErrorCode, LongPatience);
        if ((ErrorCode?)response?.Topics[0].ErrorCode is not (ErrorCode.None or ErrorCode.TopicAlreadyExists))
            throw new SimulationException($"the topic {topic} was not created: {(ErrorCode?)response?.Topics[0].ErrorCode}");
    }

    /// <summary>A client, and after its end or its death another one, until the time is over.</summary>
    /// <param name="director">Whose clock decides when.</param>
    /// <param name="name">What they are called.</param>
    /// <param name="killPercent">How many of a hundred are killed.</param>
    /// <param name="lifeMsMax">How long one lives that is killed, at most.</param>
    /// <param name="body">What each does, as a process of the history.</param>
    /// <param name="isOver">Says when it is enough; null for the end of all.</param>
    public async Task KeepRunningAsync(
        SimProcess director, string name, int killPercent, int lifeMsMax, Func<SimProcess, long, Task> body, Func<bool>? isOver = null)
    {
        while (!(isOver?.Invoke() ?? IsOver))
            await RunClientAsync(director, name, killPercent, lifeMsMax, body);
    }

    /// <summary>One client, to its end or its death.</summary>
    public async Task RunClientAsync(SimProcess director, string name, int killPercent, int lifeMsMax, Func<SimProcess, long, Task> body)
    {
        var number = History.NextProcess();
        var process = world.NewProcess($"{name}#{number}");
        var life = process.Start(() => body(process, number));
        director.Watch(life); // its failure ends the run, not only its own client
        if (world.Random.NextChance(killPercent))
        {
            await director.Delay(TimeSpan.FromMilliseconds(world.Random.NextInt(1, lifeMsMax)));
            if (!life.IsCompleted)
            {
                world.Tell(process.Name, $"is killed");
                process.Kill();
                return;
            }
        }

        await life;
        world.Tell(process.Name, $"ends");
    }

    /// <summary>An idempotent producer's life: sends records of its own to partitions of a topic, several at a time.</summary>
    public async Task ProduceAsync(SimProcess process, long number, IReadOnlyList<TopicPartition> partitions, Func<bool> isOver)
    {
        var client = NewClient(process);
        var request = new InitProducerIdRequest { TransactionalId = null };
        var response = await client.CallUntilAnsweredAsync<InitProducerIdRequest, InitProducerIdResponse>(
            request, answer => (ErrorCode)answer.ErrorCode, LongPatience);
        if (response is not { ErrorCode: (short)ErrorCode.None })
            throw new SimulationException($"there is no producer id: {(ErrorCode?)response?.ErrorCode}");
        var sender = new RecordSender(client, response.ProducerId, response.ProducerEpoch);
        var sends = new List<Task>();
        while (!isOver() && !sender.HasFailed) // after a failure, the next one has another producer id
        {
            for (var count = world.Random.NextInt(1, 4); count > 0; count--)
                sends.Add(SendAsync(process, number, sender, partitions[world.Random.NextInt(partitions.Count)]));
            await process.Delay(TimeSpan.FromMilliseconds(world.Random.NextInt(1, 300)));
        }

        foreach (var send in sends)
            await send;
        sender.Close();
    }

    private async Task SendAsync(SimProcess process, long number, RecordSender sender, TopicPartition partition)
    {
        var value = NextValue();
        var operation = new Operation { Process = number, Outcome = Outcome.Info, Steps = [new Send(partition.ToString(), value)] };
        var recorded = History.Begin(operation);
        try
        {
            var offset = await sender.SendAsync(partition, value);
            OnAcknowledged(partition, offset);
            History.End(recorded, operation with { Outcome = Outcome.Ok, Steps = [new Send(partition.ToString(), value, offset)] });
        }
        catch (SendFailedException e) when (!IsBug(e.Error))
        {
            History.End(recorded, operation with { Outcome = e.IsInDoubt ? Outcome.Info : Outcome.Fail });
        }
        catch (SendFailedException e)
        {
            world.Fail(new SimulationException($"{process.Name} sent {value} to {partition}: {e.Error}"));
        }
    }

    /// <summary>A consumer's life: reads partitions of its choice from their beginning.</summary>
    public async Task ConsumeAsync(SimProcess process, long number, IReadOnlyList<TopicPartition> partitions, bool isReadCommitted)
    {
        var receiver = new RecordReceiver(NewClient(process), partitions, isReadCommitted);
        History.Add(AssignOf(number, receiver));
        while (!IsOver)
        {
            await PollAsync(receiver, number);
            await process.Delay(TimeSpan.FromMilliseconds(world.Random.NextInt(1, 200)));
        }
    }

    /// <summary>Says in the history where a consumer begins.</summary>
    public static Operation AssignOf(long number, RecordReceiver receiver) => new()
    {
        Process = number,
        Outcome = Outcome.Ok,
        Steps = [new Assign([.. receiver.Positions.Select(position => new AssignedPartition(position.Key.ToString(), position.Value))])],
    };

    /// <summary>Reads everything that is committed, once nothing is open any more.</summary>
    /// <returns>What there is.</returns>
    /// <exception cref="SimulationException">Something stays open.</exception>
    public async Task<List<PolledRecord>> ReadToEndAsync(SimProcess director, IReadOnlyList<TopicPartition> partitions)
    {
        var number = History.NextProcess();
        var receiver = new RecordReceiver(NewClient(director), partitions, isReadCommitted: true);
        var all = new List<PolledRecord>();
        History.Add(AssignOf(number, receiver));
        var deadline = director.Clock.GetUtcNow() + LongPatience;
        while (true)
        {
            var result = await PollAsync(receiver, number);
            all.AddRange(result?.Records ?? []);
            if (result is { IsAtEnd: true })
                return all;
            if (director.Clock.GetUtcNow() > deadline)
                throw new SimulationException($"a transaction stays open: only {string.Join(", ", receiver.Positions)} are to be read");
            await director.Delay(TimeSpan.FromMilliseconds(50));
        }
    }

    private async Task<PollResult?> PollAsync(RecordReceiver receiver, long number)
    {
        try
        {
            var result = await receiver.PollAsync();
            OnRead(receiver);
            if (result.Records.Count > 0)
                History.Add(new Operation { Process = number, Outcome = Outcome.Ok, Steps = [new Poll(result.Records)] });
            return result;
        }
        catch (ConnectionLostException)
        {
            return null; // tried again
        }
    }
}
