using Ottla.Broker.Hosts;
using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Raft;
using Ottla.Storage.Upkeep;
using PartitionResponse = Ottla.Protocol.Messages.DescribeQuorumResponse.PartitionData;
using ReplicaState = Ottla.Protocol.Messages.DescribeQuorumResponse.ReplicaState;

namespace Ottla.Broker.Api;

/// <summary>
/// DescribeQuorum (key 55), versions 0 to 2: leader, voters and observers of the metadata quorum, and how much of the log each of them has.
/// </summary>
/// <remarks>
/// Errors: BROKER_NOT_AVAILABLE while the node stops; INVALID_REQUEST if it asks for more than one partition; per partition
/// UNKNOWN_TOPIC_OR_PARTITION for anything but __cluster_metadata-0, and NOT_LEADER_OR_FOLLOWER from a node that does not lead the quorum.
/// </remarks>
internal sealed class DescribeQuorumHandler(Func<Task<QuorumInfo>> quorum) : IApiHandler<DescribeQuorumRequest, DescribeQuorumResponse>
{
    private const short FirstVersionWithNodes = 2;

    public async ValueTask<DescribeQuorumResponse?> HandleAsync(RequestContext context, DescribeQuorumRequest request)
    {
        var info = await DescribeAsync();
        var response = new DescribeQuorumResponse
        {
            Topics =
            [
                .. request.Topics.Select(topic => new DescribeQuorumResponse.TopicData
                {
                    TopicName = topic.TopicName,
                    Partitions = [
                        .. topic.Partitions.Select(partition => Describe(context, info, topic.TopicName, partition.PartitionIndex))],
                }),
            ],
        };
        if (context.ApiVersion >= FirstVersionWithNodes)
        {
            response.Nodes =
            [
                .. info.VoterSet.Voters.Select(voter => new DescribeQuorumResponse.Node
                {
                    NodeId = voter.Key.Id,
                    Listeners = [
                        .. voter.Endpoints.Select(
                            endpoint =>
                            new DescribeQuorumResponse.Listener { Name = endpoint.Name, Host = endpoint.Host, Port = endpoint.Port })],
                }),
            ];
        }

        return response;
    }

    private async Task<QuorumInfo> DescribeAsync()
    {
        try
        {
            return await quorum();
        }
        catch (MetadataLogException e)
        {
            throw new ApiException(e.ErrorCode, e.Message);
        }
    }

    private static PartitionResponse Describe(RequestContext context, QuorumInfo info, string topic, int partition)
    {
        if (topic != LogManager.MetadataTopic || partition != 0)
            return new PartitionResponse { PartitionIndex = partition, ErrorCode = (short)ErrorCode.UnknownTopicOrPartition };
        if (info.Role != RaftRole.Leader)
            return new PartitionResponse { PartitionIndex = partition, ErrorCode = (short)ErrorCode.NotLeaderOrFollower };
        return new PartitionResponse
        {
            PartitionIndex = partition,
            LeaderId = info.LeaderId,
            LeaderEpoch = info.Epoch,
            HighWatermark = info.HighWatermark,
            CurrentVoters = [.. info.Voters.Select(replica => ToResponse(replica, context.ApiVersion))],
            Observers = [.. info.Observers.Select(replica => ToResponse(replica, context.ApiVersion))],
        };
    }

    private static ReplicaState ToResponse(ReplicaInfo replica, short version) => new()
    {
        ReplicaId = replica.Key.Id,
        ReplicaDirectoryId = version >= FirstVersionWithNodes ? replica.Key.DirectoryId : default,
        LogEndOffset = replica.LogEndOffset,
        LastFetchTimestamp = replica.LastFetchTimestampMs,
        LastCaughtUpTimestamp = replica.LastCaughtUpTimestampMs,
    };
}
