using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.StateMachines.Coordinators;

namespace Ottla.StateMachines.Groups.Share;

/// <summary>
/// Decides about the state that share coordinators keep of share groups: where partitions begin, and what is deleted. The group coordinator
/// knows only of which partitions there is state.
/// </summary>
/// <remarks>Part of a <see cref="GroupMachine"/>; lives as long.</remarks>
internal sealed class ShareOffsetDecisions(GroupContext context, ShareDecisions groups)
{
    /// <summary>Lists the partitions that have state and exist.</summary>
    public void List(ListShareStateCommand command, ReplyTo<IReadOnlyList<TopicIdPartition>> replyTo, CoordinatorEffects effects)
    {
        var state = context.Find<ShareGroup>(command.GroupId)?.StatePartitions ?? ShareStatePartitions.None;
        effects.Reply(replyTo, PartitionsOf(state.Initialized.Where(topic => context.Image.Topics.Find(topic.Key) is not null)));
    }

    /// <summary>
    /// AlterShareGroupOffsets. The group's epoch grows, so that leaders that still have the state from before are fenced when they write.
    /// </summary>
    /// <exception cref="ApiException">GROUP_ID_NOT_FOUND (a group of another type), NON_EMPTY_GROUP.</exception>
    public void Alter(
        AlterShareGroupOffsetsCommand command, ReplyTo<InitializeShareStateOutput> replyTo, Instant now, CoordinatorEffects effects)
    {
        var group = groups.GetOrMake(command.GroupId);
        group.ValidateEmpty();
        var epoch = group.GroupEpoch + 1;
        var output = new InitializeShareStateOutput(group.GroupId, epoch, command.Offsets);
        effects.Reply(replyTo, output);
        effects.Write(ShareGroupRecords.Epoch(group.GroupId, epoch, group.MetadataHash));
        if (command.Offsets.Count == 0)
            return;
        var topics = TopicsOf(output);
        effects.Write(ShareGroupRecords.StatePartitions(
            group.GroupId, topics.Aggregate(group.StatePartitions, (state, topic) => state.Begin(topic.Id, topic.Topic))));
        effects.WhenTaken(_ => context.Find<ShareGroup>(group.GroupId)?.RecordInitializing(topics.Select(topic => topic.Id), now));
    }

    /// <summary>Share coordinators have begun with partitions, or not.</summary>
    public void TakeInitialized(
        ShareStateInitializedCommand command, ReplyTo<ShareStateInitializedCommand> replyTo, CoordinatorEffects effects)
    {
        effects.Reply(replyTo, command);
        if (context.Find<ShareGroup>(command.Output.GroupId) is not { } group)
            return;
        var state = group.StatePartitions;
        foreach (var (id, topic) in TopicsOf(command.Output).Where(topic => state.Initializing.ContainsKey(topic.Id)))
            state = command.Error.IsFailure ? state.Abandon(id, topic.Partitions) : state.Complete(id, topic);
        WriteIfChanged(group, state, effects);
    }

    /// <summary>DeleteShareGroupOffsets: begins to delete the state of topics.</summary>
    /// <exception cref="ApiException">GROUP_ID_NOT_FOUND, NON_EMPTY_GROUP.</exception>
    public void Delete(
        DeleteShareGroupStateCommand command, ReplyTo<IReadOnlyList<TopicIdPartition>> replyTo, CoordinatorEffects effects)
    {
        var group = groups.Get(command.GroupId);
        group.ValidateEmpty();
        var state = group.StatePartitions;
        var partitions = new List<TopicIdPartition>();
        foreach (var topicId in command.TopicIds)
        {
            IEnumerable<int> known = state.Initialized.GetValueOrDefault(topicId)?.Partitions ?? [];
            partitions.AddRange(Begin(ref state, topicId, known));
        }

        effects.Reply(replyTo, partitions);
        WriteIfChanged(group, state, effects);
    }

