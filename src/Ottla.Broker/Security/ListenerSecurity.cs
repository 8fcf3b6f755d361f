using Ottla.Configuration;
using Ottla.Configuration.Security;
using Ottla.Network.Buffers;
using Ottla.Network.Security;
using Ottla.StateMachines.Security;

namespace Ottla.Broker.Security;

/// <summary>
/// What new connections of a listener begin with, as one configuration says. Immutable but for certificates; thread-safe.
/// </summary>
internal sealed class ListenerSecurity
{
    private readonly Func<TlsSettings>? _tls;
    private readonly ServerMechanisms? _mechanisms;
    private readonly PrincipalMapping _mapping = PrincipalMapping.WholeSubject;

    /// <exception cref="ConfigException">The configuration cannot be used.</exception>
    public ListenerSecurity(BrokerConfig config, string listener, SecurityProtocol protocol, NodeSecurity node)
    {
        LoginBytesMax = config.SaslServerMaxReceiveSize;
        LoginFrames = node.LoginFrames;
        FailureDelay = TimeSpan.FromMilliseconds(config.ConnectionFailedAuthenticationDelayMs);
        LoginTimeout = TimeSpan.FromMilliseconds(config.Get(listener, "ottla.login.timeout.ms").AsInt);
        LoginsPerAddressMax = config.Get(listener, "ottla.login.connections.per.ip.max").AsInt;
        if (protocol is SecurityProtocol.SSL or SecurityProtocol.SASL_SSL)
        {
            var settings = SslSettings.Of(config, listener);
            var source = node.TlsOf(listener);
            if (source.Current(settings).Key is null)
            {
                throw new ConfigException(
                    $"The listener {listener} is {protocol} and has no certificate: set {settings.KeyStore.What}.location, or "
                        + $"{settings.KeyStore.What}.key and {settings.KeyStore.What}.certificate.chain.");
            }

            _tls = () => source.Current(settings);
            _mapping = PrincipalMapping.Parse(settings.PrincipalMappingRules);
        }

        if (protocol is SecurityProtocol.SASL_PLAINTEXT or SecurityProtocol.SASL_SSL)
            _mechanisms = new ServerMechanisms(config, listener, node.Credentials, node.KeysOf);
    }

    /// <summary>Whether connections must prove something before they are served.</summary>
    public bool IsNeeded => _tls is not null || _mechanisms is not null;

    /// <summary><c>sasl.server.max.receive.size</c>: the longest frame before the login is complete.</summary>
    public int LoginBytesMax { get; }

    /// <inheritdoc cref="NodeSecurity.LoginFrames"/>
    public MemoryBudget LoginFrames { get; }

    /// <summary><c>connection.failed.authentication.delay.ms</c>.</summary>
    public TimeSpan FailureDelay { get; }

    /// <summary><c>ottla.login.timeout.ms</c>: how long handshake and login may take together.</summary>
    public TimeSpan LoginTimeout { get; }

    /// <summary><c>ottla.login.connections.per.ip.max</c>.</summary>
    public int LoginsPerAddressMax { get; }

    /// <summary>The TLS for a new connection; null for clear text.</summary>
    public TlsSettings? Tls() => _tls?.Invoke();

    /// <summary>The login of a new connection; null when there is none.</summary>
    public LoginMachine? BeginLogin() => _mechanisms is null ? null : new LoginMachine(_mechanisms);

    /// <summary>The mechanisms that a client may choose from.</summary>
    public IReadOnlyList<string> MechanismNames => _mechanisms?.Names ?? [];

    /// <summary>The name of a client whose certificate has this subject; null when no rule applies.</summary>
    public string? NameOf(string subject) => _mapping.NameOf(subject);
}
