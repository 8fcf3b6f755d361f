using Microsoft.Extensions.Logging.Abstractions;
using Ottla.Broker.Hosts.Coordinators;
using Ottla.Broker.Replicas;
using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Metadata;
using Ottla.StateMachines.Metadata;
using Ottla.Storage.Files;
using Ottla.Storage.Log;

namespace Ottla.UnitTests.Broker.Coordinators;

/// <summary>A host of <see cref="NoteMachine"/>s over a log in memory: one partition, led as the test says.</summary>
internal sealed class CoordinatorBed : IDisposable
{
    public const string Topic = "__notes";
    public const int NodeId = 0;
    private static readonly Uuid TopicId = new(7, 7);
    private readonly HostedTopics _topics = new();
    private readonly IReadOnlyDictionary<string, string> _topicConfigs;
    private MetadataImage _image = MetadataImage.Empty;
    private int _machineCount;
    private int _partitionEpoch;
    private PartitionRegistration? _registration;

    public CoordinatorBed(
        IReadOnlyDictionary<string, string>? topicConfigs = null, CoordinatorSettings? settings = null, bool outlivesLeaderEpoch = false)
    {
        _topicConfigs = topicConfigs ?? new Dictionary<string, string>();
        Disk = new InMemoryFileSystem(Clock);
        Settings = settings ?? Settings;
        // There is no transaction coordinator to ask.
        Config = BrokerConfig.LoadDevMode(null, [KeyValuePair.Create("transaction.partition.verification.enable", "false")]);
        var definition = new CoordinatorDefinition<NoteCommand>
        {
            Name = "notes",
            TopicName = Topic,
            OutlivesLeaderEpoch = outlivesLeaderEpoch,
            Serde = CoordinatorRecordSerde.Groups,
            CreateMachine = _ =>
            {
                var machine = new NoteMachine();
                BeforeLoad(Interlocked.Increment(ref _machineCount));
                return Machine = machine;
            },
            Settings = _ => SettingsFailures.Thread == Environment.CurrentManagedThreadId && SettingsFailures.Left > 0
                ? throw Fail()
                : Settings,
            OnOutput = (_, output) =>
            {
                Outputs.Add((NoteOutput)output);
                OnOutput?.Invoke((NoteOutput)output);
            },
        };
        Host = new CoordinatorHost<NoteCommand>(definition, NodeId, _topics, () => Config, Clock, NullLogger.Instance);
        Log = PartitionLog.Open(
            Disk, $"/data/{Topic}-0", new TopicPartition(Topic, 0), TopicSettings.Log, new LogOpenOptions(), Clock, NullLogger.Instance);
        Apply(new FeatureLevelRecord { Name = MetadataVersion.FeatureName, FeatureLevel = MetadataVersion.Latest.Level });
    }

    public TestClock Clock { get; } = new();

    public Instant Now => Instant.Now(Clock);

    public InMemoryFileSystem Disk { get; }

    public BrokerConfig Config { get; }

    public CoordinatorSettings Settings { get; set; } = new(
        CompressionType.None, AppendLingerMs: -1, WriteTimeoutMs: 5000, LoadBufferBytes: 100, CachedBufferBytesMax: 1 << 20);

    public PartitionLog Log { get; private set; }

    public CoordinatorHost<NoteCommand> Host { get; }

    /// <summary>The newest machine.</summary>
    public NoteMachine Machine { get; private set; } = new();

    public List<NoteOutput> Outputs { get; } = [];

    /// <summary>Called by the thread that loads, with the number of the load.</summary>
    public Action<int> BeforeLoad { get; set; } = _ => { };

    /// <summary>The thread on which the coordinator finds a bug in its configuration, and how often.</summary>
    public (int Thread, int Left) SettingsFailures { get; set; }

    /// <summary>Called with each output, by the coordinator's loop.</summary>
    public Action<NoteOutput>? OnOutput { get; set; }

    private TopicSettings TopicSettings =>
        new(TopicConfig.Create(Config ?? BrokerConfig.LoadDevMode(), _topicConfigs), Config ?? BrokerConfig.LoadDevMode());

