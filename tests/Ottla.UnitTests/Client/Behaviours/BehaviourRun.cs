using Ottla.Client;
using Ottla.HistoryChecker.History;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Simulator.Faults;
using Ottla.Simulator.Library;
using Ottla.UnitTests.Client.Errors;

namespace Ottla.UnitTests.Client.Behaviours;

/// <summary>One program with its client, its topics, and what the history says of it. Used by the program alone.</summary>
/// <param name="host">The cluster.</param>
/// <param name="run">The client.</param>
internal sealed class BehaviourRun(BehaviourHost host, ClientRun run)
{
    private static readonly TimeSpan s_bound = TimeSpan.FromSeconds(180);

    private readonly Dictionary<string, int> _topics = [];
    private readonly List<long> _stored = [];
    private readonly long _process = host.History.NextProcess();

    /// <summary>The client, whose requests meet faults.</summary>
    public OttlaClient Client => run.Client;

    /// <summary>Its admin client.</summary>
    public IAdmin Admin { get; } = run.Client.CreateAdmin();

    /// <summary>The first topic.</summary>
    public string Topic { get; } = $"topic{run.Number}";

    /// <summary>A group's id that nobody else uses.</summary>
    public string Group { get; } = $"group{run.Number}";

    /// <summary>A transactional id that nobody else uses.</summary>
    public string TransactionalId { get; } = $"id{run.Number}";

    /// <summary>Whether nothing goes wrong, so that a call is made once.</summary>
    public bool IsCalm => host.IsCalm;

    /// <summary>The number of nodes.</summary>
    public int Nodes => host.Nodes;

    /// <summary>The clock.</summary>
    public TimeProvider Clock => run.Process.Clock;

    /// <summary>The requests that were sent.</summary>
    public FaultTransport Faults => run.Faults;

    /// <summary>A partition of the first topic.</summary>
    public TopicPartition Partition(int index = 0) => new(Topic, index);

    /// <summary>Has the leaders of the topics move.</summary>
    public void MoveLeaders() => host.Move(() => host.MoveLeadersAsync(
        [.. _topics.SelectMany(topic => Enumerable.Range(0, topic.Value).Select(index => new TopicPartition(topic.Key, index)))]));

    /// <summary>Has the coordinators of groups and of transactions move.</summary>
    public void MoveCoordinators() => host.Move(() => host.MoveLeadersAsync(
        [new TopicPartition(TopicNames.ConsumerOffsets, 0), new TopicPartition(TopicNames.TransactionState, 0)]));

    /// <summary>Has the active controller move.</summary>
    public void MoveController() => host.Move(host.MoveControllerAsync);

    /// <summary>Has a node stop and start again.</summary>
    public void Restart(int node) => host.Move(() => host.RestartAsync(node));

    /// <summary>Creates a topic, undisturbed.</summary>
    public async Task<string> CreateTopicAsync(int partitions = 1, string suffix = "", params (string Name, string Value)[] configs)
    {
        var name = Topic + suffix;
        await host.CreateTopicAsync(name, partitions, configs);
        _topics[name] = partitions;
        return name;
    }

    /// <summary>Creates a topic, undisturbed, whose values are no numbers: the history says nothing of it.</summary>
    public Task CreateForeignTopicAsync(string name, params (string Name, string Value)[] configs) =>
        host.CreateTopicAsync(name, 1, configs);

    /// <summary>A producer with time enough for faults.</summary>
    public Producer<byte[], long> NewProducer(Func<ProducerOptions, ProducerOptions>? change = null)
    {
        var options = new ProducerOptions
        {
            DeliveryTimeout = TimeSpan.FromSeconds(80),
            MaxBlock = TimeSpan.FromSeconds(80),
            CloseTimeout = TimeSpan.FromSeconds(20),
        };
        return Client.CreateProducer<byte[], long>(change is null ? options : change(options));
    }

    /// <summary>A transactional one.</summary>
    public Producer<byte[], long> NewTransactor(Func<ProducerOptions, ProducerOptions>? change = null) => NewProducer(options =>
    {
        options = options with { TransactionalId = TransactionalId, TransactionTimeout = TimeSpan.FromSeconds(60) };
        return change is null ? options : change(options);
    });

