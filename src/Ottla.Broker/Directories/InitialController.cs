using System.Globalization;
using System.Net;
using Ottla.Kernel;
using Ottla.StateMachines.Metadata;

namespace Ottla.Broker.Directories;

/// <summary>A controller of a new dynamic quorum (KIP-853).</summary>
/// <param name="Id">Its node id.</param>
/// <param name="Host">The host of its controller listener.</param>
/// <param name="Port">The port of that listener.</param>
/// <param name="DirectoryId">The id of the log directory for its metadata log.</param>
public sealed record InitialController(int Id, string Host, int Port, Uuid DirectoryId)
{
    /// <summary>Reads a list of <c>id@host:port:directoryId</c>, separated by commas; an IPv6 host has brackets.</summary>
    /// <returns>The controllers by ascending id.</returns>
    /// <exception cref="FormatterException">The text is malformed, or names a node twice.</exception>
    public static IReadOnlyList<InitialController> ParseList(string text)
    {
        var controllers = new SortedDictionary<int, InitialController>();
        foreach (var entry in text.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            var controller = Parse(entry);
            if (!controllers.TryAdd(controller.Id, controller))
                throw new FormatterException($"--initial-controllers: node id {controller.Id} was specified more than once.");
        }

        return controllers.Count > 0
            ? [.. controllers.Values]
            : throw new FormatterException(
                "--initial-controllers: no voters given. Expected id@host:port:directoryId, separated by commas.");
    }

    /// <inheritdoc/>
    public override string ToString() =>
        Host.Contains(':', StringComparison.Ordinal) ? $"{Id}@[{Host}]:{Port}:{DirectoryId}" : $"{Id}@{Host}:{Port}:{DirectoryId}";

    private static InitialController Parse(string text)
    {
        var at = text.IndexOf('@', StringComparison.Ordinal);
        if (at < 0)
            throw Refused(text, "no @ after the node id");
        if (!int.TryParse(text.AsSpan(0, at), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var id) || id < 0)
            throw Refused(text, $"'{text[..at]}' is no node id");
        var host = HostOf(text, text[(at + 1)..], out var rest);
        if (!rest.StartsWith(':'))
            throw Refused(text, "no colon following the host");
        var colon = rest.IndexOf(':', 1);
        if (colon < 0)
            throw Refused(text, "no colon following the port: the directory id is missing ('ottla random-uuid' prints a new one)");
        if (!int.TryParse(rest.AsSpan(1, colon - 1), NumberStyles.None, CultureInfo.InvariantCulture, out var port)
            || port > IPEndPoint.MaxPort)
            throw Refused(text, $"'{rest[1..colon]}' is no port");
        if (!Uuid.TryParse(rest[(colon + 1)..], out var directoryId))
            throw Refused(
                text, $"'{rest[(colon + 1)..]}' is no directory id: 22 characters of base64 ('ottla random-uuid' prints a new one)");
        return DirectoryIds.IsReserved(directoryId)
            ? throw Refused(text, $"the directory id {directoryId} is reserved; take one of 'ottla random-uuid'")
            : new InitialController(id, host, port, directoryId);
    }

    private static string HostOf(string text, string address, out string rest)
    {
        var isBracketed = address.StartsWith('[');
        var end = address.IndexOf(isBracketed ? ']' : ':', StringComparison.Ordinal);
        if (end < 0)
            throw Refused(text, isBracketed ? "the host began with a bracket, but none closes it" : "no colon following the host");
        var host = isBracketed ? address[1..end] : address[..end];
        rest = address[(isBracketed ? end + 1 : end)..];
        return host.Length > 0 ? host : throw Refused(text, "the host is missing");
    }

    private static FormatterException Refused(string text, string reason) =>
        new($"--initial-controllers: cannot read '{text}': {reason}. Expected id@host:port:directoryId.");
}
