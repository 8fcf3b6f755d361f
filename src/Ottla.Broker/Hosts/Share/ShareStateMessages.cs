using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Share;
using Ottla.StateMachines.Share.Coordinator;

namespace Ottla.Broker.Hosts.Share;

/// <summary>Requests to share coordinators about one partition, and what their answers say.</summary>
internal static class ShareStateMessages
{
    public static InitializeShareGroupStateRequest RequestOf(InitializeShareStateCommand command) => new()
    {
        GroupId = command.Key.GroupId,
        Topics =
        [
            new()
            {
                TopicId = command.Key.TopicId,
                Partitions =
                [
                    new()
                    {
                        Partition = command.Key.Partition,
                        StateEpoch = command.StateEpoch,
                        StartOffset = command.StartOffset,
                    },
                ],
            },
        ],
    };

    public static ReadShareGroupStateRequest RequestOf(ReadShareStateCommand command) => new()
    {
        GroupId = command.Key.GroupId,
        Topics =
        [
            new()
            {
                TopicId = command.Key.TopicId,
                Partitions = [new() { Partition = command.Key.Partition, LeaderEpoch = command.LeaderEpoch }],
            },
        ],
    };

    public static WriteShareGroupStateRequest RequestOf(WriteShareStateCommand command) => new()
    {
        GroupId = command.Key.GroupId,
        Topics =
        [
            new()
            {
                TopicId = command.Key.TopicId,
                Partitions =
                [
                    new()
                    {
                        Partition = command.Key.Partition,
                        StateEpoch = command.StateEpoch,
                        LeaderEpoch = command.LeaderEpoch,
                        StartOffset = command.StartOffset,
                        DeliveryCompleteCount = command.DeliveryCompleteCount,
                        StateBatches =
                        [
                            .. command.Batches.Select(batch => new WriteShareGroupStateRequest.StateBatch
                            {
                                FirstOffset = batch.FirstOffset,
                                LastOffset = batch.LastOffset,
                                DeliveryState = (sbyte)batch.State,
                                DeliveryCount = batch.DeliveryCount,
                            }),
                        ],
                    },
                ],
            },
        ],
    };

    public static DeleteShareGroupStateRequest RequestOf(DeleteShareStateCommand command) => new()
    {
        GroupId = command.Key.GroupId,
        Topics = [new() { TopicId = command.Key.TopicId, Partitions = [new() { Partition = command.Key.Partition }] }],
    };

    public static ReadShareGroupStateSummaryRequest RequestOf(ReadShareStateSummaryCommand command, int leaderEpoch) => new()
    {
        GroupId = command.Key.GroupId,
        Topics =
        [
            new()
            {
                TopicId = command.Key.TopicId,
                Partitions = [new() { Partition = command.Key.Partition, LeaderEpoch = leaderEpoch }],
            },
        ],
    };

    public static SharePartitionKey Check(SharePartitionKey key, InitializeShareGroupStateResponse answer)
    {
        var partition = Only(answer.Results, topic => topic.Partitions);
        ThrowIfFailed(partition.ErrorCode, partition.ErrorMessage);
        return key;
    }

    public static SharePartitionKey Check(SharePartitionKey key, WriteShareGroupStateResponse answer)
    {
        var partition = Only(answer.Results, topic => topic.Partitions);
        ThrowIfFailed(partition.ErrorCode, partition.ErrorMessage);
        return key;
    }

    public static SharePartitionKey Check(SharePartitionKey key, DeleteShareGroupStateResponse answer)
    {
        var partition = Only(answer.Results, topic => topic.Partitions);
        ThrowIfFailed(partition.ErrorCode, partition.ErrorMessage);
        return key;
    }

    public static ShareState StateOf(ReadShareGroupStateResponse answer)
    {
        var partition = Only(answer.Results, topic => topic.Partitions);
        ThrowIfFailed(partition.ErrorCode, partition.ErrorMessage);
        return new ShareState
        {
            StateEpoch = partition.StateEpoch,
            StartOffset = partition.StartOffset,
            Batches =
            [
                .. partition.StateBatches.Select(batch => new DeliveryBatch(
                    batch.FirstOffset, batch.LastOffset, (DeliveryState)batch.DeliveryState, batch.DeliveryCount)),
            ],
        };
    }

    public static ShareState StateOf(ReadShareGroupStateSummaryResponse answer)
    {
        var partition = Only(answer.Results, topic => topic.Partitions);
        ThrowIfFailed(partition.ErrorCode, partition.ErrorMessage);
        return new ShareState
        {
            StateEpoch = partition.StateEpoch,
            LeaderEpoch = partition.LeaderEpoch,
            StartOffset = partition.StartOffset,
            DeliveryCompleteCount = partition.DeliveryCompleteCount,
        };
    }

    /// <summary>The one partition of an answer.</summary>
    /// <exception cref="ApiException">UNKNOWN_SERVER_ERROR: the answer is about something else.</exception>
    private static TPartition Only<TTopic, TPartition>(TTopic[] topics, Func<TTopic, TPartition[]> partitionsOf) =>
        topics is [var topic] && partitionsOf(topic) is [var partition]
            ? partition
            : throw new ApiException(ErrorCode.UnknownServerError, "The share coordinator did not answer about the partition.");

    private static void ThrowIfFailed(short error, string? message)
    {
        if (error != (short)ErrorCode.None)
            throw new ApiException((ErrorCode)error, message);
    }
}
