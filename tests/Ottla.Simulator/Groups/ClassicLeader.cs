using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Metadata;

namespace Ottla.Simulator.Groups;

/// <summary>
/// How a leader of classic consumers assigns: evenly, and if they cooperate, nobody is given what another has yet to give up.
/// </summary>
internal static class ClassicLeader
{
    /// <summary>The assignment of a generation, for its leader's SyncGroup.</summary>
    public static SyncGroupRequest.SyncGroupRequestAssignment[] Assign(
        JoinGroupResponse.JoinGroupResponseMember[] members, TopicsImage topics, bool isCooperative)
    {
        var assigned = members.ToDictionary(member => member.MemberId, _ => new List<TopicPartition>(), StringComparer.Ordinal);
        var owners = Owners(members);
        var quota = (topics.ByName.Values.Sum(topic => topic.Partitions.Length) + members.Length - 1) / members.Length;
        var free = new Queue<TopicPartition>();
        foreach (var topic in topics.ByName.Values.OrderBy(topic => topic.Name, StringComparer.Ordinal))
        {
            for (var i = 0; i < topic.Partitions.Length; i++)
            {
                var partition = new TopicPartition(topic.Name, i);
                if (owners.TryGetValue(partition, out var owner) && assigned[owner].Count < quota)
                    assigned[owner].Add(partition);
                else
                    free.Enqueue(partition);
            }
        }

        foreach (var partitions in assigned.Values)
        {
            while (partitions.Count < quota && free.TryDequeue(out var partition))
            {
                if (!isCooperative || !owners.ContainsKey(partition))
                    partitions.Add(partition);
            }
        }

        return [.. assigned.Select(
            member => new SyncGroupRequest.SyncGroupRequestAssignment { MemberId = member.Key, Assignment = Write(member.Value) })];
    }

    // Of two who claim a partition, the one that got it in the later generation has it.
    private static Dictionary<TopicPartition, string> Owners(JoinGroupResponse.JoinGroupResponseMember[] members)
    {
        var owners = new Dictionary<TopicPartition, string>();
        foreach (var (memberId, subscription) in members
            .Select(member => (member.MemberId, Subscription: ConsumerProtocol.ReadSubscription(member.Metadata)))
            .OrderBy(member => member.Subscription.GenerationId))
        {
            foreach (var topic in subscription.OwnedPartitions)
            {
                foreach (var partition in topic.Partitions)
                    owners[new TopicPartition(topic.Topic, partition)] = memberId;
            }
        }

        return owners;
    }

    private static byte[] Write(List<TopicPartition> partitions) => ConsumerProtocol.WriteAssignment(
        new ConsumerProtocolAssignment
        {
            AssignedPartitions = [
                .. partitions.GroupBy(partition => partition.Topic).Select(topic => new ConsumerProtocolAssignment.TopicPartition
            {
                Topic = topic.Key,
                Partitions = [.. topic.Select(partition => partition.Partition)],
            })],
        },
        version: 1);
}
