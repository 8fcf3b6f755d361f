using System.Collections.Frozen;
using System.Globalization;

namespace Ottla.Configuration;

// Identity, listeners and log directories: configs that need more than reading one value.
public sealed partial class BrokerConfig
{
    /// <summary><c>node.id</c>: The id of this node.</summary>
    public int NodeId { get; private set; }

    /// <summary><c>process.roles</c>: The roles of this node.</summary>
    public ProcessRoles ProcessRoles { get; private set; }

    public bool IsBroker => (ProcessRoles & ProcessRoles.Broker) != 0;

    public bool IsController => (ProcessRoles & ProcessRoles.Controller) != 0;

    /// <summary>Whether the node is both a broker and a controller.</summary>
    public bool IsCombined => IsBroker && IsController;

    /// <summary><c>listeners</c>: the listeners of this node, including those of the controller.</summary>
    public IReadOnlyList<Listener> Listeners { get; private set; } = [];

    /// <summary>The listeners for clients and other brokers.</summary>
    public IReadOnlyList<Listener> BrokerListeners { get; private set; } = [];

    /// <summary>The listeners for the quorum and for brokers that connect to this controller.</summary>
    public IReadOnlyList<Listener> ControllerListeners { get; private set; } = [];

    /// <summary>
    /// <c>advertised.listeners</c>, else <c>listeners</c>, without controller listeners. A null host means this machine's host name, which
    /// the caller fills in.
    /// </summary>
    public IReadOnlyList<Listener> AdvertisedListeners { get; private set; } = [];

    /// <summary>The advertised addresses of this node's controller listeners.</summary>
    public IReadOnlyList<Listener> AdvertisedControllerListeners { get; private set; } = [];

    /// <summary><c>controller.listener.names</c>, in upper case.</summary>
    public IReadOnlyList<string> ControllerListenerNames { get; private set; } = [];

    /// <summary>The listener for connections between brokers.</summary>
    public string InterBrokerListenerName { get; private set; } = "";

    /// <summary>The security protocol of <see cref="InterBrokerListenerName"/>.</summary>
    public SecurityProtocol InterBrokerSecurityProtocol { get; private set; }

    /// <summary>The security protocol of each listener name.</summary>
    public IReadOnlyDictionary<string, SecurityProtocol> ListenerSecurityProtocols { get; private set; } =
        FrozenDictionary<string, SecurityProtocol>.Empty;

    /// <summary><c>controller.quorum.voters</c>: The voters of a static quorum; empty for a dynamic one.</summary>
    public IReadOnlyList<QuorumVoter> QuorumVoters { get; private set; } = [];

    /// <summary><c>controller.quorum.bootstrap.servers</c>: the endpoints from which a node finds the quorum.</summary>
    public IReadOnlyList<HostPort> QuorumBootstrapServers { get; private set; } = [];

    /// <summary>
    /// Whether this node is broker, controller and the only static voter: a cluster of its own.
    /// </summary>
    public bool IsSingleNodeQuorum => IsCombined && QuorumVoters.Count == 1 && QuorumVoters[0].Id == NodeId;

    /// <summary><c>log.dirs</c>, else <c>log.dir</c>: the log directories.</summary>
    public IReadOnlyList<string> LogDirs { get; private set; } = [];

    /// <summary><c>metadata.log.dir</c>, else the first log directory: the directory of the metadata log.</summary>
    public string MetadataLogDir { get; private set; } = "";

    /// <summary>The cordoned <see cref="LogDirs"/>, which get no new replicas.</summary>
    public IReadOnlyList<string> CordonedLogDirs { get; private set; } = [];

    /// <summary><c>max.connections.per.ip.overrides</c>: Connection limits by host name or address.</summary>
    public IReadOnlyDictionary<string, int> MaxConnectionsPerIpOverrides { get; private set; } = FrozenDictionary<string, int>.Empty;

    /// <summary><c>log.roll.ms</c>, else <c>log.roll.hours</c>, in milliseconds.</summary>
    public long LogRollMs { get; private set; }

    /// <summary><c>log.roll.jitter.ms</c>, else <c>log.roll.jitter.hours</c>, in milliseconds.</summary>
    public long LogRollJitterMs { get; private set; }

    /// <summary>
    /// <c>log.retention.ms</c>, else <c>log.retention.minutes</c>, else <c>log.retention.hours</c>, in milliseconds; -1 for ever.
    /// </summary>
    public long LogRetentionMs { get; private set; }

    /// <summary><c>log.flush.interval.ms</c>, else <c>log.flush.scheduler.interval.ms</c>.</summary>
    public long LogFlushIntervalMs { get; private set; }

    /// <summary>The configuration of a topic that sets no configs.</summary>
    public TopicConfig TopicDefaults { get; }

    private void ReadIdentity()
    {
        NodeId = Int("node.id");
        foreach (var role in List("process.roles"))
            ProcessRoles |= role == "broker" ? ProcessRoles.Broker : ProcessRoles.Controller;
        ReadListeners();
        QuorumVoters = [.. List("controller.quorum.voters")
            .Select(text => QuorumVoter.TryParse(text, out var voter) ? voter! : throw Unreachable(text))];
        QuorumBootstrapServers =
            [.. List("controller.quorum.bootstrap.servers")
                .Select(text => HostPort.TryParse(text, out var server) ? server! : throw Unreachable(text))];
        AdvertisedControllerListeners = AdvertiseControllerListeners();
        ReadLogDirs();
        LogRollMs = Chain("segment.ms");
        LogRollJitterMs = Chain("segment.jitter.ms");
        LogRetentionMs = Chain("retention.ms") is var retention && retention < 0 ? -1 : Chain("retention.ms");
        LogFlushIntervalMs = Chain("flush.ms");
        MaxConnectionsPerIpOverrides = ParseConnectionOverrides(Text("max.connections.per.ip.overrides") ?? "");
    }

