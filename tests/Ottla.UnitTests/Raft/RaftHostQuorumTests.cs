using Ottla.Broker.Hosts;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.StateMachines.Raft;
using Ottla.Storage.Files;

namespace Ottla.UnitTests.Raft;

/// <summary>Hosts of several nodes: logs on their disks, listeners, snapshots over the wire, changes of the voters.</summary>
public sealed class RaftHostQuorumTests
{
    [Fact]
    public async Task What_a_majority_has_survives_the_leader()
    {
        await using var quorum = LoopbackQuorum.Start(1, 2, 3);
        await quorum.UntilLeaderAsync();
        var first = quorum.Leader;
        await quorum.UntilAsync(() => quorum.Nodes.All(node => node.Host.KnownLeader.LeaderId == first.Id), "all know the leader");
        Assert.Equal([LoopbackQuorum.Endpoint(first.Id)], quorum.Nodes.First(node => node != first).Host.KnownLeader.Endpoints);
        var append = first.AppendAsync("a");
        await quorum.UntilAsync(() => append.IsCompleted, "the commit");
        await append;

        var other = quorum.Nodes.First(node => node != first);
        var change = other.Host.WaitForOtherLeaderAsync(other.Host.KnownLeader);
        first.IsCut = true;
        var lost = first.AppendAsync("lost");
        await quorum.UntilAsync(() => quorum.Nodes.Any(node => node != first && node.Leads), "another leader");
        await change;
        var second = quorum.Nodes.Single(node => node != first && node.Leads);
        var next = second.AppendAsync("b");
        await quorum.UntilAsync(() => next.IsCompleted, "the next commit");
        await quorum.UntilAsync(() => lost.IsCompleted, "the end of what cannot be committed");
        Assert.Equal(ErrorCode.NotController, (await Assert.ThrowsAsync<MetadataLogException>(() => lost)).ErrorCode);

        first.IsCut = false;
        await quorum.UntilAsync(() => quorum.Nodes.All(node => node.Topics == "a,b"), "all have what was committed, and nothing else");
        Assert.Equal(second.Id, first.LeaderTold.LeaderId);
    }

    /// <summary>KAFKA-15345: an empty log had nothing that a new leader had to wait for.</summary>
    [Fact]
    public async Task A_leader_is_told_of_once_it_has_committed_in_its_epoch()
    {
        await using var quorum = LoopbackQuorum.Start(1, 2, 3);
        quorum.Loses = request => request is FetchCall;
        await quorum.UntilAsync(() => quorum.Nodes.Any(node => node.Host.Quorum.Role == RaftRole.Leader), "an election");
        quorum.Loses = null;
        await quorum.UntilLeaderAsync();
        Assert.InRange(quorum.Leader.LedFrom, 1, long.MaxValue);
    }

    /// <summary>KAFKA-10677: who waits for a leader that has resigned was kept until the next election.</summary>
    [Fact]
    public async Task Appends_fail_as_soon_as_their_leader_resigns()
    {
        await using var quorum = LoopbackQuorum.Start(1, 2, 3);
        await quorum.UntilLeaderAsync();
        var leader = quorum.Leader;
        leader.IsCut = true;
        var lost = leader.AppendAsync("lost");
        await quorum.UntilAsync(() => leader.Host.Quorum.Role == RaftRole.Resigned, "the leader resigns");
        Assert.True(lost.IsCompleted);
        Assert.Equal(ErrorCode.NotController, (await Assert.ThrowsAsync<MetadataLogException>(() => lost)).ErrorCode);
        leader.IsCut = false;
    }

    /// <summary>KAFKA-18723: a leader that had lost its epoch sent what another had written in its log meanwhile.</summary>
    [Fact]
    public async Task Batches_of_a_later_epoch_are_not_appended()
    {
        await using var quorum = LoopbackQuorum.Start(1, 2, 3);
        await quorum.UntilLeaderAsync();
        await quorum.UntilAsync(() => quorum.Nodes.All(node => node.HasCaughtUp), "all follow");
        var leader = quorum.Leader;
        var follower = quorum.Nodes.First(node => node != leader);
        var altered = 0;
        quorum.Alters = (node, response) =>
        {
            if (node != follower.Id || response is not FetchReply { Records.Length: > 0 } fetch)
                return response;
            var records = fetch.Records.ToArray();
            RecordBatchEditor.SetPartitionLeaderEpoch(records, fetch.Epoch + 1);
            Interlocked.Increment(ref altered);
            return fetch with { Records = records };
        };
        var end = follower.Host.EndOffset;
        var append = leader.AppendAsync("a");
        await quorum.UntilAsync(
            () => append.IsCompleted && (Volatile.Read(ref altered) > 1 || follower.Host.EndOffset > end), "it is fetched again");
        Assert.Equal(end, follower.Host.EndOffset);
        quorum.Alters = null;
        await quorum.UntilAsync(() => follower.Topics == "a", "it follows again");
    }

