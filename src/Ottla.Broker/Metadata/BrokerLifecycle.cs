using System.Collections.Immutable;
using Microsoft.Extensions.Logging;
using Ottla.Broker.Hosts;
using Ottla.Broker.Shared;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Controller;
using Ottla.StateMachines.Metadata;

namespace Ottla.Broker.Metadata;

/// <summary>What a node says of itself when it registers.</summary>
public sealed record NodeIdentity
{
    public required int NodeId { get; init; }

    public required string ClusterId { get; init; }

    /// <summary>Names this run of the process: a fresh one every time.</summary>
    public required Uuid IncarnationId { get; init; }

    /// <summary>Where clients and brokers reach it: the advertised listeners.</summary>
    public required ImmutableArray<Endpoint> BrokerEndpoints { get; init; }

    /// <summary>Where the controller is reached; empty on a node that is none.</summary>
    public required ImmutableArray<Endpoint> ControllerEndpoints { get; init; }

    public required SupportedFeatures SupportedFeatures { get; init; }

    public string? Rack { get; init; }

    /// <summary>The ids of the online log directories.</summary>
    public required ImmutableArray<Uuid> LogDirs { get; init; }

    /// <summary>The ids of those that take no new replicas.</summary>
    public ImmutableArray<Uuid> CordonedLogDirs { get; init; } = [];

    /// <summary>The broker epoch in the file that a clean shutdown leaves; -1 when there is none.</summary>
    public long PreviousBrokerEpoch { get; init; } = -1;
}

/// <summary>The life of a broker in its cluster, as the controller of its own node sees it: registered, unfenced, in controlled shutdown.</summary>
/// <remarks>Lives as long as the node. Its methods are called once each, in order, by whoever starts and stops the node.</remarks>
public sealed partial class BrokerLifecycle(NodeIdentity node, BrokerEpoch epoch, ControllerHost controller, MetadataCache metadata, TimeProvider time)
{
    /// <summary>How long to wait before asking again whether to shut down, as Kafka does.</summary>
    private static readonly TimeSpan ShutdownRetryDelay = TimeSpan.FromMilliseconds(50);

    /// <summary>How often a node that waits at its start says what for.</summary>
    private static readonly TimeSpan ReminderInterval = TimeSpan.FromSeconds(5);

    private volatile string _waitsFor = "its start";

