using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Ottla.Broker.Metadata;
using Ottla.Broker.Server;
using Ottla.Configuration;
using Ottla.StateMachines.Groups;
using Ottla.StateMachines.Metadata;

namespace Ottla.Broker.Api;

/// <summary>What the handlers of group requests have in common.</summary>
internal static class GroupRequests
{
    /// <summary>Why a group is not described to a client.</summary>
    public const string UnseenTopic = "The group has described topic(s) that the client is not authorized to describe.";

    private const string ConsumerProtocol = "consumer";

    /// <summary>Describes the sender of a request, as DescribeGroups shows a member.</summary>
    public static RequestOrigin OriginOf(RequestContext context) =>
        new(context.ClientId ?? "", "/" + JavaText(context.Connection.ClientAddress), context.ApiVersion);

    /// <summary>Whether the cluster's features and the broker's configuration allow the consumer protocol (KIP-848).</summary>
    public static bool IsConsumerProtocolEnabled(ClusterView cluster, BrokerConfig config) =>
        cluster.Image.Features.LevelOf(Feature.GroupVersion) >= 1
        && config.GroupCoordinatorRebalanceProtocols.Contains(ConsumerProtocol, StringComparer.OrdinalIgnoreCase);

    /// <summary>An address as Java writes it: an IPv6 address without abbreviations.</summary>
    private static string JavaText(IPAddress address)
    {
        if (address.IsIPv4MappedToIPv6)
            address = address.MapToIPv4();
        if (address.AddressFamily != AddressFamily.InterNetworkV6)
            return address.ToString();
        var bytes = address.GetAddressBytes();
        var groups = Enumerable.Range(0, bytes.Length / 2)
            .Select(i => ((bytes[2 * i] << 8) | bytes[(2 * i) + 1]).ToString("x", CultureInfo.InvariantCulture));
        return string.Join(':', groups) + (address.ScopeId == 0 ? "" : $"%{address.ScopeId}");
    }
}
