using Ottla.Protocol;
using Ottla.Protocol.Messages;
using static Ottla.UnitTests.Broker.Requests;

namespace Ottla.UnitTests.Broker;

/// <summary>A transaction's partitions are led by any broker, and its coordinator is one of them.</summary>
public sealed class ClusterTransactionTests
{
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_transaction_ends_in_partitions_of_all_brokers(bool byOldProtocol)
    {
        await using var cluster = await TestCluster.StartCombinedAsync(TransactionCalls.FewPartitions);
        await using var any = await cluster.Nodes[1].ConnectAsync();
        await any.CreateTopicAsync("t", partitions: 6);
        var found = await any.CallAsync<FindCoordinatorRequest, FindCoordinatorResponse>(
            new FindCoordinatorRequest { CoordinatorKeys = ["tx"], KeyType = 1 });
        var coordinatorId = Assert.Single(found.Coordinators).NodeId;
        await Waiting.UntilAsync(() => cluster.Nodes.Values.All(node => node.Image.Topics.Find("__transaction_state") is not null));
        await using var coordinator = await cluster.Nodes[coordinatorId].ConnectAsync();
        var leaders = cluster.Nodes[1].Image.Topics.Find("t")!.Partitions.Select(partition => partition.Leader).ToList();
        Assert.Equal([1, 2, 3], leaders.Distinct().Order());

        foreach (var commit in (bool[])[true, false])
        {
            var producer = await coordinator.BeginAsync();
            for (var partition = 0; partition < leaders.Count; partition++)
            {
                await using var leader = await cluster.Nodes[leaders[partition]].ConnectAsync();
                if (byOldProtocol)
                    Assert.Equal(ErrorCode.None, await coordinator.AddPartitionAsync(producer, "t", partition));
                var produced = await leader.ProduceInTransactionAsync(
                    producer, sequence: 0, byOldProtocol ? TransactionCalls.OldProduce : (short)12, partition: partition);
                AssertError(ErrorCode.None, produced.ErrorCode, produced.ErrorMessage);
            }

            var ended = await coordinator.EndAsync(producer, commit, version: byOldProtocol ? TransactionCalls.OldEndTxn : (short)5);
            AssertError(ErrorCode.None, ended.ErrorCode);
            await coordinator.AwaitStateAsync(commit ? "CompleteCommit" : "CompleteAbort");
        }

        for (var partition = 0; partition < leaders.Count; partition++)
        {
            var log = cluster.Nodes[leaders[partition]].Node.Topics.Find("t")!.Find(partition)!.Log;
            Assert.Equal((4, 4), (log.LogEndOffset, log.LastStableOffset)); // a record and a marker, twice; nothing is open
        }
    }

    [Fact]
    public async Task A_leader_that_hears_nothing_of_the_transaction_refuses_its_batch()
    {
        await using var cluster = await TestCluster.StartCombinedAsync(TransactionCalls.FewPartitions);
        await using var any = await cluster.Nodes[1].ConnectAsync();
        await any.CreateTopicAsync("t", partitions: 6);
        var found = await any.CallAsync<FindCoordinatorRequest, FindCoordinatorResponse>(
            new FindCoordinatorRequest { CoordinatorKeys = ["tx"], KeyType = 1 });
        await using var coordinator = await cluster.Nodes[found.Coordinators[0].NodeId].ConnectAsync();
        var producer = await coordinator.BeginAsync();
        var leaders = cluster.Nodes[1].Image.Topics.Find("t")!.Partitions.Select(partition => partition.Leader).ToList();
        var elsewhere = leaders.FindIndex(leader => leader != found.Coordinators[0].NodeId);
        await using var leader = await cluster.Nodes[leaders[elsewhere]].ConnectAsync();
        var refused = await leader.ProduceInTransactionAsync(producer, sequence: 0, TransactionCalls.OldProduce, partition: elsewhere);
        Assert.Equal(ErrorCode.TransactionAbortable, (ErrorCode)refused.ErrorCode);
    }
}
