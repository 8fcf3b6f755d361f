using System.Net;
using Ottla.Broker.Api;
using Ottla.Broker.Hosts;
using Ottla.Broker.Metadata;
using Ottla.Broker.Monitoring;
using Ottla.Broker.Peers;
using Ottla.Broker.Server;
using Ottla.Broker.Shared;
using Ottla.Configuration;
using Ottla.Requests;
using Ottla.StateMachines.Controller;
using Ottla.StateMachines.Metadata;
using Ottla.StateMachines.Raft;

namespace Ottla.Broker;

/// <summary>
/// The controller of a node: it takes part in the quorum, decides while it leads it, and serves nodes and tools on listeners of its own.
/// </summary>
/// <remarks>
/// Its listeners are bound before the metadata log is opened, which tells others where they are. <see cref="Create"/> makes the controller,
/// <see cref="Serve"/> answers requests and registers it. Lives as long as the node.
/// </remarks>
internal sealed class ControllerRole
{
    /// <summary>How long one attempt to register may take, as in Kafka.</summary>
    private static readonly TimeSpan RegistrationTimeout = TimeSpan.FromSeconds(5);

    private readonly SharedNode _shared;
    private readonly NodeServer _server;

    private ControllerRole(SharedNode shared, NodeServer server, ControllerHost host)
    {
        _shared = shared;
        _server = server;
        Host = host;
    }

    /// <summary>Decides commands while this node leads the metadata quorum.</summary>
    public ControllerHost Host { get; }

    /// <summary>Where it listens, with the ports that were taken.</summary>
    public IReadOnlyList<IPEndPoint> EndPoints => _server.EndPoints;

    /// <summary>Counts the connections of its listeners.</summary>
    public IReadOnlyList<ListenerCounters> Connections => _server.Counters;

    /// <summary>What is served on its listeners; null until it serves.</summary>
    public ApiTable? Apis { get; private set; }

    /// <summary>Where other nodes reach this controller.</summary>
    /// <param name="config">The static configuration.</param>
    /// <param name="server">Its listeners; null on a node that is no controller, which has no endpoints.</param>
    public static IReadOnlyList<RaftEndpoint> EndpointsOf(BrokerConfig config, NodeServer? server) => server is null
        ? []
        : [.. server.Advertise(config.AdvertisedControllerListeners, config.ControllerListeners)
            .Select(each => new RaftEndpoint(each.Listener, each.Host, each.Port))];

    /// <summary>Makes the controller; it is active once the metadata loader says that this node leads.</summary>
    public static ControllerRole Create(SharedNode shared, NodeServer server)
    {
        var settings = new ControllerSettings
        {
            NodeId = shared.Identity.NodeId,
            ClusterId = shared.Identity.ClusterId,
            Config = shared.Config,
            SupportedFeatures = SupportedByThisVersion.In(shared.Config),
            Seed = shared.Platform.Seed,
        };
        var (seen, known) = ((QuorumState?)null, ControllerQuorum.Unknown);
        var processes = new ProcessProbe(shared.Platform.Transport, shared.Time);
        var host = new ControllerHost(
            settings, shared.Raft, shared.Raft.ReadBootstrap(), Quorum, shared.Time, shared.Loggers.CreateLogger(nameof(ControllerHost)))
        {
            UpgradeKRaftVersion = shared.Raft.UpgradeKRaftVersionAsync,
            HasProcessEnded = shared.Config.BrokerFencingOnProcessEndEnable ? HasProcessEndedAsync : null,
        };
        shared.Parts.Add("ending the controller's timer", host.Dispose);
        shared.Loader.Register(host);
        var metrics = new ControllerMetrics(host, () => shared.Metadata.Current);
        shared.Loader.Register(metrics);
        shared.Metrics.Add(metrics);
        return new ControllerRole(shared, server, host);

        Task<bool> HasProcessEndedAsync(BrokerRegistration broker, CancellationToken cancellation) => processes.HasEndedAsync(
            [.. broker.Endpoints.Select(each => new NodeAddress(broker.Id, each.Host, each.Port))], cancellation);

        ControllerQuorum Quorum() // asked for each command, one at a time
        {
            var quorum = shared.Raft.Quorum;
            if (!ReferenceEquals(quorum, seen))
                (seen, known) = (quorum, new(quorum.KRaftVersion, [.. quorum.VoterSet.Voters.Select(voter => voter.Key.Id)]));
            return known;
        }
    }

    /// <summary>Answers who asks, and has the active controller register this one.</summary>
    public void Serve(NodeChannels channels)
    {
        Apis = ControllerApis.CreateTable(new ControllerServices
        {
            Config = () => _shared.Config,
            Cluster = new ClusterView(_shared.Identity.ClusterId, () => _shared.Metadata.Current),
            Controller = Host,
            SupportedFeatures = SupportedByThisVersion.In(_shared.Config),
            Quorum = () => _shared.Raft.Quorum,
            DescribeQuorum = _shared.Raft.DescribeAsync,
            Raft = new RaftServices(_shared.Raft, _shared.Identity.ClusterId, _shared.Config.ControllerListenerNames[0]),
            Loggers = _shared.Loggers,
            Authorizer = _shared.Authorizer,
            Quotas = _shared.Quotas,
        });
        _server.Serve(Apis);
        var config = _shared.Config;
        var endpoints = _server.Advertise(config.AdvertisedControllerListeners, config.ControllerListeners);
        var registrar = new ControllerRegistrar(
            NodeIdentities.OfController(_shared.Identity, endpoints), channels.ToController("registration", RegistrationTimeout),
            _shared.Metadata,
            _shared.Platform, _shared.Loggers.CreateLogger(nameof(ControllerRegistrar)));
        _shared.Background.StartLoop("the registration of this controller", registrar.RunAsync);
    }
}
