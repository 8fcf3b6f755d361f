using Microsoft.Extensions.Logging;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Requests;
using Ottla.StateMachines.Metadata;
using Ottla.StateMachines.Replication;
using Ottla.Storage.Log;

namespace Ottla.Broker.Replicas.Fetching;

/// <content>What a follower does whose offset the leader does not have (P13): never fatal.</content>
internal sealed partial class ReplicaFetcher
{
    private const long LatestTimestamp = -1;
    private const long EarliestTimestamp = -2;

    /// <summary>Asks where the leader's logs end and, where that does not settle it, where they begin; and truncates by that.</summary>
    /// <exception cref="RequestFailedException">There is no answer.</exception>
    private async Task ResolveOutOfRangeAsync(
        RequestConnection connection, List<FetcherPartition<PartitionReplica>> partitions, MetadataVersion version)
    {
        List<FetcherPartition<PartitionReplica>> behind = [];
        foreach (var (partition, leaderEnd) in await AskOffsetsAsync(connection, partitions, LatestTimestamp, version))
        {
            if (FollowerDecisions.AfterLeaderEnd(leaderEnd, partition.FetchOffset) == OutOfRangeStep.AskForLeaderStart)
                behind.Add(partition);
            else
                ApplyTo(partition, () => TruncateToLeaderEnd(partition, leaderEnd));
        }

        if (behind.Count == 0)
            return;
        foreach (var (partition, leaderStart) in await AskOffsetsAsync(connection, behind, EarliestTimestamp, version))
        {
            if (FollowerDecisions.AfterLeaderStart(leaderStart, partition.FetchOffset) == OutOfRangeStep.RestartAtLeaderStart)
                ApplyTo(partition, () => RestartAt(partition, leaderStart));
            else
                Settle(partition, FollowerOutcome.Done);
        }
    }

    private FollowerOutcome TruncateToLeaderEnd(FetcherPartition<PartitionReplica> partition, long leaderEnd)
    {
        LogLeaderIsShorter(_logger, partition.Replica.Partition, partition.FetchOffset, leaderEnd, LeaderId, partition.LeaderEpoch);
        return TruncateTo(partition, leaderEnd);
    }

    private FollowerOutcome RestartAt(FetcherPartition<PartitionReplica> partition, long leaderStart)
    {
        LogLeaderIsAhead(_logger, partition.Replica.Partition, partition.FetchOffset, leaderStart, LeaderId, partition.LeaderEpoch);
        return partition.Replica.RestartAt(_host.Logs, leaderStart, partition.LeaderEpoch);
    }

    private void ApplyTo(FetcherPartition<PartitionReplica> partition, Func<FollowerOutcome> change)
    {
        try
        {
            Settle(partition, change());
        }
        catch (LogException e)
        {
            OnLogFailure(partition, e);
        }
    }

    /// <summary>Asks for one offset of each partition; those with an error wait, and are not among the results.</summary>
    private async Task<List<(FetcherPartition<PartitionReplica> Partition, long Offset)>> AskOffsetsAsync(
        RequestConnection connection, List<FetcherPartition<PartitionReplica>> partitions, long timestamp, MetadataVersion version)
    {
        var request = new ListOffsetsRequest
        {
            ReplicaId = _host.BrokerId,
            Topics = [.. partitions.GroupBy(partition => partition.Replica.Partition.Topic).Select(topic =>
                new ListOffsetsRequest.ListOffsetsTopic
                {
                    Name = topic.Key,
                    Partitions = [.. topic.Select(partition => new ListOffsetsRequest.ListOffsetsPartition
                    {
                        PartitionIndex = partition.Id.Partition,
                        CurrentLeaderEpoch = partition.LeaderEpoch,
                        Timestamp = timestamp,
                    })],
                })],
        };
        var response = await connection.AskAsync<ListOffsetsRequest, ListOffsetsResponse>(request, version.ReplicaListOffsetsVersion);
        List<(FetcherPartition<PartitionReplica>, long)> offsets = [];
        foreach (var partition in partitions)
        {
            var answer = response.Topics.Where(topic => topic.Name == partition.Replica.Partition.Topic)
                .SelectMany(topic => topic.Partitions).FirstOrDefault(each => each.PartitionIndex == partition.Id.Partition);
            var error = (ErrorCode?)answer?.ErrorCode ?? ErrorCode.UnknownServerError;
            if (error == ErrorCode.None && answer!.Offset < 0)
                error = ErrorCode.UnknownServerError; // a log has both offsets
            if (error == ErrorCode.None)
                offsets.Add((partition, answer!.Offset));
            else
                OnOffsetsRefused(partition, error);
        }

        return offsets;
    }

    private void OnOffsetsRefused(FetcherPartition<PartitionReplica> partition, ErrorCode error)
    {
        lock (_lock)
        {
            if (error == ErrorCode.FencedLeaderEpoch)
                _machine.Stop(partition); // until the metadata has the newer epoch
            else
                _machine.Retry(partition, Instant.Now(_host.Time));
        }

        LogPartitionError(partition, error);
    }

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "{Partition} ends at {Offset}, and that of broker {Leader}, which leads in epoch {LeaderEpoch}, at {LeaderEnd}. It is "
            + "truncated there: that broker was elected without all records")]
    private static partial void LogLeaderIsShorter(
        ILogger logger, TopicPartition partition, long offset, long leaderEnd, int leader, int leaderEpoch);

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "{Partition} ends at {Offset}, and that of broker {Leader}, which leads in epoch {LeaderEpoch}, begins at {LeaderStart}: "
            + "what lies between was deleted there. It is emptied, and begins there too")]
    private static partial void LogLeaderIsAhead(
        ILogger logger, TopicPartition partition, long offset, long leaderStart, int leader, int leaderEpoch);
}
