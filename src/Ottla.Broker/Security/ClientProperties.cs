using Microsoft.Extensions.Logging;
using Ottla.Configuration;
using Ottla.Configuration.Security;
using Ottla.Network.Buffers;
using Ottla.Requests.Security;
using Ottla.Storage.Files;

namespace Ottla.Broker.Security;

/// <summary>Reads TLS and login from the properties of Kafka's clients, as in the file of <c>--command-config</c>. Keeps nothing.</summary>
public static class ClientProperties
{
    private const string ProtocolName = "security.protocol";
    private const string MechanismName = "sasl.mechanism";
    private const string LoginName = "sasl.jaas.config";

    /// <summary>TLS and login of a client; null for clear text without a login.</summary>
    /// <param name="properties">The properties.</param>
    /// <param name="files">The disks.</param>
    /// <param name="time">The clock.</param>
    /// <param name="logger">The log.</param>
    /// <exception cref="ConfigException">A property is malformed or missing, or a file cannot be used.</exception>
    public static IConnectionSecurity? SecurityOf(
        IReadOnlyDictionary<string, string> properties, IFileSystem files, TimeProvider time, ILogger logger)
    {
        ArgumentNullException.ThrowIfNull(properties);
        var text = properties.GetValueOrDefault(ProtocolName) ?? nameof(SecurityProtocol.PLAINTEXT);
        if (!Enum.TryParse<SecurityProtocol>(text, ignoreCase: true, out var protocol) || !Enum.IsDefined(protocol)
            || char.IsAsciiDigit(text[0]))
            throw new ConfigException(ProtocolName, text, $"it must be one of {string.Join(", ", Enum.GetNames<SecurityProtocol>())}");
        Func<Network.Security.TlsSettings>? tls = null;
        if (protocol is SecurityProtocol.SSL or SecurityProtocol.SASL_SSL)
        {
            var settings = SslSettings.Of(properties);
            var source = new TlsSource("of the other side", isBetweenNodes: false, files, time, logger);
            source.Current(settings);
            tls = () => source.Current(settings);
        }

        Func<SaslClient>? login = null;
        if (protocol is SecurityProtocol.SASL_PLAINTEXT or SecurityProtocol.SASL_SSL)
        {
            var mechanism = MechanismOf(properties);
            var jaas = properties.TryGetValue(LoginName, out var line) ? JaasLogin.Parse(LoginName, line, mechanism) : null;
            var tokenUrl = properties.GetValueOrDefault("sasl.oauthbearer.token.endpoint.url");
            login = () => ClientLogins.Begin(mechanism, LoginName, jaas, tokenUrl, files, time);
            login();
        }

        return tls is null && login is null ? null
            : new ClientSecurity(tls, login, properties.GetValueOrDefault("client.id"), new BufferPool());
    }

    private static string MechanismOf(IReadOnlyDictionary<string, string> properties)
    {
        var mechanism = properties.GetValueOrDefault(MechanismName) ?? MechanismSettings.Kerberos;
        return mechanism is "PLAIN" or "SCRAM-SHA-256" or "SCRAM-SHA-512" or "OAUTHBEARER"
            ? mechanism
            : throw new ConfigException(
                $"{MechanismName}={mechanism}: this version has PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 and OAUTHBEARER; it is GSSAPI when it "
                    + $"is not set.");
    }
}
