using Ottla.Broker.Hosts;
using Ottla.Broker.Peers;
using Ottla.Broker.Server;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Raft;

namespace Ottla.Broker.Api;

/// <summary>BeginQuorumEpoch (key 53), versions 0 and 1: the elected leader of the metadata quorum makes itself known.</summary>
/// <remarks>
/// Of the whole request: INCONSISTENT_CLUSTER_ID, and INVALID_REQUEST unless it names __cluster_metadata-0 alone. Of the partition, from
/// the machine: INVALID_REQUEST, FENCED_LEADER_EPOCH, INVALID_VOTER_KEY, BROKER_NOT_AVAILABLE. Every answer names the leader and the epoch;
/// version 1 also its endpoint on the listener that the request came in on.
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
