using Ottla.Broker.Hosts;
using Ottla.Broker.Peers;
using Ottla.Broker.Server;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Raft;

namespace Ottla.Broker.Api;

/// <summary>Fetch (key 1) on a controller's listener, versions 4 to 18: replicas follow the metadata log (KIP-595).</summary>
/// <remarks>
/// Of the whole request: INCONSISTENT_CLUSTER_ID, and INVALID_REQUEST unless it names the id of __cluster_metadata and its partition 0
/// alone, so also below version 13, which has no topic ids. Of the partition, from the machine: INVALID_REQUEST, FENCED_LEADER_EPOCH,
/// UNKNOWN_LEADER_EPOCH, NOT_LEADER_OR_FOLLOWER, BROKER_NOT_AVAILABLE. There are no fetch sessions. The machine parks a fetch up to its
/// MaxWaitMs while there are no new records and the sender knows the high watermark (version 18, KIP-1166). Every answer names the leader
/// and the epoch; from version 17 on also its endpoint on the listener that the request came in on.
/// </remarks>
internal sealed class MetadataFetchHandler(RaftHost raft, RaftMessageConverter converter) : IReusingApiHandler<FetchRequest, FetchResponse>
{
    public async ValueTask<FetchResponse?> HandleAsync(RequestContext context, FetchRequest request, FetchResponse response)
    {
        if (converter.Call(request, out var error) is not { } call)
        {
            response.ErrorCode = (short)error;
            return response;
        }

        var reply = await raft.AskAsync(
            call, static (failure, leader) => new FetchReply(failure, leader.LeaderId, leader.Epoch, HighWatermark: -1));
        return RaftMessageConverter.Fill(response, reply, context.Connection.ListenerName, context.ApiVersion);
    }
}