    /// <summary>Makes this node the leader, as the controller and the replica manager would, and waits until the log is loaded.</summary>
    public async Task LeadAsync(int epoch, int inSyncReplicas = 1)
    {
        Elect(NodeId, epoch, inSyncReplicas);
        await LoadedAsync();
    }

    /// <summary>Says who leads.</summary>
    public void Elect(int leader, int epoch, int inSyncReplicas = 1, int? replicas = null)
    {
        int[] all = [.. Enumerable.Range(0, replicas ?? inSyncReplicas)];
        var record = new PartitionRecord
        {
            TopicId = TopicId,
            PartitionId = 0,
            Replicas = all,
            Isr = all[..inSyncReplicas],
            Directories = [.. all.Select(_ => DirectoryIds.Unassigned)],
            Leader = leader,
            LeaderEpoch = epoch,
            PartitionEpoch = ++_partitionEpoch,
        };
        _registration = PartitionRegistration.From(record);
        if (_topics.Find(TopicId)?.Find(0) is { } replica)
            replica.Update(_registration);
        else
            _topics.Add(new PartitionReplica(TopicId, Log, _registration, TopicSettings, TestReplicas.Surroundings(NodeId, Clock)));
        if (_image.Topics.Find(TopicId) is null)
            Apply(new TopicRecord { Name = Topic, TopicId = TopicId });
        Apply(record);
    }

    /// <summary>Has those who wait for the partition look again, as a change of its configuration does.</summary>
    public void WakeWaiters() => _topics.Find(TopicId)!.Find(0)!.Update(TopicSettings);

    /// <summary>Waits until requests are decided.</summary>
    public async Task LoadedAsync()
    {
        while (true)
        {
            try
            {
                await Host.SubmitAsync(0, new ReadNotes()).AsTask().WaitAsync(TestNode.Patience);
                return;
            }
            catch (ApiException e) when (e.Error.Code == ErrorCode.CoordinatorLoadInProgress)
            {
                await Task.Yield();
            }
        }
    }

    /// <summary>Commits metadata.</summary>
    public void Apply(params IRecordMessage[] records)
    {
        var delta = _image.ApplyWithDelta(records.Select(record => new MetadataRecord(record, 0)), 0, MetadataProvenance.Empty);
        _image = delta.New;
        Host.Publish(delta);
    }

    public Task<int> WriteAsync(params string[] texts) => SubmitAsync(new WriteNotes(texts));

    public Task<string> ReadAsync() => SubmitAsync(new ReadNotes());

    public Task<TReply> SubmitAsync<TReply>(NoteCommand<TReply> command) =>
        Host.SubmitAsync(0, command).AsTask().WaitAsync(TestNode.Patience);

    public async Task<ErrorCode> ErrorOf<TReply>(NoteCommand<TReply> command) =>
        (await Assert.ThrowsAsync<ApiException>(() => SubmitAsync(command))).Error.Code;

    /// <summary>The batches of the log.</summary>
    public List<(long BaseOffset, int Records, bool IsTransactional, bool IsControl, long ProducerId)> Batches()
    {
        var batches = new List<(long, int, bool, bool, long)>();
        using var slice = Log.Read(0, int.MaxValue, minOneBatch: true, Log.LogEndOffset).Slice;
        var bytes = new byte[slice?.Length ?? 0];
        slice?.Read(0, bytes);
        for (var rest = bytes.AsMemory(); rest.Length > 0;)
        {
            var batch = new RecordBatchView(rest.Span);
            batches.Add((batch.BaseOffset, batch.RecordCount, batch.IsTransactional, batch.IsControl, batch.ProducerId));
            rest = rest[batch.SizeInBytes..];
        }

        return batches;
    }

    private InvalidOperationException Fail()
    {
        SettingsFailures = (SettingsFailures.Thread, SettingsFailures.Left - 1);
        return new InvalidOperationException("a bug");
    }

    public void Dispose() => Host.Close();
}
