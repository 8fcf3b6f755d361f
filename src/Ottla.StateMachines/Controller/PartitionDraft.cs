using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Metadata;
using Ottla.StateMachines.Metadata;

namespace Ottla.StateMachines.Controller;

/// <summary>
/// The partitions as the records of one command leave them, so that a request that names a partition twice is decided in its order. Lives
/// as long as the decision.
/// </summary>
internal sealed class PartitionDraft(QuorumController controller, MetadataImage image, bool isBounded = true)
{
    private readonly Dictionary<(Uuid TopicId, int Index), PartitionRegistration> _changed = [];
    private readonly Dictionary<Uuid, PartitionDecisions.TopicRules> _rules = [];

    /// <summary>What was decided so far.</summary>
    public List<MetadataRecord> Records { get; } = [];

    /// <summary>A partition as it is after what was decided so far.</summary>
    public PartitionRegistration? Find(TopicImage topic, int index) =>
        _changed.GetValueOrDefault((topic.Id, index)) ?? topic.Partition(index);

    /// <summary>What a topic's configs say of its partitions.</summary>
    public PartitionDecisions.TopicRules RulesOf(TopicImage topic)
    {
        if (!_rules.TryGetValue(topic.Id, out var rules))
            _rules[topic.Id] = rules = controller.Partitions.RulesOf(image, topic);
        return rules;
    }

    /// <summary>A change of a partition, to be varied.</summary>
    public PartitionChange Begin(TopicImage topic, PartitionRegistration partition, int index) =>
        PartitionDecisions.Begin(image, partition, topic.Id, index, RulesOf(topic));

    /// <summary>Adds the record of a change.</summary>
    /// <returns>False when nothing changes.</returns>
    /// <exception cref="ApiException">POLICY_VIOLATION: a client's command would write too much at once.</exception>
    public bool TryAdd(PartitionChange change)
    {
        if (change.ToRecord() is not { } record)
            return false;
        Records.Add(record);
        if (isBounded)
            QuorumController.CheckSize(Records);
        _changed[(change.TopicId, change.Index)] = change.Partition.Merge((PartitionChangeRecord)record.Message);
        return true;
    }
}
