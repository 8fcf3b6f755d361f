using Ottla.Broker.Hosts;
using Ottla.Broker.Peers;
using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Raft;

namespace Ottla.Broker.Api;

/// <summary>FetchSnapshot (key 59), versions 0 and 1: a replica of the metadata log gets a snapshot, piece by piece (KIP-630).</summary>
/// <remarks>
/// Errors of the whole request: INCONSISTENT_CLUSTER_ID, and INVALID_REQUEST unless it names one partition. Errors of the partition:
/// UNKNOWN_TOPIC_OR_PARTITION for any but __cluster_metadata-0; from the Raft machine FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH,
/// NOT_LEADER_OR_FOLLOWER, BROKER_NOT_AVAILABLE, SNAPSHOT_NOT_FOUND (also for the bootstrap snapshot 0-0), POSITION_OUT_OF_RANGE. A piece
/// begins and ends anywhere, and has at most MaxBytes. Version 1 names the leader's endpoint.
/// </remarks>
internal sealed class FetchSnapshotHandler(RaftHost raft, RaftMessageConverter converter)
    : IApiHandler<FetchSnapshotRequest, FetchSnapshotResponse>
{
    public async ValueTask<FetchSnapshotResponse?> HandleAsync(RequestContext context, FetchSnapshotRequest request)
    {
        var listener = context.Connection.ListenerName;
        if (converter.Call(request, out var error) is not { } call)
            return error == ErrorCode.UnknownTopicOrPartition
                ? RaftMessageConverter.UnknownPartition(request, raft.KnownLeader, listener, context.ApiVersion)
                : new FetchSnapshotResponse { ErrorCode = (short)error };
        var reply = await raft.AskAsync(
            call, (failure, leader) => new FetchSnapshotReply(failure, leader.LeaderId, leader.Epoch, call.Snapshot, call.Position));
        return RaftMessageConverter.Response(reply, listener, context.ApiVersion);
    }
}
