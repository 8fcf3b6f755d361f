using System.Collections.Immutable;
using System.Globalization;
using Ottla.Protocol.Metadata;
using Ottla.StateMachines.Metadata;

namespace Ottla.StateMachines.Controller;

/// <summary>Decides what happens to partitions when brokers come and go: who leaves the ISR, who leads.</summary>
internal sealed class PartitionDecisions(QuorumController controller)
{
    /// <summary>The brokers that an event is about; the image does not know of the event yet.</summary>
    /// <param name="Removed">Leaves the ISR and cannot lead; <see cref="PartitionRegistration.NoLeader"/> for nobody.</param>
    /// <param name="Added">Can lead although the image still has it fenced.</param>
    /// <param name="UncleanShutdown">As removed, and may have lost what it had.</param>
    public readonly record struct BrokerEvent(
        int Removed = PartitionRegistration.NoLeader, int Added = PartitionRegistration.NoLeader, int UncleanShutdown = PartitionRegistration.NoLeader);

    /// <summary>The records that an event makes necessary, for the partitions that <paramref name="affects"/> picks.</summary>
    public void AddChanges(MetadataImage image, BrokerEvent brokerEvent, Func<PartitionRegistration, bool> affects, List<MetadataRecord> records)
    {
        foreach (var topic in image.Topics.ById.Values.OrderBy(topic => topic.Name, StringComparer.Ordinal))
        {
            TopicRules? rules = null;
            for (var index = 0; index < topic.Partitions.Length; index++)
            {
                if (!affects(topic.Partitions[index]))
                    continue;
                rules ??= RulesOf(image, topic);
                if (Change(image, topic, index, brokerEvent, rules.Value) is { } record)
                    records.Add(record);
            }
        }
    }

    /// <summary>Whether a broker leads any partition.</summary>
    public static bool HasLeaderships(MetadataImage image, int brokerId) =>
        image.Topics.ById.Values.Any(topic => topic.Partitions.Any(partition => partition.Leader == brokerId));

    private static MetadataRecord? Change(MetadataImage image, TopicImage topic, int index, BrokerEvent brokerEvent, TopicRules rules)
    {
        var partition = topic.Partitions[index];
        ImmutableArray<int> isr = [.. partition.Isr.Where(replica => replica != brokerEvent.Removed && replica != brokerEvent.UncleanShutdown)];
        return new PartitionChange(partition, topic.Id, index)
        {
            TargetIsr = isr,
            UncleanShutdownReplica = brokerEvent.UncleanShutdown,
            MinIsr = rules.MinIsr,
            AllowsUncleanElection = rules.AllowsUncleanElection,
            IsElrEnabled = image.Features.IsElrEnabled,
            Version = image.Features.MetadataVersionOrThrow,
            CanLead = replica => replica != brokerEvent.Removed
                && replica != brokerEvent.UncleanShutdown
                && (replica == brokerEvent.Added || image.Cluster.IsActive(replica))
                && image.Cluster.Broker(replica) is { } broker
                && DirectoryIds.IsOnline(partition.DirectoryOf(replica), broker.LogDirs),
        }.ToRecord();
    }

    private TopicRules RulesOf(MetadataImage image, TopicImage topic)
    {
        var minIsr = int.Parse(
            controller.Configs.EffectiveTopicValue(image, topic.Name, ConfigDecisions.MinInsyncReplicas), CultureInfo.InvariantCulture);
        return new TopicRules(
            Math.Min(minIsr, topic.Partitions[0].Replicas.Length),
            controller.Configs.EffectiveTopicValue(image, topic.Name, ConfigDecisions.UncleanLeaderElection)
                .Equals("true", StringComparison.OrdinalIgnoreCase));
    }

    private readonly record struct TopicRules(int MinIsr, bool AllowsUncleanElection);
}
