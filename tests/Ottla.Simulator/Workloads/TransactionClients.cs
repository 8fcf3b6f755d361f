using System.Globalization;
using Ottla.HistoryChecker.History;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Simulator.Clients;
using Ottla.Simulator.Worlds;
using Ottla.StateMachines.Metadata;

namespace Ottla.Simulator.Workloads;

/// <summary>
/// The clients of Jepsen's workload of transactions: producers with transactional ids that send, poll, commit and abort; loops that
/// consume, transform and produce with their offsets in the transaction; zombies of both; and somebody who feeds the loops.
/// </summary>
/// <remarks>Lives as long as its session, on one node or on a cluster.</remarks>
internal sealed class TransactionClients(ClientSession session, TransactionConditions conditions)
{
    /// <summary>How long a stalled connection is held up at most: what was sent last may be on its way for so long.</summary>
    public const int StallMsMax = 10_000;

    private const string Topic = "t";
    private const int Partitions = 3;
    public const string Input = "in";
    public const string Output = "out";
    public const int Pipes = 2;
    private const string Group = "pipes";
    private const int RepeatedEndsPercent = 50;
    private const int RepeatedAfterMsMax = 2_000;
    private static readonly TimeSpan TransactionTimeout = TimeSpan.FromSeconds(8);

    private readonly List<Task> _clients = [];
    private Task? _feeder;
    private bool _isFed;

    /// <summary>The finalized version, as far as clients know.</summary>
    private short _transactionVersion = TransactionConditions.Newest; // a new cluster's

    /// <summary>All that they write to and read from.</summary>
    public IReadOnlyList<TopicPartition> AllPartitions { get; } =
    [
        .. ClientSession.PartitionsOf(Topic, Partitions),
        .. ClientSession.PartitionsOf(Input, Pipes),
        .. ClientSession.PartitionsOf(Output, Pipes),
    ];

    /// <summary>What the group of the loops may have committed.</summary>
    public static IReadOnlyList<(string Group, TopicPartition Partition)> Committed =>
        [.. ClientSession.PartitionsOf(Input, Pipes).Select(partition => (Group, partition))];

    /// <summary>The transactional ids of so many producers, and of the loops.</summary>
    public static IReadOnlyList<string> TransactionalIds(int producers) =>
        [.. Enumerable.Range(0, producers).Select(NameOfProducer), .. Enumerable.Range(0, Pipes).Select(NameOfPipe)];

    /// <summary>Finalizes the first version and creates the topics.</summary>
    public async Task PrepareAsync(SimProcess director, short replicationFactor = 1, int? segmentBytes = null)
    {
        await FinalizeAsync(director, conditions.Versions.First);
        foreach (var (topic, partitions) in new[] { (Topic, Partitions), (Input, Pipes), (Output, Pipes) })
            await ClientSession.CreateTopicAsync(session.NewClient(director), topic, partitions, replicationFactor, segmentBytes);
    }

    /// <summary>Begins to run producers and loops.</summary>
    public void Start(SimProcess director, int producers)
    {
        for (var i = 0; i < producers; i++)
            _clients.Add(KeepRunningWithZombiesAsync(director, NameOfProducer(i), TransactAsync));
        for (var i = 0; i < Pipes; i++)
        {
            var pipe = i;
            _clients.Add(KeepRunningWithZombiesAsync(
                director, NameOfPipe(i), (process, number, id) => PipeAsync(process, number, id, pipe)));
        }

        _feeder = KeepFeedingAsync(director);
    }

    private static string NameOfProducer(int number) => string.Create(CultureInfo.InvariantCulture, $"transactor.{number}");

    private static string NameOfPipe(int number) => string.Create(CultureInfo.InvariantCulture, $"pipe.{number}");

    /// <summary>Feeds no more, and waits until the loops have piped all that they were fed.</summary>
    public async Task DrainAsync(SimProcess director)
    {
        _isFed = true;
        await _feeder!;
        await director.Delay(TimeSpan.FromMilliseconds(StallMsMax)); // what the feeders sent last, and gave up, may be still on its way
        await WaitUntilPipedAsync(director);
    }

    /// <summary>Waits for the end of all clients, which the session has declared.</summary>
    public async Task EndAsync()
    {
        foreach (var client in _clients)
            await client;
    }

    /// <summary>Finalizes the last version in the middle of the run, when transactions of all kinds are open.</summary>
    public async Task ChangeVersionAsync(SimProcess director, TimeSpan after)
    {
        await director.Delay(after);
        await FinalizeAsync(director, conditions.Versions.Last);
    }

