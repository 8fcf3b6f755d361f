using System.Collections.Immutable;
using System.Text.Json;
using Microsoft.Extensions.Logging.Abstractions;
using Ottla.Broker.Peers;
using Ottla.Broker.Replicas;
using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Network.Transport;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Wire;
using Ottla.StateMachines.Metadata;
using Ottla.StateMachines.Replication;
using Ottla.Storage.Files;
using Ottla.Storage.Log;
using Ottla.UnitTests.Broker;

namespace Ottla.UnitTests.Peers;

/// <summary>
/// What leaders of a cluster of Apache Kafka 4.4.0 asked their controller for (tests/golden/cluster): in the same situation ours ask for
/// the same, byte for byte.
/// </summary>
public sealed class RecordedAlterPartitionTests
{
    private static readonly Dictionary<string, (short Version, byte[] Request)> s_recorded =
        File.ReadLines(GoldenData.Path("cluster/alter-partitions.jsonl"))
            .Select(line => JsonDocument.Parse(line).RootElement)
            .ToDictionary(
                line => line.GetProperty("name").GetString()!,
                line => (line.GetProperty("v").GetInt16(), Convert.FromHexString(line.GetProperty("request").GetString()!)));

    [Fact]
    public Task A_follower_that_stands_still_leaves() =>
        AssertAskedAsync("a follower that stands still leaves", [1, 2, 3], [1, 2, 3], bed =>
        {
            bed.Fetch(2);
            bed.Fetch(3);
            bed.Append();
            bed.Fetch(2);
            bed.Clock.AdvanceMs(bed.LagMaxMs + 1);
            bed.Fetch(2);
            bed.Replica.CheckLag();
        });

    [Fact]
    public Task A_follower_that_goes_on_comes_back() =>
        AssertAskedAsync("it comes back", [1, 2, 3], [1, 2], Fetches(2, 3));

    [Fact]
    public Task A_follower_that_was_started_again_comes_back_with_its_new_epoch() =>
        AssertAskedAsync("a follower comes back that was started again", [1, 2, 3], [1, 2], Fetches(2, 3));

    [Fact]
    public Task The_former_leader_comes_back() => AssertAskedAsync("the former leader comes back", [1, 2, 3], [2, 3], Fetches(3, 1));

    [Fact]
    public Task A_broker_comes_back_to_several_partitions() =>
        AssertAskedAsync("it comes back to several partitions", [1, 2, 3], [2, 3], Fetches(3, 1));

    /// <summary>One of the topics has two replicas only.</summary>
    [Fact]
    public Task A_follower_comes_back_from_the_ELR() =>
        AssertAskedAsync("a follower comes back from the ELR", [1, 2, 3], [1, 3], Fetches(3, 2));

    private static Action<Bed> Fetches(int inSync, int back) => bed =>
    {
        if (bed.Registration.Replicas.Contains(inSync))
            bed.Fetch(inSync);
        bed.Append();
        if (bed.Registration.Replicas.Contains(inSync))
            bed.Fetch(inSync);
        bed.Fetch(back);
    };

