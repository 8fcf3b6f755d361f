using Ottla.Cli.KafkaTools;
using Ottla.Cli.KafkaTools.Cluster;
using Ottla.Client;
using Ottla.Kernel;

namespace Ottla.UnitTests.Cli;

/// <summary>What <c>ottla quorum</c> and kafka-metadata-quorum print is what kafka-metadata-quorum 4.4 printed.</summary>
public sealed class QuorumTextTests
{
    private static readonly Uuid Directory1 = Uuid.Parse("CgoKCgoKSgGLCwsLCwsLAQ");
    private static readonly Uuid Directory2 = Uuid.Parse("CgoKCgoKSgKLCwsLCwsLAg");

    private static readonly IReadOnlyDictionary<int, IReadOnlyList<RaftVoterEndpoint>> Nodes =
        new Dictionary<int, IReadOnlyList<RaftVoterEndpoint>>
        {
            [1] = [new("CONTROLLER", "localhost", 9093)],
            [2] = [new("CONTROLLER", "::1", 9094), new("ADMIN", "b", 9095)],
        };

    [Fact]
    public void Status_of_one_controller() => Assert.Equal(
        "ClusterId:              c\nLeaderId:               1\nLeaderEpoch:            3\nHighWatermark:          14\n"
        + "MaxFollowerLag:         0\nMaxFollowerLagTimeMs:   0\n"
        + "CurrentVoters:          [{\"id\": 1, \"directoryId\": \"CgoKCgoKSgGLCwsLCwsLAQ\", \"endpoints\": "
            + "[\"CONTROLLER://localhost:9093\"]}]\n"
        + "CurrentObservers:       []\n",
        QuorumDescriptionText.Status("c", Quorum([new(1, Directory1, 15, null, null)])));

    [Fact]
    public void Status_has_the_lag_of_the_last_voter_and_observers_without_endpoints()
    {
        var quorum = Quorum(
            [new(2, Directory2, 9, null, At(700)), new(1, Directory1, 15, null, At(1000))], [new(4, Uuid.Zero, 0, null, null)]);
        var text = QuorumDescriptionText.Status("c", quorum);
        Assert.Contains("MaxFollowerLag:         6\nMaxFollowerLagTimeMs:   300\n", text, StringComparison.Ordinal);
        Assert.Contains(
            "[{\"id\": 2, \"directoryId\": \"CgoKCgoKSgKLCwsLCwsLAg\", \"endpoints\": [\"CONTROLLER://[::1]:9094\", \"ADMIN://b:9095\"]}, "
                + "{\"id\": 1, ",
            text, StringComparison.Ordinal);
        Assert.EndsWith("CurrentObservers:       [{\"id\": 4}]\n", text, StringComparison.Ordinal);
        var unknown = Quorum([new(2, Directory2, 9, null, null), new(1, Directory1, 15, null, At(1000))]);
        Assert.Contains("MaxFollowerLagTimeMs:   -1\n", QuorumDescriptionText.Status("c", unknown), StringComparison.Ordinal);
    }

    [Fact]
    public void Replication_puts_the_leader_first()
    {
        var quorum = Quorum(
            [
                new(2, Directory2, 9, At(1_795_956_786_649), null),
                new(1, Directory1, 15, At(1_795_956_787_017), At(1_795_956_787_017)),
            ],
            [new(14, Uuid.Zero, 15, At(1_795_956_787_000), At(1_795_956_787_000))]);
        Assert.Equal(
            "NodeId\tDirectoryId           \tLogEndOffset\tLag\tLastFetchTimestamp\tLastCaughtUpTimestamp\tStatus  \t\n"
            + "1     \tCgoKCgoKSgGLCwsLCwsLAQ\t15          \t0  \t1795956787017     \t1795956787017        \tLeader  \t\n"
            + "2     \tCgoKCgoKSgKLCwsLCwsLAg\t9           \t6  \t1795956786649     \t-1                   \tFollower\t\n"
            + "14    \tAAAAAAAAAAAAAAAAAAAAAA\t15          \t0  \t1795956787000     \t1795956787000        \tObserver\t\n",
            QuorumDescriptionText.Replication(quorum, null));
        Assert.Equal(
            "NodeId\tDirectoryId           \tLogEndOffset\tLag\tLastFetchTimestamp\tLastCaughtUpTimestamp\tStatus  \t\n"
            + "1     \tCgoKCgoKSgGLCwsLCwsLAQ\t15          \t0  \t0 ms ago          \t0 ms ago             \tLeader  \t\n"
            + "2     \tCgoKCgoKSgKLCwsLCwsLAg\t9           \t6  \t351 ms ago        \t-1                   \tFollower\t\n"
            + "14    \tAAAAAAAAAAAAAAAAAAAAAA\t15          \t0  \t0 ms ago          \t0 ms ago             \tObserver\t\n",
            QuorumDescriptionText.Replication(quorum, At(1_795_956_787_000)));
    }

    [Fact]
    public void A_leader_that_is_being_removed_is_found_among_the_observers()
    {
        QuorumReplica[] voters = [new(2, Uuid.Zero, 9, null, null)];
        Assert.Throws<ToolException>(() => QuorumDescriptionText.Status("c", Quorum(voters)));
        var quorum = Quorum(voters, [new(1, Uuid.Zero, 10, null, null)]);
        Assert.Contains("MaxFollowerLag:         1\n", QuorumDescriptionText.Status("c", quorum), StringComparison.Ordinal);
        Assert.Equal(
            2, QuorumDescriptionText.Replication(quorum, null).Split('\n', StringSplitOptions.RemoveEmptyEntries).Skip(1).Count());
    }

    private static DateTimeOffset At(long ms) => DateTimeOffset.FromUnixTimeMilliseconds(ms);

    private static QuorumDescription Quorum(IReadOnlyList<QuorumReplica> voters, IReadOnlyList<QuorumReplica>? observers = null) =>
        new(1, 3, 14, voters, observers ?? [], Nodes);
}
