using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Wire;
using Ottla.StateMachines.Controller;
using Ottla.StateMachines.Coordinators;
using Ottla.StateMachines.Groups;
using Ottla.StateMachines.Groups.Consumer;
using Ottla.StateMachines.Metadata;

namespace Ottla.UnitTests.Groups.Consumer;

/// <summary>A machine with groups, and a cluster whose topics the test makes. What is decided is applied at once; time stands still until it is moved.</summary>
internal sealed class ConsumerGroupTestBed
{
    public const string GroupId = "group";

    private readonly CoordinatorEffects _effects = new();
    private long _imageOffset;
    private long _nextReply;

    public ConsumerGroupTestBed(ulong seed = 7, params (string Name, string Value)[] configs)
    {
        // Without an interval between assignments, unless a test is about it: every change is answered at once.
        Config = BrokerConfig.LoadDevMode(
            null,
            configs.Prepend(("group.consumer.assignment.interval.ms", "0")).GroupBy(config => config.Item1)
                .Select(values => KeyValuePair.Create(values.Key, values.Last().Item2)));
        Machine = new GroupMachine(new Prng(seed));
        Machine.OnLoaded(Image, Config, Now, _effects);
        _effects.Clear();
    }

    public BrokerConfig Config { get; }

    public GroupMachine Machine { get; private set; }

    public MetadataImage Image { get; private set; } = MetadataImage.Empty;

    public Instant Now { get; private set; } = new(1_000_000);

    /// <summary>All that was written.</summary>
    public List<CoordinatorRecord> Log { get; } = [];

    /// <summary>What the last step wrote.</summary>
    public IReadOnlyList<CoordinatorRecord> LastRecords { get; private set; } = [];

    public ConsumerGroup Group => Machine.Context.Find<ConsumerGroup>(GroupId)!;

    public ConsumerGroupMember Member(string memberId) => Group.Get(memberId);

    public static Uuid TopicId(string name) => new(1, XxHash3.Hash(System.Text.Encoding.UTF8.GetBytes(name)));

    public void AddBroker(int id, string? rack) => ChangeCluster(new RegisterBrokerRecord { BrokerId = id, BrokerEpoch = 1, IncarnationId = new Uuid(1, (ulong)id), Rack = rack });

    public void CreateTopic(string name, int partitions, Uuid? id = null) => ChangeCluster(
        [new TopicRecord { Name = name, TopicId = id ?? TopicId(name) }, .. Enumerable.Range(0, partitions).Select(index => Partition(id ?? TopicId(name), index))]);

    public void AddPartitions(string name, int count)
    {
        var topic = Image.Topics.Find(name)!;
        ChangeCluster([.. Enumerable.Range(topic.Partitions.Length, count).Select(index => Partition(topic.Id, index))]);
    }

    public void DeleteTopic(string name) => ChangeCluster(new RemoveTopicRecord { TopicId = Image.Topics.Find(name)!.Id });

    public void ConfigureGroup(string name, string value) => ChangeCluster(
        new ConfigRecord { ResourceType = (sbyte)ConfigResourceType.Group, ResourceName = GroupId, Name = name, Value = value });

    /// <summary>Lets time pass, and everything happen that is due on the way.</summary>
    public void Pass(long milliseconds)
    {
        var end = Now.AddMilliseconds(milliseconds);
        while (Machine.NextDeadline is { } next && next <= end)
        {
            Now = next > Now ? next : Now;
            Machine.OnDeadline(Now, _effects);
            Commit();
        }

        Now = end;
    }

    public static ConsumerGroupHeartbeatRequest Join(string memberId, params string[] topics) => new()
    {
        GroupId = GroupId,
        MemberId = memberId,
        RebalanceTimeoutMs = 300_000,
        SubscribedTopicNames = topics,
        TopicPartitions = [],
    };

    public static ConsumerGroupHeartbeatRequest JoinByRegex(string memberId, string regex)
    {
        var request = Join(memberId);
        (request.SubscribedTopicNames, request.SubscribedTopicRegex) = (null, regex);
        return request;
    }

