using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Storage.Log;
using Ottla.Storage.Upkeep;
using DirectoryResponse = Ottla.Protocol.Messages.DescribeLogDirsResponse.DescribeLogDirsResult;

namespace Ottla.Broker.Api;

/// <summary>DescribeLogDirs (key 35), versions 1 to 5: the size of each replica in each log directory, and the room left there.</summary>
/// <remarks>
/// No topics named (null): all. A replica that moves is in two directories. Errors per directory: KAFKA_STORAGE_ERROR when it is offline.
/// </remarks>
internal sealed class DescribeLogDirsHandler(LogManager logs, Func<bool> supportsCordoning)
    : IApiHandler<DescribeLogDirsRequest, DescribeLogDirsResponse>
{
    public ValueTask<DescribeLogDirsResponse?> HandleAsync(RequestContext context, DescribeLogDirsRequest request)
    {
        var wanted = request.Topics?.SelectMany(
            topic => topic.Partitions.Select(partition => new Kernel.TopicPartition(topic.Topic, partition))).ToHashSet();
        var moves = logs.Mover.Moves;
        var replicas = logs.Logs.Select(log => (Log: log, Directory: logs.FindDirectory(log.Partition), Original: (PartitionLog?)null))
            .Concat(moves.Select(move => (Log: move.Copy, Directory: (LogDirectory?)move.Target, Original: (PartitionLog?)move.Log)))
            .Where(replica => wanted is null || wanted.Contains(replica.Log.Partition))
            .ToLookup(replica => replica.Directory, replica => (replica.Log, replica.Original));
        var response =
            new DescribeLogDirsResponse
            {
                Results = [
                .. logs.Directories.Where(logs.IsForPartitions).Select(directory => Describe(directory, replicas[directory]))]
            };
        return ValueTask.FromResult<DescribeLogDirsResponse?>(response);
    }

    private DirectoryResponse Describe(LogDirectory directory, IEnumerable<(PartitionLog Log, PartitionLog? Original)> replicas)
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

        response.IsCordoned = supportsCordoning() && logs.IsCordoned(directory);
        response.Topics =
        [
            .. replicas.GroupBy(replica => replica.Log.Partition.Topic).Select(topic => new DescribeLogDirsResponse.DescribeLogDirsTopic
            {
                Name = topic.Key,
                Partitions =
                [
                    .. topic.Select(replica => new DescribeLogDirsResponse.DescribeLogDirsPartition
                    {
                        PartitionIndex = replica.Log.Partition.Partition,
                        PartitionSize = replica.Log.SizeInBytes,
                        // How far it is behind: a copy behind its original, a replica behind the high watermark.
                        OffsetLag = replica.Original is { } original
                            ? original.LogEndOffset - replica.Log.LogEndOffset
                            : Math.Max(replica.Log.HighWatermark - replica.Log.LogEndOffset, 0),
                        IsFutureKey = replica.Original is not null,
                    }),
                ],
            }),
        ];
        return response;
    }
}
