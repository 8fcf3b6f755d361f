using Ottla.Configuration;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Metadata;
using Ottla.StateMachines.Metadata;

namespace Ottla.StateMachines.Controller;

/// <summary>Decides about changes of finalized features.</summary>
internal sealed class FeatureDecisions(QuorumController controller)
{
    private const sbyte Upgrade = 1;
    private const sbyte SafeDowngrade = 2;
    private const sbyte UnsafeDowngrade = 3;

    public Decision<MetadataRecord, UpdateFeaturesResponse> Update(UpdateFeaturesCommand command, in ControllerState state)
    {
        var image = state.Image;
        List<MetadataRecord> records = [];
        var proposedVersion = image.Features.MetadataVersionOrThrow;
        foreach (var update in command.Request.FeatureUpdates)
        {
            if (update.Feature == MetadataVersion.FeatureName)
                proposedVersion = new MetadataVersion(update.MaxVersionLevel);
        }

        foreach (var update in command.Request.FeatureUpdates)
        {
            var type = command.Version == 0 ? (update.AllowDowngrade ? SafeDowngrade : Upgrade) : update.UpgradeType;
            var error = Update(state, update.Feature, update.MaxVersionLevel, type, proposedVersion, command, records);
            if (error.IsFailure)
            {
                return new([], new UpdateFeaturesResponse
                {
                    ErrorCode = (short)error.Code,
                    ErrorMessage = UpdateFeaturesCommand.FailurePrefix + error.Message,
                }, true);
            }
        }

        if (Array.Exists(
            command.Request.FeatureUpdates, update => update is { Feature: Feature.EligibleLeaderReplicasVersion, MaxVersionLevel: > 0 }))
            records.InsertRange(0, ElrSafetyRecords(image));
        var response = new UpdateFeaturesResponse { ErrorMessage = null };
        if (command.Version <= 1)
        {
            response.Results =
            [
                .. command.Request.FeatureUpdates
                    .Select(update => new UpdateFeaturesResponse.UpdatableFeatureResult { Feature = update.Feature, ErrorMessage = null }),
            ];
        }

        return new(command.Request.ValidateOnly || command.ChecksOnly ? [] : records, response, true);
    }

    /// <summary>With eligible leader replicas, min.insync.replicas is set for the cluster, and for no single broker (KIP-966).</summary>
    private IEnumerable<MetadataRecord> ElrSafetyRecords(MetadataImage image)
    {
        const string name = ConfigDecisions.MinInsyncReplicas;
        if (image.Configs.Value(ConfigResource.DefaultBroker, name) is null)
            yield return ConfigDecisions.Record(
                ConfigResource.DefaultBroker, name, QuorumController.Text(controller.Settings.Config.MinInsyncReplicas));
        foreach (var resource in image.Configs.ByResource.Keys.OrderBy(resource => resource.Name, StringComparer.Ordinal))
        {
            if (resource is { Type: ConfigResourceType.Broker, Name.Length: > 0 } && image.Configs.Value(resource, name) is not null)
                yield return ConfigDecisions.Record(resource, name, null);
        }
    }

    private static ApiError Invalid(string feature, short level, string message) =>
        new(ErrorCode.InvalidUpdateVersion, $"Invalid update version {level} for feature {feature}. {message}");

    private static string? ReasonNotSupported(string who, VersionRange range, short level)
    {
        if (range.Contains(level))
            return null;
        return range.Max == 0 ? $"{who} does not support this feature." : $"{who} only supports versions {range}";
    }

