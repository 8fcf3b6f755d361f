using System.Net;
using Microsoft.Extensions.Logging.Abstractions;
using Ottla.Broker;
using Ottla.Broker.Api;
using Ottla.Broker.Directories;
using Ottla.Broker.Replicas;
using Ottla.Broker.Replicas.Fetching;
using Ottla.Broker.Replicas.Followers;
using Ottla.Broker.Server;
using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Network.Transport;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Metadata;
using Ottla.Protocol.Wire;
using Ottla.StateMachines.Metadata;
using Ottla.StateMachines.Replication;
using Ottla.Storage.Files;
using Ottla.Storage.Upkeep;
using Ottla.UnitTests.Broker;
using static Ottla.UnitTests.Broker.Requests;

namespace Ottla.UnitTests.Replicas;

/// <summary>
/// The replicas of broker 1 of three, led as the test publishes it, and the fetches of followers, whom the test plays. Its disk is in
/// memory, its clock the test's.
/// </summary>
internal sealed class LeaderTestBed : IIsrChanges, IReplicaFetchers, IDisposable
{
    public const int LeaderId = 1;
    public const int LeaderEpoch = 3;

    private readonly MetadataReplayer _metadata = new(MetadataImage.Empty);
    private readonly ReplicaManager _replicas;
    private readonly LogManager _logs;
    private long _metadataOffset;

    public LeaderTestBed(params (string Name, string Value)[] configs)
    {
        var values = new Dictionary<string, string> { ["node.id"] = "1", ["log.dirs"] = "/data" };
        foreach (var (name, value) in configs)
            values[name] = value;
        Config = BrokerConfig.LoadDevMode(null, values);
        Disk = new InMemoryFileSystem(Clock);
        Disk.CreateDirectory("/data");
        var platform = new NodePlatform(Disk, new InMemoryTransport(), Clock, NullLoggerFactory.Instance, 42);
        _logs = LogManager.Open(
            LogDirectories.Options(() => Config, platform, (_, e) => throw new InvalidOperationException("A directory failed.", e)),
            Disk, Clock, NullLogger.Instance);
        var surroundings = new ReplicaSurroundings
        {
            NodeId = LeaderId,
            Config = () => Config,
            BrokerEpoch = () => LeaderId * 10,
            IsrChanges = this,
            Time = Clock,
            Logger = NullLogger.Instance,
        };
        _replicas = new ReplicaManager(_logs, Topics, this, surroundings);
        Leaders = new LeaderHints(() => _metadata.Image, Topics);
        var throttle = new ReplicationThrottle(
            new ReplicationQuota(Config.ReplicationQuotaWindowNum, Config.ReplicationQuotaWindowSizeSeconds), () => ThrottledRate, Clock);
        Sessions = new FollowerSessions(
            new FollowerReader(Topics, Leaders, new LeaderThrottle(LeaderId, throttle)), Config.MaxIncrementalFetchSessionCacheSlots,
            new Prng(1), Clock);
        Handler = new ReplicaFetchHandler(Sessions, () => Config.FetchMaxBytes, Clock);
        Publish([.. new[] { 1, 2, 3 }.Select(Registration)]);
    }

    public TestClock Clock { get; } = new();

    /// <summary><c>leader.replication.throttled.rate</c>.</summary>
    public long ThrottledRate { get; set; } = long.MaxValue;

    public BrokerConfig Config { get; }

    public InMemoryFileSystem Disk { get; }

    public HostedTopics Topics { get; } = new();

    public LeaderHints Leaders { get; }

    public FollowerSessions Sessions { get; }

    public ReplicaFetchHandler Handler { get; }

    public Instant Now => Instant.Now(Clock);

    /// <summary>The metadata that is published.</summary>
    public MetadataImage Image => _metadata.Image;

    /// <summary>The id of the topic of a name; of one that does not exist, the id that it would get.</summary>
    public Uuid IdOf(string topic) =>
        _metadata.Image.Topics.Find(topic)?.Id ?? new Uuid(7, topic.Aggregate(17UL, (hash, letter) => (hash * 31) + letter));

