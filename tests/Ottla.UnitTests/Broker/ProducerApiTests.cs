using Ottla.Protocol;
using Ottla.Protocol.Messages;
using static Ottla.UnitTests.Broker.Requests;

namespace Ottla.UnitTests.Broker;

/// <summary>What producers ask before they produce.</summary>
public sealed class ProducerApiTests
{
    [Fact]
    public async Task InitProducerId_gives_another_id_every_time()
    {
        await using var node = await TestNode.StartAsync();
        await using var client = await node.ConnectAsync();
        var ids = new HashSet<long>();
        foreach (var version in TestConnection.VersionsOf<InitProducerIdResponse>())
        {
            var response = await client.CallAsync<InitProducerIdRequest, InitProducerIdResponse>(new InitProducerIdRequest { TransactionalId = null }, version);
            AssertError(ErrorCode.None, response.ErrorCode);
            Assert.Equal(0, response.ProducerEpoch);
            Assert.True(ids.Add(response.ProducerId) && response.ProducerId >= 0);

            AssertError(ErrorCode.InvalidRequest, await ErrorOf(new InitProducerIdRequest { TransactionalId = "" }));
            AssertError(ErrorCode.CoordinatorNotAvailable, await ErrorOf(new InitProducerIdRequest { TransactionalId = "tx", TransactionTimeoutMs = 1000 }));
            if (version >= 3)
                AssertError(ErrorCode.InvalidRequest, await ErrorOf(new InitProducerIdRequest { TransactionalId = null, ProducerId = 5 }));

            async Task<short> ErrorOf(InitProducerIdRequest request)
            {
                var failed = await client.CallAsync<InitProducerIdRequest, InitProducerIdResponse>(request, version);
                Assert.Equal(-1, failed.ProducerId);
                return failed.ErrorCode;
            }
        }
    }

    [Fact]
    public async Task DescribeTransactions_in_every_version()
    {
        await using var node = await TestNode.StartAsync();
        await using var client = await node.ConnectAsync();
        foreach (var version in TestConnection.VersionsOf<DescribeTransactionsResponse>())
        {
            var response = await client.CallAsync<DescribeTransactionsRequest, DescribeTransactionsResponse>(new DescribeTransactionsRequest { TransactionalIds = ["tx", ""] }, version);
            Assert.Equal(
                [("tx", ErrorCode.TransactionalIdNotFound), ("", ErrorCode.InvalidRequest)], response.TransactionStates.Select(state => (state.TransactionalId, (ErrorCode)state.ErrorCode)));
        }
    }

    [Fact]
    public async Task ListTransactions_in_every_version()
    {
        await using var node = await TestNode.StartAsync();
        await using var client = await node.ConnectAsync();
        foreach (var version in TestConnection.VersionsOf<ListTransactionsResponse>())
        {
            var response = await client.CallAsync<ListTransactionsRequest, ListTransactionsResponse>(new ListTransactionsRequest { StateFilters = ["Ongoing", "Bored"] }, version);
            AssertError(ErrorCode.None, response.ErrorCode);
            Assert.Equal(["Bored"], response.UnknownStateFilters);
            Assert.Empty(response.TransactionStates);
            if (version < 2)
                continue;
            AssertError(ErrorCode.None, await ErrorOf("tx-.*"));
            AssertError(ErrorCode.InvalidRegularExpression, await ErrorOf("tx-("));

            async Task<short> ErrorOf(string pattern) =>
                (await client.CallAsync<ListTransactionsRequest, ListTransactionsResponse>(new ListTransactionsRequest { TransactionalIdPattern = pattern }, version)).ErrorCode;
        }
    }
}
