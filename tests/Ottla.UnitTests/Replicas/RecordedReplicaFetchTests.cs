using System.Buffers.Binary;
using System.Text.Json;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Wire;
using static Ottla.UnitTests.Replicas.PlayedFollower;

namespace Ottla.UnitTests.Replicas;

/// <summary>
/// Fetches of followers in a cluster of Apache Kafka 4.4.0, and its answers byte for byte (tests/golden/cluster): only the id of the
/// session is another.
/// </summary>
public sealed class RecordedReplicaFetchTests : IDisposable
{
    private static readonly Dictionary<string, Exchange> s_recorded = File.ReadLines(GoldenData.Path("cluster/replica-fetches.jsonl"))
        .Select(line => JsonDocument.Parse(line).RootElement)
        .ToDictionary(
            line => line.GetProperty("name").GetString()!,
            line => new Exchange(
                line.GetProperty("v").GetInt16(),
                Convert.FromHexString(line.GetProperty("request").GetString()!),
                Convert.FromHexString(line.GetProperty("response").GetString()!)));

    private readonly LeaderTestBed _leader = new();

    public void Dispose() => _leader.Dispose();

    [Fact]
    public async Task A_full_fetch_of_an_idle_partition()
    {
        Create("t", "idle full fetch");
        await AssertAnsweredAsync("idle full fetch", Follower("idle full fetch"));
    }

    [Fact]
    public async Task An_incremental_fetch_of_an_idle_partition()
    {
        Create("t", "idle full fetch");
        var follower = Follower("idle");
        await follower.FetchAsync(At("t", 0, 0, leaderEpoch: 0));
        await AssertAnsweredAsync("idle", follower);
    }

    [Fact]
    public async Task Records()
    {
        Create("t", "idle full fetch");
        var follower = Follower("records");
        await follower.FetchAsync(At("t", 0, 0, leaderEpoch: 0));
        await AssertAnsweredAsync("records", follower, () => AppendRecorded("records"));
    }

    [Fact]
    public async Task Records_with_the_high_watermark_of_the_ones_before()
    {
        Create("t", "idle full fetch");
        AppendRecorded("records");
        var follower = Follower("records and high watermark");
        await follower.FetchAsync(At("t", 0, 0, leaderEpoch: 0));
        await OtherFollower().FetchAsync(At("t", 0, 1, lastFetchedEpoch: 0, leaderEpoch: 0));
        await AssertAnsweredAsync("records and high watermark", follower, () => AppendRecorded("records and high watermark"));
    }

    [Fact]
    public async Task A_high_watermark_alone()
    {
        Create("t", "idle full fetch");
        Append("t", 0, count: 5);
        var follower = Follower("high watermark");
        await follower.FetchAsync(At("t", 0, 0, leaderEpoch: 0));
        await OtherFollower().FetchAsync(At("t", 0, 5, lastFetchedEpoch: 0, leaderEpoch: 0));
        await AssertAnsweredAsync("high watermark", follower);
    }

    [Fact]
    public async Task A_divergence()
    {
        var topics = s_recorded["diverging"].Request().Topics;
        _leader.Create("a", topics[0].TopicId, partitions: 1, leaderEpoch: 0);
        _leader.Create("b", topics[1].TopicId, partitions: 2, leaderEpoch: 0);
        Append("a", 0, count: 10);
        Append("b", 0, count: 17);
        Append("b", 1, count: 12);
        BeginEpoch("a");
        BeginEpoch("b");
        Append("a", 0, count: 4);
        await _leader.FollowAsync(At("a", 0, 14, 1, 1), At("b", 0, 17, 0, 1), At("b", 1, 12, 0, 0));
        await AssertAnsweredAsync("diverging", Follower("diverging"));
    }

    [Fact]
    public async Task An_offset_before_the_start_of_the_log()
    {
        Create("t", "out of range");
        Append("t", 0, count: 30);
        await _leader.FollowAsync(At("t", 0, 30, 0, 0));
        Assert.Equal(ErrorCode.None, _leader.Replica("t").DeleteRecordsBefore(25).ErrorCode);
        await AssertAnsweredAsync("out of range", Follower("out of range"));
    }

    [Fact]
    public async Task A_topic_that_is_deleted_while_the_fetch_waits()
    {
        _leader.Create("t", s_recorded["deleted while waiting"].Response().Responses[0].TopicId, partitions: 1, leaderEpoch: 0);
        var follower = Follower("deleted while waiting");
        await follower.FetchAsync(At("t", 0, 0, leaderEpoch: 0));
        await AssertAnsweredAsync("deleted while waiting", follower, () => _leader.Delete("t"));
    }

    [Fact]
    public async Task A_topic_that_was_deleted_before()
    {
        _leader.Create("t", s_recorded["deleted before"].Response().Responses[0].TopicId, partitions: 1, leaderEpoch: 0);
        _leader.Create("forgotten", s_recorded["deleted before"].Request().ForgottenTopicsData[0].TopicId, partitions: 1, leaderEpoch: 0);
        var follower = Follower("deleted before");
        await follower.FetchAsync(At("t", 0, 0, leaderEpoch: 0), At("forgotten", 0, 0, leaderEpoch: 0));
        _leader.Delete("t");
        await AssertAnsweredAsync("deleted before", follower);
    }

