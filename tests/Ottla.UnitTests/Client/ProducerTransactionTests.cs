using Ottla.Client;
using Ottla.Client.Producing;
using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.UnitTests.Client;

/// <summary>Transactions of a producer at a whole node.</summary>
public sealed class ProducerTransactionTests
{
    private static readonly ProducerOptions Transactional = new() { TransactionalId = "tx" };

    [Fact]
    public async Task Commits_and_aborts()
    {
        await using var bed = await ClientBed.StartAsync("a", "b");
        await using var producer = bed.Client.CreateProducer<string, string>(Transactional);
        for (var i = 0; i < 3; i++)
        {
            var transaction = await bed.RunAsync(producer.BeginTransactionAsync());
            await bed.RunAsync(producer.ProduceAsync("a", "k", $"{i}"));
            await bed.RunAsync(producer.EnqueueAsync(new("b", "k", $"{i}")).AsTask());
            await bed.RunAsync(i == 1 ? transaction.AbortAsync() : transaction.CommitAsync());
        }

        var (a, b) = (bed.Node.Replica("a").Log, bed.Node.Replica("b").Log);
        await bed.RunAsync(Waiting.UntilAsync(() => a.LastStableOffset == 6 && b.LastStableOffset == b.LogEndOffset));
        Assert.True(b.LogEndOffset is 4 or 6); // what was enqueued in the aborted one was sent, or given up
        var aborted = a.CollectAbortedTransactions(0, 6);
        Assert.Equal(2, Assert.Single(aborted).FirstOffset);
    }

    [Fact]
    public async Task Commits_and_aborts_by_the_protocol_of_older_clusters()
    {
        await using var bed = await ClientBed.StartAsync("a");
        await using (var connection = await bed.Node.ConnectAsync())
        {
            var updated = await bed.RunAsync(connection.CallAsync<UpdateFeaturesRequest, UpdateFeaturesResponse>(new UpdateFeaturesRequest
            {
                FeatureUpdates = [new() { Feature = "transaction.version", MaxVersionLevel = 1, UpgradeType = 2 }],
            }));
            Assert.Equal((short)0, updated.ErrorCode);
        }

        await using var producer = bed.Client.CreateProducer<string, string>(Transactional);
        for (var i = 0; i < 3; i++)
        {
            var transaction = await bed.RunAsync(producer.BeginTransactionAsync());
            await bed.RunAsync(producer.ProduceAsync("a", "k", $"{i}"));
            var group = new ConsumerGroupMetadata("g", -1, "", null);
            await bed.RunAsync(transaction.SendOffsetsAsync([new PartitionOffset("a", 0, i)], group));
            await bed.RunAsync(i == 1 ? transaction.AbortAsync() : transaction.CommitAsync());
        }

        var log = bed.Node.Replica("a").Log;
        await bed.RunAsync(Waiting.UntilAsync(() => log.LastStableOffset == 6));
        Assert.Equal(2, Assert.Single(log.CollectAbortedTransactions(0, 6)).FirstOffset);
    }

    [Fact]
    public async Task Committing_waits_for_records_that_wait_for_metadata()
    {
        await using var bed = await ClientBed.StartAsync("a");
        await using var producer = bed.Client.CreateProducer<string, string>(Transactional);
        var transaction = await bed.RunAsync(producer.BeginTransactionAsync());
        var sent = producer.ProduceAsync("a", "k", "v"); // nothing is known of the topic yet
        await bed.RunAsync(transaction.CommitAsync());
        Assert.Equal(0, (await bed.RunAsync(sent)).Offset);
        await bed.RunAsync(Waiting.UntilAsync(() => bed.Node.Replica("a").Log.LastStableOffset == 2));
        Assert.Empty(bed.Node.Replica("a").Log.CollectAbortedTransactions(0, 2));
    }

    [Fact]
    public async Task A_record_whose_topic_is_not_there_fails_its_transaction_and_no_other()
    {
        await using var bed = await ClientBed.StartAsync("a");
        await using var producer = bed.Client.CreateProducer<string, string>(Transactional with { MaxBlock = TimeSpan.FromSeconds(5) });
        var transaction = await bed.RunAsync(producer.BeginTransactionAsync());
        var sent = producer.ProduceAsync("none", "k", "v");
        await Assert.ThrowsAsync<AbortableTransactionException>(() => bed.RunAsync(transaction.CommitAsync(), stepMs: 10));
        await Assert.ThrowsAsync<KafkaTimeoutException>(() => sent);
        await bed.RunAsync(transaction.AbortAsync());

        transaction = await bed.RunAsync(producer.BeginTransactionAsync());
        sent = producer.ProduceAsync("none", "k", "v");
        var started = bed.Node.Clock.NowMs;
        await bed.RunAsync(transaction.AbortAsync());
        await Assert.ThrowsAsync<AbortableTransactionException>(() => sent);
        Assert.InRange(bed.Node.Clock.NowMs - started, 0, 4_000); // it does not wait for the topic

        transaction = await bed.RunAsync(producer.BeginTransactionAsync());
        await bed.RunAsync(producer.ProduceAsync("a", "k", "v"));
        await bed.RunAsync(transaction.CommitAsync());
    }

