using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.RegularExpressions;

namespace Ottla.Configuration;

/// <summary>An endpoint of a node: name, security protocol and address.</summary>
/// <param name="Name">The listener's name, in upper case.</param>
/// <param name="SecurityProtocol">Its security protocol.</param>
/// <param name="Host">Host name or address; null for all interfaces.</param>
/// <param name="Port">TCP port; 0 lets the operating system choose.</param>
public sealed record Listener(string Name, SecurityProtocol SecurityProtocol, string? Host, int Port)
{
    /// <inheritdoc/>
    public override string ToString() =>
        $"{Name}://{(Host is not null && Host.Contains(':', StringComparison.Ordinal) ? $"[{Host}]" : Host)}:{Port}";
}

/// <summary>A host and a port, as in <c>controller.quorum.bootstrap.servers</c>.</summary>
public sealed partial record HostPort(string Host, int Port)
{
    /// <summary>Reads <c>host:port</c>; an IPv6 address stands in brackets.</summary>
    public static bool TryParse(string text, out HostPort? result)
    {
        var match = Pattern().Match(text);
        result = match.Success && match.Groups["host"].Length > 0 && ListenerParser.TryParsePort(match.Groups["port"].Value, out var port)
            ? new HostPort(match.Groups["host"].Value, port)
            : null;
        return result is not null;
    }

    [GeneratedRegex(@"^(?:[0-9a-zA-Z\-%._]*://)?\[?(?<host>[0-9a-zA-Z\-%._:]*)\]?:(?<port>[0-9]+)$", RegexOptions.CultureInvariant)]
    private static partial Regex Pattern();
}

/// <summary>A voter of a static quorum, from <c>controller.quorum.voters</c>.</summary>
public sealed record QuorumVoter(int Id, string Host, int Port)
{
    internal static bool TryParse(string text, out QuorumVoter? result)
    {
        result = null;
        var parts = text.Split('@');
        if (parts.Length != 2 || !HostPort.TryParse(parts[1], out var address))
            return false;
        if (!int.TryParse(parts[0], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var id))
            return false;
        result = new QuorumVoter(id, address!.Host, address.Port);
        return true;
    }
}

/// <summary>Parses <c>listeners</c> and related configs, with Kafka's checks.</summary>
internal static partial class ListenerParser
{
    public static bool TryParsePort(string text, out int port) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out port) && port <= IPEndPoint.MaxPort;

    public static Dictionary<string, SecurityProtocol> ParseProtocolMap(string text)
    {
        const string name = "listener.security.protocol.map";
        var map = new Dictionary<string, SecurityProtocol>(StringComparer.Ordinal);
        foreach (var entry in JavaText.SplitList(JavaText.Trim(text)))
        {
            var colon = entry.LastIndexOf(':');
            if (colon <= 0)
                throw new ConfigException(name, text, $"each entry should be in the form NAME:PROTOCOL, and '{entry}' is not");
            var protocol = JavaText.Trim(entry[(colon + 1)..]);
            map[JavaText.Trim(entry[..colon]).ToUpperInvariant()] = ParseProtocol(protocol, name);
        }

        return map;
    }

    public static SecurityProtocol ParseProtocol(string text, string configName)
    {
        foreach (var protocol in Enum.GetValues<SecurityProtocol>())
        {
            if (protocol.ToString().Equals(text, StringComparison.OrdinalIgnoreCase))
                return protocol;
        }

        throw new ConfigException(
            $"Invalid security protocol `{text}` defined in {configName}. It must be one of: "
            + $"{string.Join(", ", Enum.GetNames<SecurityProtocol>())}");
    }

    /// <summary>The name before <c>://</c>; null when there is none.</summary>
    public static string? NameOf(string entry)
    {
        var end = entry.IndexOf("://", StringComparison.Ordinal);
        return end < 0 ? null : entry[..end].ToUpperInvariant();
    }

    public static IReadOnlyList<Listener> Parse(
        string configName, IReadOnlyList<string> entries, IReadOnlyDictionary<string, SecurityProtocol> protocols, bool distinctPorts)
    {
        var listeners = new List<Listener>(entries.Count);
        foreach (var entry in entries)
            listeners.Add(ParseOne(configName, entry, protocols));
        if (listeners.Select(listener => listener.Name).Distinct(StringComparer.Ordinal).Count() != listeners.Count)
            throw Refused(configName, entries, "Each listener must have a different name");
        if (distinctPorts)
            CheckPorts(configName, entries, listeners);
        return listeners;
    }

    private static Listener ParseOne(string configName, string entry, IReadOnlyDictionary<string, SecurityProtocol> protocols)
    {
        var match = Endpoint().Match(entry);
        if (!match.Success || !TryParsePort(match.Groups["port"].Value, out var port))
        {
            throw new ConfigException(
                configName, entry, "Unable to parse it to a broker endpoint; the form is NAME://host:port, with a port up to 65535");
        }

        var name = match.Groups["name"].Value.ToUpperInvariant();
        var host = match.Groups["host"].Value;
        if (!protocols.TryGetValue(name, out var protocol))
        {
            throw new ConfigException(
                configName, entry, $"No security protocol defined for listener {name}; add it to listener.security.protocol.map");
        }

        return new Listener(name, protocol, host.Length == 0 ? null : host, port);
    }

    private static void CheckPorts(string configName, IReadOnlyList<string> entries, List<Listener> listeners)
    {
        foreach (var group in listeners.Where(listener => listener.Port != 0).GroupBy(listener => listener.Port))
        {
            var same = group.ToList();
            if (same.Count == 1)
                continue;
            var families = same.Select(listener => Family(listener.Host)).ToList();
            if (same.Count == 2 && families.Contains(AddressFamily.InterNetwork) && families.Contains(AddressFamily.InterNetworkV6))
                continue;
            throw Refused(
                configName,
                entries,
                "Each listener must have a different port unless exactly one listener has an IPv4 address and the other IPv6 address, "
                + $"port: {group.Key}");
        }
    }

    private static AddressFamily Family(string? host) =>
        IPAddress.TryParse(host, out var address) ? address.AddressFamily : AddressFamily.Unspecified;

    private static ConfigException Refused(string configName, IReadOnlyList<string> entries, string reason) =>
        new(configName, string.Join(',', entries), reason);

    [GeneratedRegex(@"^(?<name>.*)://\[?(?<host>[0-9a-zA-Z\-%._:]*)\]?:(?<port>[0-9]+)$", RegexOptions.CultureInvariant)]
    private static partial Regex Endpoint();
}
