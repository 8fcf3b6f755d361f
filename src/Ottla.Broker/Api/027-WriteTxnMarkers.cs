using Ottla.Broker.Hosts.Transactions;
using Ottla.Broker.Server;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using MarkerResult = Ottla.Protocol.Messages.WriteTxnMarkersResponse.WritableTxnMarkerResult;

namespace Ottla.Broker.Api;

/// <summary>
/// WriteTxnMarkers (key 27), versions 1 and 2: coordinators end transactions in the partitions led here, and operators end one that hangs.
/// </summary>
/// <remarks>
/// Version 2 says the transaction version, from 2 on of which a marker's epoch is higher than any before. Errors, for each partition:
/// UNKNOWN_TOPIC_OR_PARTITION, NOT_LEADER_OR_FOLLOWER, NOT_ENOUGH_REPLICAS, INVALID_PRODUCER_EPOCH, TRANSACTION_COORDINATOR_FENCED,
/// REQUEST_TIMED_OUT, KAFKA_STORAGE_ERROR.
/// </remarks>
internal sealed class WriteTxnMarkersHandler(TransactionMarkers markers) : IApiHandler<WriteTxnMarkersRequest, WriteTxnMarkersResponse>
{
    public async ValueTask<WriteTxnMarkersResponse?> HandleAsync(RequestContext context, WriteTxnMarkersRequest request)
    {
        // One result for a producer, as Kafka answers, even if several markers of the request are its; none for one without partitions.
        var results = new Dictionary<long, Dictionary<TopicPartition, ErrorCode>>();
        foreach (var wanted in request.Markers)
        {
            var marker = new TransactionMarker(
                new ProducerIdAndEpoch(wanted.ProducerId, wanted.ProducerEpoch), wanted.TransactionResult, wanted.CoordinatorEpoch,
                wanted.TransactionVersion);
            var partitions = wanted.Topics.SelectMany(
                topic => topic.PartitionIndexes.Select(index => new TopicPartition(topic.Name, index))).ToHashSet();
            if (partitions.Count == 0)
                continue;
            if (!results.TryGetValue(wanted.ProducerId, out var ofProducer))
                results.Add(wanted.ProducerId, ofProducer = []);
            foreach (var (partition, error) in await markers.WriteAsync(marker, partitions))
                ofProducer[partition] = error;
        }

        return new WriteTxnMarkersResponse { Markers = [.. results.Select(result => ToResult(result.Key, result.Value))] };
    }

    private static MarkerResult ToResult(long producerId, Dictionary<TopicPartition, ErrorCode> errors) => new()
    {
        ProducerId = producerId,
        Topics =
        [
            .. errors.GroupBy(result => result.Key.Topic, StringComparer.Ordinal)
                .Select(topic => new WriteTxnMarkersResponse.WritableTxnMarkerTopicResult
            {
                Name = topic.Key,
                Partitions =
                [
                    .. topic.Select(result => new WriteTxnMarkersResponse.WritableTxnMarkerPartitionResult
                    {
                        PartitionIndex = result.Key.Partition,
                        ErrorCode = (short)result.Value,
                    }),
                ],
            }),
        ],
    };
}
