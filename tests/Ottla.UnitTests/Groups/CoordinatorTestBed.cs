using System.IO.Hashing;
using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Metadata;
using Ottla.Simulator.Groups;
using Ottla.StateMachines.Coordinators;
using Ottla.StateMachines.Groups;
using Ottla.StateMachines.Metadata;

namespace Ottla.UnitTests.Groups;

/// <summary>The answer to a request, once there is one.</summary>
internal sealed class Answer<TReply>
{
    private CoordinatorReply? _reply;

    public bool IsThere => _reply is not null;

    public ErrorCode Error => Failure.Code;

    public ApiError Failure => Reply.Error;

    public TReply Value => Reply.Value<TReply>();

    private CoordinatorReply Reply => _reply ?? throw new InvalidOperationException("there is no answer yet");

    public void Take(CoordinatorReply reply) => _reply = reply;
}

/// <summary>A coordinator of groups, and a cluster around it whose topics the test makes. Time stands still until it is moved.</summary>
internal abstract class CoordinatorTestBed
{
    public const string GroupId = "group";

    private long _imageOffset;

    /// <summary>Makes a coordinator without groups, in a cluster without topics.</summary>
    /// <param name="seed">Where members' ids come from.</param>
    /// <param name="configs">What is not as by default; of two values of a name the later counts.</param>
    protected CoordinatorTestBed(ulong seed, IEnumerable<(string Name, string Value)> configs)
    {
        Config = BrokerConfig.LoadDevMode(
            null, configs.GroupBy(config => config.Name).Select(values => KeyValuePair.Create(values.Key, values.Last().Value)));
        Coordinator = new SimulatedCoordinator(seed, MetadataImage.Empty, Config, new Instant(1_000_000));
    }

    public BrokerConfig Config { get; }

    public SimulatedCoordinator Coordinator { get; }

    public GroupMachine Machine => Coordinator.Machine;

    public MetadataImage Image => Coordinator.Image;

    public Instant Now => Coordinator.Now;

    /// <summary>What the last step wrote.</summary>
    public IReadOnlyList<CoordinatorRecord> LastRecords => Coordinator.LastRecords;

    public static Uuid TopicId(string name) => new(1, XxHash3.HashToUInt64(System.Text.Encoding.UTF8.GetBytes(name)));

    /// <summary>Lets time pass, and everything happen that is due on the way.</summary>
    public void Advance(long milliseconds) => Coordinator.Advance(milliseconds);

    public Answer<TReply> Send<TReply>(GroupCommand<TReply> command)
    {
        var answer = new Answer<TReply>();
        Coordinator.Send(command, answer.Take);
        return answer;
    }

    public void AddBroker(int id, string? rack) =>
        ChangeCluster(new RegisterBrokerRecord { BrokerId = id, BrokerEpoch = 1, IncarnationId = new Uuid(1, (ulong)id), Rack = rack });

    public void CreateTopic(string name, int partitions, Uuid? id = null) => ChangeCluster(
        [new TopicRecord { Name = name, TopicId = id ?? TopicId(name) },
            .. Enumerable.Range(0, partitions).Select(index => Partition(id ?? TopicId(name), index))]);

    public void AddPartitions(string name, int count)
    {
        var topic = Image.Topics.Find(name)!;
        ChangeCluster([.. Enumerable.Range(topic.Partitions.Length, count).Select(index => Partition(topic.Id, index))]);
    }

    public void DeleteTopic(string name) => ChangeCluster(new RemoveTopicRecord { TopicId = Image.Topics.Find(name)!.Id });

    public void ConfigureGroup(string name, string value, string groupId = GroupId) => ChangeCluster(
        new ConfigRecord { ResourceType = (sbyte)ConfigResourceType.Group, ResourceName = groupId, Name = name, Value = value });

    private static PartitionRecord Partition(Uuid topicId, int index) => new()
    {
        TopicId = topicId,
        PartitionId = index,
        Replicas = [1],
        Isr = [1],
        Leader = 1,
    };

    private void ChangeCluster(params IMessage[] records) => Coordinator.Publish(Image.ApplyWithDelta(
        records.Select(record => new MetadataRecord((IRecordMessage)record, 0)), _imageOffset,
        new MetadataProvenance(_imageOffset += records.Length, 1, 1)));
}
