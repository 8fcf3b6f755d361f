using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Coordinators;
using Ottla.StateMachines.Groups;
using static Ottla.UnitTests.Groups.Offsets.OffsetBed;
using DeleteTopic = Ottla.Protocol.Messages.OffsetDeleteRequest.OffsetDeleteRequestTopic;

namespace Ottla.UnitTests.Groups.Offsets;

/// <summary>What becomes of the offsets that groups commit.</summary>
public sealed class OffsetDecisionsTests
{
    private const long MinuteMs = 60_000;
    private const long DefaultRetentionMs = 7 * 24 * 60 * MinuteMs;
    private const long CheckIntervalMs = 10 * MinuteMs;

    [Fact]
    public void A_commit_makes_a_simple_group_and_is_there_after_a_replay()
    {
        var bed = new OffsetBed();
        Assert.Equal(-1, bed.Fetch("g"));
        Assert.Equal(ErrorCode.None, bed.CommitOffset("g", 42));
        var record = Assert.Single(bed.Written);
        Assert.Equal(4, record.ValueVersion);
        var value = Assert.IsType<OffsetCommitValue>(record.Value);
        Assert.Equal(
            (42, -1, "", bed.Now.UnixMilliseconds, -1, TopicId),
            (value.Offset, value.LeaderEpoch, value.Metadata, value.CommitTimestamp, value.ExpireTimestamp, value.TopicId));
        bed.CommitOffset("g", 43, partition: 1);
        bed.CommitOffset("g", 44);
        for (var i = 0; i < 2; i++)
        {
            Assert.Equal("t-0=44 t-1=43", bed.FetchAll("g"));
            Assert.Equal(["g"], bed.Groups());
            bed.Load();
        }
    }

    [Fact]
    public void A_commit_keeps_its_metadata_and_leader_epoch()
    {
        var bed = new OffsetBed();
        bed.Send(Commit("g", 1, metadata: "text", leaderEpoch: 5));
        bed.Send(Commit("g", 2, partition: 1, metadata: null));
        bed.Load();
        var answer = bed.Send(
            new OffsetFetchCommand(new OffsetFetchRequest.OffsetFetchRequestGroup { GroupId = "g", Topics = null }, false));
        Assert.Equal(
            [("text", 5), ("", -1)], answer.Topics[0].Partitions.Select(partition => (partition.Metadata, partition.CommittedLeaderEpoch)));
    }

    [Fact]
    public void Metadata_is_bounded_for_each_partition()
    {
        var bed = new OffsetBed(("offset.metadata.max.bytes", "4"));
        Assert.Equal(ErrorCode.OffsetMetadataTooLarge, bed.Send(Commit("g", 1, metadata: "12345"))[0]);
        Assert.Empty(bed.Written);
        Assert.Equal(ErrorCode.None, bed.Send(Commit("g", 1, metadata: "1234"))[0]);
        var transaction = new ProducerIdAndEpoch(1, 0);
        Assert.Equal(ErrorCode.OffsetMetadataTooLarge, bed.Send(CommitIn(transaction, "g", 1, metadata: "12345"))[0]);
        Assert.Empty(bed.Written);
    }

    [Fact]
    public void Who_is_in_a_generation_cannot_commit_for_a_group_that_is_not_there()
    {
        var bed = new OffsetBed();
        Assert.Equal(ErrorCode.GroupIdNotFound, bed.ErrorOf(Commit("g", 1, generation: 1, member: "m")));
        Assert.Equal(ErrorCode.IllegalGeneration, bed.ErrorOf(Commit("g", 1, generation: 1, member: "m", version: 8)));
        Assert.Equal(ErrorCode.GroupIdNotFound, bed.ErrorOf(CommitIn(new ProducerIdAndEpoch(1, 0), "g", 1, generation: 1)));
        Assert.Equal(ErrorCode.IllegalGeneration, bed.ErrorOf(CommitIn(new ProducerIdAndEpoch(1, 0), "g", 1, generation: 1, version: 5)));
        Assert.Empty(bed.Groups());
    }

