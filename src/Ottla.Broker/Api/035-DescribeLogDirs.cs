using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Storage.Log;
using Ottla.Storage.Upkeep;
using DirectoryResponse = Ottla.Protocol.Messages.DescribeLogDirsResponse.DescribeLogDirsResult;

namespace Ottla.Broker.Api;

/// <summary>DescribeLogDirs (key 35), versions 1 to 5: the size of each replica in each log directory, and the room left there.</summary>
/// <remarks>No topics named (null): all. Errors per directory: KAFKA_STORAGE_ERROR when it is offline.</remarks>
internal sealed class DescribeLogDirsHandler(LogManager logs) : IApiHandler<DescribeLogDirsRequest, DescribeLogDirsResponse>
{
    public ValueTask<DescribeLogDirsResponse?> HandleAsync(RequestContext context, DescribeLogDirsRequest request)
    {
        var wanted = request.Topics?.SelectMany(topic => topic.Partitions.Select(partition => new Kernel.TopicPartition(topic.Topic, partition))).ToHashSet();
        var byDirectory = logs.Logs
            .Where(log => wanted is null || wanted.Contains(log.Partition))
            .ToLookup(log => logs.FindDirectory(log.Partition));
        var response = new DescribeLogDirsResponse { Results = [.. logs.Directories.Select(directory => Describe(directory, byDirectory[directory]))] };
        return ValueTask.FromResult<DescribeLogDirsResponse?>(response);
    }

    private static DirectoryResponse Describe(LogDirectory directory, IEnumerable<PartitionLog> logs)
    {
        var response = new DirectoryResponse { LogDir = directory.Path };
        if (directory.IsOffline)
        {
            response.ErrorCode = (short)ErrorCode.KafkaStorageError;
            return response;
        }

        try
        {
            var space = directory.Space;
            (response.TotalBytes, response.UsableBytes) = (space.TotalBytes, space.FreeBytes);
        }
        catch (IOException)
        {
            response.ErrorCode = (short)ErrorCode.KafkaStorageError;
            return response;
        }

        response.Topics =
        [
            .. logs.GroupBy(log => log.Partition.Topic).Select(topic => new DescribeLogDirsResponse.DescribeLogDirsTopic
            {
                Name = topic.Key,
                Partitions =
                [
                    .. topic.Select(log => new DescribeLogDirsResponse.DescribeLogDirsPartition
                    {
                        PartitionIndex = log.Partition.Partition,
                        PartitionSize = log.SizeInBytes,
                        OffsetLag = Math.Max(log.HighWatermark - log.LogEndOffset, 0), // of a current log: what it still has to catch up with
                    }),
                ],
            }),
        ];
        return response;
    }
}
