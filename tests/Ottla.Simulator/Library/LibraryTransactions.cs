using System.Globalization;
using Ottla.Client;
using Ottla.HistoryChecker.History;
using Ottla.Kernel;
using Ottla.Protocol.Messages;
using Ottla.Simulator.Workloads;
using Ottla.Simulator.Worlds;

namespace Ottla.Simulator.Library;

/// <summary>
/// Transactional producers of the library that send, commit and abort, and loops that consume in a group, and produce with their offsets in
/// the transaction; with zombies of both, and somebody who feeds the loops.
/// </summary>
/// <remarks>Lives as long as its session.</remarks>
internal sealed class LibraryTransactions(LibrarySession session)
{
    private const string Topic = "t";
    private const int Partitions = 3;
    private const string Input = TransactionClients.Input;
    private const string Output = TransactionClients.Output;
    private const int Pipes = TransactionClients.Pipes;
    private const string Group = "pipes";
    private const int StallMsMax = 20_000;
    private static readonly TimeSpan TransactionTimeout = TimeSpan.FromSeconds(8);

    private readonly List<Task> _clients = [];
    private readonly GroupProtocol _protocol =
        session.World.Random.NextChance(50) ? GroupProtocol.Classic : GroupProtocol.Consumer;

    private readonly LibraryProducers _feeders = new(session, Input, Pipes);

    /// <summary>The topics that have to be there.</summary>
    public (string Name, int Partitions)[] Topics { get; } = [(Topic, Partitions), (Input, Pipes), (Output, Pipes)];

    /// <summary>All that they write to and read from.</summary>
    public IReadOnlyList<TopicPartition> AllPartitions { get; } =
    [
        .. ClientSession.PartitionsOf(Topic, Partitions),
        .. ClientSession.PartitionsOf(Input, Pipes),
        .. ClientSession.PartitionsOf(Output, Pipes),
    ];

    /// <summary>Begins to run producers and loops.</summary>
    public void Start(SimProcess director, int producers)
    {
        for (var i = 0; i < producers; i++)
            _clients.Add(KeepRunningWithZombiesAsync(director, Name("transactor", i), TransactAsync));
        for (var i = 0; i < Pipes; i++)
            _clients.Add(KeepRunningWithZombiesAsync(director, Name("pipe", i), PipeAsync));
        _feeders.Start(director, 1);
    }

    /// <summary>Feeds no more, and waits until the loops have piped all that they were fed.</summary>
    public async Task DrainAsync(SimProcess director)
    {
        await _feeders.EndAsync();
        await director.Delay(TimeSpan.FromMilliseconds(StallMsMax)); // what the feeders sent last, and gave up, may be still on its way
        var client = session.NewClient(director, (ApiKey.OffsetFetch, 8, 9));
        var deadline = director.Clock.GetUtcNow() + ClientSession.LongPatience;
        foreach (var partition in ClientSession.PartitionsOf(Input, Pipes))
        {
            while (await client.CommittedOffsetAsync(Group, partition) is var committed
                && committed < await client.EndOffsetAsync(partition))
            {
                if (director.Clock.GetUtcNow() > deadline)
                    throw new SimulationException(
                        string.Create(CultureInfo.InvariantCulture, $"the loops stay at {committed} of {partition}"));
                await director.Delay(TimeSpan.FromMilliseconds(100));
            }
        }
    }

    /// <summary>Waits for the end of all clients, which the session has declared.</summary>
    public async Task EndAsync()
    {
        foreach (var client in _clients)
            await client;
    }

    private static string Name(string kind, int number) => string.Create(CultureInfo.InvariantCulture, $"{kind}.{number}");

    /// <summary>
    /// One client after another with the same transactional id; now and then the next one begins before the end of the last.
    /// </summary>
    private async Task KeepRunningWithZombiesAsync(SimProcess director, string name, Func<SimProcess, long, string, Task> body)
    {
        var lives = new List<Task>();
        while (!session.IsOver)
        {
            lives.Add(session.RunClientAsync(
                director, name, killPercent: 40, lifeMsMax: 10_000, (process, number) => body(process, number, name)));
            if (session.World.Random.NextChance(20))
                await director.Delay(TimeSpan.FromMilliseconds(session.World.Random.NextInt(1, 5_000)));
            else
                await lives[^1];
            await director.Delay(TimeSpan.FromMilliseconds(50));
        }

        foreach (var life in lives)
            await life;
    }

    /// <summary>A transactional producer's life.</summary>
    private async Task TransactAsync(SimProcess process, long number, string transactionalId)
    {
        var random = session.World.Random;
        var client = session.NewLibraryClient(process);
        var transactor = new LibraryTransactor(session, process, number, client, transactionalId, TransactionTimeout);
        var endsAfter = random.NextInt(1, 30);
        while (!session.IsOver && endsAfter-- > 0 && !transactor.IsOver)
        {
            await transactor.RunAsync(async steps =>
            {
                var sends = new List<Task>();
                for (var count = random.NextInt(1, 5); count > 0; count--)
                    sends.Add(transactor.SendAsync(new TopicPartition(Topic, random.NextInt(Partitions)), session.NextValue(), steps));
                if (random.NextChance(50))
                    await Task.WhenAll(sends);
                return sends;
            });
            await process.Delay(TimeSpan.FromMilliseconds(random.NextInt(1, 300)));
        }

        await CloseAsync(process, client, null);
    }

