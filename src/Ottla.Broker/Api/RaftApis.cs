using Ottla.Broker.Hosts;
using Ottla.Broker.Peers;
using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Raft;

namespace Ottla.Broker.Api;

/// <summary>What the handlers of the metadata quorum's APIs work with.</summary>
/// <param name="Raft">The metadata log of this node.</param>
/// <param name="ClusterId">The cluster id.</param>
/// <param name="ListenerName">The first of <c>controller.listener.names</c>.</param>
public sealed record RaftServices(RaftHost Raft, string ClusterId, string ListenerName);

/// <summary>The APIs of the metadata quorum, which controllers serve to its nodes, and to tools that change its voters.</summary>
internal static class RaftApis
{
    /// <summary>Their entries in the table of a controller's listeners.</summary>
    public static IEnumerable<ApiEntry> Entries(RaftServices services)
    {
        var converter = new RaftMessageConverter(services.ClusterId, services.ListenerName);
        var raft = services.Raft;
        return
        [
            new ReusingApiEntry<FetchRequest, FetchResponse>(new MetadataFetchHandler(raft, converter)),
            new PlainApiEntry<VoteRequest, VoteResponse>(new VoteHandler(raft, converter)),
            new PlainApiEntry<BeginQuorumEpochRequest, BeginQuorumEpochResponse>(new BeginQuorumEpochHandler(raft, converter)),
            new PlainApiEntry<EndQuorumEpochRequest, EndQuorumEpochResponse>(new EndQuorumEpochHandler(raft, converter)),
            new PlainApiEntry<FetchSnapshotRequest, FetchSnapshotResponse>(new FetchSnapshotHandler(raft, converter)),
            new PlainApiEntry<AddRaftVoterRequest, AddRaftVoterResponse>(new AddRaftVoterHandler(raft, converter)),
            new PlainApiEntry<RemoveRaftVoterRequest, RemoveRaftVoterResponse>(new RemoveRaftVoterHandler(raft, converter)),
            new PlainApiEntry<UpdateRaftVoterRequest, UpdateRaftVoterResponse>(new UpdateRaftVoterHandler(raft, converter)),
        ];
    }

    /// <summary>Asks the Raft machine. When the metadata log is closed already, <paramref name="closed"/> makes the answer.</summary>
    /// <param name="raft">The metadata log.</param>
    /// <param name="call">The request.</param>
    /// <param name="closed">Makes the answer of an error; it names the last known leader.</param>
    public static async ValueTask<TReply> AskAsync<TReply>(
        this RaftHost raft, RaftRequest call, Func<ErrorCode, QuorumLeader, TReply> closed)
        where TReply : RaftResponse
    {
        try
        {
            return (TReply)await raft.HandleAsync(call);
        }
        catch (MetadataLogException e) when (e.ErrorCode == ErrorCode.BrokerNotAvailable)
        {
            var leader = raft.KnownLeader;
            return closed(e.ErrorCode, leader) with { LeaderEndpoints = leader.Endpoints };
        }
    }

    /// <summary>The error of a request for another cluster.</summary>
    public static ApiException OtherCluster(string? id) =>
        new(ErrorCode.InconsistentClusterId, $"The request is for the cluster {id}, and this is another one.");
}
