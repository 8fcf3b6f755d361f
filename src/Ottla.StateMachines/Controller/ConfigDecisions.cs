using System.Globalization;
using Ottla.Configuration;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Metadata;
using Ottla.StateMachines.Metadata;

namespace Ottla.StateMachines.Controller;

/// <summary>Decides about changes to dynamic configs.</summary>
internal sealed class ConfigDecisions(QuorumController controller)
{
    public const string MinInsyncReplicas = "min.insync.replicas";
    public const string UncleanLeaderElection = "unclean.leader.election.enable";
    private const string CordonedLogDirs = "cordoned.log.dirs";
    private const string CordonRefusal =
        $"When updating {CordonedLogDirs} via controllers,  the new value must be a subset of the current configuration value.";

    public static MetadataRecord Record(ConfigResource resource, string name, string? value) =>
        new(new ConfigRecord { ResourceType = (sbyte)resource.Type, ResourceName = resource.Name, Name = name, Value = value }, 0);

    /// <summary>
    /// The effective value of a topic config: from the topic, this broker, the default of all brokers, or the static configuration.
    /// </summary>
    /// <remarks>
    /// Only for configs with the same name on topics and brokers. It is called for every partition when a broker comes or goes.
    /// </remarks>
    public string EffectiveTopicValue(MetadataImage image, string topic, string name)
    {
        if ((image.Configs.Value(ConfigResource.Topic(topic), name)
            ?? image.Configs.Value(ConfigResource.Broker(controller.Settings.NodeId), name)
            ?? image.Configs.Value(ConfigResource.DefaultBroker, name)) is { } value)
            return value;
        return controller.Settings.Config.Get(name).ToText()!;
    }

    public Decision<MetadataRecord, IReadOnlyList<ApiError>> Alter(AlterConfigsCommand command, in ControllerState state)
    {
        List<MetadataRecord> records = [];
        var image = state.Image;
        var repeated =
            command.Changes.GroupBy(change => change.Resource).Where(same => same.Skip(1).Any()).Select(same => same.Key).ToHashSet();
        var answers = new List<ApiError>(command.Changes.Count);
        foreach (var change in command.Changes)
        {
            var error = Admit(change.Resource, repeated.Contains(change.Resource));
            if (!error.IsFailure && !command.IsForwarded && CordonsUnseen(image, change))
                error = new ApiError(ErrorCode.InvalidConfig, CordonRefusal);
            answers.Add(error.IsFailure ? error : Alter(image, change.Resource, WithDeletions(image, change), state.Quorum, records));
        }

        AddClearElr(image, records);
        QuorumController.CheckSize(records);
        return new(command.ValidateOnly ? [] : records, answers, true);
    }

    /// <summary>Adds the records of one resource's changes, or none if any change is invalid.</summary>
    /// <param name="image">The current image.</param>
    /// <param name="resource">The resource.</param>
    /// <param name="alterations">The changes.</param>
    /// <param name="quorum">The quorum, whose nodes may have configs; null for a topic that is being created.</param>
    /// <param name="records">The list to add the records to.</param>
    public ApiError Alter(
        MetadataImage image, ConfigResource resource, IReadOnlyList<ConfigAlteration> alterations, ControllerQuorum? quorum,
        List<MetadataRecord> records)
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

                // For brokers also unchanged values: the record makes them reload the files that the value names (KAFKA-14136).
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

        if (quorum is not null && ReasonUnknown(image, resource, quorum) is { } unknown)
            return unknown;
        records.AddRange(changes);
        return ApiError.None;
    }

    /// <summary>
    /// Clears the eligible leader replicas after a change of min.insync.replicas, because they were chosen for the old value.
    /// </summary>
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

    /// <summary>
    /// The changes of a resource. When they replace all configs, they include deletions of the configs that are not named.
    /// </summary>
    private static IReadOnlyList<ConfigAlteration> WithDeletions(MetadataImage image, ConfigChange change)
    {
        if (!change.ReplacesAll)
            return change.Alterations;
        var named = change.Alterations.Select(alteration => alteration.Name).ToHashSet(StringComparer.Ordinal);
        var unnamed = image.Configs.Of(change.Resource).Keys.Where(name => !named.Contains(name));
        return [.. change.Alterations, .. unnamed.Select(name => new ConfigAlteration(name, AlterConfigOperation.Delete, null))];
    }

    /// <summary>Whether a change cordons directories that are not cordoned yet: only the broker can tell whether it has them.</summary>
    private static bool CordonsUnseen(MetadataImage image, ConfigChange change)
    {
        if (change.Resource.Type != ConfigResourceType.Broker)
            return false;
        var current = Split(image.Configs.Value(change.Resource, CordonedLogDirs));
        return change.Alterations.Any(alteration => alteration is { Name: CordonedLogDirs, Value: { } value }
            && alteration.Operation is AlterConfigOperation.Set or AlterConfigOperation.Append
            && Split(value).Except(current, StringComparer.Ordinal).Any());

        static string[] Split(string? list) =>
            (list ?? "").Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
    }

    private static ApiError Admit(ConfigResource resource, bool isRepeated)
    {
        if (resource.Type is not (ConfigResourceType.Topic or ConfigResourceType.Broker or ConfigResourceType.BrokerLogger
            or ConfigResourceType.ClientMetrics or ConfigResourceType.Group))
            return new ApiError(ErrorCode.UnsupportedVersion, $"Unknown resource type {(sbyte)resource.Type}.");
        return isRepeated ? new ApiError(ErrorCode.InvalidRequest, "Duplicate resource.") : ApiError.None;
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

    private static ApiError? ReasonUnknown(MetadataImage image, ConfigResource resource, ControllerQuorum quorum)
    {
        switch (resource.Type)
        {
            case ConfigResourceType.Topic when image.Topics.Find(resource.Name) is null:
                return new ApiError(ErrorCode.UnknownTopicOrPartition, $"The topic '{resource.Name}' does not exist.");
            case ConfigResourceType.Broker when resource.Name.Length > 0:
                if (!int.TryParse(resource.Name, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var id))
                    return new ApiError(ErrorCode.InvalidRequest, $"Invalid broker name {resource.Name}");
                return image.Cluster.Brokers.ContainsKey(id) || image.Cluster.Controllers.ContainsKey(id)
                    || quorum.VoterIds.Contains(id)
                    ? null
                    : new ApiError(ErrorCode.BrokerIdNotRegistered, $"No node with id {id} found.");
            default:
                return null;
        }
    }
}
