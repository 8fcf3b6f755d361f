using System.Net;
using Microsoft.Extensions.Logging;
using Ottla.Broker.Metadata;
using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Controller;
using Ottla.StateMachines.Metadata;
using Ottla.Storage.Upkeep;

namespace Ottla.Broker.Hosts;

/// <summary>A broker's membership in the cluster (KIP-631): registers, is unfenced once it has caught up, and takes its leave.</summary>
/// <remarks>One per node, used while it starts and stops. Controller and broker share a process here, so that neither can lose sight of the other: no heartbeats in between.</remarks>
internal sealed partial class BrokerLifecycle(
    ControllerChannel controller, MetadataCache metadata, BrokerConfig config, NodeIdentity identity, SupportedFeatures features, ILogger logger)
{
    private long _brokerEpoch = -1;

    /// <summary>The epoch of the registration: the offset of its record; -1 before.</summary>
    public long BrokerEpoch => Volatile.Read(ref _brokerEpoch);

    /// <summary>Registers the broker under its advertised addresses, and has it unfenced.</summary>
    /// <param name="endPoints">Where each broker listener listens, in their order.</param>
    /// <param name="logs">The log directories.</param>
    /// <exception cref="NodeStartException">The controller refuses the broker.</exception>
    public async Task JoinAsync(IReadOnlyList<IPEndPoint> endPoints, LogManager logs)
    {
        try
        {
            await RegisterControllerAsync();
            var registered = await controller.SubmitAsync(new RegisterBrokerCommand(Registration(endPoints, logs)));
            Volatile.Write(ref _brokerEpoch, registered.BrokerEpoch);
            var reply = await HeartbeatAsync(wantFence: false);
            if (reply.IsFenced)
                throw new NodeStartException("The controller keeps this broker fenced.");
            LogJoined(identity.NodeId, BrokerEpoch);
        }
        catch (ApiException e)
        {
            throw new NodeStartException($"The controller refuses this broker: {e.Error.Code} {e.Error.Message}");
        }
    }

    /// <summary>Leaves in order (controlled shutdown), as far as the controller goes along.</summary>
    public async Task LeaveAsync()
    {
        if (BrokerEpoch < 0)
            return;
        try
        {
            await HeartbeatAsync(wantShutDown: true);
        }
        catch (ApiException e)
        {
            LogLeaveFailed(e.Error.Code, e.Error.Message);
        }
    }

    private Task<BrokerHeartbeatReply> HeartbeatAsync(bool wantFence = false, bool wantShutDown = false) => controller.SubmitAsync(new BrokerHeartbeatCommand(new BrokerHeartbeatRequest
    {
        BrokerId = identity.NodeId,
        BrokerEpoch = BrokerEpoch,
        CurrentMetadataOffset = metadata.PublishedOffset,
        WantFence = wantFence,
        WantShutDown = wantShutDown,
    }));

    private Task RegisterControllerAsync() => controller.SubmitAsync(new RegisterControllerCommand(new ControllerRegistrationRequest
    {
        ControllerId = identity.NodeId,
        IncarnationId = Uuid.NewRandom(),
        Listeners = [.. ControllerEndpoints.Of(config).Select(endpoint => new ControllerRegistrationRequest.Listener { Name = endpoint.Name, Host = endpoint.Host, Port = endpoint.Port })],
        Features = [.. features.Ranges.Select(feature => new ControllerRegistrationRequest.Feature { Name = feature.Key, MinSupportedVersion = feature.Value.Min, MaxSupportedVersion = feature.Value.Max })],
    }));

    private BrokerRegistrationRequest Registration(IReadOnlyList<IPEndPoint> endPoints, LogManager logs) => new()
    {
        BrokerId = identity.NodeId,
        ClusterId = identity.ClusterId,
        IncarnationId = Uuid.NewRandom(),
        Listeners = [.. config.AdvertisedListeners.Select(listener => Advertise(listener, endPoints))],
        Features = [.. features.Ranges.Select(feature => new BrokerRegistrationRequest.Feature { Name = feature.Key, MinSupportedVersion = feature.Value.Min, MaxSupportedVersion = feature.Value.Max })],
        Rack = config.BrokerRack,
        LogDirs = [.. logs.Directories.Where(directory => !directory.IsOffline).Select(directory => directory.Properties?.DirectoryId ?? Uuid.Zero).Where(id => id != Uuid.Zero)],
        PreviousBrokerEpoch = logs.PreviousBrokerEpoch,
    };

    private BrokerRegistrationRequest.Listener Advertise(Listener advertised, IReadOnlyList<IPEndPoint> endPoints)
    {
        var index = config.BrokerListeners.ToList().FindIndex(listener => listener.Name == advertised.Name);
        return new BrokerRegistrationRequest.Listener
        {
            Name = advertised.Name,
            Host = advertised.Host ?? Dns.GetHostName(),
            Port = (ushort)(advertised.Port != 0 ? advertised.Port : endPoints[index].Port), // port 0: the one that was taken
            SecurityProtocol = (short)advertised.SecurityProtocol,
        };
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Broker {NodeId} joined the cluster at broker epoch {BrokerEpoch}")]
    private partial void LogJoined(int nodeId, long brokerEpoch);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Leaving the cluster in order failed: {Error} {Reason}")]
    private partial void LogLeaveFailed(ErrorCode error, string? reason);
}
