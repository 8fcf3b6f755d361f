using System.Collections.Concurrent;
using System.Security.Authentication;
using Microsoft.Extensions.Logging;
using Ottla.Broker.Server;
using Ottla.Configuration;
using Ottla.Configuration.Security;
using Ottla.Kernel;
using Ottla.Network.Buffers;
using Ottla.Requests.Security;
using Ottla.StateMachines.Metadata;
using Ottla.StateMachines.Security;

namespace Ottla.Broker.Security;

/// <summary>
/// TLS and logins of a node: of its listeners, and of its connections to other nodes. It follows the configuration: a change applies to
/// connections that begin afterwards.
/// </summary>
/// <remarks>Made first, so that a mistake in the configuration stops the start. Thread-safe; lives as long as the node.</remarks>
internal sealed class NodeSecurity : IAsyncDisposable
{
    /// <summary>
    /// What all frames together may take that are longer than a slab and come before a login: nobody but a hostile client sends many.
    /// </summary>
    private const long LoginFrameBytesMax = 64 * 1024 * 1024;

    private readonly Func<BrokerConfig> _config;
    private readonly NodePlatform _platform;
    private readonly ILogger _logger;
    private readonly BufferPool _buffers;
    private readonly Lock _lock = new();
    private readonly Dictionary<string, TlsSource> _tls = new(StringComparer.Ordinal);
    private readonly Dictionary<(Uri, long), JwksSource> _keys = [];
    private readonly ConcurrentDictionary<string,
        (BrokerConfig Config, ListenerSecurity Security)> _listeners = new(StringComparer.Ordinal);
    private Func<MetadataImage> _image = () => MetadataImage.Empty;

    private NodeSecurity(Func<BrokerConfig> config, NodePlatform platform, ILogger logger, BufferPool buffers)
    {
        _config = config;
        _platform = platform;
        _logger = logger;
        _buffers = buffers;
        Credentials = new MetadataCredentials(() => _image(), config().Get("delegation.token.secret.key").Secret);
        // Handshakes have threads of their own, which the processor serves last: neither a network loop nor the requests of those who are
        // logged in wait for them.
        Handshakes = new HeavyRequests(() => Math.Max(1, Environment.ProcessorCount / 2), platform.Time, isUrgent: false);
    }

    /// <summary>Runs the arithmetic of TLS handshakes.</summary>
    public HeavyRequests Handshakes { get; }

    /// <summary>Bounds the memory of long frames before logins.</summary>
    public MemoryBudget LoginFrames { get; } = new(LoginFrameBytesMax);

    /// <summary>The users and delegation tokens of the metadata.</summary>
    public IScramCredentials Credentials { get; }

    /// <summary>Prepares all that the listeners and the connections to other nodes need.</summary>
    /// <param name="config">The configuration as it is now.</param>
    /// <param name="platform">Disk, network, clock.</param>
    /// <param name="loggers">The log.</param>
    /// <param name="buffers">The memory of connections.</param>
    /// <exception cref="ConfigException">The configuration cannot be used.</exception>
    public static NodeSecurity Create(Func<BrokerConfig> config, NodePlatform platform, ILoggerFactory loggers, BufferPool buffers)
    {
        var security = new NodeSecurity(config, platform, loggers.CreateLogger(nameof(NodeSecurity)), buffers);
        security.Prepare(config());
        return security;
    }

    /// <summary>Tells where the users and tokens are, once the metadata is followed.</summary>
    public void Follow(Func<MetadataImage> image) => _image = image;

    /// <summary>What new connections of a listener begin with.</summary>
    public ListenerSecurity Of(string listener)
    {
        var config = _config();
        if (_listeners.TryGetValue(listener, out var known) && ReferenceEquals(known.Config, config))
            return known.Security;
        try
        {
            var made = new ListenerSecurity(config, listener, config.ListenerSecurityProtocols[listener], this);
            _listeners[listener] = (config, made);
            return made;
        }
        catch (ConfigException e) when (known.Security is not null)
        {
            // Values that were set while this node was down, or that contradict its file: it goes on with the last ones that work.
            SecurityLog.ChangeRefused(_logger, listener, e.Message);
            _listeners[listener] = (config, known.Security);
            return known.Security;
        }
    }

    /// <summary>Refuses a configuration to which this running node cannot change.</summary>
    /// <exception cref="ConfigException">It cannot be used; the kind is INVALID_REQUEST.</exception>
    public void CheckChange(BrokerConfig updated)
    {
        try
        {
            foreach (var listener in updated.Listeners)
            {
                if (listener.SecurityProtocol is SecurityProtocol.SSL or SecurityProtocol.SASL_SSL)
                {
                    var settings = SslSettings.Of(updated, listener.Name);
                    TlsOf(listener.Name).Check(settings);
                    PrincipalMapping.Parse(settings.PrincipalMappingRules);
                }

                if (listener.SecurityProtocol is SecurityProtocol.SASL_PLAINTEXT or SecurityProtocol.SASL_SSL)
                    _ = new ServerMechanisms(updated, listener.Name, Credentials, KeysOf);
            }

            CheckLogin(updated, updated.InterBrokerListenerName, ClientLogins.BrokerMechanism);
            CheckLogin(updated, updated.ControllerListenerNames[0], ClientLogins.ControllerMechanism);
        }
        catch (ConfigException e)
        {
            throw new ConfigException(
                $"Invalid value org.apache.kafka.common.config.ConfigException: Validation of dynamic config update of SSLFactory failed: "
                    + $"{e.Message} "
                    + "for configuration Invalid dynamic configuration",
                ConfigErrorKind.InvalidRequest);
        }
    }

