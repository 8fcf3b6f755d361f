using Ottla.Broker.Directories;
using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Metadata;
using Ottla.StateMachines.Controller;
using Ottla.StateMachines.Metadata;

namespace Ottla.UnitTests.Controller;

/// <summary>A controller over an image, as the active one would have: what it decides is applied at once.</summary>
internal sealed class ControllerTestBed
{
    public const string ClusterId = "MkU3OEVBNTcwNTJENDM2Qg";

    private readonly Dictionary<int, object> _connections = [];
    private long _nextOffset;

    public ControllerTestBed(ulong seed = 7, params (string Name, string Value)[] configs)
    {
        Settings = new ControllerSettings
        {
            NodeId = 1,
            ClusterId = ClusterId,
            Config = BrokerConfig.LoadDevMode(null, configs.Select(config => KeyValuePair.Create(config.Name, config.Value))),
            SupportedFeatures = SupportedFeatures.Latest,
            Seed = seed,
        };
        Controller = new QuorumController(Settings);
    }

    public ControllerSettings Settings { get; }

    public ControllerQuorum Quorum { get; set; } = new(1, [1]);

    public Instant Now { get; set; } = new(1000);

    public long NextOffset => _nextOffset;

    public QuorumController Controller { get; }

    public MetadataReplayer Replayer { get; set; } = new(MetadataImage.Empty);

    public MetadataImage Image => Replayer.Image;

    public List<MetadataRecord> Log { get; } = [];

    public IReadOnlyList<MetadataRecord> LastRecords { get; private set; } = [];

    /// <summary>A cluster with brokers 1 to <paramref name="brokers"/>, unfenced, at the newest version.</summary>
    public static ControllerTestBed WithBrokers(int brokers = 1, ulong seed = 7, params (string Name, string Value)[] configs)
    {
        var bed = new ControllerTestBed(seed, configs);
        bed.Do(new ActivateCommand(StorageFormatter.DefaultBootstrap(SupportedFeatures.Latest), -1));
        for (var id = 1; id <= brokers; id++)
            bed.AddBroker(id);
        return bed;
    }

    public TReply Do<TReply>(ControllerCommand<TReply> command)
    {
        if (command is BrokerHeartbeatCommand heartbeat)
            Hear(heartbeat.Request);
        var decision = Controller.Decide(command, State);
        Write(decision.Records);
        return decision.Reply;
    }

    /// <summary>A heartbeat came in, over a connection that stays open.</summary>
    public void Hear(BrokerHeartbeatRequest heartbeat) => Controller.Hear(heartbeat, Now, Connection(heartbeat.BrokerId));

    /// <summary>The connection of a broker's heartbeats.</summary>
    public object Connection(int brokerId)
    {
        if (!_connections.TryGetValue(brokerId, out var connection))
            _connections[brokerId] = connection = new object();
        return connection;
    }

    /// <summary>A broker's connection is closed.</summary>
    public void Disconnect(int brokerId) => Controller.Disconnect(brokerId, Connection(brokerId));

    /// <summary>Lets time pass, and has the controller do everything that becomes due, each at its time.</summary>
    public void Pass(long milliseconds)
    {
        var end = Now.AddMilliseconds(milliseconds);
        while (Controller.NextDeadline is { } deadline && deadline <= end)
        {
            Now = deadline;
            Write(Controller.OnDeadline(State).Records);
        }

        Now = end;
    }

    private ControllerState State => new(Image, _nextOffset, Now, Quorum);

    /// <summary>Writes a record that no command of this version decides.</summary>
    public void Write(PartitionChangeRecord record) => Write(
        [new MetadataRecord(record, Image.Features.MetadataVersionOrThrow.PartitionRecordVersion)]);

    private void Write(IReadOnlyList<MetadataRecord> records)
    {
        LastRecords = records;
        if (records.Count == 0)
            return;
        Replayer.Apply(records, _nextOffset, new MetadataProvenance(_nextOffset + records.Count - 1, 1, 1000));
        _nextOffset += records.Count;
        Controller.Apply(records, _nextOffset - 1);
        Log.AddRange(records);
    }

