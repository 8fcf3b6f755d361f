using Ottla.Broker.Hosts;
using Ottla.Broker.Peers;
using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Raft;

namespace Ottla.Broker.Api;

/// <summary>UpdateRaftVoter (key 82), version 0: a voter tells the leader its endpoints and its range of kraft.version (KIP-853).</summary>
/// <remarks>
/// Errors: INCONSISTENT_CLUSTER_ID; from the Raft machine FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH, NOT_LEADER_OR_FOLLOWER,
/// BROKER_NOT_AVAILABLE, INVALID_REQUEST, VOTER_NOT_FOUND, and REQUEST_TIMED_OUT: another change is under way, or the node does not answer
/// ApiVersions at its new endpoint. Every answer names the leader, with its endpoint on the listener that the request came in on.
/// </remarks>
internal sealed class UpdateRaftVoterHandler(RaftHost raft, RaftMessageConverter converter)
    : IApiHandler<UpdateRaftVoterRequest, UpdateRaftVoterResponse>
{
    public async ValueTask<UpdateRaftVoterResponse?> HandleAsync(RequestContext context, UpdateRaftVoterRequest request)
    {
        UpdateVoterReply reply;
        if (converter.Call(request) is { } call)
        {
            reply = await raft.AskAsync(call, static (error, leader) => new UpdateVoterReply(error, leader.LeaderId, leader.Epoch));
        }
        else
        {
            var leader = raft.KnownLeader;
            reply = new UpdateVoterReply(
                ErrorCode.InconsistentClusterId, leader.LeaderId, leader.Epoch)
            { LeaderEndpoints = leader.Endpoints };
        }

        return RaftMessageConverter.Response(reply, context.Connection.ListenerName);
    }
}