    /// <summary>A consumer that reads from the beginning, and commits when it is told to.</summary>
    public Consumer<byte[], long> NewConsumer(Func<ConsumerOptions, ConsumerOptions>? change = null)
    {
        var options = new ConsumerOptions
        {
            OffsetReset = OffsetReset.Earliest,
            EnableAutoCommit = false,
            SessionTimeout = TimeSpan.FromSeconds(20),
            HeartbeatInterval = TimeSpan.FromSeconds(1),
            MaxPollInterval = TimeSpan.FromSeconds(10), // so long, and a little longer, a lost JoinGroup is waited for
            FetchMaxWait = TimeSpan.FromMilliseconds(200),
        };
        return new Consumer<byte[], long>(Client, change is null ? options : change(options));
    }

    /// <summary>A value that nobody has sent before.</summary>
    public long NextValue() => host.NextValue();

    /// <summary>Sends records with new values to a partition, all at once, and waits for them.</summary>
    /// <returns>The values.</returns>
    public async Task<List<long>> SendAsync(
        Producer<byte[], long> producer, int count, int partition = 0, string? topic = null)
    {
        var values = Enumerable.Range(0, count).Select(_ => NextValue()).ToList();
        Task[] sends = [.. values.Select(value => SendOneAsync(producer, topic ?? Topic, partition, value))];
        foreach (var send in sends)
            await send;
        return values;
    }

    /// <summary>Sends a record to the partition that the partitioner chooses.</summary>
    public async Task<RecordMetadata> ProduceAsync(Producer<byte[], long> producer, long value, byte[]? key = null)
    {
        var metadata = await EndsAsync(producer.ProduceAsync(Topic, key!, value));
        NoteSent(metadata, value);
        return metadata;
    }

    /// <summary>A record is stored. Nothing is said of its order.</summary>
    public void NoteSent(RecordMetadata metadata, long value)
    {
        _stored.Add(value);
        host.History.Add(new Operation
        {
            Process = host.History.NextProcess(),
            Outcome = Outcome.Ok,
            Steps = [new Send($"{metadata.Topic}-{metadata.Partition}", value, metadata.Offset >= 0 ? metadata.Offset : null)],
        });
    }

    /// <summary>Notes records of a transaction, which is under way.</summary>
    public Transacted BeginTransacted() => new(host.History, _stored);

    /// <summary>Sends records with new values, undisturbed.</summary>
    /// <returns>The values.</returns>
    public async Task<List<long>> FeedAsync(int count, int partition = 0, string? topic = null)
    {
        var values = await host.FeedAsync(new TopicPartition(topic ?? Topic, partition), count);
        _stored.AddRange(values);
        return values;
    }

    /// <summary>Reads so many records' values.</summary>
    public async Task<List<long>> ReadAsync(Consumer<byte[], long> consumer, int count, MemberReadings? readings = null)
    {
        var values = new List<long>();
        while (values.Count < count)
        {
            var record = await ReadOneAsync(consumer);
            readings?.Take(record);
            values.Add(record.Value);
        }

        return values;
    }

    /// <summary>Reads a record.</summary>
    public async Task<ConsumeResult<byte[], long>> ReadOneAsync(Consumer<byte[], long> consumer)
    {
        var record = await EndsAsync(consumer.ConsumeOneAsync(s_bound / 2).AsTask());
        Assert.True(record.HasValue, $"no record comes of {string.Join(' ', consumer.Assignment)}");
        return record.Value;
    }

    /// <summary>Nothing more comes.</summary>
    public async Task ReadNothingAsync(Consumer<byte[], long> consumer) =>
        Assert.Null(await EndsAsync(consumer.ConsumeOneAsync(TimeSpan.FromMilliseconds(300)).AsTask()));

    /// <summary>Has consumers ask for records until a condition holds.</summary>
    public async Task PollUntilAsync(
        string what, Func<bool> condition, params (Consumer<byte[], long> Consumer, MemberReadings? Readings)[] members)
    {
        var end = Clock.GetUtcNow() + s_bound;
        while (!condition())
        {
            Assert.True(Clock.GetUtcNow() < end, $"{what} does not come true");
            foreach (var (consumer, readings) in members)
            {
                if (await EndsAsync(consumer.ConsumeOneAsync(TimeSpan.FromMilliseconds(50)).AsTask()) is { } record)
                    readings?.Take(record);
            }
        }
    }

    /// <inheritdoc cref="PollUntilAsync(string, Func{bool}, ValueTuple{Consumer{byte[], long}, MemberReadings}[])"/>
    public Task PollUntilAsync(string what, Func<bool> condition, params Member[] members) =>
        PollUntilAsync(what, condition, [.. members.Select(member => (member.Consumer, (MemberReadings?)member.Readings))]);

    /// <summary>What a member of a group reads goes into the history.</summary>
    public MemberReadings NewReadings() => new(host.History, $"a member of {Group}");

