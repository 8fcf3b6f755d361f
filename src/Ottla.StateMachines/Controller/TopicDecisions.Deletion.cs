using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Metadata;
using Ottla.StateMachines.Metadata;

namespace Ottla.StateMachines.Controller;

/// <summary>Finds the topics to delete by name or id, and hides those that the client may not see.</summary>
internal sealed partial class TopicDecisions
{
    /// <summary>The oldest version of DeleteTopics whose clients know TOPIC_DELETION_DISABLED.</summary>
    private const short DeletionDisabledVersion = 3;

    public Decision<MetadataRecord, DeleteTopicsResponse> Delete(DeleteTopicsCommand command, in ControllerState state)
    {
        if (!Settings.Config.DeleteTopicEnable)
        {
            throw command.Version < DeletionDisabledVersion
                ? new ApiException(ErrorCode.InvalidRequest, "This version does not support topic deletion.")
                : new ApiException(ErrorCode.TopicDeletionDisabled);
        }

        var results = new List<DeleteTopicsResponse.DeletableTopicResult>();
        var chosen = Choose(command, state.Image.Topics, results);
        List<MetadataRecord> records = [];
        foreach (var topic in chosen)
        {
            records.Add(new MetadataRecord(new RemoveTopicRecord { TopicId = topic.Id }, 0));
            results.Add(Result(topic.Name, topic.Id, ErrorCode.None));
        }

        QuorumController.CheckSize(records);
        return new(records, new DeleteTopicsResponse { Responses = [.. results] }, true);
    }

    private static DeleteTopicsResponse.DeletableTopicResult Result(string? name, Uuid id, ErrorCode error, string? message = null) =>
        new() { Name = name, TopicId = id, ErrorCode = (short)error, ErrorMessage = message };

    private static List<TopicImage> Choose(
        DeleteTopicsCommand command, TopicsImage topics, List<DeleteTopicsResponse.DeletableTopicResult> results)
    {
        var names = new List<string>(command.Request.TopicNames);
        var ids = new List<Uuid>();
        foreach (var topic in command.Request.Topics)
        {
            if (topic.Name is null && topic.TopicId == Uuid.Zero)
                results.Add(Result(null, Uuid.Zero, ErrorCode.InvalidRequest, "Neither topic name nor id were specified."));
            else if (topic.Name is not null && topic.TopicId != Uuid.Zero)
                results.Add(
                    Result(topic.Name, topic.TopicId, ErrorCode.InvalidRequest, "You may not specify both topic name and topic id."));
            else if (topic.Name is not null)
                names.Add(topic.Name);
            else
                ids.Add(topic.TopicId);
        }

        var chosen = new Dictionary<Uuid, TopicImage>();
        foreach (var group in ids.GroupBy(id => id))
        {
            if (group.Count() > 1)
                results.Add(Result(null, group.Key, ErrorCode.InvalidRequest, "Duplicate topic id."));
            else if (topics.Find(group.Key) is not { } topic)
                results.Add(Result(null, group.Key, ErrorCode.UnknownTopicId, "This server does not host this topic ID."));
            else
                chosen.Add(topic.Id, topic);
        }

        foreach (var group in names.GroupBy(name => name, StringComparer.Ordinal))
            ChooseByName(topics, group.Key, group.Count() > 1, chosen, results);
        return [.. chosen.Values];
    }

    private static void ChooseByName(
        TopicsImage topics,
        string name,
        bool isRepeated,
        Dictionary<Uuid, TopicImage> chosen,
        List<DeleteTopicsResponse.DeletableTopicResult> results)
    {
        if (isRepeated)
            results.Add(Result(name, Uuid.Zero, ErrorCode.InvalidRequest, "Duplicate topic name."));
        else if (topics.Find(name) is not { } topic)
            results.Add(Result(name, Uuid.Zero, ErrorCode.UnknownTopicOrPartition, "This server does not host this topic-partition."));
        else if (chosen.Remove(topic.Id))
            results.Add(
                Result(name, topic.Id, ErrorCode.InvalidRequest, "The provided topic name maps to an ID that was already supplied."));
        else
            chosen.Add(topic.Id, topic);
    }
}
