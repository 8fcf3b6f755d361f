using System.Collections.Immutable;
using Ottla.Kernel;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Metadata;
using Ottla.StateMachines.Metadata;

namespace Ottla.Broker.Metadata;

/// <summary>A format command that cannot be done; the message is for the user.</summary>
public sealed class FormatterException(string message) : Exception(message);

/// <summary>A controller of a new dynamic quorum (KIP-853).</summary>
public sealed record InitialController(int Id, string Host, int Port, Uuid DirectoryId);

/// <summary>What a log directory's <c>meta.properties</c> says.</summary>
public sealed record FormattedDirectory(string? ClusterId, int? NodeId);

/// <summary>What a format command asks for.</summary>
public sealed record FormatRequest
{
    public required string ClusterId { get; init; }

    public required int NodeId { get; init; }

    /// <summary>The log directories.</summary>
    public required IReadOnlyList<string> LogDirs { get; init; }

    /// <summary>The one that the metadata log is in; null on a node that has none.</summary>
    public string? MetadataLogDir { get; init; }

    /// <summary><c>--release-version</c>; null for the newest supported.</summary>
    public string? ReleaseVersion { get; init; }

    /// <summary><c>--feature</c>.</summary>
    public IReadOnlyDictionary<string, short> Features { get; init; } = ImmutableDictionary<string, short>.Empty;

    /// <summary><c>--add-scram</c>.</summary>
    public IReadOnlyList<string> ScramArguments { get; init; } = [];

    /// <summary><c>--initial-controllers</c>, or this node alone for <c>--standalone</c>; null with static voters and for <c>--no-initial-controllers</c>.</summary>
    public IReadOnlyList<InitialController>? InitialControllers { get; init; }

    /// <summary>Whether the voters are in the log: none are configured.</summary>
    public bool HasDynamicQuorum { get; init; }

    /// <summary><c>--no-initial-controllers</c>: the voters are not known yet.</summary>
    public bool HasNoInitialControllers { get; init; }

    /// <summary><c>--ignore-formatted</c>.</summary>
    public bool IgnoreFormatted { get; init; }

    /// <summary>What this node supports: nothing else is finalized.</summary>
    public SupportedFeatures SupportedFeatures { get; init; } = SupportedFeatures.Latest;
}

/// <summary>A directory to format.</summary>
/// <param name="Path">Where.</param>
/// <param name="Kind">What it is called when it is announced.</param>
/// <param name="DirectoryId">The id for its <c>meta.properties</c>.</param>
/// <param name="HoldsMetadata">Whether the bootstrap snapshot goes there.</param>
public sealed record DirectoryPlan(string Path, string Kind, Uuid DirectoryId, bool HoldsMetadata);

/// <summary>What is to be written: the directories' <c>meta.properties</c>, and the snapshot before the metadata log with these records and voters.</summary>
public sealed record FormatPlan(
    string ClusterId,
    int NodeId,
    MetadataVersion MetadataVersion,
    short KRaftVersion,
    IReadOnlyList<MetadataRecord> Records,
    IReadOnlyList<InitialController>? Voters,
    IReadOnlyList<DirectoryPlan> Directories);

/// <summary>Computes what formatting a node's storage writes; writes nothing itself.</summary>
public static class StorageFormatter
{
    /// <summary>Works out a format command.</summary>
    /// <param name="request">The command.</param>
    /// <param name="existing">What a directory's <c>meta.properties</c> says; null when it has none.</param>
    /// <param name="newId">Makes ids for directories; null for random ones.</param>
    /// <exception cref="FormatterException">It cannot be done.</exception>
    public static FormatPlan Plan(FormatRequest request, Func<string, FormattedDirectory?> existing, Func<Uuid>? newId = null)
    {
        CheckRequest(request);
        CheckQuorum(request);
        var version = EffectiveVersion(request);
        var kraftVersion = EffectiveKRaftVersion(request);
        var records = BootstrapRecords(version, EffectiveLevels(request, version));
        if (request.ScramArguments.Count > 0)
        {
            if (!version.SupportsScram)
                throw new FormatterException($"SCRAM is only supported in {MetadataVersion.FeatureName} {MetadataVersion.V3_5_IV2} or later.");
            records.AddRange(request.ScramArguments.Select(argument => new MetadataRecord(ScramCredentials.Parse(argument), 0)));
        }

        return new FormatPlan(
            request.ClusterId, request.NodeId, version, kraftVersion, records, request.InitialControllers, Directories(request, existing, newId ?? Uuid.NewRandom));
    }