    /// <summary>The time passes.</summary>
    public Task DelayAsync(TimeSpan time) => run.Process.Delay(time);

    /// <summary>A change succeeds; when a request was repeated, it may also say that it has been made already.</summary>
    public void Succeeded(AdminResult result, params ErrorCode[] whenRepeated) => Assert.True(
        result.IsSuccess || (!IsCalm && whenRepeated.Contains(result.Error)), $"{result.Error}: {result.Message}");

    /// <summary>Has the topic have more partitions.</summary>
    public async Task AddPartitionsAsync(int count)
    {
        var more = new Dictionary<string, NewPartitions> { [Topic] = new(count) };
        Succeeded(
            (await ChangeAsync(() => Admin.CreatePartitionsAsync(more), changed => changed[Topic]))[Topic], ErrorCode.InvalidPartitions);
    }

    /// <summary>Makes a change again while a node is away for a moment: there are too few then, and the cluster says so.</summary>
    public async Task<TResult> ChangeAsync<TResult>(Func<Task<TResult>> changeAsync, Func<TResult, AdminResult> select)
    {
        var changed = await EndsAsync(changeAsync());
        for (var attempt = 0; attempt < 60 && !IsCalm && AreTooFew(select(changed).Error); attempt++)
        {
            await DelayAsync(TimeSpan.FromSeconds(1));
            changed = await EndsAsync(changeAsync());
        }

        return changed;

        static bool AreTooFew(ErrorCode error) => error is ErrorCode.InvalidReplicationFactor or ErrorCode.InvalidReplicaAssignment;
    }

    /// <summary>Waits for a call, which has to end.</summary>
    public async Task<T> EndsAsync<T>(Task<T> call)
    {
        await EndsAsync((Task)call);
        return await call;
    }

    /// <inheritdoc cref="EndsAsync{T}"/>
    public async Task EndsAsync(Task call)
    {
        await Task.WhenAny(LibrarySession.InContextAsync(call), run.Process.Delay(s_bound));
        Assert.True(call.IsCompleted, "a call does not end");
        await call;
    }

    /// <summary>Reads all that the topics have: what was acknowledged is there, once.</summary>
    public async Task AuditAsync()
    {
        var found = new List<long>();
        foreach (var (topic, partitions) in _topics)
        {
            var values = await host.ReadAllAsync([.. Enumerable.Range(0, partitions).Select(index => new TopicPartition(topic, index))]);
            Assert.Equal(values.Count, values.Distinct().Count());
            found.AddRange(values);
        }

        var lost = _stored.Except(found).ToList();
        Assert.True(lost.Count == 0, $"{string.Join(' ', lost)} were acknowledged, and are not there: {string.Join(' ', found)}");
    }

    private async Task SendOneAsync(Producer<byte[], long> producer, string topic, int partition, long value)
    {
        var at = new TopicPartition(topic, partition).ToString();
        var operation = new Operation { Process = _process, Outcome = Outcome.Info, Steps = [new Send(at, value)] };
        var recorded = host.History.Begin(operation);
        var record = new ProducerRecord<byte[], long>(topic, null, value) { Partition = partition };
        var metadata = await EndsAsync(producer.ProduceAsync(record));
        Assert.Equal((topic, partition), (metadata.Topic, metadata.Partition));
        _stored.Add(value);
        host.History.End(recorded, operation with
        {
            Outcome = Outcome.Ok,
            Steps = [new Send(at, value, metadata.Offset >= 0 ? metadata.Offset : null)],
        });
    }
}

/// <summary>A transaction in the history.</summary>
/// <param name="history">The history.</param>
/// <param name="stored">What is acknowledged.</param>
internal sealed class Transacted(HistoryRecorder history, List<long> stored)
{
    private readonly List<Step> _steps = [];
    private readonly long _process = history.NextProcess();

    /// <summary>The values that were sent.</summary>
    public IReadOnlyList<long> Values => [.. _steps.OfType<Send>().Select(send => send.Value)];

    /// <summary>A record is sent.</summary>
    public void Add(TopicPartition partition, long value) => _steps.Add(new Send(partition.ToString(), value));

    /// <summary>The transaction has ended.</summary>
    public void End(bool isCommitted)
    {
        if (isCommitted)
            stored.AddRange(Values);
        history.Add(new Operation
        {
            Process = _process,
            Outcome = isCommitted ? Outcome.Ok : Outcome.Fail,
            IsTransaction = true,
            Steps = _steps,
        });
    }
}
