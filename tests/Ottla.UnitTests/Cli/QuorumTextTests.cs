using Ottla.Cli.Admin;
using Ottla.Cli.Quorum;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.UnitTests.Cli;

/// <summary>What <c>ottla quorum</c> prints is what kafka-metadata-quorum 4.4 printed.</summary>
public sealed class QuorumTextTests
{
    private static readonly Uuid Directory1 = Uuid.Parse("CgoKCgoKSgGLCwsLCwsLAQ");
    private static readonly Uuid Directory2 = Uuid.Parse("CgoKCgoKSgKLCwsLCwsLAg");

    private static readonly DescribeQuorumResponse.Node[] Nodes =
    [
        new() { NodeId = 1, Listeners = [new() { Name = "CONTROLLER", Host = "localhost", Port = 9093 }] },
        new()
        {
            NodeId = 2,
            Listeners = [new() { Name = "CONTROLLER", Host = "::1", Port = 9094 }, new() { Name = "ADMIN", Host = "b", Port = 9095 }],
        },
    ];

    [Fact]
    public void Status_of_one_controller()
    {
        var quorum = Quorum(new DescribeQuorumResponse.ReplicaState { ReplicaId = 1, ReplicaDirectoryId = Directory1, LogEndOffset = 15 });
        Assert.Equal(
            "ClusterId:              c\nLeaderId:               1\nLeaderEpoch:            3\nHighWatermark:          14\n"
            + "MaxFollowerLag:         0\nMaxFollowerLagTimeMs:   0\n"
            + "CurrentVoters:          [{\"id\": 1, \"directoryId\": \"CgoKCgoKSgGLCwsLCwsLAQ\", \"endpoints\": "
                + "[\"CONTROLLER://localhost:9093\"]}]\n"
            + "CurrentObservers:       []\n",
            QuorumText.Status("c", quorum, Nodes));
    }

    [Fact]
    public void Status_has_the_lag_of_the_last_voter_and_observers_without_endpoints()
    {
        var quorum = Quorum(
            new() { ReplicaId = 2, ReplicaDirectoryId = Directory2, LogEndOffset = 9, LastCaughtUpTimestamp = 700 },
            new() { ReplicaId = 1, ReplicaDirectoryId = Directory1, LogEndOffset = 15, LastCaughtUpTimestamp = 1000 });
        quorum.Observers = [new() { ReplicaId = 4 }];
        var text = QuorumText.Status("c", quorum, Nodes);
        Assert.Contains("MaxFollowerLag:         6\nMaxFollowerLagTimeMs:   300\n", text, StringComparison.Ordinal);
        Assert.Contains(
            "[{\"id\": 2, \"directoryId\": \"CgoKCgoKSgKLCwsLCwsLAg\", \"endpoints\": [\"CONTROLLER://[::1]:9094\", \"ADMIN://b:9095\"]}, "
                + "{\"id\": 1, ",
            text, StringComparison.Ordinal);
        Assert.EndsWith("CurrentObservers:       [{\"id\": 4}]\n", text, StringComparison.Ordinal);
        quorum.CurrentVoters[0].LastCaughtUpTimestamp = -1;
        Assert.Contains("MaxFollowerLagTimeMs:   -1\n", QuorumText.Status("c", quorum, Nodes), StringComparison.Ordinal);
    }

    [Fact]
    public void Replication_puts_the_leader_first()
    {
        var quorum = Quorum(
            new() { ReplicaId = 2, ReplicaDirectoryId = Directory2, LogEndOffset = 9, LastFetchTimestamp = 1_795_956_786_649 },
            new()
            {
                ReplicaId = 1,
                ReplicaDirectoryId = Directory1,
                LogEndOffset = 15,
                LastFetchTimestamp = 1_795_956_787_017,
                LastCaughtUpTimestamp = 1_795_956_787_017,
            });
        quorum.Observers = [
            new() { ReplicaId = 14, LogEndOffset = 15, LastFetchTimestamp = 1_795_956_787_000, LastCaughtUpTimestamp = 1_795_956_787_000 }];
        Assert.Equal(
            "NodeId\tDirectoryId           \tLogEndOffset\tLag\tLastFetchTimestamp\tLastCaughtUpTimestamp\tStatus  \t\n"
            + "1     \tCgoKCgoKSgGLCwsLCwsLAQ\t15          \t0  \t1795956787017     \t1795956787017        \tLeader  \t\n"
            + "2     \tCgoKCgoKSgKLCwsLCwsLAg\t9           \t6  \t1795956786649     \t-1                   \tFollower\t\n"
            + "14    \tAAAAAAAAAAAAAAAAAAAAAA\t15          \t0  \t1795956787000     \t1795956787000        \tObserver\t\n",
            QuorumText.Replication(quorum, null));
        Assert.Equal(
            "NodeId\tDirectoryId           \tLogEndOffset\tLag\tLastFetchTimestamp\tLastCaughtUpTimestamp\tStatus  \t\n"
            + "1     \tCgoKCgoKSgGLCwsLCwsLAQ\t15          \t0  \t0 ms ago          \t0 ms ago             \tLeader  \t\n"
            + "2     \tCgoKCgoKSgKLCwsLCwsLAg\t9           \t6  \t351 ms ago        \t-1                   \tFollower\t\n"
            + "14    \tAAAAAAAAAAAAAAAAAAAAAA\t15          \t0  \t0 ms ago          \t0 ms ago             \tObserver\t\n",
            QuorumText.Replication(quorum, new Instant(1_795_956_787_000)));
    }

    [Fact]
    public void A_leader_that_is_being_removed_is_found_among_the_observers()
    {
        var quorum = Quorum(new DescribeQuorumResponse.ReplicaState { ReplicaId = 2, LogEndOffset = 9 });
        Assert.Throws<AdminException>(() => QuorumText.Status("c", quorum, Nodes));
        quorum.Observers = [new() { ReplicaId = 1, LogEndOffset = 10 }];
        Assert.Contains("MaxFollowerLag:         1\n", QuorumText.Status("c", quorum, Nodes), StringComparison.Ordinal);
        Assert.Equal(2, QuorumText.Replication(quorum, null).Split('\n', StringSplitOptions.RemoveEmptyEntries).Skip(1).Count());
    }

    [Fact]
    public void Errors_have_Kafkas_names()
    {
        Assert.Equal("VOTER_NOT_FOUND: Cannot remove", new AdminException(ErrorCode.VoterNotFound, "Cannot remove").Message);
        Assert.Equal("NOT_CONTROLLER", new AdminException(ErrorCode.NotController, "").Message);
    }

    private static DescribeQuorumResponse.PartitionData Quorum(params DescribeQuorumResponse.ReplicaState[] voters) =>
        new() { LeaderId = 1, LeaderEpoch = 3, HighWatermark = 14, CurrentVoters = voters };
}
