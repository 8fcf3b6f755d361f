using Microsoft.Extensions.Logging.Abstractions;
using Ottla.Broker.Directories;
using Ottla.Broker.Hosts;
using Ottla.Broker.Metadata;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Controller;
using Ottla.StateMachines.Metadata;

namespace Ottla.UnitTests.Controller;

public sealed class ControllerHostTests : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    private readonly FakeMetadataLog _log = new();
    private readonly MetadataCache _cache = new();
    private readonly MetadataLoader _loader;
    private readonly ControllerHost _host;
    private long _epoch = -1;

    public ControllerHostTests()
    {
        _loader = new MetadataLoader(_cache, NullLogger.Instance);
        _host = Host();
    }

    public async ValueTask DisposeAsync()
    {
        _host.Dispose();
        await _loader.DisposeAsync();
    }

    [Fact]
    public async Task Node_registers_serves_and_shuts_down()
    {
        await StartAsync();
        await RegisterAsync();
        Assert.True(_cache.Current.Cluster.Broker(1)!.Fenced);
        await UnfenceAsync();
        var (response, offset) = await _host.SubmitWithOffsetAsync(Create("a"));
        await _cache.WaitForOffset(offset);
        Assert.Equal(0, response.Topics[0].ErrorCode);
        Assert.Equal(1, _cache.Current.Topics.Find("a")!.Partitions[0].Leader);
        // not before the broker has read that its leadership is gone
        Assert.False((await HeartbeatAsync(wantShutDown: true)).ShouldShutDown);
        Assert.True((await HeartbeatAsync(wantShutDown: true)).ShouldShutDown);
        Assert.True(_cache.Current.Cluster.Broker(1)!.Fenced);
        Assert.Equal([1], _cache.Current.Topics.Find("a")!.Partitions[0].EligibleLeaderReplicas.AsEnumerable());

        var firstEpoch = _epoch;
        await RegisterAsync(firstEpoch);
        await UnfenceAsync();
        Assert.True(_epoch > firstEpoch);
        var partition = _cache.Current.Topics.Find("a")!.Partitions[0];
        Assert.Equal((1, LeaderRecoveryState.Recovered, 2), (partition.Leader, partition.LeaderRecoveryState, partition.LeaderEpoch));
    }

    [Fact]
    public async Task Answer_waits_for_the_commit_and_later_commands_see_what_is_not_committed()
    {
        await StartWithBrokerAsync();
        _log.CommitsAtOnce = false;
        var first = _host.SubmitAsync(Create("a"));
        var second = _host.SubmitAsync(Create("a"));
        Assert.False(first.IsCompleted || second.IsCompleted);
        Assert.Null(_cache.Current.Topics.Find("a"));
        _log.Commit();
        Assert.Equal(0, (await first).Topics[0].ErrorCode);
        Assert.Equal(ErrorCode.TopicAlreadyExists, (ErrorCode)(await second).Topics[0].ErrorCode);
    }

    [Fact]
    public async Task Lost_leadership_forgets_what_was_not_committed()
    {
        await StartWithBrokerAsync();
        _log.CommitsAtOnce = false;
        var lost = _host.SubmitAsync(Create("a"));
        _log.Elect(2, 2);
        await Waiting.UntilAsync(() => !_host.IsActive);
        Assert.Equal(ErrorCode.NotController, (await Assert.ThrowsAsync<ApiException>(() => lost)).Error.Code);
        Assert.Equal(ErrorCode.NotController, (await Assert.ThrowsAsync<ApiException>(() => _host.SubmitAsync(Create("a")))).Error.Code);
        Assert.False(_host.IsActive || _host.WhenActive.IsCompleted);
        _log.CommitsAtOnce = true;
        _log.Elect(1, 3);
        await _host.WhenActive;
        Assert.Equal(0, (await _host.SubmitAsync(Create("a"))).Topics[0].ErrorCode);
    }

    [Fact]
    public async Task Bootstrap_is_written_once()
    {
        await StartAsync();
        Assert.Equal(1, _log.BatchCount);
        Assert.Equal(MetadataVersion.Latest, _cache.Current.Features.MetadataVersion);
        Assert.Equal("1", _cache.Current.Configs.Value(ConfigResource.DefaultBroker, "min.insync.replicas"));
        _log.Elect(2, 2);
        await Waiting.UntilAsync(() => !_host.IsActive);
        _log.Elect(1, 3);
        await _host.WhenActive.WaitAsync(Patience);
        Assert.Equal(1, _log.BatchCount);
    }

    [Fact]
    public async Task Snapshot_is_written_when_there_is_enough_to_write()
    {
        var config = new ControllerTestBed(7, ("metadata.log.max.record.bytes.between.snapshots", "2000")).Settings.Config;
        await StartAsync(SnapshotPolicy.From(config));
        await RegisterAsync();
        for (var i = 0; i < 200 && !_log.FirstSnapshot.IsCompleted; i++)
            await _host.SubmitAsync(new AllocateProducerIdsCommand(1, _cache.Current.Cluster.Broker(1)!.Epoch));
        await _log.FirstSnapshot.WaitAsync(Patience);
        var (id, records) = _log.Snapshots[0];
        await _cache.WaitForOffset(id.Offset - 1).WaitAsync(Patience); // a snapshot may be written before its image is published
        var image = MetadataImage.Empty.Apply(records, 0, default);
        Assert.True(id.Offset <= _log.EndOffset && image.NextProducerId <= _cache.Current.NextProducerId);
        Assert.Equal(_cache.Current.Cluster.Brokers.Keys, image.Cluster.Brokers.Keys);
    }

    [Fact]
    public async Task Failing_publisher_fails_who_waits()
    {
        _loader.Register(new FailingPublisher());
        var waiting = _cache.WaitForOffset(0);
        Start();
        Assert.IsType<InvalidOperationException>(await _loader.Failure.WaitAsync(Patience));
        await Assert.ThrowsAsync<InvalidOperationException>(() => waiting.WaitAsync(Patience));
    }

    [Fact]
    public async Task Publisher_that_takes_its_time_delays_no_commit()
    {
        using var publisher = new BlockedPublisher();
        _loader.Register(publisher);
        await StartWithBrokerAsync();
        publisher.Block();
        var (first, offset) = await _host.SubmitWithOffsetAsync(Create("a")).WaitAsync(Patience);
        Assert.Equal(0, first.Topics[0].ErrorCode);
        Assert.Equal(0, (await _host.SubmitAsync(Create("b")).WaitAsync(Patience)).Topics[0].ErrorCode);
        Assert.Null(_cache.Current.Topics.Find("a"));
        publisher.Release();
        await _cache.WaitForOffset(offset).WaitAsync(Patience);
        Assert.NotNull(_cache.Current.Topics.Find("a"));
    }

    private static CreateTopicsCommand Create(string name) => new(new CreateTopicsRequest { Topics = [ControllerTestBed.Topic(name)] });

    private static NodeIdentity Node(long previousEpoch) => new()
    {
        NodeId = 1,
        ClusterId = ControllerTestBed.ClusterId,
        IncarnationId = Uuid.NewRandom(),
        BrokerEndpoints = [new Endpoint("PLAINTEXT", "localhost", 9092, 0)],
        SupportedFeatures = SupportedFeatures.Latest,
        LogDirs = [new Uuid(1, 1000)],
        PreviousBrokerEpoch = previousEpoch,
    };

    private ControllerHost Host(params (string, string)[] configs) => new(
        new ControllerTestBed(7, configs).Settings, _log, StorageFormatter.DefaultBootstrap(SupportedFeatures.Latest), () =>
        new ControllerQuorum(1, [1]), TimeProvider.System, NullLogger.Instance);

    private async Task RegisterAsync(long previousEpoch = -1)
    {
        var (response, offset) = await _host.SubmitWithOffsetAsync(new RegisterBrokerCommand(Node(previousEpoch).ToBrokerRegistration()));
        _epoch = response.BrokerEpoch;
        await _cache.WaitForOffset(offset).WaitAsync(Patience);
    }

    private async Task UnfenceAsync() => Assert.False((await HeartbeatAsync(wantShutDown: false)).IsFenced);

    private async Task<BrokerHeartbeatReply> HeartbeatAsync(bool wantShutDown)
    {
        var (reply, offset) = await _host.SubmitWithOffsetAsync(new BrokerHeartbeatCommand(new BrokerHeartbeatRequest
        {
            BrokerId = 1,
            BrokerEpoch = _epoch,
            CurrentMetadataOffset = _cache.PublishedOffset,
            WantShutDown = wantShutDown,
        }));
        await _cache.WaitForOffset(offset).WaitAsync(Patience);
        return reply;
    }

    private void Start(SnapshotPolicy? snapshots = null)
    {
        _loader.Register(_host);
        var policy = snapshots ?? SnapshotPolicy.From(new ControllerTestBed(7).Settings.Config);
        _loader.Start(_log, new SnapshotGenerator(_log, policy, TimeProvider.System, NullLogger.Instance));
        _log.Elect(1, 1);
    }

    /// <summary>Starts, and waits until the controller is active and its first records are published.</summary>
    private async Task StartAsync(SnapshotPolicy? snapshots = null)
    {
        Start(snapshots);
        await _host.WhenActive.WaitAsync(Patience);
        await _cache.WaitForOffset(_log.EndOffset - 1).WaitAsync(Patience);
    }

    private async Task StartWithBrokerAsync()
    {
        await StartAsync();
        await RegisterAsync();
        await UnfenceAsync();
    }

    private sealed class BlockedPublisher : IMetadataPublisher, IDisposable
    {
        private readonly ManualResetEventSlim _mayGoOn = new(true);

        public string Name => "blocked";

        public void Publish(MetadataDelta delta) => _mayGoOn.Wait();

        public void Block() => _mayGoOn.Reset();

        public void Release() => _mayGoOn.Set();

        public void Dispose()
        {
            Release();
            _mayGoOn.Dispose();
        }
    }

    private sealed class FailingPublisher : IMetadataPublisher
    {
        public string Name => "failing";

        public void Publish(MetadataDelta delta) => throw new InvalidOperationException("no");
    }
}
