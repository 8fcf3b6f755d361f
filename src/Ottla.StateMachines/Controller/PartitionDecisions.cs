using System.Globalization;
using Ottla.Kernel;
using Ottla.Protocol.Metadata;
using Ottla.StateMachines.Metadata;

namespace Ottla.StateMachines.Controller;

/// <summary>
/// Begins changes of partitions, and decides what happens to them when brokers come and go: who leaves the ISR, who leads.
/// </summary>
internal sealed class PartitionDecisions(QuorumController controller)
{
    /// <summary>The brokers that an event concerns. The image does not contain the event yet.</summary>
    /// <param name="Removed">The broker that leaves the ISR and cannot lead; <see cref="PartitionRegistration.NoLeader"/> for none.</param>
    /// <param name="Added">The broker that can lead although the image shows it as fenced.</param>
    /// <param name="UncleanShutdown">Like removed, but the broker may also have lost records.</param>
    public readonly record struct BrokerEvent(
        int Removed = PartitionRegistration.NoLeader, int Added = PartitionRegistration.NoLeader, int UncleanShutdown =
            PartitionRegistration.NoLeader);

    /// <summary>Adds the records that an event requires, for the partitions that <paramref name="affects"/> selects.</summary>
    public void AddChanges(
        MetadataImage image, BrokerEvent brokerEvent, Func<PartitionRegistration, bool> affects, List<MetadataRecord> records)
    {
        // Few topics of many may be concerned: only they are put in order.
        var concerned = image.Topics.ById.Values.Where(topic => Concerns(topic, affects))
            .OrderBy(topic => topic.Name, StringComparer.Ordinal);
        foreach (var topic in concerned)
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

    /// <summary>Whether a broker leads at least one partition.</summary>
    public static bool HasLeaderships(MetadataImage image, int brokerId) =>
        image.Topics.ById.Values.Any(topic => topic.Partitions.Any(partition => partition.Leader == brokerId));

    /// <summary>A change of a partition that keeps its assignment and its ISR, to be varied.</summary>
    public static PartitionChange Begin(MetadataImage image, PartitionRegistration partition, Uuid topicId, int index, TopicRules rules) =>
        new(partition, topicId, index)
        {
            MinIsr = rules.MinIsr,
            IsElrEnabled = image.Features.IsElrEnabled,
            Version = image.Features.MetadataVersionOrThrow,
            CanLead = replica => image.Cluster.IsActive(replica) && HasOnlineDirectory(image, partition, replica),
            DefaultDirectory = broker => image.Cluster.DefaultDirectory(broker),
        };

    /// <summary>What a topic's configs say of its partitions.</summary>
    public TopicRules RulesOf(MetadataImage image, TopicImage topic)
    {
        var minIsr = int.Parse(
            controller.Configs.EffectiveTopicValue(image, topic.Name, ConfigDecisions.MinInsyncReplicas), CultureInfo.InvariantCulture);
        return new TopicRules(
            Math.Min(minIsr, topic.Partitions[0].Replicas.Length),
            controller.Configs.EffectiveTopicValue(image, topic.Name, ConfigDecisions.UncleanLeaderElection)
                .Equals("true", StringComparison.OrdinalIgnoreCase));
    }

    private static bool Concerns(TopicImage topic, Func<PartitionRegistration, bool> affects)
    {
        foreach (var partition in topic.Partitions)
        {
            if (affects(partition))
                return true;
        }

        return false;
    }

    private static MetadataRecord? Change(MetadataImage image, TopicImage topic, int index, BrokerEvent brokerEvent, TopicRules rules)
    {
        var partition = topic.Partitions[index];
        var change = Begin(image, partition, topic.Id, index, rules) with
        {
            TargetIsr = [.. partition.Isr.Where(replica => replica != brokerEvent.Removed && replica != brokerEvent.UncleanShutdown)],
            UncleanShutdownReplica = brokerEvent.UncleanShutdown,
            Election = rules.AllowsUncleanElection ? Election.Unclean : Election.Online,
            CanLead = replica => replica != brokerEvent.Removed
                && replica != brokerEvent.UncleanShutdown
                && (replica == brokerEvent.Added || image.Cluster.IsActive(replica))
                && HasOnlineDirectory(image, partition, replica),
        };
        return change.ToRecord();
    }

    private static bool HasOnlineDirectory(MetadataImage image, PartitionRegistration partition, int replica) =>
        image.Cluster.Broker(replica) is { } broker && DirectoryIds.IsOnline(partition.DirectoryOf(replica), broker.LogDirs);

    /// <summary>What a topic's configs say of its partitions.</summary>
    /// <param name="MinIsr">The replicas that must be in sync, no more than there are.</param>
    /// <param name="AllowsUncleanElection">Whether a replica that is not in sync may lead when no other can.</param>
    internal readonly record struct TopicRules(int MinIsr, bool AllowsUncleanElection);
}
