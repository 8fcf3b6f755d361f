using Ottla.Broker.Hosts;
using Ottla.Broker.Shared;
using Ottla.StateMachines.Controller;

namespace Ottla.Broker;

/// <summary>The controller of a node. Lives as long as the node.</summary>
internal sealed class ControllerRole
{
    private ControllerRole(ControllerHost host) => Host = host;

    /// <summary>Decides commands while this node leads the metadata quorum.</summary>
    public ControllerHost Host { get; }

    /// <summary>Makes the controller; it is active once the metadata loader says that this node leads.</summary>
    public static ControllerRole Create(SharedNode shared)
    {
        var settings = new ControllerSettings
        {
            NodeId = shared.Identity.NodeId,
            ClusterId = shared.Identity.ClusterId,
            Config = shared.Config,
            SupportedFeatures = SupportedByThisVersion.Features,
            Seed = shared.Platform.Seed,
        };
        var host = new ControllerHost(
            settings, shared.Raft, shared.Raft.ReadBootstrap(), Quorum, shared.Time, shared.Loggers.CreateLogger(nameof(ControllerHost)))
        {
            UpgradeKRaftVersion = shared.Raft.UpgradeKRaftVersionAsync,
        };
        shared.Parts.Add("ending the controller's timer", host.Dispose);
        shared.Loader.Register(host);
        return new ControllerRole(host);

        ControllerQuorum Quorum()
        {
            var quorum = shared.Raft.Quorum;
            return new ControllerQuorum(quorum.KRaftVersion, [.. quorum.VoterSet.Voters.Select(voter => voter.Key.Id)]);
        }
    }
}