    /// <summary>Publishes a topic that broker 1 leads, and brokers 2 and 3 follow in sync.</summary>
    public void Create(string topic, int partitions = 1, params (string Name, string Value)[] configs) =>
        Create(topic, IdOf(topic), partitions, LeaderEpoch, configs);

    /// <inheritdoc cref="Create(string, int, ValueTuple{string, string}[])"/>
    public void Create(string topic, Uuid id, int partitions, int leaderEpoch, params (string Name, string Value)[] configs) => Publish(
    [
        new TopicRecord { Name = topic, TopicId = id },
        .. configs.Select(config => new ConfigRecord
        {
            ResourceType = (sbyte)ConfigResourceType.Topic,
            ResourceName = topic,
            Name = config.Name,
            Value = config.Value,
        }),
        .. Enumerable.Range(0, partitions).Select(index => new PartitionRecord
        {
            TopicId = id,
            PartitionId = index,
            Replicas = [1, 2, 3],
            Isr = [1, 2, 3],
            Leader = LeaderId,
            LeaderEpoch = leaderEpoch,
            PartitionEpoch = 0,
        }),
    ]);

    /// <summary>Publishes that a topic is gone.</summary>
    public void Delete(string topic) => Publish([new RemoveTopicRecord { TopicId = _metadata.Image.Topics.Find(topic)!.Id }]);

    /// <summary>Publishes a change of a partition; a leader in it begins a new epoch.</summary>
    public void Change(string topic, int partition, Action<PartitionChangeRecord> change)
    {
        var record = new PartitionChangeRecord { TopicId = _metadata.Image.Topics.Find(topic)!.Id, PartitionId = partition };
        change(record);
        Publish([record]);
    }

    public PartitionReplica Replica(string topic, int partition = 0) => Topics.Find(topic)!.Find(partition)!;

    /// <summary>Appends a batch of one record, as a producer with acks=1 does.</summary>
    public void Append(string topic, int partition = 0, int valueBytes = 10) =>
        Append(Replica(topic, partition), Batch(valueBytes: valueBytes));

    /// <summary>Appends a batch.</summary>
    public void Append(PartitionReplica replica, byte[] batch) =>
        Assert.Equal(ErrorCode.None, replica.Append(batch, needsInSyncReplicas: false, allowZstd: true, Now).ErrorCode);

    public void Publish(IReadOnlyList<IRecordMessage> messages)
    {
        var provenance = new MetadataProvenance(_metadataOffset + messages.Count - 1, 1, Clock.NowMs);
        var delta = _metadata.Apply([.. messages.Select(message => new MetadataRecord(message, 0))], _metadataOffset, provenance);
        _metadataOffset += messages.Count;
        _replicas.Publish(delta);
    }

    /// <summary>Says for both followers that they have fetched up to these offsets.</summary>
    public async Task FollowAsync(params (string Topic, FetchRequest.FetchPartition Partition)[] partitions)
    {
        foreach (var id in new[] { 2, 3 })
            await new PlayedFollower(this, id) { MaxWaitMs = 0, ClientId = "following" }.FetchAsync(partitions);
    }

    /// <summary>What leaders ask the controller for is not what these tests are about.</summary>
    void IIsrChanges.Request(PartitionReplica replica)
    {
    }

    /// <summary>Where this broker follows, nobody sends it anything.</summary>
    void IReplicaFetchers.Follow(IReadOnlyList<FollowedPartition> partitions)
    {
    }

    void IReplicaFetchers.Stop(IReadOnlyList<PartitionReplica> partitions)
    {
    }

    public void Dispose() => _logs.Dispose();

    private static RegisterBrokerRecord Registration(int id) => new()
    {
        BrokerId = id,
        BrokerEpoch = id * 10,
        IncarnationId = new Uuid(1, (ulong)id),
        Fenced = false,
        Rack = $"rack{id}",
        EndPoints = [new RegisterBrokerRecord.BrokerEndpoint { Name = "PLAINTEXT", Host = $"host{id}", Port = 9092 }],
    };
}

