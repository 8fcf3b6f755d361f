using Ottla.Broker.Hosts;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Raft;

namespace Ottla.Broker.Peers;

/// <summary>Vote, BeginQuorumEpoch and EndQuorumEpoch.</summary>
internal sealed partial class RaftMessageConverter
{
    public VoteRequest Request(VoteCall call) => new()
    {
        ClusterId = clusterId,
        VoterId = call.Voter.Id,
        Topics =
        [
            new()
            {
                TopicName = RaftBootstrap.TopicName,
                Partitions =
                [
                    new()
                    {
                        PartitionIndex = Partition,
                        ReplicaEpoch = call.Epoch,
                        ReplicaId = call.Candidate.Id,
                        ReplicaDirectoryId = call.Candidate.DirectoryId,
                        VoterDirectoryId = call.Voter.DirectoryId,
                        LastOffsetEpoch = call.LogEnd.Epoch,
                        LastOffset = call.LogEnd.Offset,
                        PreVote = call.IsPreVote,
                    },
                ],
            },
        ],
    };

    /// <returns>Null with an error of the whole request.</returns>
    public VoteCall? Call(VoteRequest request, out ErrorCode error)
    {
        var partition = request.Topics is [{ TopicName: RaftBootstrap.TopicName, Partitions: [{ PartitionIndex: Partition } only] }]
            ? only : null;
        error = Check(request.ClusterId, partition is not null);
        return error != ErrorCode.None ? null : new VoteCall(
            partition!.ReplicaEpoch,
            new ReplicaKey(partition.ReplicaId, partition.ReplicaDirectoryId),
            new ReplicaKey(request.VoterId, partition.VoterDirectoryId),
            new LogPosition(partition.LastOffset, partition.LastOffsetEpoch),
            partition.PreVote);
    }

    /// <param name="reply">What the machine answers.</param>
    /// <param name="listener">The listener that the request came in on.</param>
    /// <param name="version">The version of the request.</param>
    public static VoteResponse Response(VoteReply reply, string listener, short version)
    {
        var response = new VoteResponse
        {
            Topics =
            [
                new()
                {
                    TopicName = RaftBootstrap.TopicName,
                    Partitions =
                    [
                        new()
                        {
                            PartitionIndex = Partition,
                            ErrorCode = (short)reply.Error,
                            LeaderId = reply.LeaderId,
                            LeaderEpoch = reply.Epoch,
                            VoteGranted = reply.IsGranted,
                        },
                    ],
                },
            ],
        };
        if (version >= FirstVersionWithEndpoints && EndpointOn(listener, reply) is { } endpoint)
            response.NodeEndpoints = [new() { NodeId = reply.LeaderId, Host = endpoint.Host, Port = endpoint.Port }];
        return response;
    }

    /// <returns>Null when the response is not one to our request.</returns>
    public VoteReply? Reply(VoteResponse response)
    {
        if (response.ErrorCode != 0)
            return new VoteReply((ErrorCode)response.ErrorCode, LeaderId: -1, Epoch: -1, IsGranted: false);
        return response.Topics is not [{ TopicName: RaftBootstrap.TopicName, Partitions: [{ PartitionIndex: Partition } partition] }]
            ? null
            : new VoteReply((ErrorCode)partition.ErrorCode, partition.LeaderId, partition.LeaderEpoch, partition.VoteGranted)
            {
                LeaderEndpoints = Endpoints(response.NodeEndpoints, partition.LeaderId, static node => (node.NodeId, node.Host, node.Port)),
            };
    }

    public BeginQuorumEpochRequest Request(BeginEpochCall call) => new()
    {
        ClusterId = clusterId,
        VoterId = call.Voter.Id,
        Topics =
        [
            new()
            {
                TopicName = RaftBootstrap.TopicName,
                Partitions =
                [
                    new()
                    {
                        PartitionIndex = Partition,
                        VoterDirectoryId = call.Voter.DirectoryId,
                        LeaderId = call.LeaderId,
                        LeaderEpoch = call.Epoch,
                    },
                ],
            },
        ],
        LeaderEndpoints = [.. call.LeaderEndpoints.Select(each =>
            new BeginQuorumEpochRequest.LeaderEndpoint { Name = each.Name, Host = each.Host, Port = each.Port })],
    };

    /// <returns>Null with an error of the whole request.</returns>
    public BeginEpochCall? Call(BeginQuorumEpochRequest request, out ErrorCode error)
    {
        var partition = request.Topics is [{ TopicName: RaftBootstrap.TopicName, Partitions: [{ PartitionIndex: Partition } only] }]
            ? only : null;
        error = Check(request.ClusterId, partition is not null);
        return error != ErrorCode.None ? null : new BeginEpochCall(
            partition!.LeaderEpoch, partition.LeaderId, new ReplicaKey(request.VoterId, partition.VoterDirectoryId))
        {
            LeaderEndpoints = [.. request.LeaderEndpoints.Select(each => new RaftEndpoint(each.Name, each.Host, each.Port))],
        };
    }