    private ApiError Update(
        in ControllerState state, string feature, short level, sbyte type, MetadataVersion proposedVersion, UpdateFeaturesCommand command,
        List<MetadataRecord> records)
    {
        if (type is not (Upgrade or SafeDowngrade or UnsafeDowngrade))
            return Invalid(feature, level, "The controller does not support the given upgrade type.");
        if (level < 0)
            return Invalid(feature, level, "A feature version cannot be less than 0.");
        if (ReasonNotSupported(state, feature, level) is { } reason)
            return Invalid(feature, level, reason);
        var current = feature == Feature.KRaftVersion
            ? Math.Max(state.Quorum.KRaftVersion, command.RaisedKRaftVersion)
            : state.Image.Features.LevelOf(feature);
        if (level < current && type == Upgrade)
        {
            return Invalid(
                feature, level,
                    "Can't downgrade the version of this feature without setting the upgrade type to either safe or unsafe downgrade.");
        }

        if (level > current && type != Upgrade)
            return Invalid(feature, level, "Can't downgrade to a newer version.");
        return feature switch
        {
            MetadataVersion.FeatureName => UpdateMetadataVersion(new MetadataVersion(current), new MetadataVersion(level), type, records),
            Feature.KRaftVersion => UpdateKRaftVersion(current, level, type, command.ChecksOnly, records),
            _ => UpdateOther(feature, level, proposedVersion, records),
        };
    }

    private static ApiError UpdateMetadataVersion(MetadataVersion current, MetadataVersion next, sbyte type, List<MetadataRecord> records)
    {
        if (!next.IsKnown)
        {
            return new ApiError(
                ErrorCode.InvalidUpdateVersion,
                $"Invalid metadata.version {next.Level}. Valid versions are from {MetadataVersion.Minimum.Level} to "
                + $"{MetadataVersion.Latest.Level}.");
        }

        if (next < current && MetadataVersion.RecordsDiffer(current, next))
        {
            var why = type == UnsafeDowngrade
                ? "Unsafe metadata downgrade is not supported in this version."
                : "Refusing to perform the requested downgrade because it might delete metadata information.";
            return new ApiError(
                ErrorCode.InvalidUpdateVersion, $"Unsupported metadata.version downgrade from {current.Level} to {next.Level}. {why}");
        }

        records.Add(new MetadataRecord(new FeatureLevelRecord { Name = MetadataVersion.FeatureName, FeatureLevel = next.Level }, 0));
        return ApiError.None;
    }

    /// <summary>Raft raises the level, between the check and the decision: here it has been raised, or nothing is asked for.</summary>
    private static ApiError UpdateKRaftVersion(short current, short level, sbyte type, bool checksOnly, List<MetadataRecord> records)
    {
        if (level < current)
            return Invalid(Feature.KRaftVersion, level, "Can't downgrade the version of this feature.");
        if (level > current && !checksOnly)
            return Invalid(Feature.KRaftVersion, level, "The quorum has not raised it.");
        if (type == Upgrade)
            records.Add(new MetadataRecord(new NoOpRecord(), 0)); // so that there is an offset to wait for
        return ApiError.None;
    }

    private static ApiError UpdateOther(string name, short level, MetadataVersion proposedVersion, List<MetadataRecord> records)
    {
        if (Feature.Find(name) is not { } feature)
            return Invalid(name, level, $"Feature {name} not found.");
        if (feature.ReasonNotAllowed(level, proposedVersion) is { } reason)
            return Invalid(name, level, reason);
        records.Add(new MetadataRecord(new FeatureLevelRecord { Name = name, FeatureLevel = level }, 0));
        return ApiError.None;
    }

    private string? ReasonNotSupported(in ControllerState state, string feature, short level)
    {
        var image = state.Image;
        var settings = controller.Settings;
        if (ReasonNotSupported($"Local controller {settings.NodeId}", settings.SupportedFeatures[feature], level) is { } local)
            return local;
        foreach (var broker in image.Cluster.Brokers.Values)
        {
            if (ReasonNotSupported($"Broker {broker.Id}", broker.Features.GetValueOrDefault(feature), level) is { } reason)
                return reason;
        }

        if (!image.Features.MetadataVersionOrThrow.SupportsControllerRegistration)
            return null;
        foreach (var registered in image.Cluster.Controllers.Values)
        {
            if (registered.Id != settings.NodeId
                && ReasonNotSupported($"Controller {registered.Id}", registered.Features.GetValueOrDefault(feature), level) is { } reason)
                return reason;
        }

        foreach (var voter in state.Quorum.VoterIds)
        {
            if (voter != settings.NodeId && !image.Cluster.Controllers.ContainsKey(voter))
                return $"controller {voter} has not registered, and may not support this feature";
        }

        return null;
    }
}
