using System.Net;
using Ottla.Protocol.Messages;

namespace Ottla.Broker.Server;

/// <summary>What a handler knows of a request besides its body.</summary>
/// <param name="ApiKey">The API.</param>
/// <param name="ApiVersion">The version of request and response.</param>
/// <param name="CorrelationId">The client's number for the request, echoed in the response.</param>
/// <param name="ClientId">What the client calls itself; null when it does not say.</param>
/// <param name="Connection">The connection it came over.</param>
public readonly record struct RequestContext(
    ApiKey ApiKey, short ApiVersion, int CorrelationId, string? ClientId, ConnectionInfo Connection)
{
    /// <summary>When the server began to look at the request: a timestamp of the server's clock.</summary>
    public long ArrivedAt { get; init; }
}

/// <summary>What is known of a connection.</summary>
/// <param name="ListenerName">The listener that accepted it.</param>
/// <param name="ClientAddress">The client's address; none for a transport in memory.</param>
/// <param name="End">
/// Ends the connection once what is under way is answered, and logs the reason: how a client learns of a failure that asked for no answer.
/// </param>
/// <param name="Draining">Cancelled when no more requests are taken: what waits for news answers at once with what there is.</param>
/// <param name="Closing">Cancelled when the connection goes down: nobody waits for replies any more.</param>
public sealed record ConnectionInfo(
    string ListenerName, IPAddress ClientAddress, Action<string> End, CancellationToken Draining, CancellationToken Closing)
{
    /// <summary>
    /// Completes once all transactional batches of this connection are appended (or refused) that had to wait for their coordinator.
    /// Touched before a handler's first await only.
    /// </summary>
    public Task PendingAppends { get; set; } = Task.CompletedTask;

    /// <summary>Who the client is.</summary>
    public ClientPrincipal Principal { get; init; } = ClientPrincipal.Anonymous;

    /// <summary>
    /// Whether a broker forwards the client's requests: the connection is the broker's, the address and the principal are the client's.
    /// </summary>
    public bool IsForwarded { get; init; }
}
