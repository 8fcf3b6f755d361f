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
/// Jepsen's workload of transactions: producers with transactional ids that send, poll, commit and abort; loops that consume, transform and
/// produce with their offsets in the transaction; zombies of both; and all that can go wrong around them.
/// </summary>
/// <remarks>
/// Each seed has conditions of its own: which <c>transaction.version</c> is finalized, whether requests arrive late, whether power is lost
/// (<see cref="TransactionConditions"/>).
/// </remarks>
public sealed class TransactionWorkload : ISimulation
{
    private const string Topic = "t";
    private const int Partitions = 3;
    private const string Input = "in";
    private const string Output = "out";
    private const int Pipes = 2;
    private const string Group = "pipes";
    private const int Producers = 3;
    private const int Consumers = 2;
    private const int StallMsMax = 10_000;
    private const int RepeatedEndsPercent = 50;
    private const int RepeatedAfterMsMax = 2_000;
    private static readonly TimeSpan Duration = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan TransactionTimeout = TimeSpan.FromSeconds(8);

    /// <inheritdoc/>
    public string Name => "transactions";

    /// <inheritdoc/>
    public string Description =>
        "transactional producers and consume-transform-produce loops by every transaction.version; kills, power loss, zombies, resets, "
            + "requests that arrive late";

    /// <inheritdoc/>
    public void Run(ulong seed, TextWriter? log = null) => RunSession(seed, TransactionConditions.Of(seed), log);

    /// <summary>One run of it.</summary>
    /// <param name="seed">Where everything comes from.</param>
    /// <param name="conditions">What may go wrong, and by which protocol.</param>
    /// <param name="log">Where to tell what happens.</param>
    /// <returns>What is left of it.</returns>
    /// <exception cref="SimulationException">An invariant does not hold.</exception>
    internal static ClientSession RunSession(ulong seed, TransactionConditions conditions, TextWriter? log = null)
    {
        log?.WriteLine(conditions);
        var session = new Session(new World(seed, log), conditions);
        session.Run();
        return session;
    }

