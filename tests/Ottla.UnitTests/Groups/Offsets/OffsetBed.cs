using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Metadata;
using Ottla.Simulator.Groups;
using Ottla.StateMachines.Coordinators;
using Ottla.StateMachines.Groups;
using Ottla.StateMachines.Metadata;
using FetchTopic = Ottla.Protocol.Messages.OffsetFetchRequest.OffsetFetchRequestTopics;

namespace Ottla.UnitTests.Groups.Offsets;

/// <summary>A machine of groups with a log that is a list: what it writes is taken over at once, and can be replayed.</summary>
internal sealed class OffsetBed
{
    public static readonly Uuid TopicId = new(1, 2);
    private readonly List<(CoordinatorRecord Record, ProducerIdAndEpoch Transaction)> _log = [];
    private readonly List<(int At, ProducerIdAndEpoch Transaction, bool IsCommit)> _markers = [];
    private readonly CoordinatorEffects _effects = new();
    private readonly BrokerConfig _config;
    private readonly MetadataImage _image = MetadataImage.Empty;
    private long _lastReplyTo;

    public OffsetBed(params (string Name, string Value)[] configs)
    {
        _config = BrokerConfig.LoadDevMode(null, configs.Select(config => KeyValuePair.Create(config.Name, config.Value)));
        _image = MetadataImage.Empty.Apply(
            [new MetadataRecord(new TopicRecord { Name = "t", TopicId = TopicId }, 0)], 0, MetadataProvenance.Empty);
        Load();
    }

    public Instant Now { get; private set; } = new(1_000_000_000);

    public GroupMachine Machine { get; private set; } = null!;

    /// <summary>What the last step wrote.</summary>
    public IReadOnlyList<CoordinatorRecord> Written { get; private set; } = [];

    /// <summary>Whether the records of the last step had to be one batch.</summary>
    public bool WasAtomic { get; private set; }

    public static RequestOrigin Origin(short version = 10) => new("client", "/127.0.0.1", version);

    /// <summary>Makes the machine anew from the log.</summary>
    public void Load()
    {
        Machine = new GroupMachine(new Prng(1));
        for (var i = 0; i <= _log.Count; i++)
        {
            foreach (var marker in _markers.Where(marker => marker.At == i))
                Machine.ApplyMarker(marker.Transaction, marker.IsCommit);
            if (i < _log.Count)
                Machine.Apply(i, _log[i].Record, _log[i].Transaction);
        }

        Take(() => Machine.OnLoaded(_image, _config, Now, _effects));
    }

    /// <summary>Puts a record into the log that somebody else has written, and makes the machine anew.</summary>
    public void Append(CoordinatorRecord record)
    {
        _log.Add((record, ProducerIdAndEpoch.None));
        Load();
    }

    public TReply Send<TReply>(GroupCommand<TReply> command)
    {
        var reply = Assert.Single(Take(() => Machine.Decide(command, new ReplyTo(++_lastReplyTo), Now, _effects)));
        Assert.Equal((_lastReplyTo, ErrorCode.None), (reply.To.Number, reply.Error.Code));
        return reply.Value<TReply>();
    }

    public ErrorCode ErrorOf<TReply>(GroupCommand<TReply> command) => Assert.Throws<ApiException>(() => { Send(command); }).Error.Code;

    public void Complete(ProducerIdAndEpoch transaction, bool isCommit)
    {
        _markers.Add((_log.Count, transaction, isCommit));
        Machine.ApplyMarker(transaction, isCommit);
    }

    /// <summary>Lets time pass, and what is due happen.</summary>
    public void Advance(long milliseconds)
    {
        Now = Now.AddMilliseconds(milliseconds);
        while (Machine.NextDeadline is { } due && due <= Now)
            Take(() => Machine.OnDeadline(Now, _effects));
    }

    public void DeleteTopic(string name)
    {
        var id = _image.Topics.Find(name)!.Id;
        var delta = _image.ApplyWithDelta([new MetadataRecord(new RemoveTopicRecord { TopicId = id }, 0)], 0, MetadataProvenance.Empty);
        Take(() => Machine.OnMetadata(delta, _config, Now, _effects));
    }

