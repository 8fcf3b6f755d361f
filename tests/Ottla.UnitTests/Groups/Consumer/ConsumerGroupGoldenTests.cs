using Ottla.Broker.Hosts.Coordinators;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Coordinators;
using Ottla.StateMachines.Groups;
using Ottla.StateMachines.Groups.Consumer;
using Ottla.StateMachines.Metadata;
using Ottla.UnitTests.Protocol.Batches;
using static Ottla.UnitTests.Groups.Consumer.ConsumerGroupTestBed;

namespace Ottla.UnitTests.Groups.Consumer;

/// <summary>
/// The group that Kafka's own console consumer left in the golden directory: what it says, and what we would have written.
/// </summary>
public sealed class ConsumerGroupGoldenTests
{
    private const string Golden = "modern-group";
    private const string MemberId = "_ogi-h__TaK2KFClveslFg";
    private const int RecordsUntilJoined = 5;

    private static readonly Uuid PartitionsId = Uuid.Parse("CYd9j-hlRPiqi1S7WsODMg");

    [Fact]
    public void The_log_gives_the_group_that_Kafkas_dump_shows()
    {
        var machine = new GroupMachine(new Prng(1));
        var records = ReadGolden();
        foreach (var record in records.Take(RecordsUntilJoined))
            machine.Apply(0, record, ProducerIdAndEpoch.None);
        var group = machine.Context.Find<ConsumerGroup>(Golden)!;
        Assert.Equal(("Stable", 2, 2, 30796230944809721), (group.StateName, group.GroupEpoch, group.AssignmentEpoch, group.MetadataHash));
        var member = group.Get(MemberId);
        Assert.Equal(
            (2, 0, "console-consumer", "/127.0.0.1", 300_000),
            (member.MemberEpoch, member.PreviousMemberEpoch, member.ClientId, member.ClientHost, member.RebalanceTimeoutMs));
        Assert.Equal(["partitions"], member.SubscribedTopicNames);
        Assert.Equal([0, 1, 2], member.AssignedPartitions.Keys.Select(partition => partition.Partition));
        Assert.All(member.AssignedPartitions.Values, epoch => Assert.Equal(2, epoch));
        Assert.True(group.TargetOf(MemberId).SetEquals(member.AssignedPartitions.Keys));

        foreach (var record in records.Skip(RecordsUntilJoined))
            machine.Apply(0, record, ProducerIdAndEpoch.None);
        Assert.Equal(("Empty", 3, 0L), (group.StateName, group.GroupEpoch, group.MetadataHash));
    }

    [Fact]
    public void The_same_heartbeats_write_the_same_records()
    {
        var bed = new ConsumerGroupTestBed();
        bed.CreateTopic("partitions", 3, PartitionsId);
        bed.Advance(1795348260973 - bed.Now.UnixMilliseconds);
        var join = Join(MemberId, "partitions");
        join.GroupId = Golden;
        bed.Send(join, clientId: "console-consumer");
        var leave = Beat(MemberId, -1);
        leave.GroupId = Golden;
        bed.Send(leave);

        // Kafka 4.4 also sets the epoch of an empty group's assignment; 4.3, which wrote the directory, did not.
        Assert.Equal(ReadGolden().Select(Text), bed.Log.SkipLast(1).Select(Text));
        Assert.Equal(Text(ConsumerGroupRecords.TargetEpoch(Golden, 3, default)), Text(bed.Log[^1]));
    }

    [Fact]
    public void The_hash_of_a_topic_is_the_one_that_Kafka_wrote()
    {
        var bed = new ConsumerGroupTestBed();
        bed.CreateTopic("codec-none", 1, Uuid.Parse("O1sTvqJGTKyl3Pos1X1ogQ"));
        Assert.Equal(3220051696838060136, TopicMetadataHash.Of(["codec-none"], bed.Image));
        Assert.Equal(0, TopicMetadataHash.Of(["other"], bed.Image));
        Assert.Equal(0, TopicMetadataHash.Of(["codec-none"], MetadataImage.Empty));
    }

    private static List<CoordinatorRecord> ReadGolden()
    {
        var records = new List<CoordinatorRecord>();
        foreach (var batch in GoldenBatches.Of("__consumer_offsets-1"))
        {
            using var reader = new RecordReader(batch);
            while (reader.TryRead(out var record))
            {
                var decoded = CoordinatorRecordSerde.Groups.Decode(record);
                if (decoded.Key is not (OffsetCommitKey or GroupMetadataKey)
                    && decoded.Key.GetType().Name.StartsWith("ConsumerGroup", StringComparison.Ordinal))
                    records.Add(decoded);
            }
        }

        return records;
    }
}
