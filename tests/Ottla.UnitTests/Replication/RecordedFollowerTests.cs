using System.Text.Json;
using Ottla.Kernel;
using Ottla.Protocol.Batches;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Wire;
using Ottla.StateMachines.Replication;

namespace Ottla.UnitTests.Replication;

/// <summary>
/// What followers of a cluster of Apache Kafka 4.4.0 asked their leaders for (tests/golden/cluster): after the same answers ours ask for
/// the same, byte for byte.
/// </summary>
public sealed class RecordedFollowerTests
{
    private static readonly ILookup<string, Exchange> s_recorded =
        ReadAll("cluster/follower-requests.jsonl").Concat(ReadAll("cluster/replica-fetches.jsonl"))
            .ToLookup(each => each.Name, each => each.Exchange);

    private readonly HashSet<TopicIdPartition> _followed = [];
    private readonly Dictionary<FetcherPartition<object>, int> _epochs = [];
    private int _sessionEpoch;
    private Instant _now = new(1_000_000);

    [Fact]
    public void Records_come_and_the_high_watermark_follows()
    {
        Exchange[] exchanges =
        [
            .. s_recorded["idle full fetch"], .. s_recorded["idle"], .. s_recorded["records"], .. s_recorded["records and high watermark"],
        ];
        var machine = MachineOf(exchanges[0]);
        FollowAsNamed(machine, exchanges[0].Request());
        foreach (var exchange in exchanges)
        {
            AssertAsks(machine, exchange);
            Accept(machine, exchange.Response());
        }
    }

    [Theory]
    [InlineData("a follower is started again")]
    [InlineData("a follower is started again with several topics")]
    public void A_follower_is_started_again(string name)
    {
        Exchange[] exchanges = [.. s_recorded[name]];
        var machine = MachineOf(exchanges[0]);
        FollowAsNamed(machine, exchanges[0].Request()); // where its logs end
        foreach (var exchange in exchanges)
        {
            AssertAsks(machine, exchange);
            if (exchange.HasAnswer)
                Accept(machine, exchange.Response());
        }
    }

    /// <summary>
    /// A session that has lived for a while gets a new topic. Then the leader of another partition dies, and this broker's leader takes it
    /// over; at last it is fenced by a later election, of which the follower hears from it first.
    /// </summary>
    [Fact]
    public void A_leader_dies_and_its_successor_is_fenced_by_a_later_election()
    {
        Exchange[] exchanges = [.. s_recorded["a leader dies, and is fenced by a later election"]];
        var first = exchanges[0].Request();
        var machine = MachineOf(exchanges[0]);
        Follow(machine, new TopicIdPartition(new Uuid(9, 9), 1), leaderEpoch: 0, new FetcherPosition(17, 0, 0)); // of an older topic
        Assert.True(machine.TryFillRequest(new FetchRequest(), exchanges[0].Version, 0, isQuotaExceeded: false, _now));
        Accept(machine, new FetchResponse
        {
            SessionId = first.SessionId,
            Responses =
            [
                new() { TopicId = new Uuid(9, 9), Partitions = [new() { PartitionIndex = 1, HighWatermark = 17, LogStartOffset = 0 }] },
            ],
        });
        IdleUntil(machine, exchanges[0]);
        FollowAsNamed(machine, first);
        foreach (var exchange in exchanges)
        {
            IdleUntil(machine, exchange);
            foreach (var topic in exchange.Request().Topics)
            {
                foreach (var partition in topic.Partitions)
                {
                    if (!_followed.Contains(new TopicIdPartition(topic.TopicId, partition.Partition)))
                        FollowAsNamed(machine, exchange.Request()); // the metadata brings the election
                }
            }

            AssertAsks(machine, exchange);
            Accept(machine, exchange.Response());
        }

        Assert.Equal(2, machine.Count); // the fenced one waits for the metadata
    }

    private static FetcherMachine<object> MachineOf(Exchange exchange)
    {
        var request = exchange.Request();
        return new FetcherMachine<object>(
            new FetcherOptions(request.ReplicaState!.ReplicaId, 1000, 500, 1, 10 * 1024 * 1024, 1024 * 1024));
    }

