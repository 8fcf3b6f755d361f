using Ottla.Broker.Peers;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Wire;
using Ottla.StateMachines.Raft;

namespace Ottla.UnitTests.Peers;

/// <summary>
/// What the raft machine says, as Kafka says it: byte for byte with what a cluster of Kafka 4.4.0 sent, and in every version.
/// </summary>
public sealed class RaftMessageConverterTests
{
    private const string Cluster = "Q2x1c3Rlci1nb2xkZW4tMQ";
    private const string Listener = "CONTROLLER";

    private static readonly RaftMessageConverter Converter = new(Cluster, Listener);
    private static readonly ReplicaKey One = new(1, Uuid.Parse("CgoKCgoKSgGLCwsLCwsLAQ"));
    private static readonly ReplicaKey Two = new(2, Uuid.Parse("CgoKCgoKSgKLCwsLCwsLAg"));
    private static readonly RaftEndpoint Endpoint = new(Listener, "localhost", 9093);
    private static readonly RaftEndpoint Other = new("OTHER", "elsewhere", 9094);

    [Fact]
    public void Recorded_messages_go_through_the_machines_types_and_back_to_the_same_bytes()
    {
        var counts = new Dictionary<(ApiKey, bool), int>();
        foreach (var message in RecordedMessages.Raft())
        {
            var again = message.IsRequest ? RequestAgain(message) : ResponseAgain(message);
            var bytes = WireBuffer.Encode(again, message.Version);
            Assert.True(
                message.Body().AsSpan().SequenceEqual(bytes),
                $"{message}\n{Convert.ToHexString(message.Body())}\n{Convert.ToHexString(bytes)}");
            counts[(message.Api, message.IsRequest)] = counts.GetValueOrDefault((message.Api, message.IsRequest)) + 1;
        }

        Assert.Equal(16, counts.Count);
        Assert.True(counts[(ApiKey.Vote, true)] >= 120 && counts[(ApiKey.Fetch, false)] >= 80, string.Join(", ", counts));
    }

    [Fact]
    public void A_request_for_another_cluster_or_partition_is_answered_without_the_machine()
    {
        var vote = Converter.Request(new VoteCall(1, One, Two, default, IsPreVote: false));
        vote.ClusterId = null;
        Assert.NotNull(Converter.Call(vote, out _));
        vote.ClusterId = "other";
        Assert.Null(Converter.Call(vote, out var error));
        Assert.Equal(ErrorCode.InconsistentClusterId, error);
        vote.ClusterId = Cluster;
        vote.Topics[0].TopicName = "other";
        Assert.Null(Converter.Call(vote, out error));
        Assert.Equal(ErrorCode.InvalidRequest, error);
        vote.Topics = [];
        Assert.Null(Converter.Call(vote, out error));
        Assert.Equal(ErrorCode.InvalidRequest, error);

        var fetch = Converter.Request(new FetchCall(1, One, default, 0, 500), 18);
        fetch.Topics[0].TopicId = Uuid.NewRandom();
        Assert.Null(Converter.Call(fetch, out error));
        Assert.Equal(ErrorCode.InvalidRequest, error);

        var snapshot = Converter.Request(new FetchSnapshotCall(1, One, new(1, 1), 0, 1));
        snapshot.Topics[0].Partitions[0].Partition = 1;
        Assert.Null(Converter.Call(snapshot, out error));
        Assert.Equal(ErrorCode.UnknownTopicOrPartition, error);
    }

    [Fact]
    public void Every_version_of_a_vote_carries_what_it_can()
    {
        var call = new VoteCall(5, One, Two, new LogPosition(10, 4), IsPreVote: false);
        Assert.Equal(
            call with { Candidate = new(1, Uuid.Zero), Voter = new(-1, Uuid.Zero) },
            Converter.Call(Through(Converter.Request(call), 0), out _));
        Assert.Equal(call, Converter.Call(Through(Converter.Request(call), 1), out _));
        var preVote = call with { IsPreVote = true };
        Assert.Equal(preVote, Converter.Call(Through(Converter.Request(preVote), 2), out _));
        Assert.Throws<UnsupportedFieldException>(() => Through(Converter.Request(preVote), 1));
    }