    /// <summary>TLS and login of this node's connections to a listener of other nodes; null for clear text without a login.</summary>
    /// <param name="listener">The listener's name.</param>
    /// <param name="mechanismConfig">The config that names the mechanism.</param>
    /// <exception cref="ConfigException">The configuration cannot be used.</exception>
    public IConnectionSecurity? ToOthers(string listener, string mechanismConfig)
    {
        var protocol = _config().ListenerSecurityProtocols.GetValueOrDefault(listener);
        var (usesTls, usesSasl) = (protocol is SecurityProtocol.SSL or SecurityProtocol.SASL_SSL,
            protocol is SecurityProtocol.SASL_PLAINTEXT or SecurityProtocol.SASL_SSL);
        if (!usesTls && !usesSasl)
            return null;
        Tuple<BrokerConfig, SslSettings>? settings = null;
        if (usesTls)
            Tls(); // a mistake stops the start
        if (usesSasl)
            ClientLogins.Begin(_config(), listener, mechanismConfig, _platform.FileSystem, _platform.Time);
        return new ClientSecurity(usesTls ? Tls : null, usesSasl ? BeginLogin : null, clientId: null, _buffers);

        Network.Security.TlsSettings Tls()
        {
            var config = _config();
            var current = settings;
            if (current is null || !ReferenceEquals(current.Item1, config))
                settings = current = Tuple.Create(config, SslSettings.Of(config, listener));
            return TlsOf(listener).Current(current.Item2);
        }

        SaslClient BeginLogin()
        {
            try
            {
                return ClientLogins.Begin(_config(), listener, mechanismConfig, _platform.FileSystem, _platform.Time);
            }
            catch (ConfigException e) // since the start the credentials were taken away
            {
                throw new AuthenticationException(e.Message, e);
            }
        }
    }

    /// <summary>When the certificates of the listeners expire, in UTC.</summary>
    public IReadOnlyList<(string Listener, DateTime Expiry)> CertificateExpiries
    {
        get
        {
            KeyValuePair<string, TlsSource>[] sources;
            lock (_lock)
                sources = [.. _tls];
            var expiries = new List<(string, DateTime)>();
            foreach (var (listener, source) in sources)
            {
                if (source.CertificateExpiry is { } expiry)
                    expiries.Add((listener, expiry));
            }

            return expiries;
        }
    }

    /// <summary>The TLS of a listener.</summary>
    internal TlsSource TlsOf(string listener)
    {
        lock (_lock)
        {
            if (!_tls.TryGetValue(listener, out var source))
            {
                var isBetweenBrokers = _config() is { IsBroker: true } config && config.InterBrokerListenerName == listener;
                _tls[listener] = source = new TlsSource(listener, isBetweenBrokers, _platform.FileSystem, _platform.Time, _logger);
            }

            return source;
        }
    }

    /// <summary>The keys of an issuer of tokens: one source for all listeners that trust the same.</summary>
    internal JwksSource KeysOf(OAuthBearerSettings settings)
    {
        lock (_lock)
        {
            var key = (settings.JwksUrl!, settings.RefreshMs);
            if (!_keys.TryGetValue(key, out var source))
            {
                _keys[key] = source = new JwksSource(
                    settings, _platform.FileSystem, new Prng(_platform.Seed ^ (ulong)_keys.Count), _platform.Time, _logger);
            }

            return source;
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        JwksSource[] keys;
        lock (_lock)
            keys = [.. _keys.Values];
        foreach (var source in keys)
            await source.DisposeAsync();
        Handshakes.Dispose();
    }

    /// <summary>A node without credentials of its own would lose the others when its sessions end.</summary>
    private void CheckLogin(BrokerConfig updated, string listener, string mechanismConfig)
    {
        if (updated.ListenerSecurityProtocols.GetValueOrDefault(listener) is SecurityProtocol.SASL_PLAINTEXT or SecurityProtocol.SASL_SSL)
            ClientLogins.Begin(updated, listener, mechanismConfig, _platform.FileSystem, _platform.Time);
    }

    private void Prepare(BrokerConfig config)
    {
        foreach (var listener in config.Listeners)
            Of(listener.Name);
        if (config.IsBroker)
            ToOthers(config.InterBrokerListenerName, ClientLogins.BrokerMechanism);
        ToOthers(config.ControllerListenerNames[0], ClientLogins.ControllerMechanism);
    }
}

/// <summary>What the security of a node logs.</summary>
internal static partial class SecurityLog
{
    [LoggerMessage(Level = LogLevel.Error, Message =
        "The listener {Listener} goes on with its former TLS and SASL configs, because the new ones cannot be used: {Reason}")]
    public static partial void ChangeRefused(ILogger logger, string listener, string reason);
}
