using Ottla.Protocol;
using Ottla.StateMachines.Raft;

namespace Ottla.Broker.Peers;

/// <summary>
/// Turns the messages of the raft machine into those of Kafka's APIs and back. It also answers what is no matter of the machine: another
/// cluster's id, and another topic than <c>__cluster_metadata</c>-0.
/// </summary>
/// <remarks>
/// For each API there are four conversions: <c>Request</c> and <c>Call</c> of what is asked, <c>Response</c> and <c>Reply</c> of what is
/// answered. Immutable; one per node.
/// </remarks>
/// <param name="clusterId">The cluster id, which requests carry.</param>
/// <param name="listenerName">
/// The first of <c>controller.listener.names</c>: where the endpoint of a received answer belongs.
/// </param>
internal sealed partial class RaftMessageConverter(string clusterId, string listenerName)
{
    /// <summary>Version 1 of Vote, BeginQuorumEpoch, EndQuorumEpoch and FetchSnapshot names the leader's endpoint.</summary>
    private const short FirstVersionWithEndpoints = 1;

    private const int Partition = 0;

    /// <summary>Whether a request is for this cluster. One that names none is.</summary>
    public bool IsThisCluster(string? id) => id is null || id == clusterId;

    /// <summary>What is wrong with a request as a whole, before the machine sees it.</summary>
    private ErrorCode Check(string? id, bool hasPartition) =>
        !IsThisCluster(id) ? ErrorCode.InconsistentClusterId : hasPartition ? ErrorCode.None : ErrorCode.InvalidRequest;

    /// <summary>
    /// The leader's endpoint on the listener that a request came in on; null when it is not known, or there is no leader.
    /// </summary>
    private static RaftEndpoint? EndpointOn(string listener, RaftResponse reply)
    {
        if (reply.LeaderId < 0)
            return null;
        foreach (var endpoint in reply.LeaderEndpoints)
        {
            if (endpoint.Name == listener)
                return endpoint;
        }

        return null;
    }

    /// <summary>The endpoints of an answer: the one of the leader that it names, which is of the quorum's listener.</summary>
    private IReadOnlyList<RaftEndpoint> Endpoints<TEndpoint>(
        TEndpoint[] endpoints, int leaderId, Func<TEndpoint, (int NodeId, string Host, int Port)> read)
    {
        foreach (var endpoint in endpoints)
        {
            var (nodeId, host, port) = read(endpoint);
            if (nodeId == leaderId && port is >= 0 and <= ushort.MaxValue)
                return [new RaftEndpoint(listenerName, host, (ushort)port)];
        }

        return [];
    }
}