    [Fact]
    public async Task A_topic_that_is_not_known_yet()
    {
        _leader.Create("forgotten", s_recorded["unknown id"].Request().ForgottenTopicsData[0].TopicId, partitions: 1, leaderEpoch: 0);
        var follower = Follower("unknown id");
        await follower.FetchAsync(At("forgotten", 0, 0, leaderEpoch: 0));
        await AssertAnsweredAsync("unknown id", follower);
    }

    [Fact]
    public async Task A_partition_that_moved_to_other_brokers()
    {
        _leader.Create("t", s_recorded["not leader"].Response().Responses[0].TopicId, partitions: 1, leaderEpoch: 0);
        var follower = Follower("not leader");
        await follower.FetchAsync(At("t", 0, 0, leaderEpoch: 0));
        await AssertAnsweredAsync("not leader", follower, () => _leader.Change("t", 0, change =>
        {
            (change.Leader, change.Replicas, change.Isr) = (4, [4], [4]);
        }));
    }

    [Fact]
    public async Task A_broker_without_a_replica()
    {
        Create("t", "not a replica");
        await AssertAnsweredAsync("not a replica", Follower("not a replica"));
    }

    [Fact]
    public async Task An_old_leader_epoch()
    {
        Create("t", "fenced");
        var follower = Follower("fenced");
        await follower.FetchAsync(At("t", 0, 0, leaderEpoch: 0));
        BeginEpoch("t");
        await AssertAnsweredAsync("fenced", follower);
    }

    [Fact]
    public async Task A_leader_epoch_that_is_not_known_with_this_follower()
    {
        Create("t", "unknown epoch");
        var follower = new PlayedFollower(_leader, id: 4, s_recorded["unknown epoch"].Version) { MaxWaitMs = 0 };
        await follower.FetchAsync(At("t", 0, 0, leaderEpoch: 0));
        await AssertAnsweredAsync("unknown epoch", follower);
    }

    /// <summary>Publishes the topic that a recorded request names.</summary>
    private void Create(string topic, string recorded) =>
        _leader.Create(
            topic, s_recorded[recorded].Request().Topics[0].TopicId, partitions: 1, leaderEpoch: 0,
            ("message.timestamp.after.max.ms", "9223372036854775807")); // the records are of another time than the test's clock

    private void BeginEpoch(string topic) => _leader.Change(topic, 0, change => change.Leader = LeaderTestBed.LeaderId);

    private void Append(string topic, int partition, int count)
    {
        for (var i = 0; i < count; i++)
            _leader.Append(topic, partition);
    }

    /// <summary>Appends the batch of an answer, as its producer sent it: with offsets from 0 on.</summary>
    private void AppendRecorded(string recorded)
    {
        var batch = s_recorded[recorded].Response().Responses[0].Partitions[0].Records.Memory.ToArray();
        BinaryPrimitives.WriteInt64BigEndian(batch, 0);
        _leader.Append(_leader.Replica("t"), batch);
    }

    /// <summary>The follower that was recorded. Broker 1 of the recording is broker 2 here, where 1 leads.</summary>
    private PlayedFollower Follower(string recorded)
    {
        var exchange = s_recorded[recorded];
        var id = exchange.Request() is var request && request.ReplicaState is { } state ? state.ReplicaId : request.ReplicaId;
        return new PlayedFollower(_leader, id == LeaderTestBed.LeaderId ? 2 : id, exchange.Version) { MaxWaitMs = 0 };
    }

    private PlayedFollower OtherFollower() => new(_leader, id: 3) { MaxWaitMs = 0 };

    private async Task AssertAnsweredAsync(string recorded, PlayedFollower follower, Action? whileItWaits = null)
    {
        var exchange = s_recorded[recorded];
        var request = exchange.Request();
        Assert.Equal(request.SessionEpoch == 0, follower.SessionEpoch == 0);
        (request.SessionId, request.SessionEpoch) = (follower.SessionId, follower.SessionEpoch);
        if (request.ReplicaState is { } state)
            (state.ReplicaId, state.ReplicaEpoch) = (follower.Id, follower.BrokerEpoch);
        else
            request.ReplicaId = follower.Id;
        var answer = follower.FetchAsync(request);
        if (whileItWaits is not null)
        {
            Assert.False(answer.IsCompleted);
            whileItWaits();
        }
        else
        {
            _leader.Clock.AdvanceMs(request.MaxWaitMs);
        }

        await answer.WaitAsync(Waiting.Patience);
        var expected = exchange.Response();
        expected.SessionId = follower.SessionId;
        Assert.Equal(Convert.ToHexString(WireBuffer.Encode(expected, exchange.Version)), Convert.ToHexString(follower.LastAnswer));
    }

    /// <summary>A fetch and its answer, behind their headers.</summary>
    private sealed record Exchange(short Version, byte[] RequestBytes, byte[] ResponseBytes)
    {
        public FetchRequest Request()
        {
            var reader = new WireReader(RequestBytes.ToArray());
            return FetchRequest.Read(ref reader, Version);
        }

        public FetchResponse Response()
        {
            var reader = new WireReader(ResponseBytes.ToArray());
            return FetchResponse.Read(ref reader, Version);
        }
    }
}