    [Fact]
    public async Task Who_has_nothing_fetches_the_snapshot_in_pieces_and_the_log_after_it()
    {
        await using var quorum = LoopbackQuorum.Start(1);
        await quorum.UntilLeaderAsync();
        foreach (var topic in (string[])["a", "b"])
            await quorum[1].AppendAsync(topic);
        var end = quorum[1].Host.HighWatermark;
        quorum[1].Host.WriteSnapshot(new OffsetAndEpoch(end, 1), 5, [RaftHostTopics.Topic("a"), RaftHostTopics.Topic("b")]);
        await quorum[1].AppendAsync("c");

        foreach (var isBroker in new[] { false, true })
        {
            var node = quorum.StartNode(isBroker ? 8 : 7, isBroker: isBroker);
            await quorum.UntilAsync(() => node.Topics == "a,b,c", "the newcomer has everything");
            Assert.Equal((1, new OffsetAndEpoch(end, 1)), (node.Snapshots, node.Host.LatestSnapshot!.Value));
            Assert.Equal([1], node.Host.Quorum.VoterSet.Voters.Select(voter => voter.Key.Id)); // as the snapshot says
            Assert.Equal(
                [$"{end:D20}-0000000001.checkpoint"],
                node.Disk.ListFiles("/data/__cluster_metadata-0").Where(name => name.Contains(".checkpoint", StringComparison.Ordinal)));
            var again = quorum.StartNode(node.Id, node.Disk.Clone(), isBroker);
            await quorum.UntilAsync(() => again.Topics == "a,b,c", "it is there after a crash, too");
            await node.Host.DisposeAsync();
        }
    }

    [Fact]
    public async Task A_snapshot_is_flushed_before_it_has_its_name()
    {
        await using var quorum = LoopbackQuorum.Start(1);
        await quorum.UntilLeaderAsync();
        await quorum[1].AppendAsync("a");
        quorum[1].Host.WriteSnapshot(new OffsetAndEpoch(quorum[1].Host.HighWatermark, 1), 5, [RaftHostTopics.Topic("a")]);
        var disk = new InMemoryFileSystem(quorum.Clock);
        disk.CreateDirectory("/data");
        var operations = new List<string>();
        disk.Fault = (operation, path) =>
        {
            if (path.Contains(".checkpoint", StringComparison.Ordinal) && operation is FileOperation.Flush or FileOperation.Rename)
            {
                lock (operations)
                    operations.Add(operation.ToString());
            }

            return null;
        };
        var node = quorum.StartNode(7, disk);
        await quorum.UntilAsync(() => node.Topics == "a", "the newcomer has everything");
        lock (operations)
            Assert.Equal(["Flush", "Rename"], operations.Take(2));
    }