    [Fact]
    public void Who_is_no_member_cannot_commit_for_a_generation()
    {
        var bed = new OffsetBed();
        bed.CommitOffset("g", 1);
        Assert.Equal(ErrorCode.UnknownMemberId, bed.ErrorOf(Commit("g", 1, generation: 1, member: "m")));
    }

    [Fact]
    public void An_offset_of_another_topic_of_the_same_name_is_none()
    {
        var bed = new OffsetBed();
        bed.CommitOffset("g", 1);
        Assert.Equal(1, bed.Fetch("g", topicId: TopicId));
        Assert.Equal(-1, bed.Fetch("g", topicId: new Uuid(9, 9)));
    }

    [Fact]
    public void A_transactional_commit_counts_when_its_marker_comes()
    {
        var bed = new OffsetBed();
        var (first, second) = (new ProducerIdAndEpoch(1, 0), new ProducerIdAndEpoch(2, 0));
        bed.CommitOffset("g", 1);
        Assert.Equal(ErrorCode.None, bed.Send(CommitIn(first, "g", 2))[0]);
        bed.Send(CommitIn(second, "g", 3, partition: 1));
        bed.Load();
        Assert.Equal((1, -2, -2), (bed.Fetch("g"), bed.Fetch("g", requireStable: true), bed.Fetch("g", partition: 1, requireStable: true)));
        Assert.Equal("t-0=UnstableOffsetCommit", bed.FetchAll("g", requireStable: true));
        bed.Complete(first, isCommit: true);
        bed.Complete(second, isCommit: false);
        for (var i = 0; i < 2; i++)
        {
            Assert.Equal("t-0=2", bed.FetchAll("g", requireStable: true));
            Assert.Equal(-1, bed.Fetch("g", partition: 1, requireStable: true));
            bed.Load();
        }

        bed.Complete(first, isCommit: true); // nothing is open any more
        Assert.Equal(2, bed.Fetch("g"));
    }

    [Fact]
    public void Of_a_commit_and_one_of_a_transaction_the_later_in_the_log_counts()
    {
        var bed = new OffsetBed();
        var transaction = new ProducerIdAndEpoch(1, 0);
        bed.Send(CommitIn(transaction, "g", 2));
        bed.CommitOffset("g", 3);
        Assert.Equal(-2, bed.Fetch("g", requireStable: true));
        bed.Complete(transaction, isCommit: true);
        Assert.Equal(3, bed.Fetch("g", requireStable: true));
        bed.Load();
        Assert.Equal(3, bed.Fetch("g"));
    }

    [Fact]
    public void A_deletion_takes_what_is_pending_along()
    {
        var bed = new OffsetBed();
        var transaction = new ProducerIdAndEpoch(1, 0);
        bed.Send(CommitIn(transaction, "g", 2));
        bed.Send(CommitIn(transaction, "g", 2, partition: 1));
        Assert.Equal(ErrorCode.None, Delete(bed, "g", 0));
        Assert.Null(Assert.Single(bed.Written).Value);
        Assert.Equal(-1, bed.Fetch("g", requireStable: true));
        bed.Complete(transaction, isCommit: true);
        Assert.Equal((-1, 2), (bed.Fetch("g"), bed.Fetch("g", partition: 1)));
    }

    [Fact]
    public void A_deletion_of_what_is_not_there_writes_nothing()
    {
        var bed = new OffsetBed();
        bed.CommitOffset("g", 1);
        Assert.Equal(ErrorCode.None, Delete(bed, "g", 5));
        Assert.Empty(bed.Written);
        Assert.Equal(ErrorCode.None, Delete(bed, "g", 0));
        bed.Load();
        Assert.Equal(-1, bed.Fetch("g"));
        Assert.Equal(ErrorCode.GroupIdNotFound, bed.ErrorOf(DeleteCommand("none", 0)));
    }