    /// <summary>A loop's life: what it reads from a partition, it writes to another, with the offset that it read up to.</summary>
    private async Task PipeAsync(SimProcess process, long number, string transactionalId)
    {
        var random = session.World.Random;
        var client = session.NewLibraryClient(process);
        var transactor = new LibraryTransactor(session, process, number, client, transactionalId, TransactionTimeout);
        var options = new ConsumerOptions
        {
            GroupId = Group,
            GroupProtocol = _protocol,
            Assignors = session.Conditions.Assignors,
            EnableAutoCommit = false,
            SessionTimeout = TimeSpan.FromSeconds(6),
            HeartbeatInterval = TimeSpan.FromSeconds(1),
            MaxPollInterval = TimeSpan.FromSeconds(20),
            IsolationLevel = IsolationLevel.ReadCommitted,
            OffsetReset = OffsetReset.Earliest,
            CloseTimeout = TimeSpan.FromSeconds(10),
        };
        var consumer = new Consumer<byte[], long>(client, options);
        var changes = new Changes();
        consumer.Subscribe([Input], changes);
        session.History.Add(new Operation { Process = number, Outcome = Outcome.Ok, Steps = [new Subscribe([Input])] });
        var isAtCommitted = true;
        while (!session.IsOver && !transactor.IsOver)
        {
            try
            {
                if (!isAtCommitted)
                    await GoBackAsync(process, consumer);
                isAtCommitted = true;
                changes.HasChanged = false;
                var records = await LibraryReaders.PollAsync(session, process, consumer, options.MaxPollInterval);
                if (records.Count == 0)
                    continue;
                isAtCommitted = !changes.HasChanged && await transactor.RunAsync(steps => PipeAsync(transactor, consumer, records, steps));
            }
            catch (KafkaException e)
            {
                process.Tell?.Invoke($"{e.Message}");
                isAtCommitted = false;
                if (e is not (CommitFailedException or KafkaTimeoutException))
                    throw new SimulationException($"{process.Name} was told: {e.Message}", e);
            }

            await process.Delay(TimeSpan.FromMilliseconds(random.NextInt(1, 300)));
        }

        await CloseAsync(process, client, consumer);
    }

    private async Task<List<Task>> PipeAsync(
        LibraryTransactor transactor, Consumer<byte[], long> consumer, List<ConsumeResult<byte[], long>> records, List<Step> steps)
    {
        var group = consumer.GroupMetadata!;
        steps.Add(LibraryReaders.ToPoll(records));
        var sends = records.Select(record => transactor.SendAsync(
            new TopicPartition(Output, record.Partition), record.Value, steps)).ToList();
        var offsets = records.GroupBy(record => record.TopicPartition)
            .Select(partition => new PartitionOffset(Input, partition.Key.Partition, partition.Max(record => record.Offset) + 1));
        await transactor.SendOffsetsAsync([.. offsets], group);
        return sends;
    }

    /// <summary>After an abort, and whenever it is not known what was committed, the loop goes on where the group is.</summary>
    private async Task GoBackAsync(SimProcess process, Consumer<byte[], long> consumer)
    {
        var assigned = consumer.Assignment;
        if (assigned.Count == 0)
            return;
        var committed = await session.EndsAsync(
            process, "asking for committed offsets", session.Conditions.ApiTimeout, consumer.CommittedAsync(assigned));
        foreach (var (partition, offset) in committed)
        {
            if (!consumer.Assignment.Contains(partition))
                continue;
            if (offset is { } at)
                consumer.Seek(partition, at.Offset);
            else
                consumer.SeekToBeginning([partition]);
        }
    }

    private async Task CloseAsync(SimProcess process, OttlaClient client, Consumer<byte[], long>? consumer)
    {
        var bound = session.ProducerOptions.CloseTimeout + (consumer is null ? TimeSpan.Zero : TimeSpan.FromSeconds(10));
        await session.EndsAsync(process, "closing a client", bound, client.DisposeAsync().AsTask());
        session.Forget(process);
    }

    /// <summary>Notes that partitions came or went.</summary>
    private sealed class Changes : IRebalanceListener
    {
        public bool HasChanged { get; set; }

        public ValueTask OnAssignedAsync(IReadOnlyList<TopicPartition> partitions, CancellationToken cancellation) => Note();

        public ValueTask OnRevokedAsync(IReadOnlyList<TopicPartition> partitions, CancellationToken cancellation) => Note();

        public ValueTask OnLostAsync(IReadOnlyList<TopicPartition> partitions, CancellationToken cancellation) => Note();

        private ValueTask Note()
        {
            HasChanged = true;
            return ValueTask.CompletedTask;
        }
    }
}
