using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Wire;
using Ottla.Simulator.Groups;
using Ottla.StateMachines.Coordinators;
using Ottla.StateMachines.Metadata;
using Ottla.StateMachines.Transactions;
using Ottla.UnitTests.Controller;

namespace Ottla.UnitTests.Transactions;

/// <summary>
/// A transaction machine with a host that writes at once: producer ids count up from 1000, markers are held until the test writes them.
/// </summary>
internal sealed class TransactionTestBed
{
    public static readonly TopicPartition A0 = new("a", 0);
    public static readonly TopicPartition A1 = new("a", 1);
    public static readonly TopicPartition B0 = new("b", 0);

    private readonly List<CoordinatorReply> _replies = [];
    private long _nextReply;
    private int _coordinatorEpoch;

    public TransactionTestBed(short transactionVersion = 2, params (string Name, string Value)[] configs)
    {
        var controller = ControllerTestBed.WithBrokers();
        controller.Create("a", partitions: 2);
        controller.Create("b");
        var levels = controller.Image.Features.Levels.SetItem(Feature.TransactionVersion, transactionVersion);
        Image = controller.Image with { Features = controller.Image.Features with { Levels = levels } };
        Config = BrokerConfig.LoadDevMode(null, configs.Select(config => KeyValuePair.Create(config.Name, config.Value)));
        Machine = new TransactionMachine(_coordinatorEpoch);
        Load();
    }

    public TransactionMachine Machine { get; private set; }

    public MetadataImage Image { get; private set; }

    public BrokerConfig Config { get; }

    public Instant Now { get; set; } = new(1_000_000);

    public List<CoordinatorRecord> Log { get; } = [];

    /// <summary>Markers that the machine wants written, oldest first.</summary>
    public Queue<WriteMarkersOutput> Markers { get; } = new();

    /// <summary>Whether there are producer ids; without, the requests are held in <see cref="OpenAllocations"/>.</summary>
    public bool HasProducerIds { get; set; } = true;

    public int OpenAllocations { get; private set; }

    public long NextProducerId { get; private set; } = 1000;

    /// <summary>Set: a step with records fails as a whole.</summary>
    public bool IsDiskFull { get; set; }

    /// <summary>Answers a command; null while it waits.</summary>
    public CoordinatorReply? Ask(TransactionCommand command)
    {
        var replyTo = new ReplyTo(++_nextReply);
        var effects = new CoordinatorEffects();
        try
        {
            Machine.Decide(command, replyTo, Now, effects);
        }
        catch (ApiException e)
        {
            return new FailedReply(replyTo, e.Error);
        }

        Execute(effects);
        return ReplyOf(replyTo);
    }

    public T Reply<T>(TransactionCommand<T> command)
    {
        var reply = Ask(command) ?? throw new InvalidOperationException($"{command} waits");
        Assert.Equal(ErrorCode.None, reply.Error.Code);
        return reply.Value<T>();
    }

    public ErrorCode Error(TransactionCommand command) => Ask(command)!.Error.Code;

    public ProducerIdAndEpoch Init(string id = "t", ProducerIdAndEpoch? expected = null, int timeoutMs = 60_000) =>
        Reply(InitCommand(id, expected, timeoutMs));

    public ErrorCode InitError(string? id = "t", ProducerIdAndEpoch? expected = null, int timeoutMs = 60_000) =>
        Error(InitCommand(id, expected, timeoutMs));

    public static InitProducerIdCommand InitCommand(string? id = "t", ProducerIdAndEpoch? expected = null, int timeoutMs = 60_000) =>
        new(new InitProducerIdRequest
        {
            TransactionalId = id,
            TransactionTimeoutMs = timeoutMs,
            ProducerId = expected?.Id ?? -1,
            ProducerEpoch = expected?.Epoch ?? -1,
        });

    public ErrorCode Add(ProducerIdAndEpoch producer, short clientVersion, params TopicPartition[] partitions) =>
        Error(new AddPartitionsCommand("t", producer, partitions, clientVersion));

    public ErrorCode EndError(ProducerIdAndEpoch producer, bool commit, short clientVersion) =>
        Error(new EndTransactionCommand("t", producer, commit, clientVersion));

    public ProducerIdAndEpoch End(ProducerIdAndEpoch producer, bool commit, short clientVersion) =>
        Reply(new EndTransactionCommand("t", producer, commit, clientVersion));

    public TransactionMetadata Get(string id = "t") => Machine.Transactions.Single(transaction => transaction.TransactionalId == id);

