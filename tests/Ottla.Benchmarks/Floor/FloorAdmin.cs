using Ottla.Benchmarks.Load;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Wire;

namespace Ottla.Benchmarks.Floor;

/// <summary>What a run asks beside its load, so that broker and floor are prepared by the same requests. Not measured.</summary>
internal static class FloorAdmin
{
    private const int NodeId = 0;
    private const short RequestHeaderVersion = 1;

    /// <summary>Answers a request in the version that <see cref="TargetAdmin"/> uses.</summary>
    /// <exception cref="IOException">The floor does not know the API.</exception>
    public static void Answer(ApiKey key, Memory<byte> frame, FloorTopic topic, FloorResponses responses)
    {
        var reader = new WireReader(frame);
        var correlationId = RequestHeader.Read(ref reader, RequestHeaderVersion).CorrelationId;
        switch (key)
        {
            case ApiKey.ApiVersions:
                responses.Add(correlationId, new ApiVersionsResponse(), TargetAdmin.ApiVersionsVersion);
                break;
            case ApiKey.CreateTopics:
                var created = CreateTopicsRequest.Read(ref reader, TargetAdmin.CreateTopicsVersion).Topics[0];
                topic.Reset(created.NumPartitions);
                responses.Add(
                    correlationId, new CreateTopicsResponse { Topics = [new() { Name = created.Name }] }, TargetAdmin.CreateTopicsVersion);
                break;
            case ApiKey.DeleteTopics:
                var deleted = DeleteTopicsRequest.Read(ref reader, TargetAdmin.DeleteTopicsVersion).TopicNames[0];
                topic.Reset(0);
                responses.Add(
                    correlationId, new DeleteTopicsResponse { Responses = [new() { Name = deleted }] }, TargetAdmin.DeleteTopicsVersion);
                break;
            case ApiKey.Metadata:
                var described = MetadataRequest.Read(ref reader, TargetAdmin.MetadataVersion).Topics![0].Name;
                responses.Add(correlationId, Describe(described, topic.Count), TargetAdmin.MetadataVersion);
                break;
            case ApiKey.ListOffsets:
                var listed = ListOffsetsRequest.Read(ref reader, TargetAdmin.ListOffsetsVersion).Topics[0];
                responses.Add(correlationId, ListEnds(listed, topic), TargetAdmin.ListOffsetsVersion);
                break;
            default:
                throw new IOException($"The floor does not serve {key}.");
        }
    }

    private static MetadataResponse Describe(string? name, int partitions) => new()
    {
        Topics =
        [
            new()
            {
                Name = name,
                Partitions = [
                    .. Enumerable.Range(0, partitions)
                    .Select(index => new MetadataResponse.MetadataResponsePartition { PartitionIndex = index, LeaderId = NodeId })],
            },
        ],
    };

    private static ListOffsetsResponse ListEnds(ListOffsetsRequest.ListOffsetsTopic asked, FloorTopic topic) => new()
    {
        Topics =
        [
            new()
            {
                Name = asked.Name,
                Partitions =
                [
                    .. asked.Partitions.Select(partition => new ListOffsetsResponse.ListOffsetsPartitionResponse
                    {
                        PartitionIndex = partition.PartitionIndex,
                        Offset = topic[partition.PartitionIndex].NextOffset,
                    }),
                ],
            },
        ],
    };
}
