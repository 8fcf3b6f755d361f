using Ottla.Protocol.Messages;
using Ottla.UnitTests.Broker;

namespace Ottla.UnitTests.Peers;

/// <summary>
/// What whole nodes say to the active controller, compared field by field with what nodes of Apache Kafka 4.4.0 said; see
/// <see cref="RaftConversationTests"/>.
/// </summary>
public sealed class ControllerConversationTests
{
    private static readonly ApiKey[] Apis =
    [
        ApiKey.BrokerRegistration, ApiKey.BrokerHeartbeat, ApiKey.ControllerRegistration, ApiKey.AllocateProducerIds,
        ApiKey.AssignReplicasToDirs, ApiKey.Envelope,
    ];

    [Fact]
    public async Task Nodes_speak_to_the_controller_as_Kafkas_do()
    {
        var recorder = new FrameRecorder(() => 0);
        var cluster = new TestCluster([1, 2, 3], [1, 2, 3], ("log.dirs", "/data/d0,/data/d1")) { Recorder = recorder };
        await using (cluster)
        {
            await cluster.StartAsync(cluster.Nodes.Keys);
            var active = await cluster.ActiveControllerAsync();
            var other = cluster.Nodes.Values.First(node => node.Id != active);
            await using (var client = await other.ConnectAsync())
            {
                var created = await client.CallAsync<CreateTopicsRequest, CreateTopicsResponse>(new CreateTopicsRequest
                {
                    Topics = [new() { Name = "topic", NumPartitions = 6, ReplicationFactor = 1 }],
                    TimeoutMs = 30_000,
                });
                Assert.Equal(0, created.Topics[0].ErrorCode);
                var producer = await client.CallAsync<InitProducerIdRequest, InitProducerIdResponse>(
                    new InitProducerIdRequest
                    {
                        TransactionalId = null,
                        TransactionTimeoutMs = 60_000,
                        ProducerId = -1,
                        ProducerEpoch = -1,
                    });
                Assert.Equal(0, producer.ErrorCode);
            }

            await Waiting.UntilAsync(() => Apis.All(api => recorder.Messages.Any(message => message.Api == api && !message.IsRequest)));
            await other.StopAsync();
        }

        var messages = recorder.Messages.Where(message => Apis.Contains(message.Api)).ToList();
        Assert.Contains(messages, message => message.IsRequest && message.Api == ApiKey.BrokerHeartbeat
            && message.Read<BrokerHeartbeatRequest>().WantShutDown);
        var kafkas = RecordedMessages.Excerpt("controller-messages.jsonl.gz").ToLookup(message => message.IsRequest, MessageShape.Of);
        Assert.All(Apis, api => Assert.Contains(kafkas[true], shape => shape.StartsWith($"{api} ", StringComparison.Ordinal)));
        foreach (var message in messages)
        {
            RaftConversationTests.AssertAmong([.. kafkas[message.IsRequest]], message);
            if (message.IsRequest)
                Assert.Equal(message.Source[1..], message.Header().ClientId);
        }
    }
}
