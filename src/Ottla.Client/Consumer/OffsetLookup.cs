using Ottla.Client.Calls;
using Ottla.Client.Cluster;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Requests;

namespace Ottla.Client.Consumers;

/// <summary>Asks the leaders of partitions for offsets: by timestamp, and where leader epochs end. Stateless; thread-safe.</summary>
/// <param name="client">The client.</param>
/// <param name="isolation">Whether the end is that of all records or of decided transactions.</param>
internal sealed class OffsetLookup(OttlaClient client, IsolationLevel isolation)
{
    /// <summary>ListOffsets' mark for the end of the log.</summary>
    public const long Latest = -1;

    /// <summary>ListOffsets' mark for its start.</summary>
    public const long Earliest = -2;

    private const int Consumer = -1;

    /// <summary>Looks offsets up until all are found.</summary>
    /// <param name="timestamps">The partitions with ms since the epoch, or marks.</param>
    /// <param name="timeout">How long that may take.</param>
    /// <param name="cancellation">Ends the call.</param>
    /// <returns>The offsets; -1 where no record has such a timestamp.</returns>
    /// <exception cref="KafkaException">A partition is not allowed, or the time is over.</exception>
    public async Task<Dictionary<TopicPartition, TimestampedOffset>> FindAllAsync(
        IReadOnlyDictionary<TopicPartition, long> timestamps, TimeSpan timeout, CancellationToken cancellation)
    {
        using var interest = client.Metadata.OpenInterest();
        interest.Set(timestamps.Keys.Select(partition => partition.Topic));
        using var deadline = new CallDeadline(timeout, client.Options.TimeProvider, cancellation);
        var backoff = client.Options.NewRetryBackoff(client.NewRandom());
        var found = new Dictionary<TopicPartition, TimestampedOffset>();
        string? lastFailure = null;
        try
        {
            for (var failures = 1; ; failures++)
            {
                var left = timestamps.Where(each => !found.ContainsKey(each.Key)).ToDictionary();
                if (left.Count == 0)
                    return found;
                if (failures > 1)
                    await Task.Delay(backoff.DelayAfter(failures - 1), client.Options.TimeProvider, deadline.Token);
                if (left.Keys.Where(partition => client.Metadata.Current.LeaderOf(partition) is null).ToList() is { Count: > 0 } leaderless)
                {
                    var update = leaderless.Select(partition => partition.Topic).Distinct().Max(client.Metadata.RequestUpdateOf);
                    await client.Metadata.WaitForUpdateAsync(update, deadline.Token);
                }

                lastFailure = await FindAsync(left, (partition, offset) => found[partition] = offset, deadline.Token);
            }
        }
        catch (OperationCanceledException) when (deadline.IsOver)
        {
            throw deadline.TimedOut("Looking offsets up", lastFailure ?? client.Metadata.LastFailure, null);
        }
    }

    /// <summary>Asks every leader once.</summary>
    /// <param name="timestamps">The partitions with ms since the epoch, or marks.</param>
    /// <param name="onFound">Takes an offset; -1 when no record has such a timestamp.</param>
    /// <param name="cancellation">Ends the call.</param>
    /// <returns>Why some were not found; null when all were.</returns>
    /// <exception cref="KafkaException">A topic is not allowed.</exception>
    public Task<string?> FindAsync(
        IReadOnlyDictionary<TopicPartition, long> timestamps, Action<TopicPartition, TimestampedOffset> onFound,
        CancellationToken cancellation) =>
        AskLeadersAsync(timestamps.Keys, async (channel, partitions, image) =>
        {
            var answer = await channel.SendAsync<ListOffsetsRequest, ListOffsetsResponse>(
                new ListOffsetsRequest
                {
                    ReplicaId = Consumer,
                    IsolationLevel = (sbyte)isolation,
                    TimeoutMs = (int)client.Options.RequestTimeout.TotalMilliseconds,
                    Topics = [.. partitions.GroupBy(partition => partition.Topic).Select(topic => new ListOffsetsRequest.ListOffsetsTopic
                    {
                        Name = topic.Key,
                        Partitions = [.. topic.Select(partition => new ListOffsetsRequest.ListOffsetsPartition
                        {
                            PartitionIndex = partition.Partition,
                            CurrentLeaderEpoch = image.Partition(partition)?.LeaderEpoch ?? -1,
                            Timestamp = timestamps[partition],
                        })],
                    })],
                },
                cancellation: cancellation);
            var outcomes = new List<(TopicPartition, ErrorCode)>();
            foreach (var topic in answer.Topics)
            {
                foreach (var each in topic.Partitions)
                {
                    var partition = new TopicPartition(topic.Name, each.PartitionIndex);
                    var error = (ErrorCode)each.ErrorCode;
                    if (error == ErrorCode.UnsupportedForMessageFormat && timestamps.GetValueOrDefault(partition, Latest) >= 0)
                        (error, each.Offset) = (ErrorCode.None, -1); // the log is too old to know timestamps
                    if (error == ErrorCode.None && timestamps.ContainsKey(partition))
                        onFound(partition, new TimestampedOffset(each.Offset, each.Timestamp, each.LeaderEpoch));
                    outcomes.Add((partition, error));
                }
            }

            return outcomes;
        });

