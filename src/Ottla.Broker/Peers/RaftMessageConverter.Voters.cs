using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Raft;

namespace Ottla.Broker.Peers;

/// <summary>AddRaftVoter, RemoveRaftVoter and UpdateRaftVoter (KIP-853).</summary>
internal sealed partial class RaftMessageConverter
{
    public AddRaftVoterRequest Request(AddVoterCall call) => new()
    {
        ClusterId = clusterId,
        TimeoutMs = call.TimeoutMs,
        VoterId = call.Voter.Id,
        VoterDirectoryId = call.Voter.DirectoryId,
        Listeners = [.. call.Endpoints.Select(each =>
            new AddRaftVoterRequest.Listener { Name = each.Name, Host = each.Host, Port = each.Port })],
        AckWhenCommitted = call.AckWhenCommitted,
    };

    /// <returns>Null when it is for another cluster.</returns>
    public AddVoterCall? Call(AddRaftVoterRequest request) => !IsThisCluster(request.ClusterId) ? null : new AddVoterCall(
        new ReplicaKey(request.VoterId, request.VoterDirectoryId),
        [.. request.Listeners.Select(each => new RaftEndpoint(each.Name, each.Host, each.Port))],
        request.TimeoutMs,
        request.AckWhenCommitted);

    public static AddRaftVoterResponse Response(AddVoterReply reply) =>
        new() { ErrorCode = (short)reply.Error, ErrorMessage = reply.Message };

    public static AddVoterReply Reply(AddRaftVoterResponse response) =>
        new((ErrorCode)response.ErrorCode, response.ErrorMessage, LeaderId: -1, Epoch: -1);

    public RemoveRaftVoterRequest Request(RemoveVoterCall call) =>
        new() { ClusterId = clusterId, VoterId = call.Voter.Id, VoterDirectoryId = call.Voter.DirectoryId };

    /// <returns>Null when it is for another cluster.</returns>
    public RemoveVoterCall? Call(RemoveRaftVoterRequest request) =>
        !IsThisCluster(request.ClusterId) ? null : new RemoveVoterCall(new ReplicaKey(request.VoterId, request.VoterDirectoryId));

    public static RemoveRaftVoterResponse Response(RemoveVoterReply reply) =>
        new() { ErrorCode = (short)reply.Error, ErrorMessage = reply.Message };

    public static RemoveVoterReply Reply(RemoveRaftVoterResponse response) =>
        new((ErrorCode)response.ErrorCode, response.ErrorMessage, LeaderId: -1, Epoch: -1);

    public UpdateRaftVoterRequest Request(UpdateVoterCall call) => new()
    {
        ClusterId = clusterId,
        CurrentLeaderEpoch = call.Epoch,
        VoterId = call.Voter.Key.Id,
        VoterDirectoryId = call.Voter.Key.DirectoryId,
        Listeners = [.. call.Voter.Endpoints.Select(each =>
            new UpdateRaftVoterRequest.Listener { Name = each.Name, Host = each.Host, Port = each.Port })],
        KRaftVersionFeature = new()
        {
            MinSupportedVersion = call.Voter.KRaftVersionMin,
            MaxSupportedVersion = call.Voter.KRaftVersionMax,
        },
    };

    /// <returns>Null when it is for another cluster.</returns>
    public UpdateVoterCall? Call(UpdateRaftVoterRequest request) => !IsThisCluster(request.ClusterId) ? null : new UpdateVoterCall(
        request.CurrentLeaderEpoch,
        new Voter(
            new ReplicaKey(request.VoterId, request.VoterDirectoryId),
            [.. request.Listeners.Select(each => new RaftEndpoint(each.Name, each.Host, each.Port))],
            request.KRaftVersionFeature.MinSupportedVersion,
            request.KRaftVersionFeature.MaxSupportedVersion));

    /// <param name="reply">What the machine answers.</param>
    /// <param name="listener">The listener that the request came in on.</param>
    public static UpdateRaftVoterResponse Response(UpdateVoterReply reply, string listener)
    {
        var leader = new UpdateRaftVoterResponse.CurrentLeaderData { LeaderId = reply.LeaderId, LeaderEpoch = reply.Epoch };
        if (EndpointOn(listener, reply) is { } endpoint)
            (leader.Host, leader.Port) = (endpoint.Host, endpoint.Port);
        return new() { ErrorCode = (short)reply.Error, CurrentLeader = leader };
    }

    public UpdateVoterReply Reply(UpdateRaftVoterResponse response)
    {
        var leader = response.CurrentLeader ?? new();
        return new UpdateVoterReply((ErrorCode)response.ErrorCode, leader.LeaderId, leader.LeaderEpoch)
        {
            LeaderEndpoints = leader is { LeaderId: >= 0, Host.Length: > 0, Port: >= 0 and <= ushort.MaxValue }
                ? [new RaftEndpoint(listenerName, leader.Host, (ushort)leader.Port)] : [],
        };
    }
}
