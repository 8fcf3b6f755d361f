using Ottla.StateMachines.Raft;

namespace Ottla.Broker.Hosts;

/// <summary>
/// Carries requests of the quorum to other nodes. It answers by <see cref="RaftHost.Receive"/> or <see cref="RaftHost.ReceiveFailure"/>.
/// </summary>
/// <remarks>Called on the loop of the <see cref="RaftHost"/>: it neither waits nor throws.</remarks>
public interface IRaftTransport
{
    /// <summary>Tells whom the answers go to. Called once, before anything is sent.</summary>
    void Attach(RaftHost host)
    {
    }

    /// <summary>Sends <paramref name="request"/>.</summary>
    /// <param name="correlationId">Names the request in the answer.</param>
    /// <param name="to">The node to send it to. A bootstrap server and the voter at the same address are two nodes.</param>
    /// <param name="request">The request.</param>
    void Send(long correlationId, RaftNode to, RaftRequest request);

    /// <summary>Asks a node by ApiVersions which levels of <c>kraft.version</c> it supports (KIP-853).</summary>
    /// <returns>
    /// The range, 0 to 0 when the node does not name the feature; null when it does not answer, or answers with an error.
    /// </returns>
    Task<(short Min, short Max)?> ProbeKRaftVersionAsync(RaftNode node, CancellationToken cancellation);
}
