using Ottla.Broker.Hosts;
using Ottla.Broker.Peers;
using Ottla.Broker.Server;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Raft;

namespace Ottla.Broker.Api;

/// <summary>
/// BeginQuorumEpoch (key 53), versions 0 and 1: the new leader of the metadata quorum tells the other nodes that it leads.
/// </summary>
/// <remarks>
/// Errors of the whole request: INCONSISTENT_CLUSTER_ID, and INVALID_REQUEST unless it names __cluster_metadata-0 alone. Errors of the
/// partition, from the Raft machine: INVALID_REQUEST, FENCED_LEADER_EPOCH, INVALID_VOTER_KEY, BROKER_NOT_AVAILABLE. Every answer names the
/// leader and the epoch; version 1 also the leader's endpoint on the listener that the request came in on.
/// </remarks>
internal sealed class BeginQuorumEpochHandler(RaftHost raft, RaftMessageConverter converter)
    : IApiHandler<BeginQuorumEpochRequest, BeginQuorumEpochResponse>
{
    public async ValueTask<BeginQuorumEpochResponse?> HandleAsync(RequestContext context, BeginQuorumEpochRequest request)
    {
        if (converter.Call(request, out var error) is not { } call)
            return new BeginQuorumEpochResponse { ErrorCode = (short)error };
        var reply = await raft.AskAsync(call, static (error, leader) => new BeginEpochReply(error, leader.LeaderId, leader.Epoch));
        return RaftMessageConverter.Response(reply, context.Connection.ListenerName, context.ApiVersion);
    }
}
