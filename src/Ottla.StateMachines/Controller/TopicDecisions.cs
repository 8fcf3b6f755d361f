using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Metadata;
using Ottla.StateMachines.Metadata;

namespace Ottla.StateMachines.Controller;

/// <summary>Decides about the creation, deletion and growth of topics.</summary>
internal sealed partial class TopicDecisions(QuorumController controller)
{
    /// <summary>The most partitions that one request may create.</summary>
    private const int PartitionsMax = 10_000;

    private const short UseDefault = -1;

    private ControllerSettings Settings => controller.Settings;

    public Decision<MetadataRecord, CreateTopicsResponse> Create(CreateTopicsCommand command, in ControllerState state)
    {
        var request = command.Request;
        var image = state.Image;
        var admitted = Admit(command, out var results);
        CheckPartitionCount(admitted);
        List<MetadataRecord> records = [];
        HashSet<string>? collisions = null;
        CreateTopicsResponse.CreatableTopicConfigs[]? defaults = null;
        foreach (var topic in admitted)
        {
            try
            {
                CheckName(image, topic.Name, ref collisions);
                results.Add(Create(command, image, topic, records, ref defaults));
            }
            catch (ApiException e)
            {
                results.Add(Failed(topic.Name, e.Error));
            }

            QuorumController.CheckSize(records);
        }

        return new(request.ValidateOnly ? [] : records, new CreateTopicsResponse { Topics = [.. results] }, true);
    }

    public Decision<MetadataRecord, CreatePartitionsResponse> CreatePartitions(CreatePartitionsCommand command, in ControllerState state)
    {
        var request = command.Request;
        var image = state.Image;
        List<MetadataRecord> records = [];
        var results = new List<CreatePartitionsResponse.CreatePartitionsTopicResult>();
        foreach (var group in request.Topics.GroupBy(topic => topic.Name, StringComparer.Ordinal))
        {
            var error = ApiError.None;
            if (group.Count() > 1)
            {
                error = new ApiError(ErrorCode.InvalidRequest, "Duplicate topic name.");
            }
            else
            {
                try
                {
                    var grown = Grow(image, group.Single());
                    CheckQuota(command.TryTake, grown.Count);
                    records.AddRange(grown);
                }
                catch (ApiException e)
                {
                    error = e.Error;
                }
            }

            QuorumController.CheckSize(records);
            results.Add(
                new CreatePartitionsResponse.CreatePartitionsTopicResult
                {
                    Name = group.Key,
                    ErrorCode = (short)error.Code,
                    ErrorMessage = error.Message
                });
        }

        return new(request.ValidateOnly ? [] : records, new CreatePartitionsResponse { Results = [.. results] }, true);
    }

    /// <summary>Returns the topics that can be created, and adds a result for each of the others.</summary>
    private static List<CreateTopicsRequest.CreatableTopic> Admit(
        CreateTopicsCommand command, out List<CreateTopicsResponse.CreatableTopicResult> results)
    {
        results = [];
        var admitted = new List<CreateTopicsRequest.CreatableTopic>();
        foreach (var group in command.Request.Topics.GroupBy(topic => topic.Name, StringComparer.Ordinal))
        {
            if (group.Count() > 1)
                results.Add(Failed(group.Key, new ApiError(ErrorCode.InvalidRequest, "Duplicate topic name.")));
            else if (group.Key == TopicNames.ClusterMetadata)
                results.Add(
                    Failed(group.Key,
                        new ApiError(ErrorCode.InvalidRequest, $"Creation of internal topic {TopicNames.ClusterMetadata} is prohibited.")));
            else
                admitted.Add(group.Single());
        }

        return admitted;
    }

    private static CreateTopicsResponse.CreatableTopicResult Failed(string name, ApiError error) =>
        new() { Name = name, ErrorCode = (short)error.Code, ErrorMessage = error.Message };

    private static void CheckName(MetadataImage image, string name, ref HashSet<string>? collisions)
    {
        if (image.Topics.Find(name) is not null)
            throw new ApiException(ErrorCode.TopicAlreadyExists, $"Topic '{name}' already exists.");
        if (TopicNames.ReasonInvalid(name) is { } reason)
            throw new ApiException(ErrorCode.InvalidTopicException, reason);
        if (!TopicNames.HasCollisionChars(name))
            return;

        // Computed once per request, and only if the request needs it.
        collisions ??= image.Topics.ByName.Keys.Where(TopicNames.HasCollisionChars).Select(TopicNames.UnifyCollisionChars)
            .ToHashSet(StringComparer.Ordinal);
        var unified = TopicNames.UnifyCollisionChars(name);
        if (collisions.Contains(unified))
        {
            var existing = image.Topics.ByName.Keys
                .First(other => TopicNames.HasCollisionChars(other) && TopicNames.UnifyCollisionChars(other) == unified);
            throw new ApiException(ErrorCode.InvalidTopicException, $"Topic '{name}' collides with existing topic: {existing}");
        }
    }