    public static OffsetCommitCommand Commit(
        string group, long offset, string topic = "t", int partition = 0, int generation = -1, string member = "", short version = 10,
        string? metadata = "", int leaderEpoch = -1, long retentionMs = -1) =>
        new(Origin(version), new OffsetCommitRequest
        {
            GroupId = group,
            GenerationIdOrMemberEpoch = generation,
            MemberId = member,
            RetentionTimeMs = retentionMs,
            Topics =
            [
                new OffsetCommitRequest.OffsetCommitRequestTopic
                {
                    Name = topic,
                    TopicId = topic == "t" ? TopicId : Uuid.Zero,
                    Partitions = [
                        new OffsetCommitRequest.OffsetCommitRequestPartition { PartitionIndex = partition, CommittedOffset = offset,
                            CommittedMetadata = metadata, CommittedLeaderEpoch = leaderEpoch }],
                },
            ],
        });

    public static TxnOffsetCommitCommand CommitIn(
        ProducerIdAndEpoch transaction, string group, long offset, int generation = -1, short version = 6, string? metadata = "",
        int partition = 0) =>
        new(Origin(version), new TxnOffsetCommitRequest
        {
            GroupId = group,
            ProducerId = transaction.Id,
            ProducerEpoch = transaction.Epoch,
            GenerationIdOrMemberEpoch = generation,
            Topics =
            [
                new TxnOffsetCommitRequest.TxnOffsetCommitRequestTopic
                {
                    Name = "t",
                    TopicId = TopicId,
                    Partitions = [
                        new TxnOffsetCommitRequest.TxnOffsetCommitRequestPartition { PartitionIndex = partition, CommittedOffset = offset,
                            CommittedMetadata = metadata }],
                },
            ],
        });

    public ErrorCode CommitOffset(string group, long offset, string topic = "t", int partition = 0) =>
        Send(Commit(group, offset, topic, partition))[0];

    /// <summary>Fetches one offset: -1 when there is none, -2 when it is not stable.</summary>
    public long Fetch(string group, string topic = "t", int partition = 0, bool requireStable = false, Uuid? topicId = null)
    {
        var answer = Send(new OffsetFetchCommand(
            new OffsetFetchRequest.OffsetFetchRequestGroup
            {
                GroupId = group,
                Topics = [
                new FetchTopic { Name = topic, TopicId = topicId ?? Uuid.Zero, PartitionIndexes = [partition] }]
            }, requireStable));
        var fetched = Assert.Single(Assert.Single(answer.Topics).Partitions);
        if ((ErrorCode)fetched.ErrorCode == ErrorCode.UnstableOffsetCommit)
            return -2;
        Assert.Equal(0, fetched.ErrorCode);
        return fetched.CommittedOffset;
    }

    /// <summary>All offsets of a group, as text.</summary>
    public string FetchAll(string group, bool requireStable = false)
    {
        var answer = Send(
            new OffsetFetchCommand(new OffsetFetchRequest.OffsetFetchRequestGroup { GroupId = group, Topics = null }, requireStable));
        return string.Join(' ', answer.Topics.SelectMany(topic => topic.Partitions.Select(partition =>
            $"{topic.Name}-{partition.PartitionIndex}="
                + $"{(partition.ErrorCode == 0 ? $"{partition.CommittedOffset}" : $"{(ErrorCode)partition.ErrorCode}")}")));
    }

    public List<string> Groups() => [.. Send(new ListGroupsCommand([], [])).Select(group => group.GroupId)];

    private CoordinatorReply[] Take(Action step)
    {
        _effects.Clear();
        step();
        Written = [.. _effects.Records];
        WasAtomic = _effects.IsAtomic;
        foreach (var record in Written)
        {
            Machine.Apply(_log.Count, record, _effects.Transaction);
            _log.Add((record, _effects.Transaction));
        }

        _effects.Take();
        return [.. _effects.Replies];
    }
}
