using Ottla.Broker.Hosts;
using Ottla.Broker.Peers;
using Ottla.Broker.Server;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Raft;

namespace Ottla.Broker.Api;

/// <summary>Vote (key 52), versions 0 to 2: another controller asks for a vote (KIP-595), or for a pre-vote (KIP-996).</summary>
/// <remarks>
/// Errors of the whole request: INCONSISTENT_CLUSTER_ID, and INVALID_REQUEST unless it names __cluster_metadata-0 alone. Errors of the
/// partition, from the Raft machine: INVALID_REQUEST, FENCED_LEADER_EPOCH, INVALID_VOTER_KEY, BROKER_NOT_AVAILABLE. Every answer names the
/// leader and the epoch; from version 1 on also the leader's endpoint on the listener that the request came in on.
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