    [Fact]
    public void Offsets_of_consumed_topics_are_not_deleted()
    {
        var bed = new OffsetBed();
        Join(bed, "consumer", "t");
        bed.Send(Commit("g", 1, generation: 1, member: "m"));
        bed.Send(Commit("g", 1, topic: "other", generation: 1, member: "m"));
        Assert.Equal(ErrorCode.GroupSubscribedToTopic, Delete(bed, "g", 0));
        Assert.Equal(ErrorCode.None, Delete(bed, "g", 0, "other"));
        Assert.Equal("t-0=1", bed.FetchAll("g"));

        Join(bed, "connect", "t");
        Assert.Equal(ErrorCode.NonEmptyGroup, bed.ErrorOf(DeleteCommand("g", 0)));
    }

    [Fact]
    public void Offsets_of_a_simple_group_expire_after_their_commit_and_the_group_with_the_last()
    {
        var bed = new OffsetBed();
        bed.CommitOffset("g", 1);
        bed.Advance(MinuteMs);
        bed.CommitOffset("g", 2, partition: 1);
        bed.Advance(DefaultRetentionMs - MinuteMs);
        Assert.Equal("t-1=2", bed.FetchAll("g"));
        bed.Advance(CheckIntervalMs);
        Assert.Equal("", bed.FetchAll("g"));
        Assert.Empty(bed.Groups());
        bed.Load();
        Assert.Empty(bed.Groups());
    }

    [Fact]
    public void Expiration_may_be_split_and_comes_again()
    {
        var bed = new OffsetBed(("offsets.retention.minutes", "1"), ("offsets.retention.check.interval.ms", "1000"));
        for (var round = 0; round < 3; round++)
        {
            bed.CommitOffset("g", 1);
            bed.Advance(MinuteMs);
            Assert.False(bed.WasAtomic);
            Assert.Equal(2, bed.Written.Count); // the offset and the group
            Assert.Empty(bed.Groups());
        }
    }

    [Fact]
    public void An_old_client_says_itself_how_long_an_offset_is_kept()
    {
        var bed = new OffsetBed();
        bed.Send(Commit("g", 1, version: 4, retentionMs: 2 * CheckIntervalMs));
        var record = Assert.Single(bed.Written);
        Assert.Equal(1, record.ValueVersion);
        Assert.Equal(
            bed.Now.AddMilliseconds(2 * CheckIntervalMs).UnixMilliseconds, Assert.IsType<OffsetCommitValue>(record.Value).ExpireTimestamp);
        bed.Load();
        bed.Advance(CheckIntervalMs);
        Assert.Equal(1, bed.Fetch("g"));
        bed.Advance(CheckIntervalMs);
        Assert.Equal(-1, bed.Fetch("g"));
    }

    [Fact]
    public void What_is_pending_keeps_the_committed_offset_and_the_group()
    {
        var bed = new OffsetBed();
        var transaction = new ProducerIdAndEpoch(1, 0);
        bed.CommitOffset("g", 1);
        bed.Send(CommitIn(transaction, "g", 2));
        bed.Send(CommitIn(transaction, "h", 2));
        bed.Advance(2 * DefaultRetentionMs);
        Assert.Equal(1, bed.Fetch("g"));
        Assert.Equal(["g", "h"], bed.Groups());
        bed.Complete(transaction, isCommit: false);
        bed.Advance(CheckIntervalMs);
        Assert.Empty(bed.Groups());
    }

    [Fact]
    public void Offsets_of_a_group_that_all_have_left_expire_after_that()
    {
        var bed = new OffsetBed();
        Join(bed, "consumer", "t");
        bed.Send(Commit("g", 1, generation: 1, member: "m"));
        bed.Send(Commit("g", 1, topic: "other", generation: 1, member: "m"));
        var record = new GroupMetadataValue { ProtocolType = "consumer", Generation = 2, CurrentStateTimestamp = bed.Now.UnixMilliseconds };
        bed.Append(new CoordinatorRecord(new GroupMetadataKey { Group = "g" }, record, 3)); // all have left
        bed.Advance(DefaultRetentionMs - CheckIntervalMs);
        Assert.Equal("t-0=1 other-0=1", bed.FetchAll("g"));
        bed.Advance(CheckIntervalMs);
        Assert.Equal("", bed.FetchAll("g"));
        Assert.Empty(bed.Groups());
    }