    private void FollowAsNamed(FetcherMachine<object> machine, FetchRequest request)
    {
        foreach (var topic in request.Topics)
        {
            foreach (var partition in topic.Partitions)
                Follow(
                    machine, new TopicIdPartition(topic.TopicId, partition.Partition), partition.CurrentLeaderEpoch,
                    new FetcherPosition(partition.FetchOffset, partition.LastFetchedEpoch, partition.LogStartOffset));
        }
    }

    private void Follow(FetcherMachine<object> machine, TopicIdPartition id, int leaderEpoch, in FetcherPosition position)
    {
        _followed.Add(id);
        _epochs[machine.Follow(id, new object(), leaderEpoch, position)] = position.LatestEpoch;
    }

    private void AssertAsks(FetcherMachine<object> machine, Exchange exchange)
    {
        var request = new FetchRequest();
        var epoch = exchange.Request().ReplicaState!.ReplicaEpoch;
        Assert.True(machine.TryFillRequest(request, exchange.Version, epoch, isQuotaExceeded: false, _now), "there is nothing to ask for");
        Assert.Equal(Convert.ToHexString(exchange.RequestBytes), Convert.ToHexString(WireBuffer.Encode(request, exchange.Version)));
    }

    /// <summary>Idle rounds, which the recording leaves out.</summary>
    private void IdleUntil(FetcherMachine<object> machine, Exchange exchange)
    {
        var next = exchange.Request();
        var request = new FetchRequest();
        while (_sessionEpoch < next.SessionEpoch)
        {
            Assert.True(machine.TryFillRequest(request, exchange.Version, next.ReplicaState!.ReplicaEpoch, isQuotaExceeded: false, _now));
            Assert.Empty(request.Topics);
            Accept(machine, new FetchResponse { SessionId = next.SessionId });
        }
    }

    /// <summary>Takes an answer over as the host does, on logs that take what comes.</summary>
    private void Accept(FetcherMachine<object> machine, FetchResponse response)
    {
        _now = _now.AddMilliseconds(500);
        Assert.True(machine.TryAccept(response, _now, out var problem), problem);
        _sessionEpoch++;
        foreach (var topic in response.Responses)
        {
            foreach (var data in topic.Partitions)
            {
                if (machine.Judge(topic.TopicId, data, _now, out var partition) != FetchVerdict.Append)
                    continue;
                var position = new FetcherPosition(partition!.FetchOffset, _epochs[partition], data.LogStartOffset);
                for (var rest = data.Records.Memory; rest.Length > 0;)
                {
                    var batch = new RecordBatchView(rest.Span);
                    position = new FetcherPosition(batch.NextOffset, batch.PartitionLeaderEpoch, data.LogStartOffset);
                    _epochs[partition] = batch.PartitionLeaderEpoch;
                    rest = rest[batch.SizeInBytes..];
                }

                machine.OnAppended(partition, position, data.HighWatermark);
            }
        }
    }

    private static IEnumerable<(string Name, Exchange Exchange)> ReadAll(string path) =>
        File.ReadLines(GoldenData.Path(path)).Select(line => JsonDocument.Parse(line).RootElement).Select(line => (
            line.GetProperty("name").GetString()!,
            new Exchange(
                line.GetProperty("v").GetInt16(), Convert.FromHexString(line.GetProperty("request").GetString()!),
                Convert.FromHexString(line.GetProperty("response").GetString()!))));

    private sealed record Exchange(short Version, byte[] RequestBytes, byte[] ResponseBytes)
    {
        public bool HasAnswer => ResponseBytes.Length > 0;

        public FetchRequest Request()
        {
            var reader = new WireReader(RequestBytes);
            return FetchRequest.Read(ref reader, Version);
        }

        public FetchResponse Response()
        {
            var reader = new WireReader(ResponseBytes);
            return FetchResponse.Read(ref reader, Version);
        }
    }
}
