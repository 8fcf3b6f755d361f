using Ottla.Broker.Hosts;
using Ottla.Broker.Peers;
using Ottla.Broker.Server;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Raft;

namespace Ottla.Broker.Api;

/// <summary>AddRaftVoter (key 80), versions 0 and 1: makes a controller a voter of the metadata quorum (KIP-853).</summary>
/// <remarks>
/// Errors: INCONSISTENT_CLUSTER_ID; from the Raft machine NOT_LEADER_OR_FOLLOWER, BROKER_NOT_AVAILABLE, INVALID_REQUEST (no directory id,
/// no endpoint of the quorum's listener, a node that does not support kraft.version), UNSUPPORTED_VERSION (kraft.version 0),
/// DUPLICATE_VOTER, and REQUEST_TIMED_OUT: another change is under way, the node does not answer ApiVersions, or has not caught up with the
/// log. In version 1 the client says whether the answer comes when the change is committed, or when it is appended.
/// </remarks>
internal sealed class AddRaftVoterHandler(RaftHost raft, RaftMessageConverter converter)
    : IApiHandler<AddRaftVoterRequest, AddRaftVoterResponse>
{
    public async ValueTask<AddRaftVoterResponse?> HandleAsync(RequestContext context, AddRaftVoterRequest request)
    {
        var call = converter.Call(request) ?? throw RaftApis.OtherCluster(request.ClusterId);
        var reply = await raft.AskAsync(call, static (error, leader) => new AddVoterReply(error, null, leader.LeaderId, leader.Epoch));
        return RaftMessageConverter.Response(reply);
    }
}