    [Fact]
    public async Task Disposing_aborts_what_was_not_committed()
    {
        await using var bed = await ClientBed.StartAsync("a");
        await using var producer = bed.Client.CreateProducer<string, string>(Transactional);
        var transaction = await bed.RunAsync(producer.BeginTransactionAsync());
        await bed.RunAsync(producer.ProduceAsync("a", "k", "v"));
        await bed.RunAsync(transaction.DisposeAsync().AsTask());
        await bed.RunAsync(Waiting.UntilAsync(() => bed.Node.Replica("a").Log.LastStableOffset == 2));
        Assert.Single(bed.Node.Replica("a").Log.CollectAbortedTransactions(0, 2));
        await Assert.ThrowsAsync<InvalidOperationException>(() => producer.ProduceAsync("a", "k", "outside"));
    }

    [Fact]
    public async Task A_younger_producer_of_the_same_name_fences_an_older_one()
    {
        await using var bed = await ClientBed.StartAsync("a");
        await using var older = bed.Client.CreateProducer<string, string>(Transactional);
        var first = await bed.RunAsync(older.BeginTransactionAsync());
        await bed.RunAsync(older.ProduceAsync("a", "k", "old"));
        await using var younger = bed.Client.CreateProducer<string, string>(Transactional);
        var second = await bed.RunAsync(younger.BeginTransactionAsync());
        await bed.RunAsync(younger.ProduceAsync("a", "k", "young"));
        await Assert.ThrowsAsync<FatalProducerException>(() => bed.RunAsync(first.CommitAsync()));
        await bed.RunAsync(second.CommitAsync());
        await Assert.ThrowsAsync<FatalProducerException>(() => older.ProduceAsync("a", "k", "late"));
    }

    [Fact]
    public async Task Commits_offsets_of_a_group()
    {
        await using var bed = await ClientBed.StartAsync("a");
        await using var producer = bed.Client.CreateProducer<string, string>(Transactional);
        var transaction = await bed.RunAsync(producer.BeginTransactionAsync());
        await bed.RunAsync(producer.ProduceAsync("a", "k", "v"));
        await bed.RunAsync(transaction.SendOffsetsAsync([new PartitionOffset("a", 0, 17)], new ConsumerGroupMetadata("g", -1, "", null)));
        await bed.RunAsync(transaction.CommitAsync());
        await using var connection = await bed.Node.ConnectAsync();
        await bed.RunAsync(Waiting.UntilAsync(async () =>
        {
            var fetched = await connection.CallAsync<OffsetFetchRequest, OffsetFetchResponse>(
                new OffsetFetchRequest { Groups = [new() { GroupId = "g", Topics = [new() { Name = "a", PartitionIndexes = [0] }] }] }, 8);
            return fetched.Groups[0].Topics[0].Partitions[0].CommittedOffset == 17;
        }));
        var next = await bed.RunAsync(producer.BeginTransactionAsync());
        var refusal = await Assert.ThrowsAsync<AbortableTransactionException>(() => bed.RunAsync(
            next.SendOffsetsAsync([new PartitionOffset("a", 0, 18)], new ConsumerGroupMetadata("g", 3, "stranger", null))));
        Assert.Equal(ErrorCode.UnknownMemberId, refusal.ErrorCode);
        await Assert.ThrowsAsync<AbortableTransactionException>(() => bed.RunAsync(next.CommitAsync()));
        await bed.RunAsync(next.AbortAsync());
    }

    [Fact]
    public async Task Without_transactional_id_there_are_none()
    {
        await using var bed = await ClientBed.StartAsync();
        await using var producer = bed.Client.CreateProducer<string, string>();
        await Assert.ThrowsAsync<InvalidOperationException>(() => producer.BeginTransactionAsync());
    }

    /// <summary>The codes that abort a transaction; all others end the producer.</summary>
    [Theory]
    [InlineData(ApiKey.EndTxn, "UnknownProducerId TransactionAbortable")]
    [InlineData(ApiKey.AddOffsetsToTxn, "GroupAuthorizationFailed UnknownProducerId TransactionAbortable")]
    [InlineData(ApiKey.TxnOffsetCommit,
        "GroupAuthorizationFailed FencedInstanceId TransactionAbortable IllegalGeneration UnknownMemberId GroupIdNotFound "
            + "StaleMemberEpoch")]
    [InlineData(ApiKey.InitProducerId, "")]
    public void Errors_abort_or_end_as_in_the_Java_client(ApiKey api, string abortable)
    {
        var expected = abortable.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(Enum.Parse<ErrorCode>).ToHashSet();
        foreach (var error in Enum.GetValues<ErrorCode>())
            Assert.True(expected.Contains(error) == TransactionErrors.IsAbortable(api, error), $"{api} {error}");
    }
}
