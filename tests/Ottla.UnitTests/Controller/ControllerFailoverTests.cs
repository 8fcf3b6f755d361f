using System.Net;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Ottla.Broker.Directories;
using Ottla.Broker.Hosts;
using Ottla.Broker.Metadata;
using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Metadata;
using Ottla.StateMachines.Controller;
using Ottla.StateMachines.Metadata;

namespace Ottla.UnitTests.Controller;

/// <summary>
/// What becomes of requests and of state when the leadership comes and goes, and what an active controller does by its timer.
/// </summary>
public sealed class ControllerFailoverTests : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    private readonly FakeTimeProvider _clock = new();
    private readonly FakeMetadataLog _log = new();
    private readonly MetadataCache _cache = new();
    private readonly MetadataLoader _loader;
    private readonly ControllerHost _host;
    private readonly CancellationTokenSource _closing = new();
    private readonly ConnectionInfo _connection;

    public ControllerFailoverTests()
    {
        _connection = new ConnectionInfo("CONTROLLER", IPAddress.Loopback, _ => { }, default, _closing.Token);
        _loader = new MetadataLoader(_cache, NullLogger.Instance);
        _host = new ControllerHost(
            new ControllerTestBed().Settings,
            _log,
            StorageFormatter.DefaultBootstrap(SupportedFeatures.Latest),
            () => new ControllerQuorum(1, [1, 2]),
            _clock,
            NullLogger.Instance);
        _loader.Register(_host);
        _loader.Start(
            _log, new SnapshotGenerator(_log, SnapshotPolicy.From(new ControllerTestBed().Settings.Config), _clock, NullLogger.Instance));
    }

    public async ValueTask DisposeAsync()
    {
        _host.Dispose();
        await _loader.DisposeAsync();
        _closing.Dispose();
    }

    [Fact]
    public async Task What_is_not_committed_fails_and_leaves_no_trace()
    {
        await LeadAsync(1);
        await AddBrokerAsync();
        Assert.Equal(0, (await _host.SubmitAsync(Create("kept"))).Topics[0].ErrorCode);
        _log.CommitsAtOnce = false;
        var lost = Enumerable.Range(0, 20).Select(i => _host.SubmitAsync(Create($"lost-{i}"))).ToList();
        var read = _host.SubmitAsync(new ListPartitionReassignmentsCommand(new ListPartitionReassignmentsRequest { Topics = null }));
        _log.Elect(2, 2);
        foreach (var each in lost)
            Assert.Equal(ErrorCode.NotController, (await Assert.ThrowsAsync<ApiException>(() => each.WaitAsync(Patience))).Error.Code);

        // What rests on records that are gone is no better than they.
        Assert.Equal(ErrorCode.NotController, (await Assert.ThrowsAsync<ApiException>(() => read.WaitAsync(Patience))).Error.Code);
        await Waiting.UntilAsync(() => !_host.IsActive);
        _log.CommitsAtOnce = true;
        await LeadAsync(3);
        Assert.Equal(0, (await _host.SubmitAsync(Create("lost-7"))).Topics[0].ErrorCode);
        Assert.Equal(ErrorCode.TopicAlreadyExists, (ErrorCode)(await _host.SubmitAsync(Create("kept"))).Topics[0].ErrorCode);
        await _cache.WaitForOffset(_log.EndOffset - 1).WaitAsync(Patience);
        Assert.Equal(["kept", "lost-7"], _cache.Current.Topics.ByName.Keys.Order());
    }

    [Fact]
    public async Task Metadata_transaction_of_the_predecessor_is_aborted()
    {
        await LeadAsync(1);
        _log.Append(1, [new MetadataRecord(new BeginTransactionRecord { Name = "half" }, 0)]);
        _log.Append(1, [new MetadataRecord(new TopicRecord { Name = "half", TopicId = new Ottla.Kernel.Uuid(1, 2) }, 0)]);
        _log.Elect(2, 2);
        await Waiting.UntilAsync(() => !_host.IsActive);
        var before = _log.BatchCount;
        await LeadAsync(3);
        Assert.Equal(before + 1, _log.BatchCount);
        Assert.IsType<AbortTransactionRecord>(Assert.Single(_log.RecordsOf(before)).Message);
        await AddBrokerAsync();
        await _host.SubmitAsync(Create("whole"));
        await _cache.WaitForOffset(_log.EndOffset - 1).WaitAsync(Patience);
        Assert.Equal(["whole"], _cache.Current.Topics.ByName.Keys);
    }

    [Fact]
    public async Task Controller_that_has_lost_the_lead_answers_nothing_from_memory()
    {
        await LeadAsync(1);
        _log.LoseLeadUnnoticed(2, 2);
        var read = new ListPartitionReassignmentsCommand(new ListPartitionReassignmentsRequest { Topics = null });
        Assert.Equal(ErrorCode.NotController, (await Assert.ThrowsAsync<ApiException>(() => _host.SubmitAsync(read))).Error.Code);
    }

    [Fact]
    public async Task Active_controller_alone_writes_no_op_records()
    {
        var before = _log.BatchCount;
        _clock.AdvanceMs(5_000);
        Assert.Equal(before, _log.BatchCount);
        await LeadAsync(1);
        before = _log.BatchCount;
        for (var i = 0; i < 4; i++)
            _clock.AdvanceMs(500);
        Assert.Equal(before + 4, _log.BatchCount);
        Assert.IsType<NoOpRecord>(_log.RecordsOf(before)[0].Message);
        _log.Elect(2, 2);
        await Waiting.UntilAsync(() => !_host.IsActive);
        before = _log.BatchCount;
        _clock.AdvanceMs(5_000);
        Assert.Equal(before, _log.BatchCount);
    }

    [Fact]
    public async Task Silent_broker_is_fenced_by_the_timer()
    {
        await LeadAsync(1);
        await AddBrokerAsync();
        for (var i = 0; i < 12; i++)
            _clock.AdvanceMs(1_000);
        await _cache.WaitForOffset(_log.EndOffset - 1).WaitAsync(Patience);
        Assert.True(_cache.Current.Cluster.Broker(1)!.Fenced);
    }

    [Fact]
    public async Task Broker_whose_connection_is_closed_may_register_again_at_once()
    {
        await LeadAsync(1);
        await AddBrokerAsync();
        var again = new RegisterBrokerCommand(ControllerTestBed.Registration(1, incarnation: 2));
        Assert.Equal(
            ErrorCode.DuplicateBrokerRegistration, (await Assert.ThrowsAsync<ApiException>(() => _host.SubmitAsync(again))).Error.Code);
        await _closing.CancelAsync();
        Assert.True((await _host.SubmitAsync(again)).BrokerEpoch > 0);
    }

    [Fact]
    public async Task Heartbeat_over_a_connection_that_is_closed_already_leaves_nothing_open()
    {
        await LeadAsync(1);
        await _closing.CancelAsync();
        await AddBrokerAsync();
        Assert.True(
            (await _host.SubmitAsync(new RegisterBrokerCommand(ControllerTestBed.Registration(1, incarnation: 2)))).BrokerEpoch > 0);
    }

    [Fact]
    public async Task Standby_stops_at_a_record_that_it_cannot_apply()
    {
        var change = new MetadataRecord(new PartitionChangeRecord { TopicId = new Ottla.Kernel.Uuid(1, 1), PartitionId = 0, Isr = [1] }, 2);
        _loader.HandleCommit(new MetadataBatch(0, 0, 1, 0, 100, [change], []));
        Assert.IsType<MetadataException>(await _loader.Failure.WaitAsync(Patience));
        _log.Elect(1, 1);
        await Assert.ThrowsAsync<MetadataException>(() => _cache.WaitForOffset(0).WaitAsync(Patience));
        Assert.False(_host.IsActive);
    }

    private static CreateTopicsCommand Create(string name) => new(new CreateTopicsRequest { Topics = [ControllerTestBed.Topic(name)] });

    private async Task LeadAsync(int epoch)
    {
        _log.Elect(1, epoch);
        await _host.WhenActive.WaitAsync(Patience);
    }

    private async Task AddBrokerAsync()
    {
        var epoch = (await _host.SubmitAsync(new RegisterBrokerCommand(ControllerTestBed.Registration(1)))).BrokerEpoch;
        var heartbeat = new BrokerHeartbeatRequest { BrokerId = 1, BrokerEpoch = epoch, CurrentMetadataOffset = _log.EndOffset };
        Assert.False((await _host.HeartbeatAsync(heartbeat, _connection)).IsFenced);
    }
}
