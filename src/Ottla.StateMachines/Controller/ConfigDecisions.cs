using Ottla.Configuration;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Metadata;
using Ottla.StateMachines.Metadata;

namespace Ottla.StateMachines.Controller;

/// <summary>Decides about changes of dynamic configs.</summary>
internal sealed class ConfigDecisions(QuorumController controller)
{
    public const string MinInsyncReplicas = "min.insync.replicas";
    public const string UncleanLeaderElection = "unclean.leader.election.enable";
    private const string CordonedLogDirs = "cordoned.log.dirs";

    /// <summary>A change of one config.</summary>
    public readonly record struct Alteration(string Name, AlterConfigOperation Operation, string? Value);

    public static MetadataRecord Record(ConfigResource resource, string name, string? value) =>
        new(new ConfigRecord { ResourceType = (sbyte)resource.Type, ResourceName = resource.Name, Name = name, Value = value }, 0);

    /// <summary>What a topic config is: its own value, that of this broker, of all brokers, or the static one.</summary>
    /// <remarks>Only for configs that topics and brokers spell alike: it is asked for every partition of a broker that comes or goes.</remarks>
    public string EffectiveTopicValue(MetadataImage image, string topic, string name)
    {
        if ((image.Configs.Value(ConfigResource.Topic(topic), name)
            ?? image.Configs.Value(ConfigResource.Broker(controller.Settings.NodeId), name)
            ?? image.Configs.Value(ConfigResource.DefaultBroker, name)) is { } value)
            return value;
        return controller.Settings.Config.Get(name).ToText()!;
    }

    public Decision<MetadataRecord, IncrementalAlterConfigsResponse> Alter(IncrementalAlterConfigsCommand command, in ControllerState state)
    {
        List<MetadataRecord> records = [];
        var image = state.Image;
        var requested = command.Request.Resources.Select(resource => (
            Resource(resource.ResourceType, resource.ResourceName),
            resource.Configs.Select(c => new Alteration(c.Name, (AlterConfigOperation)c.ConfigOperation, c.Value))));
        var responses = AlterEach(image, [.. requested], command.MayAlter, records, (resource, error) => new IncrementalAlterConfigsResponse.AlterConfigsResourceResponse
        {
            ErrorCode = (short)error.Code,
            ErrorMessage = error.Message,
            ResourceType = (sbyte)resource.Type,
            ResourceName = resource.Name,
        });
        return new(Finish(image, records, command.Request.ValidateOnly), new IncrementalAlterConfigsResponse { Responses = responses }, true);
    }

    public Decision<MetadataRecord, AlterConfigsResponse> AlterLegacy(AlterConfigsCommand command, in ControllerState state)
    {
        List<MetadataRecord> records = [];
        var image = state.Image;
        var requested = command.Request.Resources.Select(resource => (
            Resource(resource.ResourceType, resource.ResourceName),
            resource.Configs.Select(c => new Alteration(c.Name, AlterConfigOperation.Set, c.Value)).Concat(DeletionsOfUnnamed(image, resource))));
        var responses = AlterEach(image, [.. requested], command.MayAlter, records, (resource, error) => new AlterConfigsResponse.AlterConfigsResourceResponse
        {
            ErrorCode = (short)error.Code,
            ErrorMessage = error.Message,
            ResourceType = (sbyte)resource.Type,
            ResourceName = resource.Name,
        });
        return new(Finish(image, records, command.Request.ValidateOnly), new AlterConfigsResponse { Responses = responses }, true);
    }

    /// <summary>Adds the records of one resource's changes; none of them when one is refused.</summary>
    /// <param name="image">The present.</param>
    /// <param name="resource">The resource.</param>
    /// <param name="alterations">Its changes.</param>
    /// <param name="isNew">Whether it is a topic that is being created.</param>
    /// <param name="records">Where to add them.</param>
    public ApiError Alter(MetadataImage image, ConfigResource resource, IReadOnlyList<Alteration> alterations, bool isNew, List<MetadataRecord> records)
    {
        var existing = image.Configs.Of(resource);
        var updated = existing.ToBuilder();
        List<MetadataRecord> changes = [];
        try
        {
            var names = new HashSet<string>(StringComparer.Ordinal);
            foreach (var alteration in alterations)
            {
                if (!names.Add(alteration.Name))
                    return new ApiError(ErrorCode.InvalidRequest, "Error due to duplicate config keys");
                var value = DynamicConfigRules.ValidateAlteration(
                    resource.Type, resource.Name, alteration.Name, alteration.Operation, alteration.Value, existing);
                if (RefusedForCluster(image, resource, alteration.Name, value) is { } refused)
                    return new ApiError(ErrorCode.InvalidConfig, refused);
                if (value is null)
                    updated.Remove(alteration.Name);
                else
                    updated[alteration.Name] = value;

                // Of brokers also what stays: the record makes them load again the files that the value names (KAFKA-14136).
                if (resource.Type == ConfigResourceType.Broker || existing.GetValueOrDefault(alteration.Name) != value)
                    changes.Add(Record(resource, alteration.Name, value));
            }

            if (resource.Type == ConfigResourceType.Topic && TopicNames.ReasonInvalid(resource.Name) is { } reason)
                return new ApiError(ErrorCode.InvalidTopicException, reason);
            DynamicConfigRules.ValidateResource(resource.Type, resource.Name, updated, existing, controller.Settings.Config);
        }
        catch (ConfigException e)
        {
            return new ApiError(e.Kind == ConfigErrorKind.InvalidRequest ? ErrorCode.InvalidRequest : ErrorCode.InvalidConfig, e.Message);
        }

        if (!isNew && ReasonUnknown(image, resource) is { } unknown)
            return unknown;
        records.AddRange(changes);
        return ApiError.None;
    }