    /// <summary>Writes the markers that wait, with success or one error for all.</summary>
    public WriteMarkersOutput WriteMarkers(ErrorCode error = ErrorCode.None)
    {
        var markers = Markers.Dequeue();
        Ask(new MarkersWrittenCommand(markers, markers.Partitions.ToDictionary(partition => partition, _ => error)));
        return markers;
    }

    public void WriteAllMarkers()
    {
        while (Markers.Count > 0)
            WriteMarkers();
    }

    /// <summary>Answers what waits for a producer id; negative means that there is none.</summary>
    public void Allocate(bool succeeds = true)
    {
        OpenAllocations--;
        Ask(new ProducerIdAllocatedCommand(succeeds ? NextProducerId++ : -1));
    }

    public CoordinatorReply? ReplyOf(ReplyTo to) => _replies.Find(reply => reply.To == to);

    /// <summary>The reply to the command that was asked last.</summary>
    public CoordinatorReply? ReplyToLast(int back = 0) => ReplyOf(new ReplyTo(_nextReply - back));

    public void Advance(long milliseconds)
    {
        var end = Now.AddMilliseconds(milliseconds);
        while (Machine.NextDeadline is { } deadline && deadline <= end)
        {
            Now = deadline > Now ? deadline : Now;
            var effects = new CoordinatorEffects();
            Machine.OnDeadline(Now, effects);
            Execute(effects);
        }

        Now = end;
    }

    public void DeleteTopic(string name)
    {
        var topics = Image.Topics with { ByName = Image.Topics.ByName.Remove(name) };
        SetImage(Image with { Topics = topics });
    }

    public void SetTransactionVersion(short version) =>
        SetImage(Image with
        {
            Features = Image.Features with
            {
                Levels = Image.Features.Levels.SetItem(
            Feature.TransactionVersion, version)
            }
        });

    /// <summary>The process dies: what was written stays.</summary>
    public void Crash()
    {
        Machine.OnUnloading();
        Markers.Clear();
        OpenAllocations = 0;
        Machine = Replay(++_coordinatorEpoch);
        Load();
    }

    /// <summary>Another machine, made from the log through its bytes.</summary>
    public TransactionMachine Replay(int coordinatorEpoch = 0)
    {
        var machine = new TransactionMachine(coordinatorEpoch);
        for (var offset = 0; offset < Log.Count; offset++)
            machine.Apply(offset, ThroughBytes(Log[offset]), ProducerIdAndEpoch.None);
        return machine;
    }

    public static CoordinatorRecord ThroughBytes(CoordinatorRecord record)
    {
        var key = RoundTrip<TransactionLogKey>(record.Key, version: 0);
        return record.Value is null ? CoordinatorRecord.Tombstone(key)
            : new CoordinatorRecord(key, RoundTrip<TransactionLogValue>(record.Value, record.ValueVersion), record.ValueVersion);
    }

    private static T RoundTrip<T>(IRecordMessage message, short version)
        where T : IMessage<T>
    {
        var reader = new WireReader(WireBuffer.Encode(message, version));
        var result = T.Read(ref reader, version);
        Assert.True(reader.Remaining == 0);
        return result;
    }

    private void SetImage(MetadataImage image)
    {
        var effects = new CoordinatorEffects();
        Image = image;
        Machine.OnMetadata(image.ApplyWithDelta([], 0, image.Provenance), Config, Now, effects);
        Execute(effects);
    }

    private void Load()
    {
        var effects = new CoordinatorEffects();
        Machine.OnLoaded(Image, Config, Now, effects);
        Execute(effects);
    }

    private void Execute(CoordinatorEffects effects)
    {
        if (IsDiskFull && effects.Records.Count > 0)
        {
            _replies.AddRange(effects.Replies.Select(reply => new FailedReply(reply.To, new ApiError(ErrorCode.CoordinatorNotAvailable))));
            effects.Refuse()?.Invoke(Now, new CoordinatorEffects());
            return;
        }

        foreach (var record in effects.Records)
        {
            Machine.Apply(Log.Count, record, ProducerIdAndEpoch.None);
            Log.Add(record);
        }

        effects.Take();
        _replies.AddRange(effects.Replies);
        foreach (var output in effects.Outputs)
        {
            if (output is WriteMarkersOutput markers)
            {
                Markers.Enqueue(markers);
                continue;
            }

            OpenAllocations++;
            if (HasProducerIds)
                Allocate();
        }
    }
}
