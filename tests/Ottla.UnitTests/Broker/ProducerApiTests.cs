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
            var response = await client.CallAsync<InitProducerIdRequest, InitProducerIdResponse>(
                new InitProducerIdRequest { TransactionalId = null }, version);
            AssertError(ErrorCode.None, response.ErrorCode);
            Assert.Equal(0, response.ProducerEpoch);
            Assert.True(ids.Add(response.ProducerId) && response.ProducerId >= 0);

            AssertError(ErrorCode.InvalidRequest, await ErrorOf(new InitProducerIdRequest { TransactionalId = "" }));
            // nobody has looked for it
            AssertError(
                ErrorCode.NotCoordinator, await ErrorOf(new InitProducerIdRequest { TransactionalId = "tx", TransactionTimeoutMs = 1000 }));
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
}
