using System.Net;
using Ottla.Kernel;
using Ottla.Protocol.Messages;

namespace Ottla.Broker.Server;

/// <summary>What a handler knows about a request besides the body.</summary>
/// <param name="ApiKey">The API.</param>
/// <param name="ApiVersion">The version of request and response.</param>
/// <param name="CorrelationId">The client's number for the request, echoed in the response.</param>
/// <param name="ClientId">What the client calls itself; null when it does not say.</param>
/// <param name="Connection">The connection it came over.</param>
public readonly record struct RequestContext(
    ApiKey ApiKey, short ApiVersion, int CorrelationId, string? ClientId, ConnectionInfo Connection)
{
    /// <summary>
    /// When the server received the request, or began to look at it if it waited for its turn: a timestamp of the server's clock.
    /// </summary>
    public long ArrivedAt { get; init; }

    /// <summary>The bytes of the request, without its length.</summary>
    public int SizeBytes { get; init; }

    /// <summary>How long the handler worked before it waited for anything; noted only where a quota counts it.</summary>
    internal TimeSpan HandlerTime { get; init; }
}

/// <summary>What a handler knows about a connection.</summary>
/// <param name="ListenerName">The listener that accepted it.</param>
/// <param name="ClientAddress">The client's address; none for a transport in memory.</param>
/// <param name="End">
/// Ends the connection when all running requests are answered, and logs the reason. So a client that asked for no answer learns of a
/// failure.
/// </param>
/// <param name="Draining">Cancelled when the connection reads no more requests: long polls then answer at once with what there is.</param>
/// <param name="Closing">Cancelled when the connection closes: nobody waits for replies any more.</param>
public sealed record ConnectionInfo(
    string ListenerName, IPAddress ClientAddress, Action<string> End, CancellationToken Draining, CancellationToken Closing)
{
    /// <summary>
    /// Completes when all transactional batches of this connection that wait for their coordinator are appended or refused. Handlers use it
    /// before their first await only.
    /// </summary>
    public Task PendingAppends { get; set; } = Task.CompletedTask;

    /// <summary>The client's identity. Only the login of the connection sets it, before requests are served.</summary>
    public ClientPrincipal Principal { get; set; } = ClientPrincipal.Anonymous;

    /// <summary>
    /// Whether a broker forwards the client's requests: the connection is the broker's, the address and the principal are the client's.
    /// </summary>
    public bool IsForwarded { get; init; }

    /// <summary>The client's port; 0 for a transport in memory.</summary>
    public int ClientPort { get; init; }

    /// <summary>The client's library, once it has named it (KIP-511).</summary>
    public ClientSoftware? Software { get; set; }

    /// <summary>The client that has asked over this connection which metrics to push; zero for none. Its owner guards it.</summary>
    internal Uuid TelemetryInstance { get; set; }

    /// <summary>What the principal may do, as it was last asked; see <see cref="Authorizer"/>.</summary>
    internal ConnectionAccess? Access { get; set; }

    /// <summary>The quotas of the principal and the client id, as they were last looked up; see <see cref="ClientQuotas"/>.</summary>
    internal ClientQuotas.ConnectionQuotas? Quotas { get; set; }
}

/// <summary>The library of a client.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Version">Its version.</param>
public sealed record ClientSoftware(string Name, string Version);
