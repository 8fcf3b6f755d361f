using Ottla.Broker.Monitoring;
using Ottla.Broker.Replicas;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Requests;
using Ottla.StateMachines.Metadata;

namespace Ottla.Broker.Hosts.Share;

/// <summary>Where partitions end for consumers: those that are led here are read, the others are asked of their leaders.</summary>
/// <remarks>Thread-safe; lives as long as the broker.</remarks>
/// <param name="nodeId">This broker.</param>
/// <param name="topics">The replicas of this broker.</param>
/// <param name="channels">The way to another broker; null while it is not known.</param>
/// <param name="image">The metadata: who leads what.</param>
internal sealed class LatestOffsets(int nodeId, HostedTopics topics, Func<int, RequestChannel?> channels, Func<MetadataImage> image)
{
    /// <summary>The high watermark of a partition.</summary>
    /// <exception cref="ApiException">LEADER_NOT_AVAILABLE, NETWORK_EXCEPTION, or what the leader answers.</exception>
    public async ValueTask<long> OfAsync(TopicPartition partition)
    {
        var leader = image().Topics.Partition(partition)?.Leader ?? -1;
        if (leader == nodeId && topics.Find(partition.Topic)?.Find(partition.Partition) is { } replica)
            return replica.Log.HighWatermark;
        if (leader < 0 || channels(leader) is not { } channel)
            throw new ApiException(ErrorCode.LeaderNotAvailable, $"The leader of {partition} cannot be asked now.");
        try
        {
            var answer = await channel.SendAsync<ListOffsetsRequest, ListOffsetsResponse>(LogEnds.RequestFor([partition]));
            return answer.Topics is [{ Partitions: [var end] }] && (ErrorCode)end.ErrorCode == ErrorCode.None
                ? end.Offset
                : throw new ApiException(
                    (ErrorCode)(answer.Topics.FirstOrDefault()?.Partitions.FirstOrDefault()?.ErrorCode
                        ?? (short)ErrorCode.UnknownServerError));
        }
        catch (RequestFailedException e)
        {
            throw new ApiException(ErrorCode.NetworkException, $"The leader of {partition} did not answer: {e.Message}");
        }
    }
}