    private void CheckPartitionCount(List<CreateTopicsRequest.CreatableTopic> topics)
    {
        var total = 0L;
        foreach (var topic in topics)
        {
            if (topic.Assignments.Length > 0)
                total += topic.Assignments.Length;
            else
                total += topic.NumPartitions == UseDefault ? Settings.Config.NumPartitions : Math.Max(topic.NumPartitions, 0);
        }

        if (total > PartitionsMax)
            throw new ApiException(ErrorCode.PolicyViolation, "Excessively large number of partitions per request.");
    }

    /// <param name="command">The command.</param>
    /// <param name="image">The metadata.</param>
    /// <param name="topic">The topic to create.</param>
    /// <param name="records">The list to add its records to.</param>
    /// <param name="defaults">The configs of a topic that sets none, computed once for all topics of the request.</param>
    private CreateTopicsResponse.CreatableTopicResult Create(
        CreateTopicsCommand command,
        MetadataImage image,
        CreateTopicsRequest.CreatableTopic topic,
        List<MetadataRecord> records,
        ref CreateTopicsResponse.CreatableTopicConfigs[]? defaults)
    {
        var configRecords = ConfigsOf(image, topic);
        var partitions = topic.Assignments.Length > 0 ? Assigned(image, topic) : Placed(image, topic);
        CheckQuota(command.TryTake, partitions.Count);
        var id = NewTopicId(image);
        var result = new CreateTopicsResponse.CreatableTopicResult
        {
            Name = topic.Name,
            TopicId = id,
            ErrorMessage = null,
            NumPartitions = partitions.Count,
            ReplicationFactor = (short)partitions[0].Replicas.Length,
            Configs = topic.Configs.Length > 0 ? Describe(image, topic) : defaults ??= Describe(image, topic),
        };

        records.Add(new MetadataRecord(new TopicRecord { Name = topic.Name, TopicId = id }, 0));
        records.AddRange(configRecords);
        AddPartitions(image, id, 0, partitions, records);
        return result;
    }

    private static void CheckQuota(Func<int, bool>? tryTake, int partitions)
    {
        if (tryTake?.Invoke(partitions) == false)
            throw new ApiException(ErrorCode.ThrottlingQuotaExceeded);
    }

    private static void AddPartitions(
        MetadataImage image, Uuid topicId, int firstIndex, List<PartitionRegistration> partitions, List<MetadataRecord> records)
    {
        for (var i = 0; i < partitions.Count; i++)
            records.Add(
                partitions[i].ToRecord(topicId, firstIndex + i, image.Features.MetadataVersionOrThrow, image.Features.IsElrEnabled));
    }

    private List<MetadataRecord> ConfigsOf(MetadataImage image, CreateTopicsRequest.CreatableTopic topic)
    {
        var missing = topic.Configs.Where(config => config.Value is null).Select(config => config.Name).ToList();
        if (missing.Count > 0)
            throw new ApiException(ErrorCode.InvalidConfig, "Null value not supported for topic configs: " + string.Join(',', missing));
        List<MetadataRecord> records = [];
        if (topic.Configs.Length == 0)
            return records;
        var alterations = topic.Configs
            .DistinctBy(config => config.Name)
            .Select(config => new ConfigAlteration(config.Name, AlterConfigOperation.Set, LastValue(topic, config.Name)));
        var error = controller.Configs.Alter(image, ConfigResource.Topic(topic.Name), [.. alterations], quorum: null, records);
        if (error.IsFailure)
            throw new ApiException(error.Code, error.Message);
        ConfigDecisions.AddClearElr(image, records);
        return records;
    }

    /// <summary>The value of a config. If the request names it several times, the last value counts.</summary>
    private static string? LastValue(CreateTopicsRequest.CreatableTopic topic, string name) =>
        topic.Configs.Last(config => config.Name == name).Value;

    private CreateTopicsResponse.CreatableTopicConfigs[] Describe(MetadataImage image, CreateTopicsRequest.CreatableTopic topic)
    {
        var overrides = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var config in topic.Configs)
            overrides[config.Name] = config.Value!;
        return
        [
            .. ConfigDescription.Topic(controller.EffectiveConfig(image), overrides)
                .OrderBy(entry => entry.Name, StringComparer.Ordinal)
                .Select(entry => new CreateTopicsResponse.CreatableTopicConfigs
                {
                    Name = entry.Name,
                    Value = entry.IsSensitive ? null : entry.Value,
                    ReadOnly = entry.IsReadOnly,
                    ConfigSource = (sbyte)entry.Source,
                    IsSensitive = entry.IsSensitive,
                }),
        ];
    }

    private Uuid NewTopicId(MetadataImage image)
    {
        Uuid id;
        do
            id = Uuid.NewRandom(controller.Random);
        while (image.Topics.Find(id) is not null);
        return id;
    }
}
