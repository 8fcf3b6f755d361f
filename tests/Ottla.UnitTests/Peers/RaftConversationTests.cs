using System.Text.RegularExpressions;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Metadata;
using Ottla.Simulator.Worlds;
using Ottla.StateMachines.Raft;

namespace Ottla.UnitTests.Peers;

/// <summary>
/// Quorums of our own in the situations that a cluster of Kafka 4.4.0 was recorded in: what our nodes send is compared with what Kafka's
/// sent, field by field. docs/cluster-compatibility.md has the result.
/// </summary>
/// <remarks>
/// A shape is a message without what differs between any two runs (<see cref="MessageShape"/>). Every shape that a node of ours sends has
/// to be among those that Kafka sent in the recordings of the same situation.
/// </remarks>
public sealed partial class RaftConversationTests
{
    private static readonly ApiKey[] RaftApis =
    [
        ApiKey.Vote, ApiKey.BeginQuorumEpoch, ApiKey.EndQuorumEpoch, ApiKey.Fetch, ApiKey.FetchSnapshot, ApiKey.AddRaftVoter,
        ApiKey.RemoveRaftVoter, ApiKey.UpdateRaftVoter,
    ];

    [Fact]
    public void First_start_of_three_static_voters()
    {
        var messages = Run(async quorum =>
        {
            await StartStaticAsync(quorum);
            await quorum.UntilLedAsync(1, 2, 3);
            await quorum.PassAsync(6_000);
        });
        AssertRequestsAreKafkas(messages, ["19-static-quorum", "25-metadata-versions", "27-static-start-two-leaders"]);
        AssertSends(messages, ApiKey.Vote, ApiKey.BeginQuorumEpoch, ApiKey.Fetch, ApiKey.UpdateRaftVoter);
    }

    [Fact]
    public void First_start_of_three_formatted_voters()
    {
        var messages = Run(async quorum =>
        {
            await StartDynamicAsync(quorum);
            await quorum.UntilLedAsync(1, 2, 3);
            await quorum.PassAsync(6_000);
        });
        AssertRequestsAreKafkas(messages, ["01-start", "16-separate-start", "21-restart-clean-dirs", "22-restart-killed-dirs"]);
        AssertSends(messages, ApiKey.Vote, ApiKey.BeginQuorumEpoch, ApiKey.Fetch);
    }

    [Fact]
    public void Election_after_the_leader_is_lost_and_its_return()
    {
        var messages = Run(async quorum =>
        {
            await StartDynamicAsync(quorum);
            var leader = await quorum.UntilLedAsync(1, 2, 3);
            await leader.AppendAsync("before");
            leader.Kill();
            int[] left = [.. new[] { 1, 2, 3 }.Where(id => id != leader.Id)];
            var next = await quorum.UntilLedAsync(left);
            await next.AppendAsync("after");
            await quorum.StartAsync(leader.Id, leader.Disk);
            await quorum.UntilLedAsync(1, 2, 3);
            await quorum.PassAsync(6_000);
        });
        AssertRequestsAreKafkas(messages, ["01-start", "03-divergence", "07-controller-failover", "08-quorum-cuts", "16-separate-start"]);
        AssertSends(messages, ApiKey.Vote, ApiKey.BeginQuorumEpoch, ApiKey.Fetch);
    }

    [Fact]
    public void Controlled_stop_of_the_leader()
    {
        var messages = Run(async quorum =>
        {
            await StartDynamicAsync(quorum);
            var leader = await quorum.UntilLedAsync(1, 2, 3);
            await leader.AppendAsync("before");
            await quorum.UntilLedAsync(1, 2, 3);
            await leader.StopAsync();
            await quorum.UntilLedAsync([.. new[] { 1, 2, 3 }.Where(id => id != leader.Id)]);
        });
        AssertRequestsAreKafkas(
            messages, ["01-start", "06-rolling-restart", "07-controller-failover", "18-feature-upgrade", "14-snapshot"]);
        AssertSends(messages, ApiKey.EndQuorumEpoch);
    }

