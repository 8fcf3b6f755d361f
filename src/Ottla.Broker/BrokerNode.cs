using System.Net;
using Microsoft.Extensions.Logging;
using Ottla.Broker.Replicas;
using Ottla.Broker.Server;
using Ottla.Broker.Shared;
using Ottla.Configuration;
using Ottla.Protocol;

namespace Ottla.Broker;

/// <summary>A node: a broker and its controller in one process. Read this first: it shows what there is and what depends on what.</summary>
/// <remarks>
/// Starting goes from the disk to the network: <see cref="SharedNode"/> opens directories and logs, <see cref="ControllerRole"/> and <see cref="BrokerRole"/>
/// are made upon it, the metadata is followed, the broker joins the cluster. Stopping goes back, part by part (<see cref="StartedParts"/>).
/// One instance lives from <see cref="StartAsync"/> to <see cref="StopAsync"/>; disposing without stopping leaves what a crash would leave.
/// </remarks>
public sealed class BrokerNode : IAsyncDisposable
{
    private readonly NodeFailure _failure;
    private readonly StartedParts _parts;
    private readonly BrokerRole _broker;

    private BrokerNode(NodeFailure failure, StartedParts parts, BrokerRole broker)
    {
        _failure = failure;
        _parts = parts;
        _broker = broker;
    }

    /// <summary>Completes with the reason when the node cannot go on: its metadata log or all its log directories are lost, background work failed, or the controller does not hear of a lost directory.</summary>
    public Task<Exception> Failure => _failure.Reason;

    /// <summary>Where it listens for clients, with the ports that were taken.</summary>
    public IReadOnlyList<IPEndPoint> EndPoints => _broker.EndPoints;

    /// <inheritdoc cref="BrokerRole.ReleasedBufferBytes"/>
    public long ReleasedBufferBytes => _broker.ReleasedBufferBytes;

    /// <summary>What is served on every listener.</summary>
    internal ApiTable Apis => _broker.Apis;

    /// <summary>The replicas of this node.</summary>
    internal HostedTopics Topics => _broker.Topics;

    /// <summary>Starts a node; when this returns, clients are served.</summary>
    /// <param name="config">The static configuration.</param>
    /// <param name="mayFormat">Whether log directories that are not formatted are formatted now (for development), or are an error.</param>
    /// <param name="platform">Disk, network, clock.</param>
    /// <param name="cancellation">Ends a start that is not wanted any more; what is on the disk is then as after a crash.</param>
    /// <exception cref="OperationCanceledException">The start was cancelled.</exception>
    /// <exception cref="ConfigException">The configuration asks for what is not there yet.</exception>
    /// <exception cref="NodeStartException">The directories do not fit the configuration, an address cannot be listened on, or the controller refuses.</exception>
    /// <exception cref="IOException">A disk fails.</exception>
    public static async Task<BrokerNode> StartAsync(
        BrokerConfig config, bool mayFormat, NodePlatform platform, CancellationToken cancellation = default)
    {
        NodeRequirements.Check(config);
        var loggers = platform.Loggers as LeveledLoggers ?? new LeveledLoggers(platform.Loggers, LogLevel.Trace);
        var failure = new NodeFailure();
        var parts = new StartedParts(loggers.CreateLogger(nameof(BrokerNode)));
        try
        {
            var shared = await SharedNode.OpenAsync(config, mayFormat, platform with { Loggers = loggers }, failure, parts, cancellation);
            var controller = ControllerRole.Create(shared);
            var broker = BrokerRole.Create(shared, controller.Host);
            shared.FollowMetadata();
            await broker.JoinAsync(cancellation);
            shared.WatchMetadata();
            return new BrokerNode(failure, parts, broker);
        }
        catch (ApiException e)
        {
            await parts.AbandonAsync();
            throw new NodeStartException($"The controller refuses this broker: {e.Message}");
        }
        catch
        {
            await parts.AbandonAsync();
            throw;
        }
    }

    /// <summary>Stops in order: leaves the cluster, answers the requests under way, ends what runs beside them, flushes, and marks the directories clean.</summary>
    public Task StopAsync() => _parts.StopAsync();

    /// <inheritdoc/>
    public async ValueTask DisposeAsync() => await _parts.AbandonAsync();
}
