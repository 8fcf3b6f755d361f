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
using Ottla.Protocol.Messages;
using Ottla.Protocol.Metadata;
using Ottla.Simulator.Disk;
using Ottla.StateMachines.Metadata;
using Ottla.StateMachines.Replication;
using Ottla.Storage.Upkeep;

namespace Ottla.Simulator.Interleaving;

/// <summary>
/// The part of a node that works on logs: log manager, replicas, fetches, and the publisher that makes and deletes them as the metadata
/// says.
/// </summary>
/// <remarks>Lives for one run of an <see cref="Interleaver"/>; its actors share it as the threads of a node do.</remarks>
internal sealed class InterleavedNode : IDisposable
{
    public const int NodeId = 1;

    private const short FetchVersion = 12;

    private readonly BrokerConfig _config;
    private readonly NodePlatform _platform;
    private readonly ReplicaManager _replicas;
    private readonly MetadataReplayer _metadata = new(MetadataImage.Empty);
    private readonly FetchHandler _fetch;
    private readonly CancellationTokenSource _stopping = new();
    private long _metadataOffset;
    private ulong _topics;

    public InterleavedNode(ulong seed, InterleavedClock clock)
    {
        Clock = clock;
        Disk = new SimDisk(clock, new Prng(~seed));
        _config = BrokerConfig.LoadDevMode(null, new Dictionary<string, string>
        {
            ["node.id"] = "1",
            ["log.dirs"] = "/a,/b",
            ["log.cleaner.backoff.ms"] = "4",
            ["log.cleaner.dedupe.buffer.size"] = "2097152",
            ["log.retention.check.interval.ms"] = "20",
            ["log.initial.task.delay.ms"] = "0",
            ["log.segment.delete.delay.ms"] = "30",
            ["log.flush.scheduler.interval.ms"] = "20",
            ["log.flush.offset.checkpoint.interval.ms"] = "40",
            ["num.recovery.threads.per.data.dir"] = "1",
            ["transaction.partition.verification.enable"] = "false",
        });
        _platform = new NodePlatform(new InterleavedFileSystem(Disk), new InMemoryTransport(), clock, NullLoggerFactory.Instance, seed);
        foreach (var directory in LogDirectories.Paths(_config))
            Disk.CreateDirectory(directory);
        Disk.FlushDirectory("/");
        Logs = Open();
        var surroundings = new ReplicaSurroundings
        {
            NodeId = NodeId,
            Config = () => _config,
            BrokerEpoch = () => 0,
            IsrChanges = new NoIsrChanges(),
            Time = clock,
            Logger = NullLogger.Instance,
        };
        _replicas = new ReplicaManager(Logs, Topics, new NoFetchers(), surroundings);
        var leaders = new LeaderHints(() => _metadata.Image, Topics);
        var throttle = new LeaderThrottle(NodeId, new ReplicationThrottle(new ReplicationQuota(1, 1), () => long.MaxValue, clock));
        var followers = new FollowerSessions(new FollowerReader(Topics, leaders, throttle), 1, new Prng(seed), clock);
        _fetch = new FetchHandler(
            new FetchPlanner(Topics, leaders, racks: null, clock), new FetchSessions(1, new Prng(seed)),
            new ReplicaFetchHandler(followers, () => int.MaxValue, clock), leaders, Authorizer.None,
            new ClientQuotas(11, 1000, 11, 1000, clock), () => int.MaxValue, clock);
    }

    public InterleavedClock Clock { get; }

    public SimDisk Disk { get; }

    public LogManager Logs { get; }

    public HostedTopics Topics { get; } = new();

    public CancellationToken Stopping => _stopping.Token;

    public Instant Now => Instant.Now(Clock);

    /// <summary>Why a log directory is offline; null while all are in use.</summary>
    public string? DirectoryFailure { get; private set; }

    public void Stop() => _stopping.Cancel();

