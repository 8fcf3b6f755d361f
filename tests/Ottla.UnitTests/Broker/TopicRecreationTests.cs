using System.Collections.Concurrent;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Protocol.Messages;
using static Ottla.UnitTests.Broker.Requests;

namespace Ottla.UnitTests.Broker;

/// <summary>Topics that are deleted and created again with the same name while clients go on.</summary>
public sealed class TopicRecreationTests
{
    private const int Rounds = 15;
    private const int Producers = 3;

    private static readonly ErrorCode[] s_expected = [
        ErrorCode.None, ErrorCode.UnknownTopicOrPartition, ErrorCode.NotLeaderOrFollower, ErrorCode.KafkaStorageError];

    [Fact]
    public async Task A_new_topic_has_what_was_produced_since_it_was_created_and_nothing_of_the_one_before()
    {
        await using var node = await TestNode.StartAsync();
        await using var admin = await node.ConnectAsync();
        var acknowledged = new ConcurrentDictionary<long, long>(); // a record is known by its timestamp
        var lastId = 0L;
        using var enough = new CancellationTokenSource();
        var producers = Enumerable.Range(0, Producers).Select(_ => Task.Run(ProduceAsync)).ToList();
        var gone = new HashSet<long>();
        var createdAt = 0L;
        for (var round = 0; round < Rounds; round++)
        {
            await admin.CreateTopicAsync("t");
            createdAt = Interlocked.Read(ref lastId);
            while (acknowledged.Keys.All(id => id <= createdAt))
                await Task.Yield();
            node.Clock.AdvanceMs(1_000); // upkeep runs beside it
            if (round == Rounds - 1)
                break;
            gone.UnionWith(acknowledged.Keys);
            AssertError(
                ErrorCode.None, (
                    await admin.CallAsync<DeleteTopicsRequest, DeleteTopicsResponse>(new DeleteTopicsRequest { TopicNames = ["t"] }, 5))
                        .Responses[0].ErrorCode);
        }

        await enough.CancelAsync();
        await Task.WhenAll(producers);
        await CheckAsync(admin);
        await node.RestartAsync();
        await using var after = await node.ConnectAsync();
        await CheckAsync(after);
        Assert.Equal(
            ["__cluster_metadata-0", "t-0"],
            node.Disk.ListDirectories("/data").Where(name => !name.EndsWith("-delete", StringComparison.Ordinal)));

        async Task ProduceAsync()
        {
            await using var client = await node.ConnectAsync();
            while (!enough.IsCancellationRequested)
            {
                var id = Interlocked.Increment(ref lastId);
                var response = await client.ProduceAsync("t", Batch(timestampMs: StartMs + id));
                Assert.Contains((ErrorCode)response.ErrorCode, s_expected);
                if (response.ErrorCode == 0)
                    acknowledged[id] = response.BaseOffset;
            }
        }

        async Task CheckAsync(TestConnection client)
        {
            var found = new Dictionary<long, long>();
            FetchResponse.PartitionData fetched;
            do
            {
                fetched = await client.FetchAsync("t", found.Count);
                for (var rest = fetched.Records!.Memory; rest.Length > 0;)
                {
                    var batch = new RecordBatchView(rest.Span);
                    Assert.Equal(found.Count, batch.BaseOffset);
                    found.Add(batch.MaxTimestamp - StartMs, batch.BaseOffset);
                    rest = rest[batch.SizeInBytes..];
                }
            }
            while (found.Count < fetched.HighWatermark);
            foreach (var (id, offset) in acknowledged.Where(each => each.Key > createdAt))
                Assert.Equal(offset, found[id]);
            Assert.DoesNotContain(found.Keys, gone.Contains);
        }
    }
}
