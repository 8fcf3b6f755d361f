using Ottla.Broker.Hosts;
using Ottla.Broker.Peers;
using Ottla.Broker.Server;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Raft;

namespace Ottla.Broker.Api;

/// <summary>RemoveRaftVoter (key 81), version 0: makes a voter of the metadata quorum an observer (KIP-853).</summary>
/// <remarks>
/// Errors: INCONSISTENT_CLUSTER_ID; from the Raft machine NOT_LEADER_OR_FOLLOWER, BROKER_NOT_AVAILABLE, INVALID_REQUEST (no directory id),
/// UNSUPPORTED_VERSION (kraft.version 0), VOTER_NOT_FOUND (also for the last voter), and REQUEST_TIMED_OUT: another change is under way.
/// The answer comes when the change is committed.
/// </remarks>
internal sealed class RemoveRaftVoterHandler(RaftHost raft, RaftMessageConverter converter)
    : IApiHandler<RemoveRaftVoterRequest, RemoveRaftVoterResponse>
{
    public async ValueTask<RemoveRaftVoterResponse?> HandleAsync(RequestContext context, RemoveRaftVoterRequest request)
    {
        var call = converter.Call(request) ?? throw RaftApis.OtherCluster(request.ClusterId);
        var reply = await raft.AskAsync(call, static (error, leader) => new RemoveVoterReply(error, null, leader.LeaderId, leader.Epoch));
        return RaftMessageConverter.Response(reply);
    }
}