    /// <summary>The records that a cluster begins with when nobody formatted it with others.</summary>
    public static IReadOnlyList<MetadataRecord> DefaultBootstrap(SupportedFeatures supported)
    {
        var version = new MetadataVersion(supported[MetadataVersion.FeatureName].Max);
        return BootstrapRecords(version, DefaultLevels(supported, version));
    }

    private static void CheckRequest(FormatRequest request)
    {
        if (request.NodeId < 0)
            throw new FormatterException("You must specify a valid non-negative node ID.");
        if (request.ClusterId.Length == 0)
            throw new FormatterException("You must specify the cluster id.");
        if (request.LogDirs.Count == 0)
            throw new FormatterException("You must specify at least one directory to format");
        if (request.MetadataLogDir is { } metadataLogDir && !request.LogDirs.Contains(metadataLogDir))
        {
            throw new FormatterException(
                $"The specified metadata log directory, {metadataLogDir} was not one of the given directories: [{string.Join(", ", request.LogDirs)}]");
        }
    }

    /// <summary>Refuses a quorum that nobody could lead, as kafka-storage does.</summary>
    private static void CheckQuorum(FormatRequest request)
    {
        if (!request.HasDynamicQuorum && request.InitialControllers is not null)
        {
            throw new FormatterException(
                "You cannot specify controller.quorum.voters and format the node with --initial-controllers or --standalone. If you want to use "
                + "dynamic quorum, please remove controller.quorum.voters and specify controller.quorum.bootstrap.servers instead.");
        }

        if (request is { HasDynamicQuorum: true, MetadataLogDir: not null, InitialControllers: null or [], HasNoInitialControllers: false })
        {
            throw new FormatterException(
                "Because controller.quorum.voters is not set on this controller, you must specify one of the following: --standalone, "
                + "--initial-controllers, or --no-initial-controllers.");
        }
    }

    private static MetadataVersion EffectiveVersion(FormatRequest request)
    {
        var range = request.SupportedFeatures[MetadataVersion.FeatureName];
        var version = new MetadataVersion(range.Max);
        if (request.Features.TryGetValue(MetadataVersion.FeatureName, out var level))
        {
            if (request.ReleaseVersion is not null)
                throw new FormatterException("Use --release-version instead of --feature metadata.version=X to avoid ambiguity.");
            version = new MetadataVersion(level);
        }
        else if (request.ReleaseVersion is { } release && !MetadataVersion.TryParse(release, out version))
        {
            throw new FormatterException($"Unknown metadata.version '{release}'. Supported metadata.version are: {MetadataVersion.AllNames}");
        }

        return range.Contains(version.Level)
            ? version
            : throw new FormatterException($"No MetadataVersion with feature level {version.Level}. Valid feature levels are from {range.Min} to {range.Max}.");
    }

    private static short EffectiveKRaftVersion(FormatRequest request)
    {
        if (!request.Features.TryGetValue(Feature.KRaftVersion, out var level))
            return request.HasDynamicQuorum ? (short)1 : (short)0;
        if (!request.SupportedFeatures[Feature.KRaftVersion].Contains(level))
            throw new FormatterException($"No feature:{Feature.KRaftVersion} with feature level {level}");
        if (level == 0 && request.HasDynamicQuorum)
        {
            throw new FormatterException(
                "Cannot set kraft.version to 0 if controller.quorum.voters is empty and one of the flags --standalone, --initial-controllers, "
                + "or --no-initial-controllers is used. For dynamic controllers support, try removing the --feature flag for kraft.version.");
        }

        if (level > 0 && !request.HasDynamicQuorum)
        {
            throw new FormatterException(
                $"Cannot set kraft.version to {level} unless controller.quorum.voters is empty and one of the flags --standalone, --initial-controllers, "
                + "or --no-initial-controllers is used. For dynamic controllers support, try using one of --standalone, --initial-controllers, "
                + "or --no-initial-controllers and removing controller.quorum.voters.");
        }

        return level;
    }