    [Fact]
    public void A_node_that_joins_late_gets_the_snapshot()
    {
        var messages = Run(async quorum =>
        {
            await StartDynamicAsync(quorum);
            var leader = await quorum.UntilLedAsync(1, 2, 3);
            for (var i = 0; i < 100; i++)
                await leader.AppendAsync($"topic-{i}");
            await quorum.UntilLedAsync(1, 2, 3);
            var end = leader.Host.HighWatermark;
            await leader.Process.Start(() =>
            {
                var records = Enumerable.Range(0, 300).Select(i =>
                    new MetadataRecord(new TopicRecord { Name = $"topic-{i}", TopicId = new Uuid(1, (ulong)i) }, 0));
                leader.Host.WriteSnapshot(new(end, leader.Host.Leader.Epoch), 1, records);
                return Task.CompletedTask;
            });
            await leader.AppendAsync("behind");
            var joiner = await quorum.StartAsync(4, quorum.Format(null), options => options with
            {
                Raft = options.Raft with
                {
                    BootstrapServers = [
                        .. new[] { 1, 2, 3 }.Select(
                            (id, i) => RaftNode.Bootstrap(i, SimQuorum.EndpointOf(id).Host, SimQuorum.EndpointOf(id).Port))],
                    FetchSnapshotBytesMax = 4096, // as the recorded nodes were told
                },
            });
            await quorum.UntilAsync(() => joiner.Host.HighWatermark > end, "the joiner has caught up");
        });
        AssertRequestsAreKafkas(messages, ["01-start", "14-snapshot", "15-voters", "28-late-voter-snapshot"]);
        AssertSends(messages, ApiKey.FetchSnapshot);
        AssertResponsesAreKafkas(
            messages.Where(message => message.Api == ApiKey.FetchSnapshot), ["14-snapshot", "15-voters", "28-late-voter-snapshot"]);
    }

    [Fact]
    public void A_node_joins_by_itself_and_a_voter_is_removed()
    {
        var messages = Run(async quorum =>
        {
            await StartDynamicAsync(quorum);
            var leader = await quorum.UntilLedAsync(1, 2, 3);
            await quorum.StartAsync(4, quorum.Format(null), options => options with
            {
                Raft = options.Raft with
                {
                    BootstrapServers = [
                        .. new[] { 1, 2, 3 }.Select(
                            (id, i) => RaftNode.Bootstrap(i, SimQuorum.EndpointOf(id).Host, SimQuorum.EndpointOf(id).Port))],
                    AutoJoin = true,
                },
            });
            await quorum.UntilAsync(() => leader.Host.Quorum.VoterSet.Find(4) is not null, "node 4 is a voter");
            await quorum.UntilLedAsync(1, 2, 3, 4);
            var removed = new[] { 1, 2, 3 }.First(id => id != leader.Id);
            var reply = await leader.AskAsync<RemoveVoterReply>(new RemoveVoterCall(SimQuorum.KeyOf(removed)));
            Assert.Equal(ErrorCode.None, reply.Error);
            await quorum.PassAsync(6_000);
            Assert.Null(leader.Host.Quorum.VoterSet.Find(removed));
        });
        AssertRequestsAreKafkas(messages, ["01-start", "15-voters", "20-kraft-version-upgrade", "26-auto-join-new-disk"]);
        AssertSends(messages, ApiKey.AddRaftVoter);
        AssertResponsesAreKafkas(messages.Where(message => message.Api == ApiKey.AddRaftVoter), ["15-voters", "26-auto-join-new-disk"]);
    }

    [Fact]
    public void Recorded_requests_are_answered_as_Kafka_answers_them()
    {
        var answers = new List<RecordedMessage>();
        Run(async quorum =>
        {
            await StartDynamicAsync(quorum);
            await quorum.UntilLedAsync(1, 2, 3);
            foreach (var request in RecordedMessages.Excerpt("raft-messages.jsonl.gz").Where(IsForAVoter))
                answers.Add(await quorum.ReplayAsync(request));
        });
        Assert.True(answers.Count > 200, $"{answers.Count} requests");
        var recorded = RecordedMessages.Excerpt("raft-messages.jsonl.gz")
            .Where(message => !message.IsRequest && RaftApis.Contains(message.Api));
        var kafkas = recorded.Select(message => AnyError(MessageShape.Of(message))).ToHashSet();
        var codes = new SortedSet<(ApiKey, string)>();
        foreach (var answer in answers)
        {
            AssertAmong(kafkas, answer, AnyError);
            codes.UnionWith(Error().Matches(MessageShape.Of(answer)).Select(match => (answer.Api, match.Value)));
        }

        // This quorum is in another epoch than the recorded one, so it refuses for other reasons; but for none that Kafka has not.
        Assert.All(codes, code => Assert.Contains(code.Item2, new[]
        {
            "ErrorCode=6", // NOT_LEADER_OR_FOLLOWER
            "ErrorCode=42", // INVALID_REQUEST
            "ErrorCode=74", // FENCED_LEADER_EPOCH
            "ErrorCode=75", // UNKNOWN_LEADER_EPOCH
            "ErrorCode=125", // INVALID_VOTER_KEY
        }));

        static bool IsForAVoter(RecordedMessage message) =>
            message.IsRequest && message.Destination is "n1" or "n2" or "n3" && message.Api switch
            {
                ApiKey.Vote => message.Read<VoteRequest>().ClusterId == SimQuorum.ClusterId,
                ApiKey.BeginQuorumEpoch => message.Read<BeginQuorumEpochRequest>().ClusterId == SimQuorum.ClusterId,
                ApiKey.EndQuorumEpoch => message.Read<EndQuorumEpochRequest>().ClusterId == SimQuorum.ClusterId,
                ApiKey.Fetch => message.Read<FetchRequest>().ClusterId == SimQuorum.ClusterId,
                _ => false, // what is answered to the others depends on snapshots and voters
            };
    }

