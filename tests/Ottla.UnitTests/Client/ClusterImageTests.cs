using Ottla.Client.Cluster;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Requests;

namespace Ottla.UnitTests.Client;

/// <summary>What an answer changes in what a client knows.</summary>
public sealed class ClusterImageTests
{
    private static readonly Uuid Id = new(1, 2);
    private static readonly TopicPartition Partition = new("a", 0);

    [Fact]
    public void Names_nodes_topics_and_leaders()
    {
        var image = ClusterImage.Empty.Apply(Answer(leader: 2, epoch: 5), Kept("a"));
        Assert.Equal(("c", 1L, 2), (image.ClusterId, image.Version, image.ControllerId));
        Assert.Equal(new NodeAddress(2, "host2", 9092), image.LeaderOf(Partition));
        Assert.Same(image.Topic("a"), image.Topic(Id));
        Assert.Null(image.Partition(new TopicPartition("a", 1)));
        Assert.Null(image.Partition(new TopicPartition("a", -1)));
        Assert.Null(image.LeaderOf(new TopicPartition("b", 0)));
    }

    [Fact]
    public void Never_goes_back_to_an_older_leader_of_the_same_topic()
    {
        var image = ClusterImage.Empty.Apply(Answer(leader: 2, epoch: 5), Kept("a"));
        Assert.Equal((2, 5), Leader(image.Apply(Answer(leader: 1, epoch: 4), Kept("a"))));
        Assert.Equal((1, 6), Leader(image.Apply(Answer(leader: 1, epoch: 6), Kept("a"))));
        // A topic that was created again begins with epoch 0; so does another cluster behind the same addresses.
        Assert.Equal((1, 0), Leader(image.Apply(Answer(leader: 1, epoch: 0, id: new Uuid(7, 7)), Kept("a"))));
        Assert.Equal((1, 0), Leader(image.Apply(Answer(leader: 1, epoch: 0, cluster: "other"), Kept("a"))));
    }

    [Fact]
    public void Forgets_what_is_neither_named_nor_kept()
    {
        var image = ClusterImage.Empty.Apply(Answer(leader: 2, epoch: 5), Kept("a"));
        Assert.NotNull(image.Apply(new MetadataResponse { ClusterId = "c" }, Kept("a")).Topic("a"));
        Assert.Null(image.Apply(new MetadataResponse { ClusterId = "c" }, Kept("b")).Topic("a"));
    }

    [Fact]
    public void Takes_a_newer_leader_from_other_answers()
    {
        var image = ClusterImage.Empty.Apply(Answer(leader: 2, epoch: 5), Kept("a"));
        Assert.Same(image, image.WithLeader(Partition, 1, 5, null));
        Assert.Same(image, image.WithLeader(Partition, 3, 6, null)); // nobody says where node 3 is
        Assert.Equal((1, 6), Leader(image.WithLeader(Partition, 1, 6, null)));
        var moved = image.WithLeader(Partition, 3, 6, new ClusterNode(new NodeAddress(3, "host3", 9092), "r"));
        Assert.Equal((new NodeAddress(3, "host3", 9092), 2L), (moved.LeaderOf(Partition), moved.Version));
    }

    [Fact]
    public void A_topic_with_missing_partitions_is_an_error()
    {
        var answer = Answer(leader: 2, epoch: 5);
        answer.Topics[0].Partitions[0].PartitionIndex = 1;
        Assert.Equal(ErrorCode.UnknownServerError, ClusterImage.Empty.Apply(answer, Kept("a")).Topic("a")!.Error);
        var twice = Answer(leader: 2, epoch: 5);
        twice.Topics[0].Partitions = [twice.Topics[0].Partitions[0], twice.Topics[0].Partitions[0]];
        Assert.Equal(ErrorCode.UnknownServerError, ClusterImage.Empty.Apply(twice, Kept("a")).Topic("a")!.Error);
    }

    private static (int, int) Leader(ClusterImage image) => (image.Partition(Partition)!.LeaderId, image.Partition(Partition)!.LeaderEpoch);

    private static HashSet<string> Kept(string topic) => [topic];

    private static MetadataResponse Answer(int leader, int epoch, Uuid? id = null, string cluster = "c") => new()
    {
        ClusterId = cluster,
        ControllerId = 2,
        Brokers =
        [
            new() { NodeId = 1, Host = "host1", Port = 9092 },
            new() { NodeId = 2, Host = "host2", Port = 9092, Rack = "r2" },
        ],
        Topics =
        [
            new()
            {
                Name = "a",
                TopicId = id ?? Id,
                Partitions = [new() { LeaderId = leader, LeaderEpoch = epoch, ReplicaNodes = [1, 2], IsrNodes = [1, 2] }],
            },
        ],
    };
}
