using System.Net;

namespace Ottla.Requests;

/// <summary>A node of a cluster and where it listens.</summary>
/// <param name="Id">The node id; negative for an address whose node is not known yet, such as a bootstrap server.</param>
/// <param name="Host">An IP address or a host name.</param>
/// <param name="Port">The port.</param>
public sealed record NodeAddress(int Id, string Host, int Port)
{
    /// <summary>The address as a transport takes it.</summary>
    internal EndPoint EndPoint => IPAddress.TryParse(Host, out var address) ? new IPEndPoint(address, Port) : new DnsEndPoint(Host, Port);

    /// <inheritdoc/>
    public override string ToString() => Id < 0 ? $"{Host}:{Port}" : $"node {Id} ({Host}:{Port})";
}