#pragma warning disable CA1001 // Tokens without timers hold nothing.
/// <summary>One fetcher of a follower, played by a test: it speaks in a session, and sends what it is told to.</summary>
internal sealed class PlayedFollower(LeaderTestBed leader, int id = 2, short version = 18)
{
    private readonly CancellationTokenSource _draining = new();
    private readonly CancellationTokenSource _closing = new();
    private ConnectionInfo? _connection;

    /// <summary>The follower's node.</summary>
    public int Id => id;

    /// <summary>The last answer, as it was sent.</summary>
    public byte[] LastAnswer { get; private set; } = [];

    public int SessionId { get; set; }

    public int SessionEpoch { get; set; } = version < 7 ? -1 : 0;

    public long BrokerEpoch { get; set; } = id * 10;

    public int MaxWaitMs { get; set; } = 500;

    public int MaxBytes { get; set; } = 10 << 20;

    public int MinBytes { get; set; } = 1;

    public string ClientId { get; set; } = $"broker-{id}-fetcher-0";

    /// <summary>A partition as a request names it.</summary>
    public static (string Topic, FetchRequest.FetchPartition Partition) At(
        string topic, int partition, long offset, int lastFetchedEpoch = -1, int leaderEpoch = LeaderTestBed.LeaderEpoch) =>
        (topic, new FetchRequest.FetchPartition
        {
            Partition = partition,
            FetchOffset = offset,
            LastFetchedEpoch = lastFetchedEpoch,
            CurrentLeaderEpoch = leaderEpoch,
            LogStartOffset = 0,
            PartitionMaxBytes = 1 << 20,
        });

    /// <summary>Fetches, and goes on in the session of the answer.</summary>
    public async Task<FetchResponse> FetchAsync(params (string Topic, FetchRequest.FetchPartition Partition)[] partitions) =>
        await FetchAsync(Request(partitions));

    public async Task<FetchResponse> FetchAsync(FetchRequest request)
    {
        _connection ??= new ConnectionInfo("PLAINTEXT", IPAddress.None, _ => { }, _draining.Token, _closing.Token);
        var context = new RequestContext(ApiKey.Fetch, version, 1, ClientId, _connection);
        var answer = await leader.Handler.HandleAsync(context, request, new FetchResponse());
        var response = Read(answer!);
        if (response.ErrorCode != 0)
            return response;
        SessionId = response.SessionId;
        SessionEpoch = SessionId != 0 ? SessionEpoch + 1 : version < 7 ? -1 : 0;
        return response;
    }

    /// <summary>A request of the session that names partitions; those of a topic stand together.</summary>
    public FetchRequest Request(params (string Topic, FetchRequest.FetchPartition Partition)[] partitions) => new()
    {
        ReplicaId = version < 15 ? id : -1,
        ReplicaState = version < 15 ? null : new FetchRequest.ReplicaStateData { ReplicaId = id, ReplicaEpoch = BrokerEpoch },
        MaxWaitMs = MaxWaitMs,
        MinBytes = MinBytes,
        MaxBytes = MaxBytes,
        SessionId = SessionId,
        SessionEpoch = SessionEpoch,
        Topics = [.. partitions.GroupBy(each => each.Topic).Select(topic => new FetchRequest.FetchTopic
        {
            Topic = version < 13 ? topic.Key : "",
            TopicId = version < 13 ? Uuid.Zero : leader.IdOf(topic.Key),
            Partitions = [.. topic.Select(each => each.Partition)],
        })],
    };

    /// <summary>The connection takes no more requests: what waits is answered.</summary>
    public void Drain() => _draining.Cancel();

    /// <summary>The connection is closed.</summary>
    public void Close() => _closing.Cancel();

    /// <summary>The answer as the follower reads it: encoded, which gives back the slices, and decoded.</summary>
    private FetchResponse Read(FetchResponse answer)
    {
        LastAnswer = WireBuffer.Encode(answer, version);
        var reader = new WireReader(LastAnswer.ToArray());
        return FetchResponse.Read(ref reader, version);
    }
}