    private void ReadListeners()
    {
        var configured = Get("listeners").AsList;
        ControllerListenerNames = [.. List("controller.listener.names").Select(name => name.ToUpperInvariant())];
        ListenerSecurityProtocols = EffectiveProtocols(configured).ToFrozenDictionary(StringComparer.Ordinal);
        Listeners = ListenerParser.Parse("listeners", configured, ListenerSecurityProtocols, distinctPorts: true);
        ControllerListeners = [.. Listeners.Where(IsControllerListener)];
        BrokerListeners = [.. Listeners.Where(listener => !IsControllerListener(listener))];
        var advertised = Get("advertised.listeners");
        var all = advertised.IsNull
            ? Listeners
            : ListenerParser.Parse("advertised.listeners", advertised.AsList, ListenerSecurityProtocols, distinctPorts: false);
        AdvertisedListeners = [.. all.Where(listener => !IsControllerListener(listener))];
        (InterBrokerListenerName, InterBrokerSecurityProtocol) = ReadInterBrokerListener();
    }

    private bool IsControllerListener(Listener listener) => ControllerListenerNames.Contains(listener.Name, StringComparer.Ordinal);

    /// <summary>
    /// The map of security protocols. When the map is the default and nothing uses security, controller listeners need no entry and use
    /// PLAINTEXT.
    /// </summary>
    private Dictionary<string, SecurityProtocol> EffectiveProtocols(IReadOnlyList<string> listeners)
    {
        const string name = "listener.security.protocol.map";
        var map = ListenerParser.ParseProtocolMap(Text(name) ?? "");
        if (IsSet(name))
            return map;
        var names = listeners.Select(entry => ListenerParser.NameOf(entry) ?? "").Concat(ControllerListenerNames);
        if (names.Any(listener => listener is "SSL" or "SASL_SSL" or "SASL_PLAINTEXT"))
            return map;
        foreach (var listener in ControllerListenerNames)
            map.TryAdd(listener, SecurityProtocol.PLAINTEXT);
        return map;
    }

    private (string Name, SecurityProtocol Protocol) ReadInterBrokerListener()
    {
        const string byName = "inter.broker.listener.name";
        const string byProtocol = "security.inter.broker.protocol";
        if (Text(byName) is not { } name)
        {
            var protocol = ListenerParser.ParseProtocol(Text(byProtocol)!, byProtocol);
            return (protocol.ToString(), protocol);
        }

        if (IsSet(byProtocol))
            throw new ConfigException($"Only one of {byName} and {byProtocol} should be set.");
        name = name.ToUpperInvariant();
        return ListenerSecurityProtocols.TryGetValue(name, out var mapped)
            ? (name, mapped)
            : throw new ConfigException($"Listener with name {name} defined in {byName} not found in listener.security.protocol.map.");
    }

    private Listener[] AdvertiseControllerListeners()
    {
        var advertised = Get("advertised.listeners");
        var given = advertised.IsNull
            ? []
            : ListenerParser.Parse("advertised.listeners", advertised.AsList, ListenerSecurityProtocols, distinctPorts: false);
        var result = new List<Listener>();
        foreach (var name in ControllerListenerNames)
        {
            if (given.FirstOrDefault(listener => listener.Name == name) is { } explicitly)
            {
                result.Add(explicitly);
                continue;
            }

            if (ControllerListeners.FirstOrDefault(listener => listener.Name == name) is not { } listening)
                continue;
            // Every node knows the address of a static voter. A wildcard address cannot be advertised.
            var isWildcard = listening.Host is null or "0.0.0.0";
            var voter = isWildcard && name == ControllerListenerNames[0] ? QuorumVoters.FirstOrDefault(entry => entry.Id == NodeId) : null;
            result.Add(voter is not null ? listening with { Host = voter.Host, Port = voter.Port } : isWildcard
                ? listening with { Host = null } : listening);
        }

        return [.. result];
    }

    private void ReadLogDirs()
    {
        LogDirs = Get("log.dirs").IsNull ? List("log.dir") : List("log.dirs");
        MetadataLogDir = Text("metadata.log.dir") ?? LogDirs[0];
        var cordoned = Get("cordoned.log.dirs");
        CordonedLogDirs = cordoned.IsNull ? [] : cordoned.AsList.Contains("*") ? LogDirs : cordoned.AsList;
    }

    private long Chain(string topicConfig) =>
        long.Parse(FirstOf(ConfigSynonyms.Of(ConfigResourceType.Topic, topicConfig))!, NumberStyles.AllowLeadingSign,
            CultureInfo.InvariantCulture);

    private static FrozenDictionary<string, int> ParseConnectionOverrides(string text)
    {
        const string name = "max.connections.per.ip.overrides";
        var overrides = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (var entry in JavaText.SplitList(JavaText.Trim(text)))
        {
            var colon = entry.LastIndexOf(':');
            if (colon <= 0 || !int.TryParse(
                JavaText.Trim(entry[(colon + 1)..]), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var limit))
                throw new ConfigException(name, text, $"each entry should be in the form host:count, and '{entry}' is not");
            var host = JavaText.Trim(entry[..colon]);
            if (!host.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '%' or '.' or '_' or ':'))
                throw new ConfigException($"{name} contains invalid addresses : {host}");
            overrides[host] = limit;
        }

        return overrides.ToFrozenDictionary(StringComparer.Ordinal);
    }

    private static InvalidOperationException Unreachable(string text) =>
        new($"The value '{text}' is invalid although its validator accepted it.");
}
