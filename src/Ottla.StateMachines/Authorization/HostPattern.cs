using System.Buffers.Binary;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Ottla.StateMachines.Authorization;

/// <summary>The address of a client as a number, so that comparing it with the hosts of entries allocates nothing.</summary>
/// <param name="IsIPv4">Whether it is an IPv4 address, or one that is mapped to IPv6.</param>
/// <param name="Value">The address.</param>
public readonly record struct ClientHost(bool IsIPv4, UInt128 Value)
{
    /// <summary>The address of a client.</summary>
    public static ClientHost From(IPAddress address)
    {
        ArgumentNullException.ThrowIfNull(address);
        if (address.IsIPv4MappedToIPv6)
            address = address.MapToIPv4();
        Span<byte> bytes = stackalloc byte[16];
        if (!address.TryWriteBytes(bytes, out var count))
            return default;
        return count == 4
            ? new ClientHost(true, BinaryPrimitives.ReadUInt32BigEndian(bytes))
            : new ClientHost(false, BinaryPrimitives.ReadUInt128BigEndian(bytes));
    }
}

/// <summary>The host of an access control entry: an address, or a network in CIDR notation (KIP-1276).</summary>
/// <remarks>
/// As in Kafka, host names are never resolved: an entry that names one matches no client. Kafka compares the text of addresses; here two
/// spellings of an IPv6 address are the same.
/// </remarks>
public readonly record struct HostPattern
{
    /// <summary>The host that matches every client.</summary>
    public const string Any = "*";

    private readonly bool _isIPv4;
    private readonly UInt128 _network;
    private readonly UInt128 _mask;

    private HostPattern(bool isIPv4, UInt128 address, int prefixLength)
    {
        _isIPv4 = isIPv4;
        var bits = isIPv4 ? 32 : 128;
        var all = isIPv4 ? uint.MaxValue : UInt128.MaxValue;
        _mask = prefixLength == 0 ? UInt128.Zero : (all << (bits - prefixLength)) & all;
        _network = address & _mask;
    }

    /// <summary>Whether a client's address matches.</summary>
    public bool Matches(in ClientHost host) => host.IsIPv4 == _isIPv4 && (host.Value & _mask) == _network;

    /// <summary>Reads the host of an entry.</summary>
    /// <param name="text">The text.</param>
    /// <param name="pattern">What it matches.</param>
    /// <returns>False when it is no address and no network, so that it matches no client.</returns>
    public static bool TryParse(string text, out HostPattern pattern)
    {
        ArgumentNullException.ThrowIfNull(text);
        pattern = default;
        var slash = text.IndexOf('/', StringComparison.Ordinal);
        if (!TryParseAddress(slash < 0 ? text : text[..slash], out var address))
            return false;
        var bits = address.IsIPv4 ? 32 : 128;
        var length = bits;
        if (slash >= 0 && (!TryParseLength(text.AsSpan(slash + 1), out length) || length > bits))
            return false;
        pattern = new HostPattern(address.IsIPv4, address.Value, length);
        return true;
    }

    /// <summary>Why a network in CIDR notation is invalid; null when it is valid.</summary>
    public static string? ReasonInvalidNetwork(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var slash = text.IndexOf('/', StringComparison.Ordinal);
        if (slash < 0 || !TryParseAddress(text[..slash], out var address) || !TryParseLength(text.AsSpan(slash + 1), out var length))
            return $"Could not parse [{text}]";
        var bits = address.IsIPv4 ? 32 : 128;
        return length > bits ? $"Value [{length}] not in range [0,{bits}]" : null;
    }

    private static bool TryParseLength(ReadOnlySpan<char> text, out int length) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out length) && text.Length <= 3;

    private static bool TryParseAddress(string text, out ClientHost address)
    {
        address = default;
        if (!IPAddress.TryParse(text, out var parsed))
            return false;

        // .NET also reads "127.1" and "0x7f.1"; nothing else takes these for addresses.
        if (parsed.AddressFamily == AddressFamily.InterNetwork && parsed.ToString() != text)
            return false;
        address = ClientHost.From(parsed);
        return true;
    }
}
