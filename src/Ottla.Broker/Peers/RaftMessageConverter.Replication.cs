using System.Runtime.InteropServices;
using Ottla.Broker.Hosts;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Wire;
using Ottla.StateMachines.Raft;

namespace Ottla.Broker.Peers;

/// <summary>Fetch of the metadata log, and FetchSnapshot.</summary>
internal sealed partial class RaftMessageConverter
{
    private const short FirstFetchWithReplicaState = 15;
    private const short FirstFetchWithEndpoints = 17;

    /// <param name="call">What the machine asks.</param>
    /// <param name="version">The version to send: before 15 the replica is named in another field.</param>
    public FetchRequest Request(FetchCall call, short version)
    {
        var request = new FetchRequest
        {
            ClusterId = clusterId,
            MaxWaitMs = call.MaxWaitMs,
            MaxBytes = call.MaxBytes,
            Topics =
            [
                new()
                {
                    Topic = RaftBootstrap.TopicName,
                    TopicId = Uuid.One,
                    Partitions =
                    [
                        new()
                        {
                            Partition = Partition,
                            CurrentLeaderEpoch = call.Epoch,
                            FetchOffset = call.LogEnd.Offset,
                            LastFetchedEpoch = call.LogEnd.Epoch,
                            ReplicaDirectoryId = call.Replica.DirectoryId,
                            HighWatermark = call.HighWatermark,
                        },
                    ],
                },
            ],
        };
        if (version >= FirstFetchWithReplicaState)
            request.ReplicaState = new() { ReplicaId = call.Replica.Id };
        else
            request.ReplicaId = call.Replica.Id;
        return request;
    }

    /// <returns>Null with an error of the whole request.</returns>
    public FetchCall? Call(FetchRequest request, out ErrorCode error)
    {
        var partition = request.Topics is [{ Partitions: [{ Partition: Partition } only] } topic]
            && topic.TopicId == Uuid.One ? only : null;
        error = Check(request.ClusterId, partition is not null);
        if (error != ErrorCode.None)
            return null;
        var replicaId = request.ReplicaId != -1 ? request.ReplicaId : request.ReplicaState?.ReplicaId ?? -1;
        return new FetchCall(
            partition!.CurrentLeaderEpoch,
            new ReplicaKey(replicaId, partition.ReplicaDirectoryId),
            new LogPosition(partition.FetchOffset, partition.LastFetchedEpoch),
            partition.HighWatermark,
            request.MaxWaitMs)
        {
            MaxBytes = request.MaxBytes,
        };
    }

    /// <summary>Fills the response; records are taken over without a copy.</summary>
    /// <inheritdoc cref="Response(VoteReply, string, short)"/>
    public static FetchResponse Fill(FetchResponse response, FetchReply reply, string listener, short version)
    {
        var partition = new FetchResponse.PartitionData
        {
            PartitionIndex = Partition,
            ErrorCode = (short)reply.Error,
            HighWatermark = reply.HighWatermark,
            LogStartOffset = reply.LogStartOffset,
            CurrentLeader = new() { LeaderId = reply.LeaderId, LeaderEpoch = reply.Epoch },
            Records = new Records(MemoryMarshal.AsMemory(reply.Records)),
        };
        if (reply.Diverging is { } diverging)
            partition.DivergingEpoch = new() { Epoch = diverging.Epoch, EndOffset = diverging.Offset };
        if (reply.Snapshot is { } snapshot)
            partition.SnapshotId = new() { EndOffset = snapshot.Offset, Epoch = snapshot.Epoch };
        response.Responses = [new() { Topic = RaftBootstrap.TopicName, TopicId = Uuid.One, Partitions = [partition] }];
        if (version >= FirstFetchWithEndpoints && EndpointOn(listener, reply) is { } endpoint)
            response.NodeEndpoints = [new() { NodeId = reply.LeaderId, Host = endpoint.Host, Port = endpoint.Port }];
        return response;
    }

    /// <returns>Null when the response is not one to our request.</returns>
    public FetchReply? Reply(FetchResponse response)
    {
        if (response.ErrorCode != 0)
            return new FetchReply((ErrorCode)response.ErrorCode, LeaderId: -1, Epoch: -1, HighWatermark: -1);
        if (response.Responses is not [{ Partitions: [{ PartitionIndex: Partition } partition] } topic] || topic.TopicId != Uuid.One)
            return null;
        var leaderId = partition.CurrentLeader?.LeaderId ?? -1;
        return new FetchReply((ErrorCode)partition.ErrorCode, leaderId, partition.CurrentLeader?.LeaderEpoch ?? -1, partition.HighWatermark)
        {
            LogStartOffset = partition.LogStartOffset,
            Diverging = partition.DivergingEpoch is { EndOffset: >= 0 } diverging
                ? new LogPosition(diverging.EndOffset, diverging.Epoch) : null,
            Snapshot = partition.SnapshotId is { EndOffset: >= 0 } snapshot ? new LogPosition(snapshot.EndOffset, snapshot.Epoch) : null,
            Records = partition.Records.Memory,
            LeaderEndpoints = Endpoints(response.NodeEndpoints, leaderId, static node => (node.NodeId, node.Host, node.Port)),
        };
    }