    [Fact]
    public void Every_version_of_the_leaders_announcements_carries_what_it_can()
    {
        var begin = new BeginEpochCall(5, 1, Two) { LeaderEndpoints = [Endpoint, Other] };
        AssertSame(begin, Converter.Call(Through(Converter.Request(begin), 1), out _)!);
        AssertSame(
            new BeginEpochCall(5, 1, new(-1, Uuid.Zero)), Converter.Call(Through(Converter.Request(begin), 0), out _)!);

        var end = Converter.Request(new EndEpochCall(5, 1, [Two, One]));
        Assert.Equal([Two, One], Converter.Call(Through(end, 1), out _)!.PreferredCandidates);
        Assert.Equal(
            [new ReplicaKey(2, Uuid.Zero), new ReplicaKey(1, Uuid.Zero)], Converter.Call(Through(end, 0), out _)!.PreferredCandidates);

        static void AssertSame(BeginEpochCall expected, BeginEpochCall actual)
        {
            Assert.Equal(expected.LeaderEndpoints, actual.LeaderEndpoints);
            Assert.Equal(expected with { LeaderEndpoints = [] }, actual with { LeaderEndpoints = [] });
        }
    }

    [Fact]
    public void Every_version_of_a_fetch_names_its_replica()
    {
        var call = new FetchCall(5, One, new LogPosition(10, 4), HighWatermark: 9, MaxWaitMs: 500) { MaxBytes = 7 };
        for (short version = 13; version <= 18; version++)
        {
            var read = Converter.Call(Through(Converter.Request(call, version), version), out _)!;
            Assert.Equal(
                call with { Replica = version >= 17 ? One : new(1, Uuid.Zero), HighWatermark = version >= 18 ? 9 : long.MaxValue }, read);
        }

        Assert.Null(Converter.Call(Through(Converter.Request(call, 12), 12), out var error)); // no topic ids
        Assert.Equal(ErrorCode.InvalidRequest, error);
    }

    [Fact]
    public void A_response_names_the_leaders_endpoint_on_the_listener_of_the_request()
    {
        var reply = new VoteReply(ErrorCode.FencedLeaderEpoch, 1, 5, IsGranted: false) { LeaderEndpoints = [Endpoint, Other] };
        Assert.Empty(Through(RaftMessageConverter.Response(reply, Listener, 0), 0).NodeEndpoints);
        var node = Assert.Single(Through(RaftMessageConverter.Response(reply, "OTHER", 1), 1).NodeEndpoints);
        Assert.Equal((1, "elsewhere", 9094), (node.NodeId, node.Host, node.Port));
        Assert.Empty(RaftMessageConverter.Response(reply, "THIRD", 1).NodeEndpoints);
        Assert.Empty(RaftMessageConverter.Response(reply with { LeaderId = -1 }, Listener, 1).NodeEndpoints);
        Assert.Equal([Endpoint], Converter.Reply(RaftMessageConverter.Response(reply, Listener, 1))!.LeaderEndpoints);
    }

    [Fact]
    public void An_error_of_a_whole_response_says_nothing_of_the_leader()
    {
        var reply = Converter.Reply(new FetchResponse { ErrorCode = (short)ErrorCode.InconsistentClusterId })!;
        Assert.Equal((ErrorCode.InconsistentClusterId, -1, -1), (reply.Error, reply.LeaderId, reply.Epoch));
        Assert.Null(Converter.Reply(new FetchResponse()));
        Assert.Null(Converter.Reply(new VoteResponse()));
        Assert.Null(Converter.Reply(new FetchSnapshotResponse()));
    }