    public async Task FinalizeAsync(SimProcess director, short version)
    {
        const sbyte upgrade = 1, safeDowngrade = 2;
        if (version == _transactionVersion)
            return;
        var client = session.NewClient(director, (ApiKey.UpdateFeatures, 1, 2));
        var update =
            new UpdateFeaturesRequest.FeatureUpdateKey
            {
                Feature = Feature.TransactionVersion,
                MaxVersionLevel = version,
                UpgradeType = version > _transactionVersion ? upgrade : safeDowngrade
            };
        var request = new UpdateFeaturesRequest { TimeoutMs = 1_000, FeatureUpdates = [update] };
        var response = await client.CallUntilAnsweredAsync<UpdateFeaturesRequest, UpdateFeaturesResponse>(
            request, answer => (ErrorCode)answer.ErrorCode, ClientSession.LongPatience);
        if (response is not { ErrorCode: (short)ErrorCode.None })
            throw new SimulationException($"{Feature.TransactionVersion} {version} was not finalized: {response?.ErrorMessage}");
        _transactionVersion = version;
        session.World.Tell(director.Name, $"{Feature.TransactionVersion} is {version}");
    }

    /// <summary>
    /// One client after another with the same transactional id, where now and then the next one begins while the one before still goes
    /// on.
    /// </summary>
    private async Task KeepRunningWithZombiesAsync(SimProcess director, string name, Func<SimProcess, long, string, Task> body)
    {
        var lives = new List<Task>();
        while (!session.IsOver)
        {
            lives.Add(session.RunClientAsync(
                director, name, killPercent: 50, lifeMsMax: 6_000, (process, number) => body(process, number, name)));
            if (session.World.Random.NextChance(30))
                await director.Delay(TimeSpan.FromMilliseconds(session.World.Random.NextInt(1, 3_000)));
            else
                await lives[^1];
            await director.Delay(TimeSpan.FromMilliseconds(50)); // what the one before it sent last is over
        }

        foreach (var life in lives)
            await life;
    }

    /// <summary>A transactional producer's life: transactions of sends and polls.</summary>
    private async Task TransactAsync(SimProcess process, long number, string transactionalId)
    {
        var producer = NewProducer(session.NewClient(process, TransactionalProducer.Versions(_transactionVersion)), transactionalId);
        var partitions = ClientSession.PartitionsOf(Topic, Partitions).ToList();
        var receiver = new RecordReceiver(session.NewClient(process), partitions, isReadCommitted: true);
        try
        {
            await producer.InitAsync();
            session.History.Add(ClientSession.AssignOf(number, receiver));
            while (!session.IsOver)
            {
                await RunTransactionAsync(number, producer, async steps =>
                {
                    for (var count = session.World.Random.NextInt(1, 5); count > 0; count--)
                    {
                        if (session.World.Random.NextChance(60))
                            await SendAsync(producer, partitions[session.World.Random.NextInt(Partitions)], session.NextValue(), steps);
                        else
                            await PollAsync(receiver, steps);
                    }
                });
                await process.Delay(TimeSpan.FromMilliseconds(session.World.Random.NextInt(1, 300)));
            }
        }
        catch (TransactionFailedException e)
        {
            process.Tell?.Invoke($"ends: {e.Message}"); // fenced, or nobody knows: the next one begins anew
        }
    }

    /// <summary>A loop's life: what it reads from a partition, it writes to another, with the offset it read up to.</summary>
    private async Task PipeAsync(SimProcess process, long number, string transactionalId, int pipe)
    {
        var client = session.NewClient(process, TransactionalProducer.Versions(_transactionVersion));
        var producer = NewProducer(client, transactionalId);
        var (input, output) = (new TopicPartition(Input, pipe), new TopicPartition(Output, pipe));
        var receiver = new RecordReceiver(session.NewClient(process), [input], isReadCommitted: true);
        try
        {
            await producer.InitAsync();
            await client.FindCoordinatorAsync(Group, SimClient.GroupKey);
            var isAtCommitted = false;
            while (!session.IsOver)
            {
                if (!isAtCommitted)
                {
                    receiver.Seek(input, Math.Max(0, await client.CommittedOffsetAsync(Group, input)));
                    session.History.Add(ClientSession.AssignOf(number, receiver));
                }

                isAtCommitted = await RunTransactionAsync(number, producer, async steps =>
                {
                    foreach (var record in await PollAsync(receiver, steps))
                        await SendAsync(producer, output, record.Value, steps);
                    if (steps.Exists(step => step is Send))
                        await producer.SendOffsetsAsync(Group, receiver.Positions);
                });
                await process.Delay(TimeSpan.FromMilliseconds(session.World.Random.NextInt(1, 300)));
            }
        }
        catch (TransactionFailedException e)
        {
            process.Tell?.Invoke($"ends: {e.Message}");
        }
    }

    private TransactionalProducer NewProducer(SimClient client, string transactionalId) =>
        new(client, transactionalId, _transactionVersion,
            TransactionTimeout)
        { OnEndSent = conditions.HasRepeatedEnds ? RepeatLater : null };

