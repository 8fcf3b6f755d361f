using Ottla.Client;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.UnitTests.Broker;
using static Ottla.UnitTests.Broker.Requests;

namespace Ottla.UnitTests.Client.Admin;

/// <summary>Admin calls about transactions, at a whole node.</summary>
public sealed class AdminTransactionTests
{
    private static readonly TopicPartition Partition = new("t", 0);

    [Fact]
    public async Task Lists_and_describes_transactions_and_their_producers()
    {
        await using var bed = await ClientBed.StartAsync("t");
        await using var connection = await bed.Node.ConnectAsync();
        var producer = await connection.BeginAsync();
        AssertError(ErrorCode.None, (await connection.ProduceInTransactionAsync(producer, 0)).ErrorCode);
        var admin = bed.Client.CreateAdmin();
        var listed = await bed.RunAsync(admin.ListTransactionsAsync());
        listed.ThrowIfFailed();
        Assert.Equal([new ListedTransaction("tx", producer.Id, "Ongoing")], listed.Items);
        Assert.Empty((await bed.RunAsync(admin.ListTransactionsAsync(new ListTransactionsFilter
        {
            States = ["Ongoing"],
            LongerThan = TimeSpan.FromHours(1),
            TransactionalIdPattern = "tx.*",
        }))).Items);
        var wrong = await bed.RunAsync(admin.ListTransactionsAsync(new ListTransactionsFilter { States = ["Nonsense"] }));
        Assert.Equal(ErrorCode.InvalidRequest, Assert.Single(wrong.Failures).Value.Error);
        Assert.Throws<KafkaException>(wrong.ThrowIfFailed);

        var described = await bed.RunAsync(admin.DescribeTransactionsAsync(["tx", "nowhere"]));
        var transaction = described["tx"].Value;
        Assert.Equal(("Ongoing", producer.Id, producer.Epoch), (transaction.State, transaction.ProducerId, transaction.ProducerEpoch));
        Assert.Equal([Partition], transaction.Partitions);
        Assert.Equal(TimeSpan.FromMinutes(1), transaction.Timeout);
        Assert.NotNull(transaction.StartedAt);
        Assert.Equal(ErrorCode.TransactionalIdNotFound, described["nowhere"].Error);

        foreach (int? broker in new int?[] { null, 0 })
        {
            var remembered = await bed.RunAsync(admin.DescribeProducersAsync([Partition], broker));
            var one = Assert.Single(remembered[Partition].Value);
            Assert.Equal((producer.Id, 0L), (one.ProducerId, one.CurrentTransactionStartOffset));
        }
    }

    [Fact]
    public async Task Aborts_a_transaction_in_a_partition()
    {
        await using var bed = await ClientBed.StartAsync("t");
        await using var connection = await bed.Node.ConnectAsync();
        var producer = await connection.BeginAsync();
        AssertError(ErrorCode.None, (await connection.ProduceInTransactionAsync(producer, 0)).ErrorCode);
        var admin = bed.Client.CreateAdmin();
        var wrong = new HangingTransaction(Partition, producer.Id, (short)(producer.Epoch - 1), -1);
        Assert.Equal(
            ErrorCode.InvalidRequest,
            (await Assert.ThrowsAsync<KafkaException>(() => bed.RunAsync(admin.AbortTransactionAsync(wrong)))).ErrorCode);
        await bed.RunAsync(admin.AbortTransactionAsync(wrong with { ProducerEpoch = producer.Epoch }));
        var remembered = (await bed.RunAsync(admin.DescribeProducersAsync([Partition]))).GetValues();
        Assert.Null(Assert.Single(remembered[Partition]).CurrentTransactionStartOffset);
    }

    [Fact]
    public async Task Fences_producers_and_terminates_transactions()
    {
        await using var bed = await ClientBed.StartAsync("t");
        await using var connection = await bed.Node.ConnectAsync();
        var producer = await connection.BeginAsync();
        var admin = bed.Client.CreateAdmin();
        var fenced = await bed.RunAsync(admin.FenceProducersAsync(["tx", "another"]));
        Assert.Equal(new FencedProducer(producer.Id, (short)(producer.Epoch + 1)), fenced["tx"].Value);
        Assert.Equal(0, fenced["another"].Value.ProducerEpoch);

        var second = await connection.BeginAsync("terminated");
        AssertError(ErrorCode.None, (await connection.ProduceInTransactionAsync(second, 0, id: "terminated")).ErrorCode);
        await bed.RunAsync(admin.ForceTerminateTransactionAsync("terminated"));
        var described = await bed.RunAsync(admin.DescribeTransactionsAsync(["terminated"]));
        Assert.NotEqual("Ongoing", described["terminated"].Value.State);
        Assert.NotEqual(
            ErrorCode.None, (ErrorCode)(await connection.ProduceInTransactionAsync(second, 1, id: "terminated")).ErrorCode);
    }
}
