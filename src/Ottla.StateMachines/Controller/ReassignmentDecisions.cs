using System.Collections.Immutable;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Metadata;
using Ottla.StateMachines.Metadata;
using OngoingTopic = Ottla.Protocol.Messages.ListPartitionReassignmentsResponse.OngoingTopicReassignment;
using PartitionRequest = Ottla.Protocol.Messages.AlterPartitionReassignmentsRequest.ReassignablePartition;
using PartitionResponse = Ottla.Protocol.Messages.AlterPartitionReassignmentsResponse.ReassignablePartitionResponse;

namespace Ottla.StateMachines.Controller;

/// <summary>Decides about reassignments of replicas to other brokers: begins, changes, cancels and lists them (KIP-455, KIP-860).</summary>
/// <remarks>
/// A reassignment is complete with the change of the partition that brings its last new replica into the ISR: see
/// <see cref="PartitionChange"/>.
/// </remarks>
internal static class ReassignmentDecisions
{
    public static Decision<MetadataRecord, AlterPartitionReassignmentsResponse> Alter(
        AlterPartitionReassignmentsCommand command, QuorumController controller, in ControllerState state)
    {
        var request = command.Request;
        var image = state.Image;
        var draft = new PartitionDraft(controller, image);
        var response = new AlterPartitionReassignmentsResponse
        {
            AllowReplicationFactorChange = request.AllowReplicationFactorChange,
            ErrorMessage = null,
            Responses =
            [
                .. request.Topics.Select(topic => new AlterPartitionReassignmentsResponse.ReassignableTopicResponse
                {
                    Name = topic.Name,
                    Partitions = [.. topic.Partitions.Select(partition =>
                        Alter(draft, image, topic.Name, partition, request.AllowReplicationFactorChange))],
                }),
            ],
        };
        return new(draft.Records, response, true);
    }

    /// <summary>The reassignments under way.</summary>
    public static Decision<MetadataRecord, ListPartitionReassignmentsResponse> List(
        ListPartitionReassignmentsCommand command, in ControllerState state)
    {
        var topics = state.Image.Topics;
        var listed = command.Request.Topics is { } asked
            ? asked.Select(topic => (Topic: topics.Find(topic.Name), Indexes: (IEnumerable<int>)topic.PartitionIndexes))
            : topics.ByName.Values.Select(topic => (Topic: (TopicImage?)topic, Indexes: Enumerable.Range(0, topic.Partitions.Length)));
        var response = new ListPartitionReassignmentsResponse
        {
            ErrorMessage = null,
            Topics = [.. listed.Where(each => each.Topic is not null).Select(each => Ongoing(each.Topic!, each.Indexes)).Where(topic =>
                topic.Partitions.Length > 0)],
        };
        return new([], response, false);
    }

    private static OngoingTopic Ongoing(TopicImage topic, IEnumerable<int> indexes) => new()
    {
        Name = topic.Name,
        Partitions =
        [
            .. from index in indexes
               let partition = topic.Partition(index)
               where partition is { IsReassigned: true }
               select new ListPartitionReassignmentsResponse.OngoingPartitionReassignment
               {
                   PartitionIndex = index,
                   Replicas = [.. partition.Replicas],
                   AddingReplicas = [.. partition.AddingReplicas],
                   RemovingReplicas = [.. partition.RemovingReplicas],
               },
        ],
    };

    private static PartitionResponse Alter(
        PartitionDraft draft, MetadataImage image, string name, PartitionRequest request, bool allowsOtherFactor)
    {
        var error = ApiError.None;
        try
        {
            var topic = image.Topics.Find(name) ?? throw new ApiException(ErrorCode.UnknownTopicOrPartition,
                $"Unable to find a topic named {name}.");
            var partition = draft.Find(topic, request.PartitionIndex)
                ?? throw new ApiException(ErrorCode.UnknownTopicOrPartition, $"Unable to find partition {name}:{request.PartitionIndex}.");
            var change = draft.Begin(topic, partition, request.PartitionIndex);
            draft.TryAdd(request.Replicas is { } target
                ? Assign(change, image.Cluster, target, allowsOtherFactor)
                : Cancel(change, topic, draft.RulesOf(topic).AllowsUncleanElection));
        }
        catch (ApiException e) when (e.Error.Code != ErrorCode.PolicyViolation) // too many records: the whole request fails
        {
            error = e.Error;
        }

        return new PartitionResponse
        {
            PartitionIndex = request.PartitionIndex,
            ErrorCode = (short)error.Code,
            ErrorMessage = error.Message
        };
    }

    /// <summary>
    /// The replicas that are to be, and those that go once the new ones are in sync; in place of what a reassignment under way wanted.
    /// </summary>
    private static PartitionChange Assign(PartitionChange change, ClusterImage cluster, int[] target, bool allowsOtherFactor)
    {
        TopicDecisions.CheckAssignment(cluster, target, replicationFactor: null);
        var partition = change.Partition;
        if (!allowsOtherFactor)
            CheckFactor(partition, target.Length);
        ImmutableArray<int> removing = [.. partition.Replicas.Except(target).Order()];
        ImmutableArray<int> adding = [.. target.Where(replica => !partition.Replicas.Contains(replica)
            || partition.AddingReplicas.Contains(replica)).Order()];
        return change with { TargetReplicas = [.. target, .. removing], TargetRemoving = removing, TargetAdding = adding };
    }

    private static void CheckFactor(PartitionRegistration partition, int wanted)
    {
        var present = partition.Replicas.Union(partition.AddingReplicas).Except(partition.RemovingReplicas).Count();
        if (present != wanted)
            throw new ApiException(ErrorCode.InvalidReplicationFactor, $"The replication factor is changed from {present} to {wanted}");
    }

    /// <summary>Without the replicas that the reassignment adds, and with those that it removes.</summary>
    private static PartitionChange Cancel(PartitionChange change, TopicImage topic, bool allowsUncleanElection)
    {
        var partition = change.Partition;
        if (!partition.IsReassigned)
            throw new ApiException(ErrorCode.NoReassignmentInProgress, "No partition reassignment is in progress.");
        ImmutableArray<int> replicas = [.. partition.Replicas.Except(partition.AddingReplicas)];
        ImmutableArray<int> isr = [.. partition.Isr.Except(partition.AddingReplicas)];
        if (isr.IsEmpty)
        {
            if (replicas.IsEmpty)
                throw TopicDecisions.InvalidAssignment("Invalid replica assignment: addingReplicas contains all replicas.");
            if (!allowsUncleanElection)
            {
                throw TopicDecisions.InvalidAssignment(
                    $"Unable to revert partition assignment for {topic.Name}:{change.Index} "
                    + "because it would require an unclean leader election.");
            }

            isr = [replicas[0]];
        }

        return change with
        {
            TargetReplicas = replicas,
            TargetIsr = isr,
            TargetRemoving = [],
            TargetAdding = [],
            Election = allowsUncleanElection ? Election.Unclean : Election.Online,
        };
    }
}
