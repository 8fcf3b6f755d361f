using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Requests;
using Ottla.StateMachines.Metadata;

namespace Ottla.Broker.Hosts.Transactions;

/// <summary>Writes the markers of a transaction: directly to partitions that this broker leads, by WriteTxnMarkers to the others.</summary>
/// <remarks>Used by the transaction coordinators of this broker, which retry failed markers; lives as long as the broker.</remarks>
public sealed class TransactionMarkerSender
{
    private readonly int _nodeId;
    private readonly TransactionMarkers _local;
    private readonly Func<int, RequestChannel?> _channelTo;
    private readonly Func<MetadataImage> _image;

    /// <param name="nodeId">This broker.</param>
    /// <param name="local">Writes to the partitions that this broker leads.</param>
    /// <param name="channelTo">The channel to another broker; null while this broker has no address of it.</param>
    /// <param name="image">The metadata, with the leaders of partitions.</param>
    public TransactionMarkerSender(int nodeId, TransactionMarkers local, Func<int, RequestChannel?> channelTo, Func<MetadataImage> image)
    {
        _nodeId = nodeId;
        _local = local;
        _channelTo = channelTo;
        _image = image;
    }

    /// <summary>Writes a marker to each of the partitions.</summary>
    /// <returns>
    /// The result for each partition: NOT_LEADER_OR_FOLLOWER when there is no leader with a known address, REQUEST_TIMED_OUT when the
    /// leader did not answer.
    /// </returns>
    public async ValueTask<IReadOnlyDictionary<TopicPartition, ErrorCode>> WriteAsync(
        TransactionMarker marker, IReadOnlyCollection<TopicPartition> partitions)
    {
        var results = new Dictionary<TopicPartition, ErrorCode>(partitions.Count);
        var image = _image();
        var sent = new List<Task<IReadOnlyDictionary<TopicPartition, ErrorCode>>>();
        foreach (var ofLeader in partitions.GroupBy(partition => image.Topics.Partition(partition)?.Leader ?? _nodeId))
        {
            // A deleted partition goes to this broker, which does not find it.
            sent.Add(ofLeader.Key == _nodeId ? _local.WriteAsync(marker, [.. ofLeader]).AsTask()
                : SendAsync(ofLeader.Key, marker, [.. ofLeader]));
        }

        foreach (var answer in sent)
        {
            foreach (var (partition, error) in await answer)
                results[partition] = error;
        }

        return results;
    }

    private async Task<IReadOnlyDictionary<TopicPartition, ErrorCode>> SendAsync(
        int leader, TransactionMarker marker, List<TopicPartition> partitions)
    {
        if (leader < 0 || _channelTo(leader) is not { } channel)
            return All(ErrorCode.NotLeaderOrFollower);
        WriteTxnMarkersResponse answer;
        try
        {
            answer = await channel.SendAsync<WriteTxnMarkersRequest, WriteTxnMarkersResponse>(RequestOf(marker, partitions));
        }
        catch (RequestFailedException)
        {
            return All(ErrorCode.RequestTimedOut); // the leader may have written it; a second marker does no harm
        }

        var errors = answer.Markers.Where(result => result.ProducerId == marker.Producer.Id)
            .SelectMany(result => result.Topics)
            .SelectMany(
                topic => topic.Partitions.Select(
                    partition => (Partition: new TopicPartition(topic.Name, partition.PartitionIndex), partition.ErrorCode)))
            .ToDictionary(each => each.Partition, each => (ErrorCode)each.ErrorCode);
        return partitions.ToDictionary(
            partition => partition, partition => errors.GetValueOrDefault(partition, ErrorCode.UnknownServerError));

        IReadOnlyDictionary<TopicPartition, ErrorCode> All(ErrorCode error) => partitions.ToDictionary(partition => partition, _ => error);
    }

    private static WriteTxnMarkersRequest RequestOf(TransactionMarker marker, List<TopicPartition> partitions) => new()
    {
        Markers =
        [
            new WriteTxnMarkersRequest.WritableTxnMarker
            {
                ProducerId = marker.Producer.Id,
                ProducerEpoch = marker.Producer.Epoch,
                TransactionResult = marker.IsCommit,
                CoordinatorEpoch = marker.CoordinatorEpoch,
                TransactionVersion = (sbyte)marker.TransactionVersion,
                Topics =
                [
                    .. partitions.GroupBy(partition => partition.Topic, StringComparer.Ordinal)
                        .Select(topic => new WriteTxnMarkersRequest.WritableTxnMarkerTopic
                    {
                        Name = topic.Key,
                        PartitionIndexes = [.. topic.Select(partition => partition.Partition)],
                    }),
                ],
            },
        ],
    };
}
