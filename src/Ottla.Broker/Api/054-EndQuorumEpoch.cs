using Ottla.Broker.Hosts;
using Ottla.Broker.Peers;
using Ottla.Broker.Server;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Raft;

namespace Ottla.Broker.Api;

/// <summary>
/// EndQuorumEpoch (key 54), versions 0 and 1: the leader of the metadata quorum resigns, and names its preferred successors.
/// </summary>
/// <remarks>
/// Errors of the whole request: INCONSISTENT_CLUSTER_ID, and INVALID_REQUEST unless it names __cluster_metadata-0 alone. Errors of the
/// partition, from the Raft machine: INVALID_REQUEST, FENCED_LEADER_EPOCH, BROKER_NOT_AVAILABLE. Every answer names the leader and the
/// epoch; version 1 also the leader's endpoint on the listener that the request came in on.
/// </remarks>
internal sealed class EndQuorumEpochHandler(RaftHost raft, RaftMessageConverter converter)
    : IApiHandler<EndQuorumEpochRequest, EndQuorumEpochResponse>
{
    public async ValueTask<EndQuorumEpochResponse?> HandleAsync(RequestContext context, EndQuorumEpochRequest request)
    {
        if (converter.Call(request, out var error) is not { } call)
            return new EndQuorumEpochResponse { ErrorCode = (short)error };
        var reply = await raft.AskAsync(call, static (error, leader) => new EndEpochReply(error, leader.LeaderId, leader.Epoch));
        return RaftMessageConverter.Response(reply, context.Connection.ListenerName, context.ApiVersion);
    }
}
