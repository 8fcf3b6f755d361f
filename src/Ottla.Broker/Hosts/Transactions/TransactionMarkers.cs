using Ottla.Broker.Hosts.Coordinators;
using Ottla.Broker.Replicas;
using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.StateMachines.Groups;

namespace Ottla.Broker.Hosts.Transactions;

/// <summary>A marker that ends a transaction in a partition.</summary>
/// <param name="Producer">The producer, with the epoch that the marker carries.</param>
/// <param name="IsCommit">True to commit, false to abort.</param>
/// <param name="CoordinatorEpoch">The epoch of the coordinator that decided.</param>
/// <param name="TransactionVersion">The transaction version of the producer.</param>
public readonly record struct TransactionMarker(ProducerIdAndEpoch Producer, bool IsCommit, int CoordinatorEpoch, short TransactionVersion);

/// <summary>
/// Writes transaction markers to partitions that this node leads (WriteTxnMarkers), and waits until they are committed. Stateless; any
/// thread may call it.
/// </summary>
/// <param name="topics">The replicas of this node.</param>
/// <param name="groups">
/// The group coordinators. Markers in their partitions go through them, so that offsets become visible with the commit.
/// </param>
/// <param name="config">The configuration in force.</param>
/// <param name="time">The clock.</param>
public sealed class TransactionMarkers(
    HostedTopics topics, CoordinatorHost<GroupCommand> groups, Func<BrokerConfig> config, TimeProvider time)
{
    /// <summary>Writes a marker to each of the partitions.</summary>
    /// <returns>
    /// The result for each partition: an error of the log, NOT_LEADER_OR_FOLLOWER, UNKNOWN_TOPIC_OR_PARTITION or REQUEST_TIMED_OUT;
    /// INVALID_REQUEST for a marker without a producer.
    /// </returns>
    public async ValueTask<IReadOnlyDictionary<TopicPartition, ErrorCode>> WriteAsync(
        TransactionMarker marker, IReadOnlyCollection<TopicPartition> partitions)
    {
        if (marker.Producer.Id < 0 || marker.Producer.Epoch < 0)
            return partitions.ToDictionary(partition => partition, _ => ErrorCode.InvalidRequest);
        var results = new Dictionary<TopicPartition, ErrorCode>(partitions.Count);
        List<CommitWait>? uncommitted = null;
        foreach (var partition in partitions)
        {
            if (topics.Find(partition.Topic)?.Find(partition.Partition) is not { } replica)
            {
                results[partition] = ErrorCode.UnknownTopicOrPartition;
                continue;
            }

            if (partition.Topic == groups.TopicName)
            {
                results[partition] = await EndInGroupsAsync(partition.Partition, marker);
                continue;
            }

            var outcome = Append(replica, marker);
            results[partition] = outcome.ErrorCode;
            if (outcome.ErrorCode == ErrorCode.None && CommitWait.For(replica, outcome) is var commit && commit.Look() != ErrorCode.None)
                (uncommitted ??= []).Add(commit);
        }

        if (uncommitted is not null)
            await WaitForCommitAsync(uncommitted, results);
        return results;
    }

    private AppendOutcome Append(PartitionReplica replica, TransactionMarker marker)
    {
        var now = Instant.Now(time);
        var type = marker.IsCommit ? ControlRecordType.Commit : ControlRecordType.Abort;
        var batch = ControlBatches.BuildEndTransactionMarker(
            type, marker.CoordinatorEpoch, marker.Producer.Id, marker.Producer.Epoch, now.UnixMilliseconds);
        return replica.AppendAsCoordinator(batch, replica.Leadership.LeaderEpoch, marker.TransactionVersion, now);
    }

    private async ValueTask<ErrorCode> EndInGroupsAsync(int partition, TransactionMarker marker)
    {
        try
        {
            await groups.CompleteTransactionAsync(
                partition, marker.Producer, marker.CoordinatorEpoch, marker.IsCommit, marker.TransactionVersion);
            return ErrorCode.None;
        }
        catch (ApiException e)
        {
            // The transaction coordinator knows NOT_LEADER_OR_FOLLOWER and tries again; NOT_COORDINATOR would puzzle it.
            return e.Error.Code is ErrorCode.CoordinatorNotAvailable or ErrorCode.CoordinatorLoadInProgress or ErrorCode.NotCoordinator
                ? ErrorCode.NotLeaderOrFollower
                : e.Error.Code;
        }
    }

    private async Task WaitForCommitAsync(List<CommitWait> uncommitted, Dictionary<TopicPartition, ErrorCode> results)
    {
        var deadline = Instant.Now(time).AddMilliseconds(config().RequestTimeoutMs);
        foreach (var commit in uncommitted)
            results[commit.Replica.Partition] = await commit.WaitAsync(deadline, time, CancellationToken.None);
    }
}