    /// <summary>Publishes a topic of one partition.</summary>
    public void Create(string name, params (string Name, string Value)[] configs)
    {
        var id = new Uuid(0x70, ++_topics);
        Publish(
        [
            new TopicRecord { Name = name, TopicId = id },
            .. configs.Select(
                config => new ConfigRecord { ResourceType = (sbyte)ConfigResourceType.Topic, ResourceName = name, Name = config.Name,
                    Value = config.Value }),
            new PartitionRecord { TopicId = id, PartitionId = 0, Replicas = [NodeId], Isr = [NodeId], Leader = NodeId, LeaderEpoch = 0,
                PartitionEpoch = 0 },
        ]);
    }

    /// <summary>Publishes that a topic is gone.</summary>
    public void Delete(string name) => Publish([new RemoveTopicRecord { TopicId = _metadata.Image.Topics.Find(name)!.Id }]);

    public PartitionReplica? Find(string topic) => Topics.Find(topic)?.Find(0);

    /// <summary>Fetches from the first partition of a topic, as a consumer does.</summary>
    public async Task<FetchedRecords> FetchAsync(string topic, long offset, int maxWaitMs, bool isReadCommitted)
    {
        var request = new FetchRequest
        {
            ReplicaId = -1,
            MaxWaitMs = maxWaitMs,
            MinBytes = 1,
            MaxBytes = 1 << 20,
            IsolationLevel = (sbyte)(isReadCommitted ? 1 : 0),
            SessionEpoch = -1,
            Topics =
            [
                new FetchRequest.FetchTopic
                {
                    Topic = topic,
                    Partitions = [
                        new FetchRequest.FetchPartition { FetchOffset = offset, PartitionMaxBytes = 4096, CurrentLeaderEpoch = -1,
                            LastFetchedEpoch = -1 }],
                },
            ],
        };
        var connection = new ConnectionInfo("PLAINTEXT", IPAddress.None, _ => { }, CancellationToken.None, CancellationToken.None);
        var response = await _fetch.HandleAsync(
            new RequestContext(ApiKey.Fetch, FetchVersion, 1, "reader", connection), request, new FetchResponse());
        return FetchedRecords.Of(response!.Responses[0].Partitions[0]);
    }

    /// <summary>Loses power, and opens what is left of the logs.</summary>
    public LogManager OpenAfterPowerLoss()
    {
        Logs.Dispose();
        var left = Disk.AfterPowerLoss();
        return LogManager.Open(
            LogDirectories.Options(
                () => _config, _platform with { FileSystem = left }, (_, e) =>
                throw new SimulationException("A directory failed after power loss.", e)),
            left,
            Clock,
            NullLogger.Instance);
    }

    public void Dispose()
    {
        Logs.Dispose();
        _stopping.Dispose();
    }

    private LogManager Open() => LogManager.Open(
        LogDirectories.Options(() => _config, _platform, (directory, e) => DirectoryFailure ??= $"{directory.Path} went offline: {e}"),
        _platform.FileSystem,
        Clock,
        NullLogger.Instance);

    private void Publish(IReadOnlyList<IRecordMessage> messages)
    {
        var provenance = new MetadataProvenance(_metadataOffset + messages.Count - 1, 1, Clock.NowMs);
        var delta = _metadata.Apply([.. messages.Select(message => new MetadataRecord(message, 0))], _metadataOffset, provenance);
        _metadataOffset += messages.Count;
        _replicas.Publish(delta);
    }

    /// <summary>The node leads all that it has.</summary>
    private sealed class NoFetchers : IReplicaFetchers
    {
        public void Follow(IReadOnlyList<FollowedPartition> partitions) =>
            throw new SimulationException($"{partitions.Count} partitions are to be followed, and there is nobody to follow.");

        public void Stop(IReadOnlyList<PartitionReplica> partitions)
        {
            // Nothing was begun.
        }
    }

    /// <summary>There are no other replicas, so there is nothing to ask for.</summary>
    private sealed class NoIsrChanges : IIsrChanges
    {
        public void Request(PartitionReplica replica) => throw new SimulationException($"{replica.Partition} has no followers.");
    }
}
