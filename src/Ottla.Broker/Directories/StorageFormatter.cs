using Ottla.Kernel;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Metadata;
using Ottla.StateMachines.Metadata;

namespace Ottla.Broker.Directories;

/// <summary>Computes what formatting a node's storage writes; writes nothing itself.</summary>
public static class StorageFormatter
{
    /// <summary>Plans a format command.</summary>
    /// <param name="request">The command.</param>
    /// <param name="existing">
    /// Reads a directory's <c>meta.properties</c>; null when it has none. Throws when the file is unreadable.
    /// </param>
    /// <param name="newId">Makes ids for directories; null for random ones.</param>
    /// <exception cref="FormatterException">The command is wrong, or does not fit the directories.</exception>
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
                throw new FormatterException(
                    $"SCRAM is only supported in {MetadataVersion.FeatureName} {MetadataVersion.V3_5_IV2} or later.");
            records.AddRange(request.ScramArguments.Select(argument => new MetadataRecord(ScramCredentials.Parse(argument), 0)));
        }

        var unreadable = new List<(string, string)>();
        var directories = Directories(request, existing, newId ?? Uuid.NewRandom, unreadable);
        return new FormatPlan(
            request.ClusterId, request.NodeId, version, kraftVersion, records, request.InitialControllers, directories, unreadable);
    }

    /// <summary>The records of a new cluster for which nobody chose others.</summary>
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
        if (!request.LogDirs.Contains(request.MetadataLogDir))
        {
            throw new FormatterException(
                $"The specified metadata log directory, {request.MetadataLogDir} was not one of the given directories: "
                + $"[{string.Join(", ", request.LogDirs)}]");
        }
    }

    /// <summary>Refuses a quorum without a possible leader, as kafka-storage does.</summary>
    private static void CheckQuorum(FormatRequest request)
    {
        if (!request.HasDynamicQuorum && request.InitialControllers is not null)
        {
            throw new FormatterException(
                "You cannot specify controller.quorum.voters and format the node with --initial-controllers or --standalone. If you want "
                    + "to use "
                + "dynamic quorum, please remove controller.quorum.voters and specify controller.quorum.bootstrap.servers instead.");
        }

        if (request is { HasDynamicQuorum: true, IsController: true, InitialControllers: null or [], HasNoInitialControllers: false })
        {
            throw new FormatterException(
                "Because controller.quorum.voters is not set on this controller, you must specify one of the following: --standalone, "
                + "--initial-controllers, or --no-initial-controllers. A new cluster begins with --initial-controllers (the same value on "
                + "every node), or with --standalone on its only controller; a controller that joins a running cluster takes "
                + "--no-initial-controllers.");
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
            throw new FormatterException(
                $"Unknown metadata.version '{release}'. Supported metadata.version are: {MetadataVersion.AllNames}");
        }

        return range.Contains(version.Level)
            ? version
            : throw new FormatterException(
                $"No MetadataVersion with feature level {version.Level}. Valid feature levels are from {range.Min} to {range.Max}.");
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
                "Cannot set kraft.version to 0 if controller.quorum.voters is empty and one of the flags --standalone, "
                    + "--initial-controllers, "
                + "or --no-initial-controllers is used. For dynamic controllers support, try removing the --feature flag for "
                    + "kraft.version.");
        }

        if (level > 0 && !request.HasDynamicQuorum)
        {
            throw new FormatterException(
                $"Cannot set kraft.version to {level} unless controller.quorum.voters is empty and one of the flags --standalone, "
                    + "--initial-controllers, "
                + "or --no-initial-controllers is used. For dynamic controllers support, try using one of --standalone, "
                    + "--initial-controllers, "
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
                throw new FormatterException(
                    $"Unsupported feature: {name}. Supported features are: "
                        + $"{string.Join(", ", Feature.All.Select(f => f.Name).Order(StringComparer.Ordinal))}");
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

    private static List<DirectoryPlan> Directories(
        FormatRequest request, Func<string, FormattedDirectory?> existing, Func<Uuid> newId, List<(string Path, string Reason)> unreadable)
    {
        var formatted = new SortedDictionary<string, FormattedDirectory>(StringComparer.Ordinal);
        var empty = new List<string>();
        foreach (var path in request.LogDirs.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal))
        {
            try
            {
                if (existing(path) is { } properties)
                    formatted.Add(path, properties);
                else
                    empty.Add(path);
            }
            catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or InvalidDataException)
            {
                unreadable.Add((path, failure.Message));
            }
        }

        CheckFormatted(request, formatted);
        if (formatted.Count > 0 && !request.IgnoreFormatted)
        {
            throw new FormatterException(
                $"Log directory {formatted.Keys.First()} is already formatted. Use --ignore-formatted to ignore this directory and format "
                    + "the others.");
        }

        if (formatted.Count == 0 && empty.Count == 0)
            throw new FormatterException(
                $"No available log directories to format. {string.Join(' ', unreadable.Select(each => each.Reason))}");
        var taken = formatted.Values.Select(properties => properties.DirectoryId).OfType<Uuid>().ToHashSet();
        return [.. empty.Select(path => PlanOf(request, path, newId, taken))];
    }

    /// <summary>Verifies that formatted directories belong to this node.</summary>
    private static void CheckFormatted(FormatRequest request, SortedDictionary<string, FormattedDirectory> formatted)
    {
        var ids = new Dictionary<Uuid, string>();
        foreach (var (path, properties) in formatted)
        {
            var file = Path.Combine(path, "meta.properties");
            if (properties.ClusterId is { } clusterId && clusterId != request.ClusterId)
                throw new FormatterException($"Invalid cluster.id in: {file}. Expected {request.ClusterId}, but read {clusterId}");
            if (properties.NodeId is { } nodeId && nodeId != request.NodeId)
            {
                throw new FormatterException(
                    $"Stored node id {nodeId} doesn't match previous node id {request.NodeId} in {file}. If you moved your data, make "
                        + "sure your "
                    + "configured node id matches. If you intend to create a new node, you should remove all data in your data "
                        + "directories.");
            }

            if (properties.DirectoryId is not { } id)
                continue;
            if (DirectoryIds.IsReserved(id))
                throw new FormatterException($"Invalid reserved directory ID {id} found in {path}");
            if (!ids.TryAdd(id, path))
                throw new FormatterException($"Duplicate directory ID {id} found. It was the ID of {ids[id]}, but also of {path}");
        }
    }

    private static DirectoryPlan PlanOf(FormatRequest request, string path, Func<Uuid> newId, HashSet<Uuid> taken)
    {
        if (path != request.MetadataLogDir)
            return new DirectoryPlan(path, "data directory", NewId(newId, taken), HoldsSnapshot: false);
        if (request.InitialControllers is null)
            return new DirectoryPlan(path, "metadata directory", NewId(newId, taken), request.IsController);
        if (request.InitialControllers.FirstOrDefault(controller => controller.Id == request.NodeId) is not { } self)
            return new DirectoryPlan(path, "dynamic metadata directory", NewId(newId, taken), request.IsController);
        return taken.Add(self.DirectoryId)
            ? new DirectoryPlan(path, "dynamic metadata voter directory", self.DirectoryId, request.IsController)
            : throw new FormatterException(
                $"The directory id {self.DirectoryId} of --initial-controllers belongs to another directory of this node: use another id.");
    }

    private static Uuid NewId(Func<Uuid> newId, HashSet<Uuid> taken)
    {
        while (true)
        {
            var id = newId();
            if (taken.Add(id))
                return id;
        }
    }
}