    /// <summary>
    /// DeleteGroups: begins to delete the state of all topics of a share group. Groups of other types have none, and what is wrong with the
    /// group is told once it is to be deleted.
    /// </summary>
    public void PrepareDelete(
        PrepareDeleteGroupCommand command, ReplyTo<IReadOnlyList<TopicIdPartition>> replyTo, CoordinatorEffects effects)
    {
        var partitions = new List<TopicIdPartition>();
        if (context.Find<ShareGroup>(command.GroupId) is { IsEmpty: true } group)
        {
            var before = group.StatePartitions;
            var state = before;
            foreach (var topicId in before.Initialized.Keys.Union(before.Initializing.Keys).Union(before.Deleting.Keys).Order())
            {
                var initialized = before.Initialized.GetValueOrDefault(topicId)?.Partitions ?? [];
                var known = initialized.Union(before.Initializing.GetValueOrDefault(topicId)?.Partitions ?? []);
                state = state with { Initializing = state.Initializing.Remove(topicId) };
                partitions.AddRange(Begin(ref state, topicId, known));
            }

            WriteIfChanged(group, state, effects);
        }

        effects.Reply(replyTo, partitions);
    }

    /// <summary>
    /// Begins to delete the state of a topic. What is being deleted since earlier was not completed, and is deleted again. A topic that is
    /// gone is forgotten: its share coordinators do the same by themselves.
    /// </summary>
    /// <returns>The partitions whose share coordinators must be told.</returns>
    private IEnumerable<TopicIdPartition> Begin(ref ShareStatePartitions state, Uuid topicId, IEnumerable<int> known)
    {
        if (context.Image.Topics.Find(topicId) is not { } topic)
        {
            state = state.Forget(topicId);
            return [];
        }

        int[] partitions = state.Deleting.ContainsKey(topicId) ? [.. Enumerable.Range(0, topic.Partitions.Length)] : [.. known];
        if (partitions.Length > 0)
            state = state.Delete(topicId, topic.Name);
        return partitions.Select(partition => new TopicIdPartition(topicId, partition));
    }

    private static void WriteIfChanged(ShareGroup group, ShareStatePartitions state, CoordinatorEffects effects)
    {
        if (!ReferenceEquals(state, group.StatePartitions))
            effects.Write(ShareGroupRecords.StatePartitions(group.GroupId, state));
    }

    /// <summary>Share coordinators have deleted state.</summary>
    public void TakeDeleted(ShareStateDeletedCommand command, ReplyTo<ShareStateDeletedCommand> replyTo, CoordinatorEffects effects)
    {
        effects.Reply(replyTo, command);
        if (command.TopicIds.Count == 0 || context.Find<ShareGroup>(command.GroupId) is not { } group)
            return;
        var state = group.StatePartitions;
        effects.Write(ShareGroupRecords.StatePartitions(
            group.GroupId, state with { Deleting = state.Deleting.RemoveRange(command.TopicIds) }));
    }

    private static IReadOnlyList<TopicIdPartition> PartitionsOf(IEnumerable<KeyValuePair<Uuid, ShareTopic>> topics) =>
        [.. topics.SelectMany(topic => topic.Value.Partitions, (topic, partition) => new TopicIdPartition(topic.Key, partition))];

    private List<(Uuid Id, ShareTopic Topic)> TopicsOf(InitializeShareStateOutput output) =>
    [
        .. output.Partitions.GroupBy(each => each.Partition.TopicId, each => each.Partition.Partition).Select(topic =>
            (topic.Key, new ShareTopic(NameOf(output.GroupId, topic.Key), [.. topic]))),
    ];

    private string NameOf(string groupId, Uuid topicId) =>
        context.Image.Topics.Find(topicId)?.Name
        ?? context.Find<ShareGroup>(groupId)?.StatePartitions.Initializing.GetValueOrDefault(topicId)?.Name
        ?? ShareStatePartitions.UnknownName;
}
