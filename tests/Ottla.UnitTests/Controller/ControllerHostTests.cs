using Microsoft.Extensions.Logging.Abstractions;
using Ottla.Broker.Hosts;
using Ottla.Broker.Metadata;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Controller;
using Ottla.StateMachines.Metadata;

namespace Ottla.UnitTests.Controller;

public sealed class ControllerHostTests
{
    private readonly FakeMetadataLog _log = new();
    private readonly MetadataCache _cache = new(NullLogger.Instance);
    private readonly ControllerHost _host;

    public ControllerHostTests() => _host = Host();

    [Fact]
    public async Task Node_registers_serves_and_shuts_down()
    {
        Start();
        var lifecycle = Lifecycle();
        await lifecycle.RegisterAsync();
        Assert.True(_cache.Current.Cluster.Broker(1)!.Fenced);
        Assert.Single(_cache.Current.Cluster.Controllers);
        await lifecycle.UnfenceAsync();
        var (response, offset) = await _host.SubmitWithOffsetAsync(Create("a"));
        await _cache.WaitForOffset(offset);
        Assert.Equal(0, response.Topics[0].ErrorCode);
        Assert.Equal(1, _cache.Current.Topics.Find("a")!.Partitions[0].Leader);
        await lifecycle.ShutDownAsync();
        Assert.True(_cache.Current.Cluster.Broker(1)!.Fenced);
        Assert.Equal([1], _cache.Current.Topics.Find("a")!.Partitions[0].EligibleLeaderReplicas.AsEnumerable());

        var again = Lifecycle(lifecycle.BrokerEpoch);
        await again.RegisterAsync();
        await again.UnfenceAsync();
        Assert.True(again.BrokerEpoch > lifecycle.BrokerEpoch);
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
        Assert.Equal(ErrorCode.NotController, (await Assert.ThrowsAsync<ApiException>(() => lost)).Error.Code);
        Assert.Equal(ErrorCode.NotController, (await Assert.ThrowsAsync<ApiException>(() => _host.SubmitAsync(Create("a")))).Error.Code);
        Assert.False(_host.IsActive || _host.WhenActive.IsCompleted);
        _log.CommitsAtOnce = true;
        _log.Elect(1, 3);
        await _host.WhenActive;
        Assert.Equal(0, (await _host.SubmitAsync(Create("a"))).Topics[0].ErrorCode);
    }

    [Fact]
    public void Bootstrap_is_written_once()
    {
        Start();
        Assert.Equal(1, _log.BatchCount);
        Assert.Equal(MetadataVersion.Latest, _cache.Current.Features.MetadataVersion);
        Assert.Equal("1", _cache.Current.Configs.Value(ConfigResource.DefaultBroker, "min.insync.replicas"));
        _log.Elect(1, 2);
        Assert.Equal(1, _log.BatchCount);
    }

    [Fact]
    public async Task Snapshot_is_written_when_there_is_enough_to_write()
    {
        var host = Host(("metadata.log.max.record.bytes.between.snapshots", "2000"));
        host.Start();
        _log.Register(_cache);
        _log.Elect(1, 1);
        await new BrokerLifecycle(Node(-1), host, _cache, TimeProvider.System).RegisterAsync();
        for (var i = 0; i < 200 && _log.Snapshots.Count == 0; i++)
            await host.SubmitAsync(new AllocateProducerIdsCommand(1, _cache.Current.Cluster.Broker(1)!.Epoch));
        var (id, records) = Assert.Single(_log.Snapshots);
        Assert.Equal(_log.EndOffset, id.Offset);
        Assert.True(MetadataImage.Empty.Apply(records, 0, default).ContentEquals(_cache.Current));
    }

    [Fact]
    public void Failing_publisher_fails_who_waits()
    {
        _cache.Register(new FailingPublisher());
        var waiting = _cache.WaitForOffset(0);
        Assert.Throws<InvalidOperationException>(Start);
        Assert.True(waiting.IsFaulted && _cache.Failure.IsCompleted);
    }

    private static CreateTopicsCommand Create(string name) => new(new CreateTopicsRequest { Topics = [ControllerTestBed.Topic(name)] });

    private static NodeIdentity Node(long previousEpoch) => new()
    {
        NodeId = 1,
        ClusterId = ControllerTestBed.ClusterId,
        IncarnationId = Uuid.NewRandom(),
        BrokerEndpoints = [new Endpoint("PLAINTEXT", "localhost", 9092, 0)],
        ControllerEndpoints = [new Endpoint("CONTROLLER", "localhost", 9093, 0)],
        SupportedFeatures = SupportedFeatures.Latest,
        LogDirs = [new Uuid(1, 1000)],
        PreviousBrokerEpoch = previousEpoch,
    };

    private ControllerHost Host(params (string, string)[] configs) => new(
        new ControllerTestBed(7, configs).Settings, _log, StorageFormatter.DefaultBootstrap(SupportedFeatures.Latest), TimeProvider.System, NullLogger.Instance);

    private BrokerLifecycle Lifecycle(long previousEpoch = -1) => new(Node(previousEpoch), _host, _cache, TimeProvider.System);

    private void Start()
    {
        _host.Start();
        _log.Register(_cache);
        _log.Elect(1, 1);
    }

    private async Task StartWithBrokerAsync()
    {
        Start();
        var lifecycle = Lifecycle();
        await lifecycle.RegisterAsync();
        await lifecycle.UnfenceAsync();
    }

    private sealed class FailingPublisher : IMetadataPublisher
    {
        public string Name => "failing";

        public void Publish(MetadataDelta delta) => throw new InvalidOperationException("no");
    }
}
