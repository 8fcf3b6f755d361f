using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Ottla.Broker.Directories;
using Ottla.Broker.Hosts;
using Ottla.Broker.Metadata;
using Ottla.Broker.Peers;
using Ottla.Kernel;
using Ottla.StateMachines.Controller;
using Ottla.StateMachines.Metadata;
using Ottla.StateMachines.Raft;
using Ottla.Storage.Files;
using Ottla.UnitTests.Controller;

namespace Ottla.UnitTests.Peers;

/// <summary>Where the active controller is while its node is elected and has not taken the leadership over yet.</summary>
public sealed class ControllerLocatorTests : IAsyncDisposable
{
    private const string Root = "/data";
    private static readonly ReplicaKey Local = new(1, Uuid.One);
    private static readonly RaftEndpoint Endpoint = new("CONTROLLER", "127.0.0.1", 29093);

    private readonly FakeTimeProvider _clock = new();
    private readonly FakeMetadataLog _log = new();
    private readonly MetadataLoader _loader = new(new MetadataCache(), NullLogger.Instance);
    private readonly RaftHost _raft;
    private readonly ControllerHost _controller;
    private readonly ControllerLocator _locator;

    public ControllerLocatorTests()
    {
        var disk = new InMemoryFileSystem(_clock);
        disk.CreateDirectory(Root);
        RaftBootstrap.Write(disk, Root, 1, new VoterSet([new Voter(Local, [Endpoint])]), [], Instant.Now(_clock));
        var options = new RaftHostOptions { LogDirectory = Root, Raft = new RaftOptions { Local = Local, Endpoints = [Endpoint] } };
        _raft = RaftHost.Open(disk, options, _clock, NullLogger.Instance);

        // The controller has a log of its own: the test says when it hears of its election.
        var settings = new ControllerTestBed().Settings;
        _controller = new ControllerHost(
            settings, _log, StorageFormatter.DefaultBootstrap(SupportedFeatures.Latest), () => new ControllerQuorum(1, [1]), _clock,
            NullLogger.Instance);
        _loader.Register(_controller);
        _loader.Start(_log, new SnapshotGenerator(_log, SnapshotPolicy.From(settings.Config), _clock, NullLogger.Instance));
        _locator = new ControllerLocator(1, _raft, "CONTROLLER", _controller, [Endpoint]);
    }

    public async ValueTask DisposeAsync()
    {
        _controller.Dispose();
        await _loader.DisposeAsync();
        await _raft.DisposeAsync();
    }

    [Fact]
    public async Task Elected_node_is_no_address_before_its_controller_is_active()
    {
        Assert.Equal(1, _raft.Leader.LeaderId);
        Assert.Null(_locator.Current);
        var change = _locator.WaitForChangeAsync(null, CancellationToken.None);
        Assert.False(change.IsCompleted);
        _log.Elect(1, 1);
        await change.WaitAsync(Waiting.Patience);
        Assert.Equal(1, _locator.Current?.Address.Id);
    }

    /// <summary>It went round and round: the wait for the end of the leadership was over, and that for its beginning was not.</summary>
    [Fact]
    public async Task Wait_for_a_controller_that_is_about_to_lead_can_be_cancelled()
    {
        using var cancellation = new CancellationTokenSource();
        var change = _locator.WaitForChangeAsync(null, cancellation.Token);
        Assert.False(change.IsCompleted);
        cancellation.CancelAfter(TimeSpan.Zero); // on another thread: this one would go round with it
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => change.WaitAsync(Waiting.Patience));
    }
}