    public FetchSnapshotRequest Request(FetchSnapshotCall call) => new()
    {
        ClusterId = clusterId,
        ReplicaId = call.Replica.Id,
        MaxBytes = call.MaxBytes,
        Topics =
        [
            new()
            {
                Name = RaftBootstrap.TopicName,
                Partitions =
                [
                    new()
                    {
                        Partition = Partition,
                        CurrentLeaderEpoch = call.Epoch,
                        SnapshotId = new() { EndOffset = call.Snapshot.Offset, Epoch = call.Snapshot.Epoch },
                        Position = call.Position,
                        ReplicaDirectoryId = call.Replica.DirectoryId,
                    },
                ],
            },
        ],
    };

    /// <summary>
    /// A request for another partition is an error of that partition: UNKNOWN_TOPIC_OR_PARTITION, and no error of the whole request.
    /// </summary>
    /// <returns>Null with an error.</returns>
    public FetchSnapshotCall? Call(FetchSnapshotRequest request, out ErrorCode error)
    {
        var (topic, partition) = request.Topics is [{ Partitions: [var only] } its] ? (its, only) : default;
        error = Check(request.ClusterId, partition is not null);
        if (error != ErrorCode.None)
            return null;
        if (topic.Name != RaftBootstrap.TopicName || partition!.Partition != Partition)
        {
            error = ErrorCode.UnknownTopicOrPartition;
            return null;
        }

        return new FetchSnapshotCall(
            partition.CurrentLeaderEpoch,
            new ReplicaKey(request.ReplicaId, partition.ReplicaDirectoryId),
            new LogPosition(partition.SnapshotId.EndOffset, partition.SnapshotId.Epoch),
            partition.Position,
            request.MaxBytes);
    }

    /// <inheritdoc cref="Response(VoteReply, string, short)"/>
    public static FetchSnapshotResponse Response(FetchSnapshotReply reply, string listener, short version)
    {
        var response = new FetchSnapshotResponse
        {
            Topics =
            [
                new()
                {
                    Name = RaftBootstrap.TopicName,
                    Partitions =
                    [
                        new()
                        {
                            Index = Partition,
                            ErrorCode = (short)reply.Error,
                            SnapshotId = reply.Error == ErrorCode.None
                                ? new() { EndOffset = reply.Snapshot.Offset, Epoch = reply.Snapshot.Epoch } : new(),
                            CurrentLeader = new() { LeaderId = reply.LeaderId, LeaderEpoch = reply.Epoch },
                            Size = reply.Size,
                            Position = reply.Error == ErrorCode.None ? reply.Position : 0,
                            UnalignedRecords = new Records(MemoryMarshal.AsMemory(reply.Bytes)),
                        },
                    ],
                },
            ],
        };
        if (version >= FirstVersionWithEndpoints && EndpointOn(listener, reply) is { } endpoint)
            response.NodeEndpoints = [new() { NodeId = reply.LeaderId, Host = endpoint.Host, Port = endpoint.Port }];
        return response;
    }

    /// <summary>The answer for a partition that there is not: it names the leader all the same.</summary>
    public static FetchSnapshotResponse UnknownPartition(FetchSnapshotRequest request, QuorumLeader leader, string listener, short version)
    {
        var reply = new FetchSnapshotReply(ErrorCode.UnknownTopicOrPartition, leader.LeaderId, leader.Epoch, default, 0)
        {
            LeaderEndpoints = leader.Endpoints,
        };
        var response = Response(reply, listener, version);
        var asked = request.Topics[0];
        response.Topics[0].Name = asked.Name;
        response.Topics[0].Partitions[0].Index = asked.Partitions[0].Partition;
        response.Topics[0].Partitions[0].CurrentLeader = null;
        return response;
    }

    /// <returns>Null when the response is not one to our request.</returns>
    public FetchSnapshotReply? Reply(FetchSnapshotResponse response)
    {
        if (response.ErrorCode != 0)
            return new FetchSnapshotReply((ErrorCode)response.ErrorCode, LeaderId: -1, Epoch: -1, default, 0);
        if (response.Topics is not [{ Name: RaftBootstrap.TopicName, Partitions: [{ Index: Partition } partition] }])
            return null;
        var leaderId = partition.CurrentLeader?.LeaderId ?? -1;
        return new FetchSnapshotReply(
            (ErrorCode)partition.ErrorCode,
            leaderId,
            partition.CurrentLeader?.LeaderEpoch ?? -1,
            new LogPosition(partition.SnapshotId.EndOffset, partition.SnapshotId.Epoch),
            partition.Position)
        {
            Size = partition.Size,
            Bytes = partition.UnalignedRecords.Memory,
            LeaderEndpoints = Endpoints(response.NodeEndpoints, leaderId, static node => (node.NodeId, node.Host, node.Port)),
        };
    }
}