    private sealed class Session(World world, TransactionConditions conditions)
        : ClientSession(world, conditions.PowerLossPercent > 0 ? FlushedConfigs : Configs, conditions.PowerLossPercent, conditions.Bug)
    {
        private static readonly Dictionary<string, string> Configs = new()
        {
            ["offsets.topic.num.partitions"] = "2",
            ["transaction.state.log.num.partitions"] = "2",
            ["transaction.abort.timed.out.transaction.cleanup.interval.ms"] = "1000",
        };

        private static readonly Dictionary<string, string> FlushedConfigs = new(Configs) { ["log.flush.interval.messages"] = "1" };

        private bool _isFed;

        /// <summary>The finalized version, as far as clients know.</summary>
        private short _transactionVersion = TransactionConditions.Newest; // a new cluster's

        protected override async Task DirectAsync(SimProcess director)
        {
            World.Network.Weather =
                new NetworkWeather
                {
                    StallsPerThousand = conditions.HasLateRequests ? World.Random.NextInt(10) : 0,
                    StallMsMax = StallMsMax
                };
            await Node.StartAsync();
            await FinalizeAsync(director, conditions.Versions.First);
            foreach (var (topic, partitions) in new[] { (Topic, Partitions), (Input, Pipes), (Output, Pipes) })
                await CreateTopicAsync(NewClient(director), topic, partitions);

            var all = PartitionsOf(Topic, Partitions).Concat(PartitionsOf(Input, Pipes)).Concat(PartitionsOf(Output, Pipes)).ToList();
            var clients = new List<Task>();
            for (var i = 0; i < Producers; i++)
                clients.Add(KeepRunningWithZombiesAsync(director, $"transactor.{i}", TransactAsync));
            var pipes = new List<Task>();
            for (var i = 0; i < Pipes; i++)
            {
                var pipe = i;
                pipes.Add(KeepRunningWithZombiesAsync(
                    director, $"pipe.{i}", (process, number, id) => PipeAsync(process, number, id, pipe)));
            }

            for (var i = 0; i < Consumers; i++)
                clients.Add(
                    KeepRunningAsync(
                        director, $"consumer.{i}", 30, (int)Duration.TotalMilliseconds, (process, number) =>
                        ConsumeAsync(process, number, all, isReadCommitted: true)));
            var feeder = KeepFeedingAsync(director);
            var change = ChangeVersionAsync(director);
            await new Chaos(World, Node).RunAsync(director, Duration);
            await change;
            _isFed = true;
            await feeder;
            await director.Delay(TimeSpan.FromMilliseconds(StallMsMax)); // what the feeders sent last, and gave up, may be still on its way
            await WaitUntilPipedAsync(director);
            IsOver = true;
            foreach (var client in clients.Concat(pipes))
                await client;
            CheckPiped(await ReadToEndAsync(director, all));
        }

        /// <summary>Finalizes the last version in the middle of the run, when transactions of all kinds are open.</summary>
        private async Task ChangeVersionAsync(SimProcess director)
        {
            await director.Delay(Duration / 2);
            await FinalizeAsync(director, conditions.Versions.Last);
        }

        private async Task FinalizeAsync(SimProcess director, short version)
        {
            const sbyte upgrade = 1, safeDowngrade = 2;
            if (version == _transactionVersion)
                return;
            var client = NewClient(director, (ApiKey.UpdateFeatures, 1, 2));
            var update =
                new UpdateFeaturesRequest.FeatureUpdateKey
                {
                    Feature = Feature.TransactionVersion,
                    MaxVersionLevel = version,
                    UpgradeType = version > _transactionVersion ? upgrade : safeDowngrade
                };
            var request = new UpdateFeaturesRequest { TimeoutMs = 1_000, FeatureUpdates = [update] };
            var response = await client.CallUntilAnsweredAsync<UpdateFeaturesRequest, UpdateFeaturesResponse>(
                request, answer => (ErrorCode)answer.ErrorCode, LongPatience);
            if (response is not { ErrorCode: (short)ErrorCode.None })
                throw new SimulationException($"{Feature.TransactionVersion} {version} was not finalized: {response?.ErrorMessage}");
            _transactionVersion = version;
            World.Tell(director.Name, $"{Feature.TransactionVersion} is {version}");
        }

        /// <summary>
        /// One client after another with the same transactional id, where now and then the next one begins while the one before still goes
        /// on.
        /// </summary>
        private async Task KeepRunningWithZombiesAsync(SimProcess director, string name, Func<SimProcess, long, string, Task> body)
        {
            var lives = new List<Task>();
            while (!IsOver)
            {
                lives.Add(RunClientAsync(
                    director, name, killPercent: 50, lifeMsMax: 6_000, (process, number) => body(process, number, name)));
                if (World.Random.NextChance(30))
                    await director.Delay(TimeSpan.FromMilliseconds(World.Random.NextInt(1, 3_000)));
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
            var producer = NewProducer(NewClient(process, TransactionalProducer.Versions(_transactionVersion)), transactionalId);
            var partitions = PartitionsOf(Topic, Partitions).ToList();
            var receiver = new RecordReceiver(NewClient(process), partitions, isReadCommitted: true);
            try
            {
                await producer.InitAsync();
                History.Add(AssignOf(number, receiver));
                while (!IsOver)
                {
                    await RunTransactionAsync(number, producer, async steps =>
                    {
                        for (var count = World.Random.NextInt(1, 5); count > 0; count--)
                        {
                            if (World.Random.NextChance(60))
                                await SendAsync(producer, partitions[World.Random.NextInt(Partitions)], NextValue(), steps);
                            else
                                await PollAsync(receiver, steps);
                        }
                    });
                    await process.Delay(TimeSpan.FromMilliseconds(World.Random.NextInt(1, 300)));
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
            var client = NewClient(process, TransactionalProducer.Versions(_transactionVersion));
            var producer = NewProducer(client, transactionalId);
            var (input, output) = (new TopicPartition(Input, pipe), new TopicPartition(Output, pipe));
            var receiver = new RecordReceiver(NewClient(process), [input], isReadCommitted: true);
            try
            {
                await producer.InitAsync();
                await client.FindCoordinatorAsync(Group, SimClient.GroupKey);
                var isAtCommitted = false;
                while (!IsOver)
                {
                    if (!isAtCommitted)
                    {
                        receiver.Seek(input, Math.Max(0, await client.CommittedOffsetAsync(Group, input)));
                        History.Add(AssignOf(number, receiver));
                    }

                    isAtCommitted = await RunTransactionAsync(number, producer, async steps =>
                    {
                        foreach (var record in await PollAsync(receiver, steps))
                            await SendAsync(producer, output, record.Value, steps);
                        if (steps.Exists(step => step is Send))
                            await producer.SendOffsetsAsync(Group, receiver.Positions);
                    });
                    await process.Delay(TimeSpan.FromMilliseconds(World.Random.NextInt(1, 300)));
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
            if (!World.Random.NextChance(RepeatedEndsPercent))
                return;
            var process = World.NewProcess("repeater");
            process.Watch(process.Start(async () =>
            {
                await process.Delay(TimeSpan.FromMilliseconds(World.Random.NextInt(1, RepeatedAfterMsMax)));
                try
                {
                    await NewClient(process, TransactionalProducer.Versions(_transactionVersion))
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
            var recorded = History.Begin(operation);
            var outcome = Outcome.Fail; // until a commit is asked for, there can be none
            if (producer.TransactionVersion != _transactionVersion && World.Random.NextChance(50))
                producer.Learn(_transactionVersion);
            try
            {
                var isCommit = World.Random.NextChance(80);
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
                History.End(recorded, operation with { Outcome = outcome });
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

        private static async Task SendAsync(TransactionalProducer producer, TopicPartition partition, long value, List<Step> steps)
        {
            steps.Add(new Send(partition.ToString(), value));
            var index = steps.Count - 1;
            var offset = await producer.SendAsync(partition, value);
            steps[index] = new Send(partition.ToString(), value, offset);
        }

        /// <returns>What there is; nothing, too, when there is no answer.</returns>
        private static async Task<IReadOnlyList<PolledRecord>> PollAsync(RecordReceiver receiver, List<Step> steps)
        {
            try
            {
                var result = await receiver.PollAsync();
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
                var number = History.NextProcess();
                var process = World.NewProcess($"feeder#{number}");
                await process.Start(() => ProduceAsync(process, number, [.. PartitionsOf(Input, Pipes)], () => _isFed));
                await director.Delay(TimeSpan.FromMilliseconds(50));
            }
        }

        /// <summary>Waits until the loops have committed the end of their input.</summary>
        private async Task WaitUntilPipedAsync(SimProcess director)
        {
            var client = NewClient(director, TransactionalProducer.Versions(_transactionVersion));
            var deadline = director.Clock.GetUtcNow() + TimeSpan.FromMinutes(5);
            foreach (var partition in PartitionsOf(Input, Pipes))
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
        private static void CheckPiped(List<PolledRecord> records)
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
}
