using System.Globalization;
using Microsoft.Extensions.Logging;
using Ottla.Broker.Security;
using Ottla.Configuration;
using Ottla.Requests.Security;
using Ottla.Storage.Files;

namespace Ottla.Cli.Admin;

/// <summary>How a command connects to a cluster: the addresses, and the time limits. Immutable.</summary>
/// <param name="Servers">The addresses to ask first, in their order.</param>
/// <param name="AreControllers">
/// Whether those are controllers (<c>--bootstrap-controller</c>). Only the active one answers all requests.
/// </param>
internal sealed record AdminSettings(IReadOnlyList<HostPort> Servers, bool AreControllers)
{
    /// <summary><c>client.id</c>.</summary>
    public string ClientId { get; private init; } = "ottla-admin";

    /// <summary><c>request.timeout.ms</c>: how long one request may take.</summary>
    public TimeSpan RequestTimeout { get; private init; } = TimeSpan.FromSeconds(30);

    /// <summary><c>default.api.timeout.ms</c>: how long a call may take with all its attempts.</summary>
    public TimeSpan CallTimeout { get; private init; } = TimeSpan.FromSeconds(60);

    /// <summary><c>retry.backoff.ms</c>: the wait before another attempt.</summary>
    public TimeSpan RetryBackoff { get; private init; } = TimeSpan.FromMilliseconds(100);

    /// <summary>TLS and login; null for clear text without a login.</summary>
    public IConnectionSecurity? Security { get; private init; }

    /// <summary>Reads a list of <c>host:port</c>, separated by commas.</summary>
    /// <param name="option">The option's name, for the message.</param>
    /// <param name="servers">Its value.</param>
    /// <param name="areControllers">See <see cref="AreControllers"/>.</param>
    /// <exception cref="ConfigException">The value is malformed.</exception>
    public static AdminSettings Of(string option, string servers, bool areControllers)
    {
        var addresses = new List<HostPort>();
        foreach (var server in servers.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            addresses.Add(HostPort.TryParse(server, out var address)
                ? address!
                : throw new ConfigException($"{option}: cannot read '{server}'. Expected host:port, several separated by commas."));
        }

        return addresses.Count > 0
            ? new AdminSettings(addresses, areControllers)
            : throw new ConfigException($"{option}: no address given. Expected host:port, several separated by commas.");
    }

    /// <summary>Adds the configs of a file (<c>--command-config</c>).</summary>
    /// <param name="file">The configs.</param>
    /// <param name="logger">The log.</param>
    /// <exception cref="ConfigException">A value is malformed, or a file that it names cannot be used.</exception>
    public AdminSettings With(IReadOnlyDictionary<string, string> file, ILogger logger)
    {
        return this with
        {
            ClientId = file.GetValueOrDefault("client.id") ?? ClientId,
            RequestTimeout = Milliseconds(file, "request.timeout.ms", RequestTimeout),
            CallTimeout = Milliseconds(file, "default.api.timeout.ms", CallTimeout),
            RetryBackoff = Milliseconds(file, "retry.backoff.ms", RetryBackoff),
            Security = ClientProperties.SecurityOf(file, new RealFileSystem(), TimeProvider.System, logger),
        };
    }

    private static TimeSpan Milliseconds(IReadOnlyDictionary<string, string> file, string name, TimeSpan otherwise)
    {
        if (!file.TryGetValue(name, out var text))
            return otherwise;
        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var milliseconds)
            ? TimeSpan.FromMilliseconds(milliseconds)
            : throw new ConfigException($"Invalid value {text} for configuration {name}: a number of milliseconds is expected.");
    }
}