    /// <summary>Asks every leader once where leader epochs end, to find records that are lost (KIP-320).</summary>
    /// <param name="epochs">The partitions with the epoch of the last record that was read.</param>
    /// <param name="onFound">
    /// Takes the greatest epoch of the leader that is not greater, and the offset at which it ends; both are -1 when there is none.
    /// </param>
    /// <param name="cancellation">Ends the call.</param>
    /// <returns>Why some were not found; null when all were.</returns>
    /// <exception cref="KafkaException">A topic is not allowed.</exception>
    public Task<string?> FindEpochEndsAsync(
        IReadOnlyDictionary<TopicPartition, int> epochs, Action<TopicPartition, int, long> onFound, CancellationToken cancellation) =>
        AskLeadersAsync(epochs.Keys, async (channel, partitions, image) =>
        {
            var answer = await channel.SendAsync<OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse>(
                new OffsetForLeaderEpochRequest
                {
                    ReplicaId = Consumer,
                    Topics = [.. partitions.GroupBy(partition => partition.Topic)
                        .Select(topic => new OffsetForLeaderEpochRequest.OffsetForLeaderTopic
                        {
                            Topic = topic.Key,
                            Partitions = [.. topic.Select(partition => new OffsetForLeaderEpochRequest.OffsetForLeaderPartition
                            {
                                Partition = partition.Partition,
                                CurrentLeaderEpoch = image.Partition(partition)?.LeaderEpoch ?? -1,
                                LeaderEpoch = epochs[partition],
                            })],
                        })],
                },
                cancellation: cancellation);
            var outcomes = new List<(TopicPartition, ErrorCode)>();
            foreach (var topic in answer.Topics)
            {
                foreach (var each in topic.Partitions)
                {
                    var partition = new TopicPartition(topic.Topic, each.Partition);
                    if (each.ErrorCode == (short)ErrorCode.None && epochs.ContainsKey(partition))
                        onFound(partition, each.LeaderEpoch, each.EndOffset);
                    outcomes.Add((partition, (ErrorCode)each.ErrorCode));
                }
            }

            return outcomes;
        });

    private async Task<string?> AskLeadersAsync(
        IEnumerable<TopicPartition> partitions,
        Func<RequestChannel, List<TopicPartition>, ClusterImage, Task<List<(TopicPartition Partition, ErrorCode Error)>>> askAsync)
    {
        var image = client.Metadata.Current;
        string? failure = null;
        var leaderless = new List<TopicPartition>();
        var asked = new List<Task<List<(TopicPartition Partition, ErrorCode Error)>>>();
        foreach (var leader in partitions.GroupBy(image.LeaderOf))
        {
            if (leader.Key is { } node)
                asked.Add(askAsync(client.Connections.Shared.To(node), [.. leader], image));
            else
                leaderless.AddRange(leader);
        }

        var refused = new List<(TopicPartition Partition, ErrorCode Error)>();
        foreach (var each in asked)
        {
            try
            {
                refused.AddRange((await each).Where(outcome => outcome.Error != ErrorCode.None));
            }
            catch (RequestFailedException e)
            {
                if (e.IsRefusal())
                    throw e.ToKafkaException();
                failure = e.Message;
            }
        }

        foreach (var (partition, error) in refused)
        {
            if (error == ErrorCode.TopicAuthorizationFailed)
                throw new KafkaException(error, $"Topic {partition.Topic} may not be read");
            failure = $"{partition}: {error.ToKafkaName()}";
        }

        if (failure is not null)
            client.Metadata.RequestUpdate();
        foreach (var topic in leaderless.Select(partition => partition.Topic).Distinct())
            client.Metadata.RequestUpdateOf(topic);
        return failure ?? (leaderless.Count > 0 ? $"{leaderless[0]} has no known leader" : null);
    }
}