    /// <summary>Leads each partition of the recorded request, lets happen what happened, and compares what is sent.</summary>
    private static async Task AssertAskedAsync(string name, int[] replicas, int[] isr, Action<Bed> happens)
    {
        var (version, bytes) = s_recorded[name];
        var recorded = Read(bytes, version);
        var clock = new TestClock();
        var network = new InMemoryTransport();
        await using var controller = new FakeController(network, 1);
        await using var channel = FakeController.ChannelOf(
            network, new FakeLocator { Current = controller.Address }, clock, Timeout.InfiniteTimeSpan);
        var asked = new TaskCompletionSource<AlterPartitionRequest>(TaskCreationOptions.RunContinuationsAsynchronously);
        controller.AlterPartition = request =>
        {
            asked.TrySetResult(request);
            return Task.FromResult(new AlterPartitionResponse { Topics = [] });
        };
        var sender = new AlterPartitionSender(
            recorded.BrokerId, () => recorded.BrokerEpoch, channel, clock, NullLogger.Instance);
        foreach (var topic in recorded.Topics)
        {
            foreach (var partition in topic.Partitions)
                happens(new Bed(sender, clock, recorded, topic.TopicId, partition, replicas, isr));
        }

        using var stopping = new CancellationTokenSource();
        var loop = sender.RunAsync(stopping.Token);
        var request = await asked.Task.WaitAsync(Waiting.Patience);
        Assert.Equal(Convert.ToHexString(bytes), Convert.ToHexString(WireBuffer.Encode(request, version)));
        await stopping.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => loop);
    }

    private static AlterPartitionRequest Read(byte[] bytes, short version)
    {
        var reader = new WireReader(bytes);
        var request = AlterPartitionRequest.Read(ref reader, version);
        Assert.Equal(0, reader.Remaining);
        return request;
    }

    /// <summary>A partition as it was before the recorded request.</summary>
    private sealed class Bed
    {
        private readonly Dictionary<int, long> _epochs;

        public Bed(
            AlterPartitionSender sender, TestClock clock, AlterPartitionRequest recorded, Uuid topicId,
            AlterPartitionRequest.PartitionData partition, int[] replicas, int[] isr)
        {
            Clock = clock;
            var members = partition.NewIsrWithEpochs.Select(member => member.BrokerId).ToHashSet();
            // What a request does not name has no replica; a shrink names fewer than there are.
            var all = members.Count < isr.Length ? replicas : replicas.Where(members.Contains).ToArray();
            _epochs = recorded.Topics.SelectMany(topic => topic.Partitions).SelectMany(each => each.NewIsrWithEpochs)
                .DistinctBy(member => member.BrokerId).ToDictionary(member => member.BrokerId, member => member.BrokerEpoch);
            foreach (var replica in replicas)
                _epochs.TryAdd(replica, 52);
            Registration = new PartitionRegistration
            {
                Replicas = [.. all],
                Directories = [.. all.Select(_ => DirectoryIds.Unassigned)],
                Isr = [.. isr.Where(all.Contains)],
                Leader = recorded.BrokerId,
                LeaderEpoch = partition.LeaderEpoch,
                PartitionEpoch = partition.PartitionEpoch,
            };
            var config = BrokerConfig.LoadDevMode();
            LagMaxMs = config.ReplicaLagTimeMaxMs;
            var log = PartitionLog.Open(
                new InMemoryFileSystem(clock), "/data/t-0", new TopicPartition("t", partition.PartitionIndex), LogConfig.Default,
                new LogOpenOptions(), clock, NullLogger.Instance);
            Replica = new PartitionReplica(
                topicId, log, Registration, new TopicSettings(TopicConfig.Create(config, new Dictionary<string, string>()), config),
                new ReplicaSurroundings
                {
                    NodeId = recorded.BrokerId,
                    Config = () => config,
                    BrokerEpoch = () => recorded.BrokerEpoch,
                    IsrChanges = sender,
                    Time = clock,
                    Logger = NullLogger.Instance,
                    Cluster = new ClusterImage(
                        _epochs.ToImmutableSortedDictionary(each => each.Key, each => new BrokerRegistration
                        {
                            Id = each.Key,
                            Epoch = each.Value,
                            IncarnationId = new Uuid(1, (ulong)each.Key),
                            Endpoints = [],
                            Features = ImmutableSortedDictionary<string, VersionRange>.Empty,
                            Fenced = false,
                        }),
                        ImmutableSortedDictionary<int, ControllerRegistration>.Empty),
                });
        }

        public TestClock Clock { get; }

        public PartitionRegistration Registration { get; }

        public PartitionReplica Replica { get; }

        public long LagMaxMs { get; }

        private Instant Now => Instant.Now(Clock);

        public void Append() =>
            Assert.Equal(
                ErrorCode.None,
                Replica.Append(Ottla.UnitTests.Broker.Requests.Batch(), needsInSyncReplicas: false, allowZstd: true, Now).ErrorCode);

        /// <summary>A follower has everything.</summary>
        public void Fetch(int follower)
        {
            var (end, epoch) = (Replica.Log.LogEndOffset, Replica.Leadership.LeaderEpoch);
            Assert.Equal(ErrorCode.None, Replica.CheckFollower(follower, _epochs[follower], epoch));
            Replica.RecordFollowerFetch(new FollowerFetch(follower, _epochs[follower], epoch, end, 0, end, Now));
        }
    }
}