    private static async Task StartStaticAsync(SimQuorum quorum)
    {
        foreach (var id in new[] { 1, 2, 3 })
            await quorum.StartAsync(id, quorum.Empty(), options => options with { StaticVoters = SimQuorum.StaticVoters(1, 2, 3) });
    }

    private static async Task StartDynamicAsync(SimQuorum quorum)
    {
        foreach (var id in new[] { 1, 2, 3 })
            await quorum.StartAsync(id, quorum.Format(SimQuorum.Voters(1, 2, 3)));
    }

    private static IReadOnlyList<RecordedMessage> Run(Func<SimQuorum, Task> scenario)
    {
        var world = new World(seed: 7);
        SimQuorum? quorum = null;
        world.Run(async director =>
        {
            quorum = new SimQuorum(director, world);
            await scenario(quorum);
        });
        return quorum!.Messages;
    }

    /// <summary>Every request is in a version, with a header and of a shape that Kafka's nodes sent in one of the recordings.</summary>
    private static void AssertRequestsAreKafkas(IEnumerable<RecordedMessage> messages, string[] files)
    {
        var kafkas = Kafkas(files, isRequest: true);
        foreach (var message in messages.Where(message => message.IsRequest))
        {
            Assert.Equal($"raft-client-{message.Source[1..]}", message.Header().ClientId);
            if (message.Api != ApiKey.ApiVersions)
                AssertAmong(kafkas, message);
            else
                Assert.Equal((short)5, message.Version);
        }
    }

    private static void AssertResponsesAreKafkas(IEnumerable<RecordedMessage> messages, string[] files)
    {
        var kafkas = Kafkas(files, isRequest: false);
        foreach (var message in messages.Where(message => !message.IsRequest))
            AssertAmong(kafkas, message);
    }

    private static HashSet<string> Kafkas(string[] files, bool isRequest)
    {
        var messages = RecordedMessages.Excerpt("raft-messages.jsonl.gz")
            .Where(message => message.IsRequest == isRequest && RaftApis.Contains(message.Api)).ToList();
        Assert.All(files, file => Assert.Contains(messages, message => message.File == file));
        return [.. messages.Where(message => files.Contains(message.File)).Select(MessageShape.Of)];
    }

    private static string AnyError(string shape) => Error().Replace(shape, "ErrorCode=error");

    [GeneratedRegex(@"ErrorCode=[1-9]\d*")]
    private static partial Regex Error();

    /// <summary>Checks that Kafka sent a message of the same shape, and says what the nearest one differs in.</summary>
    internal static void AssertAmong(HashSet<string> kafkas, RecordedMessage message, Func<string, string>? mask = null)
    {
        var shape = mask?.Invoke(MessageShape.Of(message)) ?? MessageShape.Of(message);
        if (kafkas.Contains(shape))
            return;
        var fields = shape.Split(' ').ToHashSet();
        var nearest = kafkas.Where(each => each.StartsWith($"{message.Api} ", StringComparison.Ordinal))
            .Select(each => each.Split(' ').ToHashSet())
            .MinBy(each => each.Except(fields).Count());
        Assert.Fail(
            $"{message}: Kafka sends no such {(message.IsRequest ? "request" : "response")}.\nours:   "
                + $"{string.Join(' ', fields.Except(nearest ?? []))}\n"
            + $"Kafka's: {(nearest is null ? "none of this API" : string.Join(' ', nearest.Except(fields)))}");
    }

    private static void AssertSends(IReadOnlyList<RecordedMessage> messages, params ApiKey[] apis) =>
        Assert.All(apis, api => Assert.Contains(messages, message => message.IsRequest && message.Api == api));
}