    /// <summary>Registers the node and unfences its broker. Says now and then what it waits for, and gives up after a time.</summary>
    /// <param name="timeout">How long to wait: <c>initial.broker.registration.timeout.ms</c>.</param>
    /// <param name="failure">Completes when the metadata log or what follows it has failed.</param>
    /// <param name="logger">The log for people.</param>
    /// <param name="cancellation">Ends the wait: the node is to stop before it has started.</param>
    /// <exception cref="ApiException">The controller refuses.</exception>
    /// <exception cref="NodeStartException">The time is over, or the metadata log has failed.</exception>
    public async Task JoinAsync(TimeSpan timeout, Task failure, ILogger logger, CancellationToken cancellation = default)
    {
        using var patience = new CancellationTokenSource(timeout, time);
        using var waiting = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, cancellation);
        using var reminder = time.CreateTimer(_ => LogWaiting(logger, _waitsFor), null, ReminderInterval, ReminderInterval);
        try
        {
            var joining = RegisterAndUnfenceAsync(waiting.Token);
            if (await Task.WhenAny(joining, failure) != joining)
                throw new NodeStartException($"The metadata log failed while this node waited for {_waitsFor}.");
            await joining;
        }
        catch (OperationCanceledException) when (patience.IsCancellationRequested)
        {
            throw new NodeStartException(
                $"This node waited {timeout.TotalMilliseconds} ms (initial.broker.registration.timeout.ms) for {_waitsFor}, and gives up.");
        }
    }

    private async Task RegisterAndUnfenceAsync(CancellationToken cancellation)
    {
        await RegisterAsync(cancellation);
        await UnfenceAsync(cancellation);
    }

    /// <summary>Registers the node as controller and as broker, and waits until its own metadata shows it.</summary>
    /// <exception cref="ApiException">The controller refuses, such as UNSUPPORTED_VERSION when a finalized feature is not supported.</exception>
    public async Task RegisterAsync(CancellationToken cancellation = default)
    {
        _waitsFor = "the controller to become active";
        await controller.WhenActive.UntilCanceled(cancellation);
        _waitsFor = "a metadata.version in the metadata log";
        if (!node.ControllerEndpoints.IsEmpty && await SupportsControllerRegistrationAsync(cancellation))
        {
            _waitsFor = "the controller's answer to the registration of this controller";
            await controller.SubmitAsync(new RegisterControllerCommand(ControllerRegistration())).UntilCanceled(cancellation);
        }

        _waitsFor = "the controller's answer to the registration of this broker";
        var (response, offset) = await controller.SubmitWithOffsetAsync(new RegisterBrokerCommand(BrokerRegistration())).UntilCanceled(cancellation);
        epoch.Value = response.BrokerEpoch;
        _waitsFor = "its own metadata to show the registration of this broker";
        await metadata.WaitForOffset(offset).UntilCanceled(cancellation);
    }

    /// <summary>Unfences the broker: its replicas are ready to lead. Waits until its own metadata shows it.</summary>
    /// <exception cref="ApiException">The controller refuses.</exception>
    public async Task UnfenceAsync(CancellationToken cancellation = default)
    {
        _waitsFor = "the controller to unfence this broker";
        while (true)
        {
            var (reply, offset) = await controller.SubmitWithOffsetAsync(new BrokerHeartbeatCommand(Heartbeat(wantShutDown: false))).UntilCanceled(cancellation);
            await metadata.WaitForOffset(offset).UntilCanceled(cancellation);
            if (!reply.IsFenced)
                return;
        }
    }

    /// <summary>Shuts down under control: leaderships are given up, then the broker is fenced.</summary>
    /// <exception cref="ApiException">The controller refuses.</exception>
    public async Task ShutDownAsync(CancellationToken cancellation = default)
    {
        for (var attempt = 0; ; attempt++)
        {
            var (reply, offset) = await controller.SubmitWithOffsetAsync(new BrokerHeartbeatCommand(Heartbeat(wantShutDown: true))).UntilCanceled(cancellation);
            await metadata.WaitForOffset(offset).UntilCanceled(cancellation);
            if (reply.ShouldShutDown)
                return;

            // Alone, a node has nobody to wait for: what it asks for is done when it is answered.
            if (attempt > 0)
                await Task.Delay(ShutdownRetryDelay, time, cancellation);
        }
    }

    /// <summary>Tells the controller what became of the log directories, and waits until the node's own metadata shows it.</summary>
    /// <param name="offline">The ids of those that have failed.</param>
    /// <param name="cordoned">The ids of those that take no new replicas.</param>
    /// <param name="cancellation">Ends the wait.</param>
    /// <exception cref="ApiException">The controller refuses.</exception>
    public async Task ReportDirectoriesAsync(IReadOnlyList<Uuid> offline, IReadOnlyList<Uuid> cordoned, CancellationToken cancellation)
    {
        var heartbeat = Heartbeat(wantShutDown: false);
        heartbeat.OfflineLogDirs = [.. offline];
        heartbeat.CordonedLogDirs = [.. cordoned];
        var (_, offset) = await controller.SubmitWithOffsetAsync(new BrokerHeartbeatCommand(heartbeat)).UntilCanceled(cancellation);
        await metadata.WaitForOffset(offset).UntilCanceled(cancellation);
    }

    /// <summary>Tells the controller in which log directories replicas are.</summary>
    /// <param name="replicas">The ids of directory and topic, and the partition.</param>
    /// <param name="cancellation">Ends the wait.</param>
    /// <exception cref="ApiException">The controller refuses.</exception>
    public async Task AssignDirectoriesAsync(IReadOnlyList<(Uuid Directory, Uuid TopicId, int Partition)> replicas, CancellationToken cancellation)
    {
        var request = new AssignReplicasToDirsRequest
        {
            BrokerId = node.NodeId,
            BrokerEpoch = epoch.Value,
            Directories = [.. replicas.GroupBy(replica => replica.Directory).Select(directory => new AssignReplicasToDirsRequest.DirectoryData
            {
                Id = directory.Key,
                Topics = [.. directory.GroupBy(replica => replica.TopicId).Select(topic => new AssignReplicasToDirsRequest.TopicData
                {
                    TopicId = topic.Key,
                    Partitions = [.. topic.Select(replica => new AssignReplicasToDirsRequest.PartitionData { PartitionIndex = replica.Partition })],
                })],
            })],
        };
        var (_, offset) = await controller.SubmitWithOffsetAsync(new AssignReplicasToDirsCommand(request)).UntilCanceled(cancellation);
        await metadata.WaitForOffset(offset).UntilCanceled(cancellation);
    }

    private async Task<bool> SupportsControllerRegistrationAsync(CancellationToken cancellation)
    {
        // The first image with a metadata.version is the bootstrap records' or older.
        while (metadata.Current.Features.MetadataVersion is null)
            await metadata.WaitForOffset(metadata.PublishedOffset + 1).UntilCanceled(cancellation);
        return metadata.Current.Features.MetadataVersionOrThrow.SupportsControllerRegistration;
    }

    private ControllerRegistrationRequest ControllerRegistration() => new()
    {
        ControllerId = node.NodeId,
        IncarnationId = node.IncarnationId,
        Listeners = [.. node.ControllerEndpoints.Select(e => new ControllerRegistrationRequest.Listener
        {
            Name = e.Listener,
            Host = e.Host,
            Port = e.Port,
            SecurityProtocol = e.SecurityProtocol,
        })],
        Features = [.. node.SupportedFeatures.Ranges.Select(f => new ControllerRegistrationRequest.Feature
        {
            Name = f.Key,
            MinSupportedVersion = f.Value.Min,
            MaxSupportedVersion = f.Value.Max,
        })],
    };

    private BrokerRegistrationRequest BrokerRegistration() => new()
    {
        BrokerId = node.NodeId,
        ClusterId = node.ClusterId,
        IncarnationId = node.IncarnationId,
        Listeners = [.. node.BrokerEndpoints.Select(e => new BrokerRegistrationRequest.Listener
        {
            Name = e.Listener,
            Host = e.Host,
            Port = e.Port,
            SecurityProtocol = e.SecurityProtocol,
        })],
        Features = [.. node.SupportedFeatures.Ranges.Select(f => new BrokerRegistrationRequest.Feature
        {
            Name = f.Key,
            MinSupportedVersion = f.Value.Min,
            MaxSupportedVersion = f.Value.Max,
        })],
        Rack = node.Rack,
        LogDirs = [.. node.LogDirs],
        PreviousBrokerEpoch = node.PreviousBrokerEpoch,
    };

    private BrokerHeartbeatRequest Heartbeat(bool wantShutDown) => new()
    {
        BrokerId = node.NodeId,
        BrokerEpoch = epoch.Value,
        CurrentMetadataOffset = metadata.PublishedOffset,
        WantShutDown = wantShutDown,
        CordonedLogDirs = [.. node.CordonedLogDirs],
    };

    [LoggerMessage(Level = LogLevel.Warning, Message = "Still waiting for {Event}")]
    private static partial void LogWaiting(ILogger logger, string @event);
}
