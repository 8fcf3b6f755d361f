using Ottla.Broker.Hosts.Transactions;
using Ottla.Broker.Server;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using MarkerResult = Ottla.Protocol.Messages.WriteTxnMarkersResponse.WritableTxnMarkerResult;

namespace Ottla.Broker.Api;

/// <summary>
/// WriteTxnMarkers (key 27), versions 1 and 2: coordinators end transactions in the partitions that this broker leads, and operators end a
/// hanging one.
/// </summary>
/// <remarks>
/// Version 2 names the transaction version. From transaction version 2 on, a marker's epoch is higher than the epoch of the records.
/// Errors, for each partition: UNKNOWN_TOPIC_OR_PARTITION, NOT_LEADER_OR_FOLLOWER, NOT_ENOUGH_REPLICAS, INVALID_PRODUCER_EPOCH,
/// TRANSACTION_COORDINATOR_FENCED, REQUEST_TIMED_OUT, KAFKA_STORAGE_ERROR.
/// </remarks>
internal sealed class WriteTxnMarkersHandler(TransactionMarkers markers) : IApiHandler<WriteTxnMarkersRequest, WriteTxnMarkersResponse>
{
    public async ValueTask<WriteTxnMarkersResponse?> HandleAsync(RequestContext context, WriteTxnMarkersRequest request)
    {
        // As Kafka does: one result for each producer, even if the request has several of its markers, and none for a producer without
        // partitions.
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
