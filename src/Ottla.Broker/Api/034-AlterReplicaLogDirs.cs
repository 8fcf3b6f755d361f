using Ottla.Broker.Metadata;
using Ottla.Broker.Server;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Storage.Log;
using Ottla.Storage.Upkeep;
using PartitionResponse = Ottla.Protocol.Messages.AlterReplicaLogDirsResponse.AlterReplicaLogDirPartitionResult;
using TopicResponse = Ottla.Protocol.Messages.AlterReplicaLogDirsResponse.AlterReplicaLogDirTopicResult;

namespace Ottla.Broker.Api;

/// <summary>AlterReplicaLogDirs (key 34), versions 1 and 2: begins to move replicas to other log directories of this broker.</summary>
/// <remarks>
/// The answer comes when the move has begun; DescribeLogDirs shows the copies. A request that names the directory where a replica already
/// is cancels its move. Errors: LOG_DIR_NOT_FOUND, KAFKA_STORAGE_ERROR (a directory is offline or full), INVALID_REPLICA_ASSIGNMENT (the
/// directory is cordoned), INVALID_TOPIC_EXCEPTION (the copy's name would be too long), UNKNOWN_TOPIC_OR_PARTITION, REPLICA_NOT_AVAILABLE
/// (the replica is on other brokers). If this broker gets the replica later, it creates it in that directory.
/// </remarks>
internal sealed class AlterReplicaLogDirsHandler(LogManager logs, ClusterView cluster)
    : IApiHandler<AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse>
{
    public ValueTask<AlterReplicaLogDirsResponse?> HandleAsync(RequestContext context, AlterReplicaLogDirsRequest request)
    {
        var moves = from directory in request.Dirs
                    from topic in directory.Topics
                    from partition in topic.Partitions
                    select (Partition: new TopicPartition(topic.Name, partition), directory.Path);
        var response = new AlterReplicaLogDirsResponse
        {
            Results =
            [
                .. moves.GroupBy(move => move.Partition.Topic).Select(topic => new TopicResponse
                {
                    TopicName = topic.Key,
                    Partitions = [
                        .. topic.Select(
                            move => new PartitionResponse { PartitionIndex = move.Partition.Partition,
                                ErrorCode = (short)Move(move.Partition, move.Path) })],
                }),
            ],
        };
        return ValueTask.FromResult<AlterReplicaLogDirsResponse?>(response);
    }

    private ErrorCode Move(TopicPartition partition, string path)
    {
        if (LogFileNames.IsTooLongToMove(partition))
            return ErrorCode.InvalidTopicException;
        try
        {
            logs.Move(partition, path);
            return ErrorCode.None;
        }
        catch (LogException failure)
        {
            return failure.ErrorCode == ErrorCode.ReplicaNotAvailable && cluster.Image.Topics.Partition(partition) is null
                ? ErrorCode.UnknownTopicOrPartition
                : failure.ErrorCode;
        }
    }
}