    public static ConsumerGroupHeartbeatRequest Beat(string memberId, int epoch, IEnumerable<TopicIdPartition>? owned = null) => new()
    {
        GroupId = GroupId,
        MemberId = memberId,
        MemberEpoch = epoch,
        TopicPartitions = owned is null ? null : Owned(owned),
    };

    public static ConsumerGroupHeartbeatRequest.TopicPartitionsData[] Owned(IEnumerable<TopicIdPartition> partitions) =>
        [.. ConsumerGroupRecords.ByTopic(partitions).Select(topic => new ConsumerGroupHeartbeatRequest.TopicPartitionsData { TopicId = topic.Id, Partitions = topic.Partitions })];

    public static IEnumerable<TopicIdPartition> Partitions(ConsumerGroupHeartbeatResponse.AssignmentData assignment) =>
        assignment.TopicPartitions.SelectMany(topic => topic.Partitions, (topic, partition) => new TopicIdPartition(topic.TopicId, partition));

    public ConsumerGroupHeartbeatResponse Send(ConsumerGroupHeartbeatRequest request, short version = 1, string clientId = "client") =>
        (ConsumerGroupHeartbeatResponse)Do(new ConsumerGroupHeartbeatCommand(new RequestOrigin(clientId, "/127.0.0.1", version), request));

    public ApiError Fails(ConsumerGroupHeartbeatRequest request, short version = 1) => Assert.Throws<ApiException>(() => Send(request, version)).Error;

    /// <summary>Decides, checks that what is to be written can be, applies it, and tells the answer.</summary>
    public object Do(GroupCommand command)
    {
        var replyTo = new ReplyTo(++_nextReply);
        try
        {
            Machine.Decide(command, replyTo, Now, _effects);
        }
        catch (ApiException)
        {
            _effects.Clear();
            throw;
        }

        var reply = Assert.Single(_effects.Replies);
        Commit();
        Assert.Equal(replyTo, reply.To);
        return reply.Reply!;
    }

    /// <summary>Another machine that has read the log so far.</summary>
    public GroupMachine Replay()
    {
        var machine = new GroupMachine(new Prng(1));
        for (var i = 0; i < Log.Count; i++)
            machine.Apply(i, Log[i], ProducerIdAndEpoch.None);
        machine.OnLoaded(Image, Config, Now, new CoordinatorEffects());
        return machine;
    }

    /// <summary>What becomes of the machine when its leader fails: another one reads the log.</summary>
    public void FailOver() => Machine = Replay();

    /// <summary>A group in words, to compare it with another.</summary>
    public static string Text(ConsumerGroup? group) => group is null ? "no group" : string.Join('\n', ConsumerGroupRecords.Group(group)
        .Concat(group.ResolvedRegularExpressions.Select(entry => ConsumerGroupRecords.RegularExpression(group.GroupId, entry.Key, entry.Value)))
        .Select(Text));

    /// <summary>A record in words: its bytes.</summary>
    public static string Text(CoordinatorRecord record) => $"{record.Key.RecordKey} {Bytes(record.Key)} {(record.Value is null ? "deleted" : Bytes(record.Value))}";

    private static string Bytes(IRecordMessage message)
    {
        var buffer = new WireBuffer();
        var writer = new WireWriter(buffer);
        message.Write(ref writer, 0);
        writer.Flush();
        return Convert.ToHexString(buffer.Written);
    }

    private static PartitionRecord Partition(Uuid topicId, int index) => new()
    {
        TopicId = topicId,
        PartitionId = index,
        Replicas = [1],
        Isr = [1],
        Leader = 1,
    };

    private void ChangeCluster(params IMessage[] records)
    {
        var delta = Image.ApplyWithDelta(
            records.Select(record => new Ottla.Protocol.Metadata.MetadataRecord((IRecordMessage)record, 0)), _imageOffset, new MetadataProvenance(_imageOffset += records.Length, 1, 1));
        Image = delta.New;
        Machine.OnMetadata(delta, Config, Now, _effects);
        Commit();
    }

    private void Commit()
    {
        LastRecords = [.. _effects.Records];
        foreach (var record in LastRecords)
        {
            Machine.Apply(Log.Count, record, _effects.Transaction);
            Log.Add(record);
        }

        _effects.Clear();
    }
}
