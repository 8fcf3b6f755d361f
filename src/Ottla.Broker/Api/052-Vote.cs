using Ottla.Broker.Hosts;
using Ottla.Broker.Peers;
using Ottla.Broker.Server;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Raft;

namespace Ottla.Broker.Api;

/// <summary>Vote (key 52), versions 0 to 2: another controller asks to be elected (KIP-595), or first if it would be (KIP-996).</summary>
/// <remarks>
/// Of the whole request: INCONSISTENT_CLUSTER_ID, and INVALID_REQUEST unless it names __cluster_metadata-0 alone. Of the partition, from
/// the machine: INVALID_REQUEST, FENCED_LEADER_EPOCH, INVALID_VOTER_KEY, BROKER_NOT_AVAILABLE. Every answer names the leader and the epoch;
/// from version 1 on also its endpoint on the listener that the request came in on.
/// </remarks>
internal sealed class VoteHandler(RaftHost raft, RaftMessageConverter converter) : IApiHandler<VoteRequest, VoteResponse>
{
    public async ValueTask<VoteResponse?> HandleAsync(RequestContext context, VoteRequest request)
    {
        if (converter.Call(request, out var error) is not { } call)
            return new VoteResponse { ErrorCode = (short)error };
        var reply = await raft.AskAsync(
            call, static (error, leader) => new VoteReply(error, leader.LeaderId, leader.Epoch, IsGranted: false));
        return RaftMessageConverter.Response(reply, context.Connection.ListenerName, context.ApiVersion);
    }
}