    [Fact]
    public void A_deleted_topic_takes_its_offsets_along_but_not_those_of_another_of_its_name()
    {
        var bed = new OffsetBed();
        bed.CommitOffset("g", 1);
        bed.CommitOffset("h", 1, partition: 1);
        bed.Send(CommitIn(new ProducerIdAndEpoch(1, 0), "g", 2));
        bed.CommitOffset("g", 1, topic: "other");
        var older = Commit("i", 1);
        older.Request.Topics[0].TopicId = new Uuid(8, 8);
        bed.Send(older);
        bed.DeleteTopic("t");
        Assert.False(bed.WasAtomic);
        Assert.Equal(
            [("g", 0), ("h", 1)], bed.Written.Select(record => (OffsetCommitKey)record.Key).Select(key => (key.Group, key.Partition)));
        Assert.Equal(("other-0=1", "", "t-0=1"), (bed.FetchAll("g"), bed.FetchAll("h"), bed.FetchAll("i")));
        Assert.Equal(-1, bed.Fetch("g", requireStable: true));
    }

    [Fact]
    public void Deleting_a_group_takes_its_offsets_along()
    {
        var bed = new OffsetBed();
        bed.CommitOffset("g", 1);
        bed.Send(CommitIn(new ProducerIdAndEpoch(1, 0), "g", 2));
        bed.Send(CommitIn(new ProducerIdAndEpoch(1, 0), "g", 2, partition: 1));
        Assert.Equal(0, bed.Send(new DeleteGroupCommand("g")).ErrorCode);
        Assert.Equal(3, bed.Written.Count);
        bed.Load();
        Assert.Equal("", bed.FetchAll("g"));
        Assert.Empty(bed.Groups());
        Assert.Equal(-1, bed.Fetch("g", requireStable: true));
    }

    [Fact]
    public void Offsets_of_Kafka_0_8_2_are_read()
    {
        var bed = new OffsetBed();
        bed.Append(new CoordinatorRecord(
            new LegacyOffsetCommitKey { Group = "g", Topic = "t", Partition = 3 },
            new LegacyOffsetCommitValue { Offset = 7, CommitTimestamp = bed.Now.UnixMilliseconds }, 0));
        Assert.Equal("t-3=7", bed.FetchAll("g"));
        bed.Advance(DefaultRetentionMs);
        Assert.Equal("", bed.FetchAll("g"));
    }

    /// <summary>A group with one member, as its record says.</summary>
    private static void Join(OffsetBed bed, string protocolType, string topic) =>
        bed.Append(new CoordinatorRecord(new GroupMetadataKey { Group = "g" }, new GroupMetadataValue
        {
            ProtocolType = protocolType,
            Generation = 1,
            Protocol = "range",
            Leader = "m",
            CurrentStateTimestamp = bed.Now.UnixMilliseconds,
            Members =
            [
                new GroupMetadataValue.MemberMetadata
                {
                    MemberId = "m",
                    ClientId = "client",
                    ClientHost = "/127.0.0.1",
                    RebalanceTimeout = 60_000,
                    SessionTimeout = 30_000,
                    Subscription = ConsumerProtocol.WriteSubscription(new ConsumerProtocolSubscription { Topics = [topic] }, 1),
                },
            ],
        }, 3));

    private static OffsetDeleteCommand DeleteCommand(string group, int partition, string topic = "t") => new(new OffsetDeleteRequest
    {
        GroupId = group,
        Topics = [new DeleteTopic { Name = topic,
            Partitions = [new OffsetDeleteRequest.OffsetDeleteRequestPartition { PartitionIndex = partition }] }],
    });

    private static ErrorCode Delete(OffsetBed bed, string group, int partition, string topic = "t") =>
        bed.Send(DeleteCommand(group, partition, topic))[0];
}
