using Microsoft.Extensions.Logging.Abstractions;
using Ottla.Broker;
using Ottla.Broker.Directories;
using Ottla.Broker.Replicas;
using Ottla.Broker.Replicas.Fetching;
using Ottla.Broker.Server;
using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Network.Buffers;
using Ottla.Network.Transport;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Metadata;
using Ottla.StateMachines.Metadata;
using Ottla.StateMachines.Replication;
using Ottla.Storage.Files;
using Ottla.Storage.Upkeep;
using Ottla.UnitTests.Broker;
using Ottla.UnitTests.Requests;

namespace Ottla.UnitTests.Replication;

/// <summary>
/// The part of broker 1 that follows: logs, replicas and fetchers, driven by metadata records as in a node. Brokers 2 and 3 are played by
/// the test.
/// </summary>
internal sealed class FollowerBed : IAsyncDisposable
{
    public const int BrokerId = 1;

    /// <summary>The topic of most tests.</summary>
    public static readonly Uuid Topic = new(0x70, 1);

    private readonly InMemoryTransport _network = new();
    private readonly MetadataReplayer _metadata = new(MetadataImage.Empty);
    private readonly BackgroundWork _background;
    private readonly ReplicaManager _replicas;
    private readonly ReplicaFetchers _fetchers;
    private Exception? _failure;
    private long _offset;

    public FollowerBed(params (string Name, string Value)[] configs)
    {
        var values = new Dictionary<string, string> { ["node.id"] = "1", ["log.dirs"] = "/data" };
        foreach (var (name, value) in configs)
            values[name] = value;
        Config = BrokerConfig.LoadDevMode(null, values);
        _background = new BackgroundWork(e => _failure = e, Log.Logger);
        Platform = new NodePlatform(Disk, _network, Clock, Log, 42);
        foreach (var directory in LogDirectories.Paths(Config))
            Disk.CreateDirectory(directory);
        Logs = LogManager.Open(LogDirectories.Options(() => Config, Platform, (_, _) => { }), Disk, Clock, NullLogger.Instance);
        var quota = new ReplicationQuota(Config.ReplicationQuotaWindowNum, Config.ReplicationQuotaWindowSizeSeconds);
        Host = new FetcherHost
        {
            BrokerId = BrokerId,
            BrokerEpoch = () => 77,
            Listener = "PLAINTEXT",
            Options = FetcherHost.OptionsOf(Config),
            Connection = FetcherHost.ConnectionOf(Config),
            Logs = Logs,
            Throttle = new ReplicationThrottle(quota, () => ThrottledRate, Clock),
            Transport = _network,
            Buffers = Buffers,
            Time = Clock,
            Logger = Log.Logger,
            RetryLogger = new LimitedLogger(Log.Logger, Clock),
        };
        _fetchers = new ReplicaFetchers(Host, () => Config, _background, Log.Logger);
        _replicas = new ReplicaManager(
            Logs, Topics, _fetchers, TestReplicas.Surroundings(BrokerId, Clock, config: () => Config, logger: Log.Logger));
        Publish(
            new FeatureLevelRecord { Name = MetadataVersion.FeatureName, FeatureLevel = MetadataVersion.Latest.Level },
            new TopicRecord { Name = "t", TopicId = Topic });
    }

    public BrokerConfig Config { get; set; }

    /// <summary><c>follower.replication.throttled.rate</c>.</summary>
    public long ThrottledRate { get; set; } = long.MaxValue;

    public TestClock Clock { get; } = new();

    public InMemoryFileSystem Disk { get; } = new();

    public NodePlatform Platform { get; }

    public LogManager Logs { get; }

    public HostedTopics Topics { get; } = new();

    public BufferPool Buffers { get; } = new();

    public WarningLoggers Log { get; } = new();

    public FetcherHost Host { get; }

    public int FetchedPartitions => _fetchers.PartitionCount;

    public Instant Now => Instant.Now(Clock);

    /// <summary>Where a broker of the test listens.</summary>
    public ScriptedPeer Listen() => new(_network);

    /// <summary>Registers a broker that the test plays.</summary>
    public void Register(int brokerId, ScriptedPeer peer) => Publish(new RegisterBrokerRecord
    {
        BrokerId = brokerId,
        IncarnationId = new Uuid(0xB, (ulong)brokerId),
        BrokerEpoch = _offset,
        Fenced = false,
        EndPoints = [new() { Name = "PLAINTEXT", Host = "127.0.0.1", Port = (ushort)peer.Port }],
    });

    /// <summary>Has a broker lead partitions, which broker 1 follows, unless it leads itself.</summary>
    public void Lead(int leader, int epoch, params int[] partitions) => Publish([.. partitions.Select(partition =>
        PartitionOf(partition) is null
            ? (IRecordMessage)new PartitionRecord
            {
                TopicId = Topic, PartitionId = partition, Replicas = [1, 2, 3], Isr = [leader], Leader = leader, LeaderEpoch = epoch,
                PartitionEpoch = epoch,
            }
            : new PartitionChangeRecord { TopicId = Topic, PartitionId = partition, Leader = leader, Isr = [leader] })]);

    public PartitionReplica Replica(int partition = 0) => Topics.Find(Topic)!.Find(partition)!;

    /// <summary>The bytes of a log.</summary>
    public byte[] BytesOf(int partition = 0)
    {
        var log = Replica(partition).Log;
        using var slice = log.Read(log.LogStartOffset, int.MaxValue, minOneBatch: true, long.MaxValue).Slice;
        var bytes = new byte[slice?.Length ?? 0];
        slice?.Read(0, bytes);
        return bytes;
    }

    public void Publish(params IRecordMessage[] messages)
    {
        var provenance = new MetadataProvenance(_offset + messages.Length - 1, 1, Clock.NowMs);
        var delta = _metadata.Apply([.. messages.Select(message => new MetadataRecord(message, 0))], _offset, provenance);
        _offset += messages.Length;
        _replicas.Publish(delta);
        _fetchers.Publish(delta);
    }

    public async ValueTask DisposeAsync()
    {
        await _fetchers.CloseAsync();
        await _background.StopAsync();
        _background.Dispose();
        Logs.Dispose();
        Assert.Null(_failure);
        Assert.Equal(0, Buffers.RentedBytes);
        Assert.Equal(0, Host.Budget.TakenBytes);
    }

    /// <summary>A batch as a leader stores it.</summary>
    public static byte[] Stored(long baseOffset, int epoch, int records = 1, int valueBytes = 10)
    {
        var batch = Broker.Requests.Batch(records, valueBytes: valueBytes);
        RecordBatchEditor.SetBaseOffset(batch, baseOffset);
        RecordBatchEditor.SetPartitionLeaderEpoch(batch, epoch);
        return batch;
    }

    /// <summary>What a leader says of a partition.</summary>
    public static FetchResponse.PartitionData Data(
        int partition, long highWatermark, byte[]? records = null, ErrorCode error = ErrorCode.None, long logStart = 0) => new()
        {
            PartitionIndex = partition,
            ErrorCode = (short)error,
            HighWatermark = highWatermark,
            LogStartOffset = logStart,
            Records = new Ottla.Protocol.Wire.Records(records ?? []),
            AbortedTransactions = null,
        };

    public static FetchResponse Answer(int sessionId, params FetchResponse.PartitionData[] partitions) => new()
    {
        SessionId = sessionId,
        Responses = partitions.Length == 0 ? [] : [new() { TopicId = Topic, Partitions = partitions }],
    };

    private PartitionRegistration? PartitionOf(int partition) => _metadata.Image.Topics.Find("t")?.Partition(partition);
}