    public ErrorCode Fails<TReply>(ControllerCommand<TReply> command) => Assert.Throws<ApiException>(() => Do(command)).Error.Code;

    public void AddBroker(int id, string? rack = null, bool unfence = true)
    {
        var epoch = Do(new RegisterBrokerCommand(Registration(id, rack))).BrokerEpoch;
        if (unfence)
            Assert.False(Do(new BrokerHeartbeatCommand(Heartbeat(id, epoch))).IsFenced);
    }

    public static BrokerRegistrationRequest Registration(int id, string? rack = null, ulong incarnation = 1) => new()
    {
        BrokerId = id,
        ClusterId = ClusterId,
        IncarnationId = new Uuid((ulong)id, incarnation),
        Listeners = [new BrokerRegistrationRequest.Listener { Name = "PLAINTEXT", Host = "localhost", Port = 9092 }],
        Features = [
            .. SupportedFeatures.Latest.Ranges.Select(
                f => new BrokerRegistrationRequest.Feature { Name = f.Key, MinSupportedVersion = f.Value.Min,
                    MaxSupportedVersion = f.Value.Max })],
        Rack = rack,
        LogDirs = [new Uuid((ulong)id, 1000)],
    };

    public BrokerHeartbeatRequest Heartbeat(int id, long? epoch = null, bool wantFence = false, bool wantShutDown = false) => new()
    {
        BrokerId = id,
        BrokerEpoch = epoch ?? Image.Cluster.Broker(id)!.Epoch,
        CurrentMetadataOffset = _nextOffset,
        WantFence = wantFence,
        WantShutDown = wantShutDown,
    };

    public CreateTopicsResponse.CreatableTopicResult Create(
        string name, int partitions = 1, short replicationFactor = 1, (string, string?)[]? configs = null, int[][]? assignments = null,
        bool validateOnly = false) =>
        Do(new CreateTopicsCommand(new CreateTopicsRequest
        {
            ValidateOnly = validateOnly,
            Topics = [Topic(name, partitions, replicationFactor, configs, assignments)],
        })).Topics.Single();

    public static CreateTopicsRequest.CreatableTopic Topic(
        string name, int partitions = 1, short replicationFactor = 1, (string, string?)[]? configs = null, int[][]? assignments = null) =>
            new()
            {
                Name = name,
                NumPartitions = assignments is null ? partitions : -1,
                ReplicationFactor = assignments is null ? replicationFactor : (short)-1,
                Configs = [.. (configs ?? [])
                .Select(config => new CreateTopicsRequest.CreatableTopicConfig { Name = config.Item1, Value = config.Item2 })],
                Assignments = [
                .. (assignments ?? []).Select(
                    (ids, index) => new CreateTopicsRequest.CreatableReplicaAssignment { PartitionIndex = index, BrokerIds = ids })],
            };

    /// <summary>What must hold after anything: the log gives the image, a snapshot gives it again, and partitions make sense.</summary>
    public void CheckInvariants()
    {
        var replayed = new MetadataReplayer(MetadataImage.Empty);
        replayed.Apply(Log, 0, Image.Provenance);
        Assert.True(replayed.Image.ContentEquals(Image), "The log gives another image.");
        Assert.True(
            MetadataImage.Empty.Apply(Image.ToRecords(), 0, Image.Provenance).ContentEquals(Image), "The snapshot gives another image.");
        Assert.Equal(Image.Topics.ById.Count, Image.Topics.ByName.Count);
        foreach (var topic in Image.Topics.ById.Values)
        {
            Assert.Same(topic, Image.Topics.Find(topic.Name));
            foreach (var partition in topic.Partitions)
            {
                Assert.Equal(partition.Replicas.Length, partition.Replicas.Distinct().Count());
                Assert.All(partition.Isr, id => Assert.Contains(id, partition.Replicas));
                Assert.Empty(partition.Isr.Intersect(partition.EligibleLeaderReplicas));
                if (partition.Leader == PartitionRegistration.NoLeader)
                    continue;
                Assert.Contains(partition.Leader, partition.Isr);
                Assert.True(
                    Image.Cluster.IsActive(partition.Leader), $"{topic.Name} is led by a broker that is not active, seed {Settings.Seed}.");
            }
        }
    }
}
