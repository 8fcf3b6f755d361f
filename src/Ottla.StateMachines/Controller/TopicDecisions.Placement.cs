using System.Collections.Immutable;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Metadata;
using Ottla.StateMachines.Metadata;

namespace Ottla.StateMachines.Controller;

/// <summary>Places the replicas of new partitions: as the client assigns them, or as the placer chooses.</summary>
internal sealed partial class TopicDecisions
{
    private static List<PartitionRegistration> Assigned(MetadataImage image, CreateTopicsRequest.CreatableTopic topic)
    {
        if (topic.ReplicationFactor != UseDefault)
            throw new ApiException(
                ErrorCode.InvalidRequest, "A manual partition assignment was specified, but replication factor was not set to -1.");
        if (topic.NumPartitions != UseDefault)
            throw new ApiException(
                ErrorCode.InvalidRequest, "A manual partition assignment was specified, but numPartitions was not set to -1.");
        var byIndex = new SortedDictionary<int, PartitionRegistration>();
        int? replicationFactor = null;
        foreach (var assignment in topic.Assignments)
        {
            if (byIndex.ContainsKey(assignment.PartitionIndex))
                throw InvalidAssignment($"Found multiple manual partition assignments for partition {assignment.PartitionIndex}");
            CheckAssignment(image.Cluster, assignment.BrokerIds, replicationFactor);
            replicationFactor = assignment.BrokerIds.Length;
            byIndex[assignment.PartitionIndex] = NewPartition(image.Cluster, assignment.BrokerIds)
                ?? throw AllInactive(assignment.PartitionIndex);
        }

        for (var i = 0; i < byIndex.Count; i++)
        {
            if (!byIndex.ContainsKey(i))
                throw InvalidAssignment("partitions should be a consecutive 0-based integer sequence");
        }

        return [.. byIndex.Values];
    }

    private List<PartitionRegistration> Placed(MetadataImage image, CreateTopicsRequest.CreatableTopic topic)
    {
        if (topic.ReplicationFactor is < UseDefault or 0)
            throw new ApiException(
                ErrorCode.InvalidReplicationFactor, "Replication factor must be larger than 0, or -1 to use the default value.");
        if (topic.NumPartitions is < UseDefault or 0)
            throw new ApiException(ErrorCode.InvalidPartitions, "Number of partitions was set to an invalid non-positive value.");
        var partitions = topic.NumPartitions == UseDefault ? Settings.Config.NumPartitions : topic.NumPartitions;
        var replicationFactor = topic.ReplicationFactor == UseDefault ? Settings.Config.DefaultReplicationFactor : topic.ReplicationFactor;
        List<int[]> placed;
        try
        {
            placed = new ReplicaPlacer(image.Cluster, controller.Random).Place(partitions, replicationFactor);
        }
        catch (ApiException e)
        {
            throw new ApiException(e.Error.Code, $"Unable to replicate the partition {replicationFactor} time(s): {e.Error.Message}");
        }

        return [.. placed.Select(replicas => NewPartition(image.Cluster, replicas) ?? throw NoneActive(replicationFactor))];
    }

    private List<MetadataRecord> Grow(MetadataImage image, CreatePartitionsRequest.CreatePartitionsTopic request)
    {
        var topic = image.Topics.Find(request.Name)
            ?? throw new ApiException(ErrorCode.UnknownTopicOrPartition, "This server does not host this topic-partition.");
        var present = topic.Partitions.Length;
        if (request.Count == present)
            throw new ApiException(ErrorCode.InvalidPartitions, $"Topic already has {present} partition(s).");
        if (request.Count < present)
        {
            throw new ApiException(
                ErrorCode.InvalidPartitions,
                $"The topic {request.Name} currently has {present} partition(s); {request.Count} would not be an increase.");
        }

        var additional = request.Count - present;
        if (request.Assignments is { } given && given.Length != additional)
        {
            throw InvalidAssignment(
                $"Attempted to add {additional} additional partition(s), but only {given.Length} assignment(s) were specified.");
        }

        if (additional > QuorumController.UserOperationRecordsMax)
            throw new ApiException(ErrorCode.PolicyViolation, "Unable to perform excessively large batch operation.");
        var replicationFactor = topic.Partitions[0].Replicas.Length;
        var partitions = new List<PartitionRegistration>(additional);
        if (request.Assignments is { } assignments)
        {
            for (var i = 0; i < assignments.Length; i++)
            {
                CheckAssignment(image.Cluster, assignments[i].BrokerIds, replicationFactor);
                partitions.Add(NewPartition(image.Cluster, assignments[i].BrokerIds) ?? throw AllInactive(present + i));
            }
        }
        else
        {
            foreach (var replicas in new ReplicaPlacer(image.Cluster, controller.Random).Place(additional, replicationFactor))
                partitions.Add(NewPartition(image.Cluster, replicas) ?? throw NoneActive(replicationFactor));
        }

        List<MetadataRecord> records = [];
        AddPartitions(image, topic.Id, present, partitions, records);
        return records;
    }

    /// <summary>Checks replicas that a client names.</summary>
    /// <exception cref="ApiException">INVALID_REPLICA_ASSIGNMENT.</exception>
    internal static void CheckAssignment(ClusterImage cluster, int[] brokerIds, int? replicationFactor)
    {
        if (brokerIds.Length == 0)
            throw InvalidAssignment("The manual partition assignment includes an empty replica list.");
        int? previous = null;
        foreach (var id in brokerIds.Order())
        {
            if (cluster.Broker(id) is not { } broker)
                throw InvalidAssignment($"The manual partition assignment includes broker {id}, but no such broker is registered.");
            if (!broker.HasUncordonedDirs)
                throw InvalidAssignment($"The manual partition assignment includes broker {id}, but all its log directories are cordoned.");
            if (id == previous)
                throw InvalidAssignment($"The manual partition assignment includes the broker {id} more than once.");
            previous = id;
        }

        if (replicationFactor is { } expected && expected != brokerIds.Length)
        {
            throw InvalidAssignment(
                $"The manual partition assignment includes a partition with {brokerIds.Length} replica(s), but this is not consistent "
                + "with previous "
                + $"partitions, which have {expected} replica(s).");
        }
    }

    /// <summary>Makes a new partition; null when no replica's broker is active.</summary>
    private static PartitionRegistration? NewPartition(ClusterImage cluster, int[] replicas)
    {
        ImmutableArray<int> isr = [.. replicas.Where(cluster.IsActive)];
        return isr.IsEmpty
            ? null
            : new PartitionRegistration
            {
                Replicas = [.. replicas],
                Directories = [.. replicas.Select(cluster.DefaultDirectory)],
                Isr = isr,
                Leader = isr[0],
            };
    }

    internal static ApiException InvalidAssignment(string message) => new(ErrorCode.InvalidReplicaAssignment, message);

    private static ApiException AllInactive(int partition) => InvalidAssignment(
        $"All brokers specified in the manual partition assignment for partition {partition} are fenced or in controlled shutdown.");

    private static ApiException NoneActive(int replicationFactor) => new(
        ErrorCode.InvalidReplicationFactor,
        $"Unable to replicate the partition {replicationFactor} time(s): All brokers are currently fenced or in controlled shutdown.");
}
