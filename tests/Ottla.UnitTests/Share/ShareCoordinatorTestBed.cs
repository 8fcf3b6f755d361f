using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Metadata;
using Ottla.StateMachines.Coordinators;
using Ottla.StateMachines.Metadata;
using Ottla.StateMachines.Share;
using Ottla.StateMachines.Share.Coordinator;

namespace Ottla.UnitTests.Share;

/// <summary>A share coordinator with a host that writes at once, in a cluster with one topic. Time stands until it is moved.</summary>
internal sealed class ShareCoordinatorTestBed
{
    public static readonly Uuid TopicId = new(1, 1);

    private long _nextReply;
    private long _imageOffset;

    public ShareCoordinatorTestBed(Uuid? topicId = null, int partitions = 3, params (string Name, string Value)[] configs)
    {
        Config = BrokerConfig.LoadDevMode(null, configs.Select(config => KeyValuePair.Create(config.Name, config.Value)));
        var id = topicId ?? TopicId;
        Change(
        [
            new TopicRecord { Name = "t", TopicId = id },
            .. Enumerable.Range(0, partitions).Select(index => new PartitionRecord
            {
                TopicId = id, PartitionId = index, Replicas = [1], Isr = [1], Leader = 1,
            }),
        ]);
    }

    public BrokerConfig Config { get; }

    public MetadataImage Image { get; private set; } = MetadataImage.Empty;

    public ShareCoordinatorMachine Machine { get; private set; } = new();

    public Instant Now { get; set; } = new(1_000_000);

    /// <summary>The records with their offsets.</summary>
    public List<(long Offset, CoordinatorRecord Record)> Log { get; } = [];

    /// <summary>What the last step wrote.</summary>
    public IReadOnlyList<CoordinatorRecord> LastRecords { get; private set; } = [];

    /// <summary>Up to where the log may be deleted, as the machine said last.</summary>
    public long? PrunedTo { get; private set; }

    /// <summary>Set: a step with records fails as a whole.</summary>
    public bool IsDiskFull { get; set; }

    public static SharePartitionKey Key(int partition = 0, string groupId = "g") => new(groupId, TopicId, partition);

    /// <summary>Begins with what the log has.</summary>
    public void Load()
    {
        Machine = new ShareCoordinatorMachine();
        foreach (var (offset, record) in Log)
            Machine.Apply(offset, record, ProducerIdAndEpoch.None);
        var effects = new CoordinatorEffects();
        Machine.OnLoaded(Image, Config, Now, effects);
        Execute(effects);
    }

    public CoordinatorReply Ask(ShareCoordinatorCommand command)
    {
        var replyTo = new ReplyTo(++_nextReply);
        var effects = new CoordinatorEffects();
        LastRecords = [];
        try
        {
            Machine.Decide(command, replyTo, Now, effects);
        }
        catch (ApiException e)
        {
            return new FailedReply(replyTo, e.Error);
        }

        return Execute(effects) ? effects.Replies.Single() : new FailedReply(replyTo, new ApiError(ErrorCode.CoordinatorNotAvailable));
    }

    public ErrorCode Error(ShareCoordinatorCommand command) => Ask(command).Error.Code;

    public ErrorCode Initialize(int stateEpoch = 1, long startOffset = 0, int partition = 0) =>
        Error(new InitializeShareStateCommand(Key(partition), stateEpoch, startOffset));

    public ErrorCode Write(
        long startOffset, int completeCount, DeliveryBatch[] batches, int stateEpoch = 1, int leaderEpoch = 0, int partition = 0) =>
        Error(new WriteShareStateCommand(Key(partition), stateEpoch, leaderEpoch, startOffset, completeCount, batches));

    public ShareState State(int partition = 0, string groupId = "g") =>
        Machine.States.Single(state => state.Key == Key(partition, groupId)).Value;

    /// <summary>Lets time pass, and everything happen that is due on the way.</summary>
    public void Advance(long milliseconds)
    {
        var until = Now.AddMilliseconds(milliseconds);
        while (Machine.NextDeadline is { } next && next <= until)
        {
            Now = next > Now ? next : Now;
            RunDeadline();
        }

        Now = until;
    }

    public void RunDeadline()
    {
        var effects = new CoordinatorEffects();
        Machine.OnDeadline(Now, effects);
        Execute(effects);
    }

    public void DeleteTopic() => Change([new RemoveTopicRecord { TopicId = TopicId }]);

    private void Change(IReadOnlyList<IMessage> records)
    {
        var delta = Image.ApplyWithDelta(
            records.Select(record => new MetadataRecord((IRecordMessage)record, 0)), _imageOffset,
            new MetadataProvenance(_imageOffset += records.Count, 1, 1));
        Image = delta.New;
        if (Machine.NextDeadline is null)
        {
            Load();
            return;
        }

        var effects = new CoordinatorEffects();
        Machine.OnMetadata(delta, Config, Now, effects);
        Execute(effects);
    }

    private bool Execute(CoordinatorEffects effects)
    {
        LastRecords = [.. effects.Records];
        if (IsDiskFull && LastRecords.Count > 0)
            return false;
        foreach (var record in effects.Records)
        {
            var offset = Log.Count == 0 ? 0 : Log[^1].Offset + 1;
            Log.Add((offset, record));
            Machine.Apply(offset, record, ProducerIdAndEpoch.None);
        }

        effects.Take();
        foreach (var output in effects.Outputs)
            PrunedTo = ((PruneShareLogOutput)output).BeforeOffset;
        return true;
    }
}
