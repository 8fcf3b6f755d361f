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
            if (command.TryTake?.Invoke(topic.Partitions.Length) == false)
            {
                results.Add(Result(topic.Name, topic.Id, ErrorCode.ThrottlingQuotaExceeded));
                continue;
            }

            records.Add(new MetadataRecord(new RemoveTopicRecord { TopicId = topic.Id }, 0));
            results.Add(Result(topic.Name, topic.Id, ErrorCode.None));
        }

        // In no order that tells which topics exist.
        if (command.Access is not null)
            Shuffle(results);
        QuorumController.CheckSize(records);
        return new(records, new DeleteTopicsResponse { Responses = [.. results] }, true);
    }

    private void Shuffle(List<DeleteTopicsResponse.DeletableTopicResult> results)
    {
        for (var i = results.Count - 1; i > 0; i--)
        {
            var other = controller.Random.NextInt(i + 1);
            (results[i], results[other]) = (results[other], results[i]);
        }
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
            else if (command.Access is { } access && !access.Deletes(topic.Name))
                results.Add(Refused(access.Describes(topic.Name) ? topic.Name : null, topic.Id));
            else
                chosen.Add(topic.Id, topic);
        }

        foreach (var group in names.GroupBy(name => name, StringComparer.Ordinal))
            ChooseByName(command, topics, group.Key, group.Count() > 1, chosen, results);
        return [.. chosen.Values];
    }

    private static DeleteTopicsResponse.DeletableTopicResult Refused(string? name, Uuid id) =>
        Result(name, id, ErrorCode.TopicAuthorizationFailed, "Topic authorization failed.");

    private static void ChooseByName(
        DeleteTopicsCommand command,
        TopicsImage topics,
        string name,
        bool isRepeated,
        Dictionary<Uuid, TopicImage> chosen,
        List<DeleteTopicsResponse.DeletableTopicResult> results)
    {
        if (isRepeated)
            results.Add(Result(name, Uuid.Zero, ErrorCode.InvalidRequest, "Duplicate topic name."));
        else if (command.Access?.Describes(name) == false)
            results.Add(Refused(name, Uuid.Zero));
        else if (topics.Find(name) is not { } topic)
            results.Add(Result(name, Uuid.Zero, ErrorCode.UnknownTopicOrPartition, "This server does not host this topic-partition."));
        else if (command.Access?.Deletes(name) == false)
            results.Add(Refused(name, Uuid.Zero));
        else if (chosen.Remove(topic.Id))
            results.Add(
                Result(name, topic.Id, ErrorCode.InvalidRequest, "The provided topic name maps to an ID that was already supplied."));
        else
            chosen.Add(topic.Id, topic);
    }
}
