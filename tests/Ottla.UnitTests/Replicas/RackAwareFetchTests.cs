using System.Net;
using Ottla.Broker.Api;
using Ottla.Broker.Replicas;
using Ottla.Broker.Server;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Wire;
using static Ottla.UnitTests.Broker.Requests;
using static Ottla.UnitTests.Replicas.PlayedFollower;

namespace Ottla.UnitTests.Replicas;

/// <summary>Consumers that fetch from the replica in their rack (KIP-392). Broker N is in rackN.</summary>
public sealed class RackAwareFetchTests : IDisposable
{
    private const int NoReplica = -1;

    private readonly LeaderTestBed _bed = new();

    public void Dispose() => _bed.Dispose();

    [Theory]
    [InlineData("rack2", 2)]
    [InlineData("rack3", 3)]
    [InlineData("rack1", NoReplica)]
    [InlineData("elsewhere", NoReplica)]
    [InlineData("", NoReplica)]
    public async Task A_leader_sends_a_consumer_to_its_rack(string rack, int expected)
    {
        await CreateAsync();
        var answer = await FetchAsync(offset: 0, rack);
        Assert.Equal(expected, answer.PreferredReadReplica);
        Assert.Equal(expected == NoReplica ? [0L, 1] : [], BaseOffsets(answer.Records));
        Assert.Equal((2L, 2L, 0L), (answer.HighWatermark, answer.LastStableOffset, answer.LogStartOffset));
    }

    [Fact]
    public async Task Only_a_live_replica_in_sync_that_has_the_offset_will_do()
    {
        await CreateAsync();
        _bed.Append("t");
        Assert.Equal(NoReplica, (await FetchAsync(offset: 3, "rack2")).PreferredReadReplica);
        Assert.Equal(2, (await FetchAsync(offset: 2, "rack2")).PreferredReadReplica);
        _bed.Change("t", 0, change => change.Isr = [1, 3]);
        Assert.Equal(NoReplica, (await FetchAsync(offset: 2, "rack2")).PreferredReadReplica);
        Assert.Equal(3, (await FetchAsync(offset: 2, "rack3")).PreferredReadReplica);
        _bed.Publish([new BrokerRegistrationChangeRecord { BrokerId = 3, BrokerEpoch = 30, Fenced = 1 }]);
        Assert.Equal(NoReplica, (await FetchAsync(offset: 2, "rack3")).PreferredReadReplica);
    }

    [Fact]
    public async Task Of_two_replicas_in_a_rack_the_one_that_is_further_is_taken()
    {
        await CreateAsync();
        _bed.Publish([new RegisterBrokerRecord
        {
            BrokerId = 3, BrokerEpoch = 31, Fenced = false, Rack = "rack2", IncarnationId = new Uuid(1, 33),
            EndPoints = [new RegisterBrokerRecord.BrokerEndpoint { Name = "PLAINTEXT", Host = "host3", Port = 9092 }],
        }]);
        Assert.Equal(3, (await FetchAsync(offset: 0, "rack2")).PreferredReadReplica); // both have everything: the higher id
        _bed.Append("t");
        await new PlayedFollower(_bed, id: 2) { MaxWaitMs = 0 }.FetchAsync(At("t", 0, 3, 3));
        Assert.Equal(2, (await FetchAsync(offset: 0, "rack2")).PreferredReadReplica);
    }

    [Fact]
    public async Task A_follower_serves_consumers_that_know_of_it_up_to_its_high_watermark()
    {
        await CreateAsync();
        _bed.Append("t");
        _bed.Change("t", 0, change => change.Leader = 2);
        var answer = await FetchAsync(offset: 0, "rack1");
        Assert.Equal((ErrorCode.None, NoReplica), ((ErrorCode)answer.ErrorCode, answer.PreferredReadReplica));
        Assert.Equal([0L, 1], BaseOffsets(answer.Records));
        Assert.Equal(2, answer.HighWatermark);
        Assert.Equal(ErrorCode.NotLeaderOrFollower, (ErrorCode)(await FetchAsync(offset: 0, "", version: 10)).ErrorCode);
        Assert.Equal(ErrorCode.None, (ErrorCode)(await FetchAsync(offset: 0, "", version: 11)).ErrorCode);
    }

    /// <summary>OFFSET_OUT_OF_RANGE would make a client that takes this follower for the leader reset its position.</summary>
    [Fact]
    public async Task A_follower_sends_a_client_that_knows_no_epoch_to_the_leader_when_it_lacks_the_offset()
    {
        await CreateAsync();
        _bed.Change("t", 0, change => change.Leader = 2);
        Assert.Equal(ErrorCode.NotLeaderOrFollower, (ErrorCode)(await FetchAsync(offset: 9, "rack1")).ErrorCode);
        var known = await FetchAsync(offset: 9, "rack1", leaderEpoch: LeaderTestBed.LeaderEpoch + 1);
        Assert.Equal(ErrorCode.OffsetOutOfRange, (ErrorCode)known.ErrorCode);
    }

    [Fact]
    public async Task Without_a_selector_leaders_serve_all_racks()
    {
        await CreateAsync();
        Assert.Equal([0L, 1], BaseOffsets((await FetchAsync(offset: 0, "rack2", hasSelector: false)).Records));
    }

    /// <summary>A topic with two committed records.</summary>
    private async Task CreateAsync()
    {
        _bed.Create("t");
        _bed.Append("t");
        _bed.Append("t");
        await _bed.FollowAsync(At("t", 0, 2, 3));
    }

    private async Task<FetchResponse.PartitionData> FetchAsync(
        long offset, string rack, short version = 17, bool hasSelector = true, int leaderEpoch = -1)
    {
        var racks = hasSelector ? new RackAwareReplicas(() => _bed.Image) : null;
        var handler = new FetchHandler(
            new FetchPlanner(_bed.Topics, _bed.Leaders, racks, _bed.Clock), new FetchSessions(1, new Prng(1)), _bed.Handler, _bed.Leaders,
            Authorizer.None, new ClientQuotas(11, 1000, 11, 1000, TimeProvider.System), static () => int.MaxValue, _bed.Clock);
        var request = Fetch("t", _bed.IdOf("t"), offset, version);
        (request.ReplicaId, request.SessionEpoch, request.RackId) = (-1, -1, rack);
        request.Topics[0].Partitions[0].CurrentLeaderEpoch = leaderEpoch;
        var connection = new ConnectionInfo("PLAINTEXT", IPAddress.None, _ => { }, default, default);
        var context = new RequestContext(ApiKey.Fetch, version, 1, "test", connection);
        var answer = await handler.HandleAsync(context, request, new FetchResponse());
        var reader = new WireReader(WireBuffer.Encode(answer!, version));
        return Assert.Single(Assert.Single(FetchResponse.Read(ref reader, version).Responses).Partitions);
    }
}
