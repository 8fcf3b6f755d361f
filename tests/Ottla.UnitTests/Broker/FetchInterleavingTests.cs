using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Storage.Files;
using Ottla.Storage.Log;
using static Ottla.UnitTests.Broker.Requests;

namespace Ottla.UnitTests.Broker;

/// <summary>
/// What others do to a log in the midst of a fetch. The disk is the seam: a fault that returns nothing runs between two steps.
/// </summary>
public sealed class FetchInterleavingTests
{
    private const int LongWaitMs = 12_345;

    /// <summary>
    /// The fetch waits for the log's lock while records are appended: who wakes waiters does so before this one is there.
    /// </summary>
    [Fact]
    public async Task A_fetch_does_not_miss_what_is_appended_while_it_waits_for_the_log()
    {
        var (node, client, _) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        await client.ProduceAsync("t", Batch());
        var replica = node.Replica("t");
        var now = new Instant(node.Clock.NowMs);
        replica.Log.Roll(now);
        replica.Log.AdvanceLogStartOffset(1, leaderEpoch: 0);
        Assert.Equal(1, replica.Log.DeleteOldSegments(now));
        var request = Fetch("t", Uuid.Zero, 1, 12);
        request.MaxWaitMs = LongWaitMs;
        Task? sent = null;
        node.Disk.Fault = (operation, path) =>
        {
            if (operation == FileOperation.Delete && path.Contains("/t-0/", StringComparison.Ordinal) && sent is null)
            {
                // This thread holds the log's lock; the fetch runs on another one until it needs it.
                var contentions = Monitor.LockContentionCount;
                sent = Task.Run(() => client.SendAsync(request, 12));
                SpinWait.SpinUntil(() => Monitor.LockContentionCount > contentions, TestNode.Patience);
                Assert.Equal(ErrorCode.None, replica.Append(Batch(), needsInSyncReplicas: false, allowZstd: true, now).ErrorCode);
            }

            return null;
        };
        replica.Log.UnlinkDeletedSegments(now.AddMilliseconds(LongWaitMs * 100L));
        await sent!;
        Assert.Equal([1L], BaseOffsets((await client.ReceiveAsync<FetchResponse>()).Responses[0].Partitions[0].Records));
    }

    [Fact]
    public async Task Aborted_records_never_come_without_the_list_of_aborted_transactions()
    {
        await using var node = await TestNode.StartAsync(TransactionCalls.FewPartitions);
        await using var client = await node.ConnectAsync();
        await client.CreateTopicAsync("t");
        var producer = await client.BeginAsync();
        AssertError(ErrorCode.None, (await client.ProduceInTransactionAsync(producer, 0, count: 3)).ErrorCode);
        AssertError(ErrorCode.None, (await client.EndAsync(producer, commit: false)).ErrorCode);
        await client.AwaitStateAsync("CompleteAbort");
        var log = node.Replica("t").Log;
        var now = new Instant(node.Clock.NowMs);
        log.Roll(now);
        await client.ProduceAsync("t", Batch());
        var deleted = -1;
        node.Disk.Fault = (operation, path) =>
        {
            // The fetch has planned what to read and looks for the batches, without the log's lock: retention takes the segment away.
            if (operation == FileOperation.Read && deleted < 0 && path.EndsWith("/t-0/00000000000000000000.log", StringComparison.Ordinal))
            {
                log.AdvanceLogStartOffset(4, leaderEpoch: 0);
                deleted = log.DeleteOldSegments(now);
            }

            return null;
        };
        var fetched = await client.FetchAsync("t", 0, changeRequest: request => request.IsolationLevel = 1);
        Assert.Equal(1, deleted);
        Assert.Equal([0L, 3], BaseOffsets(fetched.Records));
        Assert.Equal(
            (producer.Id, 0L), Assert.Single(fetched.AbortedTransactions!) is var aborted ? (aborted.ProducerId, aborted.FirstOffset)
            : default);
    }

    [Fact]
    public async Task What_was_read_is_given_back_when_a_later_partition_fails()
    {
        await using var node = await TestNode.StartAsync();
        await using var client = await node.ConnectAsync();
        await client.CreateTopicAsync("t", 2);
        for (var i = 0; i < 2; i++)
        {
            await client.ProduceAsync("t", Batch());
            await client.ProduceAsync("t", Batch(), partition: 1);
        }

        node.Disk.Fault = (operation, path) => operation == FileOperation.Read
            && path.Contains("/t-1/", StringComparison.Ordinal) ? throw new NotSupportedException("a bug") : null;
        var request = Fetch("t", Uuid.Zero, 0, 12);
        request.Topics[0]
            .Partitions = [request.Topics[0].Partitions[0], new FetchRequest.FetchPartition { Partition = 1, PartitionMaxBytes = 1 << 20 }];
        await client.SendAsync(request, 12);
        await client.ReceiveFrameAsync(); // an error, or the end of the connection

        // A truncation cuts the file, unless somebody still holds it for reading: then it is copied.
        var isCopied = false;
        node.Disk.Fault = (operation, path) =>
        {
            isCopied |= operation == FileOperation.Open && path.EndsWith(".cleaned", StringComparison.Ordinal);
            return null;
        };
        var log = node.Replica("t").Log;
        log.BeginFollowing(leaderEpoch: 1);
        Assert.Equal(FollowerTruncation.Truncated, log.TruncateAsFollower(1, leaderEpoch: 1));
        Assert.False(isCopied, "a reader still holds the file");
    }
}