    /// <summary>A voter that comes back with less than it has acknowledged could help to elect a leader without it.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_voter_whose_log_is_damaged_before_its_snapshot_does_not_start_unless_it_is_alone(bool isAlone)
    {
        var disk = await DamagedAsync(isAlone ? [1] : [1, 2]);
        await using var quorum = new LoopbackQuorum();
        if (isAlone)
        {
            quorum.StartNode(1, disk);
            await quorum.UntilLeaderAsync();
            Assert.Equal(("from-snapshot", 1), (quorum[1].Topics, quorum[1].Snapshots));
            return;
        }

        var refusal = Assert.Throws<InvalidDataException>(() => quorum.StartNode(1, disk));
        Assert.Contains("damaged at offset", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Voters_come_and_go_while_the_controller_writes()
    {
        await using var quorum = LoopbackQuorum.Start(1);
        await quorum.UntilLeaderAsync();
        var second = quorum.StartNode(2);
        await quorum.UntilAsync(() => second.HasCaughtUp, "the second follows");
        var appends = Enumerable.Range(0, 50).Select(i => quorum[1].AppendAsync($"t{i}")).ToArray();
        var added = quorum[1]
            .Host.HandleAsync(new AddVoterCall(LoopbackQuorum.Key(2), [LoopbackQuorum.Endpoint(2)], 1000, AckWhenCommitted: true));
        var more = Enumerable.Range(50, 50).Select(i => quorum[1].AppendAsync($"t{i}")).ToArray();
        await quorum.UntilAsync(() => added.IsCompleted && appends.Concat(more).All(append => append.IsCompleted), "all is committed");
        Assert.Equal(ErrorCode.None, (await added).Error);
        await Task.WhenAll(appends.Concat(more));
        await quorum.UntilAsync(() => second.Topics == quorum[1].Topics, "both have the same");
        Assert.Equal(string.Join(",", Enumerable.Range(0, 100).Select(i => $"t{i}")), second.Topics);
        Assert.Equal([1, 2], second.Host.Quorum.VoterSet.Voters.Select(voter => voter.Key.Id));

        var removed = quorum[1].Host.HandleAsync(new RemoveVoterCall(LoopbackQuorum.Key(1)));
        await quorum.UntilAsync(() => removed.IsCompleted && second.Leads, "the second leads alone");
        Assert.Equal(ErrorCode.None, (await removed).Error);
        await second.AppendAsync("last");
        await quorum.UntilAsync(() => quorum[1].Topics.EndsWith(",last", StringComparison.Ordinal), "the removed one follows");
    }

    [Fact]
    public async Task A_broker_does_not_flush_what_it_follows()
    {
        await using var quorum = LoopbackQuorum.Start(1);
        await quorum.UntilLeaderAsync();
        var broker = quorum.StartNode(8, isBroker: true);
        await quorum.UntilAsync(() => broker.HasCaughtUp, "the broker follows");
        var flushes = 0;
        broker.Disk.Fault = (operation, path) =>
        {
            if (operation == FileOperation.Flush && path.EndsWith(".log", StringComparison.Ordinal))
                Interlocked.Increment(ref flushes);
            return null;
        };
        for (var i = 0; i < 5; i++)
            await quorum[1].AppendAsync($"t{i}");
        await quorum.UntilAsync(() => broker.Topics == quorum[1].Topics, "the broker has everything");
        Assert.Equal(0, flushes);
    }

    /// <summary>The disk of a voter with two topics, a snapshot, a topic behind it, and a flipped bit in the first topic.</summary>
    private static async Task<InMemoryFileSystem> DamagedAsync(int[] voters)
    {
        await using var quorum = LoopbackQuorum.Start(voters);
        await quorum.UntilLeaderAsync();
        var log = "/data/__cluster_metadata-0/00000000000000000000.log";
        var length = quorum[1].Disk.GetLength(log);
        foreach (var topic in (string[])["a", "b"])
            await quorum.AppendAsync(topic);
        var leader = quorum.Leader.Host;
        quorum[1].Host.WriteSnapshot(
            new OffsetAndEpoch(leader.HighWatermark, leader.Leader.Epoch), 5, [RaftHostTopics.Topic("from-snapshot")]);
        await quorum.AppendAsync("c");
        var disk = quorum[1].Disk.Clone();
        using var file = disk.Open(log, FileOpenMode.Existing);
        var last = new byte[1];
        file.ReadExactly(length + 70, last);
        last[0] ^= 1;
        file.Write(length + 70, last);
        return disk;
    }

    [Fact]
    public async Task A_leader_that_stops_hands_over()
    {
        await using var quorum = LoopbackQuorum.Start(1, 2, 3);
        await quorum.UntilLeaderAsync();
        var first = quorum.Leader;
        await quorum.UntilAsync(() => quorum.Nodes.All(node => node.HasCaughtUp), "all follow");
        var epoch = first.Host.Leader.Epoch;
        var end = first.Host.DisposeAsync().AsTask();
        await quorum.UntilAsync(() => end.IsCompleted && quorum.Nodes.Any(node => node != first && node.Leads), "the next leader");
        Assert.Equal(epoch + 1, quorum.Nodes.Single(node => node != first && node.Leads).Host.Leader.Epoch);
    }
}