    private static IMessage RequestAgain(RecordedMessage message)
    {
        var clusterId = ClusterIdOf(message);
        var converter = new RaftMessageConverter(clusterId ?? Cluster, Listener);
        var error = ErrorCode.None;
        IMessage? again = message.Api switch
        {
            ApiKey.Vote => converter.Call(message.Read<VoteRequest>(), out error) is { } call ? converter.Request(call) : null,
            ApiKey.BeginQuorumEpoch =>
                converter.Call(message.Read<BeginQuorumEpochRequest>(), out error) is { } call ? converter.Request(call) : null,
            ApiKey.EndQuorumEpoch =>
                converter.Call(message.Read<EndQuorumEpochRequest>(), out error) is { } call ? converter.Request(call) : null,
            ApiKey.Fetch =>
                converter.Call(message.Read<FetchRequest>(), out error) is { } call ? converter.Request(call, message.Version) : null,
            ApiKey.FetchSnapshot =>
                converter.Call(message.Read<FetchSnapshotRequest>(), out error) is { } call ? converter.Request(call) : null,
            ApiKey.AddRaftVoter => converter.Call(message.Read<AddRaftVoterRequest>()) is { } call ? converter.Request(call) : null,
            ApiKey.RemoveRaftVoter => converter.Call(message.Read<RemoveRaftVoterRequest>()) is { } call ? converter.Request(call) : null,
            _ => converter.Call(message.Read<UpdateRaftVoterRequest>()) is { } call ? converter.Request(call) : null,
        };
        if (again is RemoveRaftVoterRequest remove)
            remove.ClusterId = clusterId; // the command line names no cluster
        else if (again is AddRaftVoterRequest add)
            add.ClusterId = clusterId;
        return again ?? throw new InvalidDataException($"{message}: {error}");
    }

    private static IMessage ResponseAgain(RecordedMessage message) => message.Api switch
    {
        ApiKey.Vote => RaftMessageConverter.Response(Converter.Reply(message.Read<VoteResponse>())!, Listener, message.Version),
        ApiKey.BeginQuorumEpoch =>
            RaftMessageConverter.Response(Converter.Reply(message.Read<BeginQuorumEpochResponse>())!, Listener, message.Version),
        ApiKey.EndQuorumEpoch =>
            RaftMessageConverter.Response(Converter.Reply(message.Read<EndQuorumEpochResponse>())!, Listener, message.Version),
        ApiKey.Fetch =>
            RaftMessageConverter.Fill(new FetchResponse(), Converter.Reply(message.Read<FetchResponse>())!, Listener, message.Version),
        ApiKey.FetchSnapshot =>
            RaftMessageConverter.Response(Converter.Reply(message.Read<FetchSnapshotResponse>())!, Listener, message.Version),
        ApiKey.AddRaftVoter => RaftMessageConverter.Response(RaftMessageConverter.Reply(message.Read<AddRaftVoterResponse>())),
        ApiKey.RemoveRaftVoter => RaftMessageConverter.Response(RaftMessageConverter.Reply(message.Read<RemoveRaftVoterResponse>())),
        _ => RaftMessageConverter.Response(Converter.Reply(message.Read<UpdateRaftVoterResponse>())!, Listener),
    };

    private static string? ClusterIdOf(RecordedMessage message) => message.Api switch
    {
        ApiKey.Vote => message.Read<VoteRequest>().ClusterId,
        ApiKey.BeginQuorumEpoch => message.Read<BeginQuorumEpochRequest>().ClusterId,
        ApiKey.EndQuorumEpoch => message.Read<EndQuorumEpochRequest>().ClusterId,
        ApiKey.Fetch => message.Read<FetchRequest>().ClusterId,
        ApiKey.FetchSnapshot => message.Read<FetchSnapshotRequest>().ClusterId,
        ApiKey.AddRaftVoter => message.Read<AddRaftVoterRequest>().ClusterId,
        ApiKey.RemoveRaftVoter => message.Read<RemoveRaftVoterRequest>().ClusterId,
        _ => message.Read<UpdateRaftVoterRequest>().ClusterId,
    };

    private static TMessage Through<TMessage>(TMessage message, short version)
        where TMessage : IMessage<TMessage>
    {
        var reader = new WireReader(WireBuffer.Encode(message, version));
        return TMessage.Read(ref reader, version);
    }
}
