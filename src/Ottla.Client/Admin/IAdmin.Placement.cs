using Ottla.Kernel;

namespace Ottla.Client;

public partial interface IAdmin
{
    /// <summary>Moves partitions to other brokers, or cancels moves (AlterPartitionReassignments, KIP-455).</summary>
    /// <param name="reassignments">The new brokers by partition, the preferred leader first; null cancels.</param>
    /// <param name="allowReplicationFactorChange">Whether the number of replicas may change (KIP-860).</param>
    /// <param name="cancellation">Ends the call.</param>
    /// <returns>By partition. Errors: UNKNOWN_TOPIC_OR_PARTITION, INVALID_REPLICA_ASSIGNMENT, NO_REASSIGNMENT_IN_PROGRESS,
    /// INVALID_REPLICATION_FACTOR, CLUSTER_AUTHORIZATION_FAILED.</returns>
    Task<AdminResults<TopicPartition>> AlterPartitionReassignmentsAsync(
        IReadOnlyDictionary<TopicPartition, IReadOnlyList<int>?> reassignments, bool allowReplicationFactorChange = true,
        CancellationToken cancellation = default);

    /// <summary>Lists the moves that are under way (ListPartitionReassignments, KIP-455).</summary>
    /// <param name="partitions">Of which partitions; null for all.</param>
    /// <param name="cancellation">Ends the call.</param>
    /// <exception cref="KafkaException">CLUSTER_AUTHORIZATION_FAILED, or no answer in time.</exception>
    Task<IReadOnlyDictionary<TopicPartition, PartitionReassignment>> ListPartitionReassignmentsAsync(
        IEnumerable<TopicPartition>? partitions = null, CancellationToken cancellation = default);

    /// <summary>Has leaders elected (ElectLeaders, KIP-460).</summary>
    /// <param name="type">Which replica is to lead.</param>
    /// <param name="partitions">Of which partitions; null for all that need it.</param>
    /// <param name="cancellation">Ends the call.</param>
    /// <returns>By partition. Errors: ELECTION_NOT_NEEDED, PREFERRED_LEADER_NOT_AVAILABLE, ELIGIBLE_LEADERS_NOT_AVAILABLE,
    /// UNKNOWN_TOPIC_OR_PARTITION.</returns>
    /// <exception cref="KafkaException">CLUSTER_AUTHORIZATION_FAILED, or no answer in time.</exception>
    Task<AdminResults<TopicPartition>> ElectLeadersAsync(
        ElectionType type, IReadOnlyCollection<TopicPartition>? partitions = null, CancellationToken cancellation = default);

    /// <summary>Tells what is in the log directories of brokers (DescribeLogDirs, KIP-113), each of which is asked.</summary>
    /// <param name="brokerIds">The brokers.</param>
    /// <param name="partitions">Of which partitions; null for all.</param>
    /// <param name="cancellation">Ends the call.</param>
    /// <returns>By broker, the directories by path. Errors: CLUSTER_AUTHORIZATION_FAILED. A missing broker is waited for.</returns>
    Task<AdminResults<int, IReadOnlyDictionary<string, LogDirDescription>>> DescribeLogDirsAsync(
        IEnumerable<int> brokerIds, IReadOnlyCollection<TopicPartition>? partitions = null, CancellationToken cancellation = default);

    /// <summary>Tells in which directories replicas are (DescribeLogDirs, KIP-113).</summary>
    /// <returns>By replica. Errors: those of <see cref="DescribeLogDirsAsync"/>.</returns>
    Task<AdminResults<PartitionReplica, ReplicaLogDir>> DescribeReplicaLogDirsAsync(
        IEnumerable<PartitionReplica> replicas, CancellationToken cancellation = default);

    /// <summary>Moves replicas to other directories of their brokers (AlterReplicaLogDirs, KIP-113).</summary>
    /// <param name="directories">The paths of the directories by replica.</param>
    /// <param name="cancellation">Ends the call.</param>
    /// <returns>By replica. Errors: LOG_DIR_NOT_FOUND, KAFKA_STORAGE_ERROR, REPLICA_NOT_AVAILABLE (the broker has none yet: it will be made
    /// there), CLUSTER_AUTHORIZATION_FAILED. A broker that is not there is waited for.</returns>
    Task<AdminResults<PartitionReplica>> AlterReplicaLogDirsAsync(
        IReadOnlyDictionary<PartitionReplica, string> directories, CancellationToken cancellation = default);
}