    /// <inheritdoc cref="Response(VoteReply, string, short)"/>
    public static BeginQuorumEpochResponse Response(BeginEpochReply reply, string listener, short version)
    {
        var response = new BeginQuorumEpochResponse
        {
            Topics =
            [
                new()
                {
                    TopicName = RaftBootstrap.TopicName,
                    Partitions =
                    [
                        new()
                        {
                            PartitionIndex = Partition,
                            ErrorCode = (short)reply.Error,
                            LeaderId = reply.LeaderId,
                            LeaderEpoch = reply.Epoch,
                        },
                    ],
                },
            ],
        };
        if (version >= FirstVersionWithEndpoints && EndpointOn(listener, reply) is { } endpoint)
            response.NodeEndpoints = [new() { NodeId = reply.LeaderId, Host = endpoint.Host, Port = endpoint.Port }];
        return response;
    }

    /// <returns>Null when the response is not one to our request.</returns>
    public BeginEpochReply? Reply(BeginQuorumEpochResponse response)
    {
        if (response.ErrorCode != 0)
            return new BeginEpochReply((ErrorCode)response.ErrorCode, LeaderId: -1, Epoch: -1);
        return response.Topics is not [{ TopicName: RaftBootstrap.TopicName, Partitions: [{ PartitionIndex: Partition } partition] }]
            ? null
            : new BeginEpochReply((ErrorCode)partition.ErrorCode, partition.LeaderId, partition.LeaderEpoch)
            {
                LeaderEndpoints = Endpoints(response.NodeEndpoints, partition.LeaderId, static node => (node.NodeId, node.Host, node.Port)),
            };
    }

    /// <summary>Version 0 carries the ids of the preferred candidates, version 1 their directories too: both are filled in.</summary>
    public EndQuorumEpochRequest Request(EndEpochCall call) => new()
    {
        ClusterId = clusterId,
        Topics =
        [
            new()
            {
                TopicName = RaftBootstrap.TopicName,
                Partitions =
                [
                    new()
                    {
                        PartitionIndex = Partition,
                        LeaderId = call.LeaderId,
                        LeaderEpoch = call.Epoch,
                        PreferredSuccessors = [.. call.PreferredCandidates.Select(each => each.Id)],
                        PreferredCandidates = [.. call.PreferredCandidates.Select(each =>
                            new EndQuorumEpochRequest.ReplicaInfo { CandidateId = each.Id, CandidateDirectoryId = each.DirectoryId })],
                    },
                ],
            },
        ],
        LeaderEndpoints = [.. call.LeaderEndpoints.Select(each =>
            new EndQuorumEpochRequest.LeaderEndpoint { Name = each.Name, Host = each.Host, Port = each.Port })],
    };

    /// <returns>Null with an error of the whole request.</returns>
    public EndEpochCall? Call(EndQuorumEpochRequest request, out ErrorCode error)
    {
        var partition = request.Topics is [{ TopicName: RaftBootstrap.TopicName, Partitions: [{ PartitionIndex: Partition } only] }]
            ? only : null;
        error = Check(request.ClusterId, partition is not null);
        if (error != ErrorCode.None)
            return null;
        ReplicaKey[] candidates = partition!.PreferredSuccessors.Length > 0
            ? [.. partition.PreferredSuccessors.Select(id => new ReplicaKey(id, Kernel.Uuid.Zero))]
            : [.. partition.PreferredCandidates.Select(each => new ReplicaKey(each.CandidateId, each.CandidateDirectoryId))];
        return new EndEpochCall(partition.LeaderEpoch, partition.LeaderId, candidates)
        {
            LeaderEndpoints = [.. request.LeaderEndpoints.Select(each => new RaftEndpoint(each.Name, each.Host, each.Port))],
        };
    }

    /// <inheritdoc cref="Response(VoteReply, string, short)"/>
    public static EndQuorumEpochResponse Response(EndEpochReply reply, string listener, short version)
    {
        var response = new EndQuorumEpochResponse
        {
            Topics =
            [
                new()
                {
                    TopicName = RaftBootstrap.TopicName,
                    Partitions =
                    [
                        new()
                        {
                            PartitionIndex = Partition,
                            ErrorCode = (short)reply.Error,
                            LeaderId = reply.LeaderId,
                            LeaderEpoch = reply.Epoch,
                        },
                    ],
                },
            ],
        };
        if (version >= FirstVersionWithEndpoints && EndpointOn(listener, reply) is { } endpoint)
            response.NodeEndpoints = [new() { NodeId = reply.LeaderId, Host = endpoint.Host, Port = endpoint.Port }];
        return response;
    }

    /// <returns>Null when the response is not one to our request.</returns>
    public EndEpochReply? Reply(EndQuorumEpochResponse response)
    {
        if (response.ErrorCode != 0)
            return new EndEpochReply((ErrorCode)response.ErrorCode, LeaderId: -1, Epoch: -1);
        return response.Topics is not [{ TopicName: RaftBootstrap.TopicName, Partitions: [{ PartitionIndex: Partition } partition] }]
            ? null
            : new EndEpochReply((ErrorCode)partition.ErrorCode, partition.LeaderId, partition.LeaderEpoch)
            {
                LeaderEndpoints = Endpoints(response.NodeEndpoints, partition.LeaderId, static node => (node.NodeId, node.Host, node.Port)),
            };
    }
}