    /// <summary>Adds what a change of min.insync.replicas entails: who was eligible under the old value may not be under the new.</summary>
    public static void AddClearElr(MetadataImage image, List<MetadataRecord> records)
    {
        if (!image.Features.IsElrEnabled)
            return;
        var count = records.Count;
        for (var i = 0; i < count; i++)
        {
            if (records[i].Message is ConfigRecord { Name: MinInsyncReplicas } config)
            {
                var topic = config.ResourceType == (sbyte)ConfigResourceType.Topic ? config.ResourceName : "";
                records.Add(new MetadataRecord(new ClearElrRecord { TopicName = topic }, 0));
            }
        }
    }

    private static List<MetadataRecord> Finish(MetadataImage image, List<MetadataRecord> records, bool validateOnly)
    {
        AddClearElr(image, records);
        QuorumController.CheckSize(records);
        return validateOnly ? [] : records;
    }

    private static ConfigResource Resource(sbyte type, string name) => new((ConfigResourceType)type, name);

    private static IEnumerable<Alteration> DeletionsOfUnnamed(MetadataImage image, AlterConfigsRequest.AlterConfigsResource requested)
    {
        var named = requested.Configs.Select(c => c.Name).ToHashSet(StringComparer.Ordinal);
        return image.Configs.Of(Resource(requested.ResourceType, requested.ResourceName)).Keys
            .Where(name => !named.Contains(name))
            .Select(name => new Alteration(name, AlterConfigOperation.Delete, null));
    }

    /// <summary>Answers every resource once, one that is named repeatedly with a refusal, and adds the records of those that are altered.</summary>
    private TAnswer[] AlterEach<TAnswer>(
        MetadataImage image,
        IReadOnlyList<(ConfigResource Resource, IEnumerable<Alteration> Alterations)> requested,
        ConfigPermission? mayAlter,
        List<MetadataRecord> records,
        Func<ConfigResource, ApiError, TAnswer> answer)
    {
        var answers = new List<TAnswer>(requested.Count);
        foreach (var sameResource in requested.GroupBy(one => one.Resource))
        {
            var (resource, alterations) = sameResource.First();
            var error = Admit(resource, isRepeated: sameResource.Skip(1).Any(), mayAlter);
            answers.Add(answer(resource, error.IsFailure ? error : Alter(image, resource, [.. alterations], isNew: false, records)));
        }

        return [.. answers];
    }

    private static ApiError Admit(ConfigResource resource, bool isRepeated, ConfigPermission? mayAlter)
    {
        if (resource.Type is not (ConfigResourceType.Topic or ConfigResourceType.Broker or ConfigResourceType.BrokerLogger
            or ConfigResourceType.ClientMetrics or ConfigResourceType.Group))
            return new ApiError(ErrorCode.UnsupportedVersion, $"Unknown resource type {(sbyte)resource.Type}.");
        return isRepeated ? new ApiError(ErrorCode.InvalidRequest, "Duplicate resource.") : mayAlter?.Invoke(resource) ?? ApiError.None;
    }

    private static string? RefusedForCluster(MetadataImage image, ConfigResource resource, string name, string? value)
    {
        if (resource.Type != ConfigResourceType.Broker)
            return null;
        if (name == MinInsyncReplicas && image.Features.IsElrEnabled)
        {
            if (resource.Name.Length > 0)
                return "Broker-level min.insync.replicas cannot be altered while ELR is enabled.";
            if (value is null)
                return "Cluster-level min.insync.replicas cannot be removed while ELR is enabled.";
        }

        return name == CordonedLogDirs && !image.Features.MetadataVersionOrThrow.SupportsCordonedLogDirs
            ? $"The {CordonedLogDirs} configuration value cannot be set because it requires metadata.version >= {MetadataVersion.V4_3_IV0}"
            : null;
    }

    private ApiError? ReasonUnknown(MetadataImage image, ConfigResource resource)
    {
        switch (resource.Type)
        {
            case ConfigResourceType.Topic when image.Topics.Find(resource.Name) is null:
                return new ApiError(ErrorCode.UnknownTopicOrPartition, $"The topic '{resource.Name}' does not exist.");
            case ConfigResourceType.Broker when resource.Name.Length > 0:
                var id = int.Parse(resource.Name, System.Globalization.CultureInfo.InvariantCulture);
                return image.Cluster.Brokers.ContainsKey(id) || image.Cluster.Controllers.ContainsKey(id) || controller.Settings.VoterIds.Contains(id)
                    ? null
                    : new ApiError(ErrorCode.BrokerIdNotRegistered, $"No node with id {id} found.");
            default:
                return null;
        }
    }
}
