using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Metadata;
using Ottla.StateMachines.Metadata;

namespace Ottla.StateMachines.Controller;

/// <summary>Records the log directories to which brokers assign their replicas (KIP-858).</summary>
internal static class DirectoryDecisions
{
    public static Decision<MetadataRecord, AssignReplicasToDirsResponse> Assign(
        AssignReplicasToDirsCommand command, QuorumController controller, in ControllerState state)
    {
        var image = state.Image;
        if (!image.Features.MetadataVersionOrThrow.SupportsDirectoryAssignment)
            throw new ApiException(ErrorCode.UnsupportedVersion, "Directory assignment is not supported yet.");
        var request = command.Request;
        var broker = BrokerDecisions.CheckedBroker(image, request.BrokerId, request.BrokerEpoch);
        List<MetadataRecord> records = [];
        var lost = new HashSet<PartitionRegistration>(ReferenceEqualityComparer.Instance);
        var response = new AssignReplicasToDirsResponse
        {
            Directories = [.. request.Directories.Select(directory => new AssignReplicasToDirsResponse.DirectoryData
            {
                Id = directory.Id,
                Topics = [.. directory.Topics.Select(topic => new AssignReplicasToDirsResponse.TopicData
                {
                    TopicId = topic.TopicId,
                    Partitions = [.. topic.Partitions.Select(partition => new AssignReplicasToDirsResponse.PartitionData
                    {
                        PartitionIndex = partition.PartitionIndex,
                        ErrorCode = (short)AssignOne(image, broker, directory.Id, topic.TopicId, partition.PartitionIndex, records, lost),
                    })],
                })],
            })],
        };

        // A replica whose directory has failed in the meantime can neither lead nor be in sync.
        if (lost.Count > 0)
            controller.Partitions.AddChanges(image, new PartitionDecisions.BrokerEvent(Removed: broker.Id), lost.Contains, records);
        return new(records, response, false);
    }

    private static ErrorCode AssignOne(
        MetadataImage image, BrokerRegistration broker, Uuid directory, Uuid topicId, int index,
            List<MetadataRecord> records, HashSet<PartitionRegistration> lost)
    {
        if (!image.Topics.ById.TryGetValue(topicId, out var topic))
            return ErrorCode.UnknownTopicId;
        if (topic.Partition(index) is not { } partition)
            return ErrorCode.UnknownTopicOrPartition;
        var position = partition.Replicas.IndexOf(broker.Id);
        if (position < 0)
            return ErrorCode.NotLeaderOrFollower;
        if (partition.Directories[position] != directory)
        {
            var change = new PartitionChangeRecord
            {
                TopicId = topicId,
                PartitionId = index,
                Directories = [.. partition.Directories.SetItem(position, directory)]
            };
            records.Add(new MetadataRecord(change, image.Features.MetadataVersionOrThrow.PartitionRecordVersion));
        }

        if (!DirectoryIds.IsOnline(directory, broker.LogDirs))
            lost.Add(partition);
        return ErrorCode.None;
    }
}