    private static SortedDictionary<string, short> DefaultLevels(SupportedFeatures supported, MetadataVersion version)
    {
        var levels = new SortedDictionary<string, short>(StringComparer.Ordinal);
        foreach (var feature in Feature.All)
        {
            if (feature.Name != Feature.KRaftVersion)
                levels[feature.Name] = Math.Min(feature.DefaultLevel(version), supported[feature.Name].Max);
        }

        return levels;
    }

    private static SortedDictionary<string, short> EffectiveLevels(FormatRequest request, MetadataVersion version)
    {
        var levels = DefaultLevels(request.SupportedFeatures, version);
        foreach (var (name, level) in request.Features)
        {
            if (name is MetadataVersion.FeatureName or Feature.KRaftVersion)
                continue;
            if (Feature.Find(name) is not { } feature)
                throw new FormatterException($"Unsupported feature: {name}. Supported features are: {string.Join(", ", Feature.All.Select(f => f.Name).Order(StringComparer.Ordinal))}");
            if (feature.ReasonNotAllowed(level, version) is { } reason)
                throw new FormatterException(reason);
            if (!request.SupportedFeatures[name].Contains(level))
                throw new FormatterException($"No feature:{name} with feature level {level}");
            levels[name] = level;
        }

        return levels;
    }

    private static List<MetadataRecord> BootstrapRecords(MetadataVersion version, SortedDictionary<string, short> levels)
    {
        List<MetadataRecord> records = [Level(MetadataVersion.FeatureName, version.Level)];
        records.AddRange(levels.Where(level => level.Value > 0).Select(level => Level(level.Key, level.Value)));
        return records;

        static MetadataRecord Level(string name, short level) => new(new FeatureLevelRecord { Name = name, FeatureLevel = level }, 0);
    }

    private static List<DirectoryPlan> Directories(FormatRequest request, Func<string, FormattedDirectory?> existing, Func<Uuid> newId)
    {
        var plans = new List<DirectoryPlan>();
        foreach (var path in request.LogDirs.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal))
        {
            if (existing(path) is not { } formatted)
            {
                plans.Add(PlanOf(request, path, newId));
                continue;
            }

            if (formatted.ClusterId is { } clusterId && clusterId != request.ClusterId)
                throw new FormatterException($"Invalid cluster.id in: {Path.Combine(path, "meta.properties")}. Expected {request.ClusterId}, but read {clusterId}");
            if (formatted.NodeId is { } nodeId && nodeId != request.NodeId)
                throw new FormatterException($"Stored node id {nodeId} doesn't match previous node id {request.NodeId} in {Path.Combine(path, "meta.properties")}.");
            if (!request.IgnoreFormatted)
                throw new FormatterException($"Log directory {path} is already formatted. Use --ignore-formatted to ignore this directory and format the others.");
        }

        return plans;
    }

    private static DirectoryPlan PlanOf(FormatRequest request, string path, Func<Uuid> newId)
    {
        if (path != request.MetadataLogDir)
            return new DirectoryPlan(path, "data directory", newId(), HoldsMetadata: false);
        if (request.InitialControllers is null)
            return new DirectoryPlan(path, "metadata directory", newId(), HoldsMetadata: true);
        return request.InitialControllers.FirstOrDefault(controller => controller.Id == request.NodeId) is { } self
            ? new DirectoryPlan(path, "dynamic metadata voter directory", self.DirectoryId, HoldsMetadata: true)
            : new DirectoryPlan(path, "dynamic metadata directory", newId(), HoldsMetadata: true);
    }
}
