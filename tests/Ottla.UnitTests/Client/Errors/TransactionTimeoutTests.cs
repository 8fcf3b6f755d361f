using Ottla.Client;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Simulator.Faults;

namespace Ottla.UnitTests.Client.Errors;

/// <summary>Records of a transaction whose delivery time-out is over while their request is under way.</summary>
public sealed class TransactionTimeoutTests
{
    private static readonly ProducerOptions Impatient = new()
    {
        TransactionalId = "tx",
        DeliveryTimeout = TimeSpan.FromSeconds(2), // over while the second attempt is under way: a request may take 1.5 s
        MaxBlock = TimeSpan.FromSeconds(20),
    };

    [Fact]
    public void A_transaction_is_not_committed_when_a_record_has_failed_though_its_request_is_under_way() =>
        ClientWorld.Run(1, (world, _) => world.WithClientAsync(
            async run =>
            {
                await using var admin = run.Client.CreateAdmin();
                await admin.CreateTopicsAsync([new NewTopic("t") { Partitions = 1 }]);
                var producer = run.Client.CreateProducer<string, string>(Impatient);
                var transaction = await producer.BeginTransactionAsync();
                run.Faults.Decide = request => request.Key == ApiKey.Produce ? new RequestFault.Drop() : null;
                var sent = producer.ProduceAsync("t", "k", "v");
                var refusal = await Assert.ThrowsAsync<AbortableTransactionException>(() => transaction.CommitAsync());
                Assert.Equal(ErrorCode.RequestTimedOut, refusal.ErrorCode);
                await Assert.ThrowsAsync<KafkaTimeoutException>(() => sent);
                Assert.DoesNotContain(run.Faults.Seen, request => request.Key == ApiKey.EndTxn);
                run.Faults.Decide = null;
                await transaction.AbortAsync();

                // The end of the old request says nothing about the next transaction.
                var next = await producer.BeginTransactionAsync();
                await run.Process.Delay(TimeSpan.FromSeconds(3));
                Assert.True((await producer.ProduceAsync("t", "k", "v")).Offset >= 0);
                await next.CommitAsync();
                await producer.DisposeAsync();
            },
            options => options with { ApiTimeout = TimeSpan.FromSeconds(20) }));

    [Fact]
    public void Records_behind_one_that_has_failed_fail_with_it() =>
        ClientWorld.Run(1, (world, _) => world.WithClientAsync(async run =>
        {
            await using var admin = run.Client.CreateAdmin();
            await admin.CreateTopicsAsync([new NewTopic("t") { Partitions = 1 }]);
            var producer = run.Client.CreateProducer<string, string>(Impatient with { BatchBytes = 1 });
            var transaction = await producer.BeginTransactionAsync();
            run.Faults.Decide = request => request.Key == ApiKey.Produce ? new RequestFault.Cut() : null;
            var first = producer.ProduceAsync("t", "k", "1");
            await run.Process.Delay(TimeSpan.FromSeconds(1));
            var second = producer.ProduceAsync("t", "k", "2"); // waits behind the first one, which is tried again and again
            await Assert.ThrowsAsync<KafkaTimeoutException>(() => first);
            var failedAt = run.Process.Clock.GetUtcNow();
            await Assert.ThrowsAnyAsync<KafkaException>(() => second);
            Assert.True(run.Process.Clock.GetUtcNow() - failedAt < Impatient.DeliveryTimeout / 2, "it did not wait for anything else");
            run.Faults.Decide = null;
            await transaction.AbortAsync();
            await producer.DisposeAsync();
        }));
}