    /// <summary>Has an EndTxn arrive once more, over another connection, whatever became of its producer.</summary>
    private void RepeatLater(EndTxnRequest end)
    {
        if (!session.World.Random.NextChance(RepeatedEndsPercent))
            return;
        var process = session.World.NewProcess("repeater");
        process.Watch(process.Start(async () =>
        {
            await process.Delay(TimeSpan.FromMilliseconds(session.World.Random.NextInt(1, RepeatedAfterMsMax)));
            try
            {
                await session.NewClient(process, TransactionalProducer.Versions(_transactionVersion))
                    .CallAsync<EndTxnRequest, EndTxnResponse>(end);
            }
            catch (ConnectionLostException e)
            {
                process.Tell?.Invoke($"did not repeat EndTxn: {e.Message}");
            }
        }));
    }

    /// <returns>Whether it was committed.</returns>
    /// <exception cref="TransactionFailedException">The producer cannot go on.</exception>
    private async Task<bool> RunTransactionAsync(long number, TransactionalProducer producer, Func<List<Step>, Task> body)
    {
        var steps = new List<Step>();
        var operation = new Operation { Process = number, Outcome = Outcome.Info, IsTransaction = true, Steps = steps };
        var recorded = session.History.Begin(operation);
        var outcome = Outcome.Fail; // until a commit is asked for, there can be none
        if (producer.TransactionVersion != _transactionVersion && session.World.Random.NextChance(50))
            producer.Learn(_transactionVersion);
        try
        {
            var isCommit = session.World.Random.NextChance(80);
            try
            {
                await body(steps);
            }
            catch (TransactionFailedException e) when (!e.IsFatal)
            {
                isCommit = false;
            }

            outcome = await EndAsync(producer, isCommit);
            return outcome switch
            {
                Outcome.Info => throw new TransactionFailedException(ErrorCode.RequestTimedOut, isFatal: true),
                _ => outcome == Outcome.Ok,
            };
        }
        finally
        {
            session.History.End(recorded, operation with { Outcome = outcome });
        }
    }

    private static async Task<Outcome> EndAsync(TransactionalProducer producer, bool isCommit)
    {
        try
        {
            return await producer.EndAsync(isCommit);
        }
        catch (TransactionFailedException e) when (isCommit && !e.IsFatal)
        {
            return await producer.EndAsync(isCommit: false);
        }
    }

    private async Task SendAsync(TransactionalProducer producer, TopicPartition partition, long value, List<Step> steps)
    {
        steps.Add(new Send(partition.ToString(), value));
        var index = steps.Count - 1;
        var offset = await producer.SendAsync(partition, value);
        session.OnAcknowledged(partition, offset);
        steps[index] = new Send(partition.ToString(), value, offset);
    }

    /// <returns>What there is; nothing, too, when there is no answer.</returns>
    private async Task<IReadOnlyList<PolledRecord>> PollAsync(RecordReceiver receiver, List<Step> steps)
    {
        try
        {
            var result = await receiver.PollAsync();
            session.OnRead(receiver);
            if (result.Records.Count > 0)
                steps.Add(new Poll(result.Records));
            return result.Records;
        }
        catch (ConnectionLostException)
        {
            return [];
        }
    }

    private async Task KeepFeedingAsync(SimProcess director)
    {
        while (!_isFed)
        {
            var number = session.History.NextProcess();
            var process = session.World.NewProcess($"feeder#{number}");
            await process.Start(() => session.ProduceAsync(process, number, [.. ClientSession.PartitionsOf(Input, Pipes)], () => _isFed));
            await director.Delay(TimeSpan.FromMilliseconds(50));
        }
    }

    /// <summary>Waits until the loops have committed the end of their input.</summary>
    private async Task WaitUntilPipedAsync(SimProcess director)
    {
        var client = session.NewClient(director, TransactionalProducer.Versions(_transactionVersion));
        var deadline = director.Clock.GetUtcNow() + TimeSpan.FromMinutes(5);
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

    /// <summary>What went into a pipe came out of it, in the same order; the checker sees whether anything came out twice.</summary>
    public static void CheckPiped(List<PolledRecord> records)
    {
        for (var pipe = 0; pipe < Pipes; pipe++)
        {
            var (input, output) = (Values(new TopicPartition(Input, pipe)), Values(new TopicPartition(Output, pipe)));
            if (!input.SequenceEqual(output))
                throw new SimulationException(
                    $"into pipe {pipe} went {string.Join(' ', input)}{Environment.NewLine}out of it came {string.Join(' ', output)}");
        }

        List<long> Values(TopicPartition partition) =>
            [.. records.Where(record => record.Partition == partition.ToString()).Select(record => record.Value)];
    }
}
