using Ottla.Configuration;
using Ottla.Storage.Files;
using Ottla.Storage.Log;

namespace Ottla.Broker.Directories;

/// <summary>What kafka-storage info reports about a node's log directories. Immutable.</summary>
/// <param name="Directories">The existing directories, in the order of their paths.</param>
/// <param name="Metadata">The <c>meta.properties</c> of the first formatted directory; null when none is formatted.</param>
/// <param name="Problems">The problems that keep the node from starting, for the operator.</param>
public sealed record StorageReport(IReadOnlyList<string> Directories, MetaProperties? Metadata, IReadOnlyList<string> Problems)
{
    /// <summary>Examines the log directories of a configuration.</summary>
    public static StorageReport Of(BrokerConfig config, IFileSystem fileSystem) => Of(LogDirectories.Paths(config), fileSystem);

    /// <summary>Examines log directories.</summary>
    public static StorageReport Of(IEnumerable<string> paths, IFileSystem fileSystem)
    {
        var found = new List<string>();
        var problems = new List<string>();
        MetaProperties? first = null;
        foreach (var path in paths.Order(StringComparer.Ordinal))
        {
            if (!fileSystem.DirectoryExists(path))
            {
                problems.Add(fileSystem.FileExists(path) ? $"{path} is not a directory" : $"{path} does not exist");
                continue;
            }

            found.Add(path);
            if (Read(path, fileSystem, problems) is not { } properties)
                continue;
            first ??= properties;
            if (properties.ClusterId != first.ClusterId)
                problems.Add("Mismatched cluster IDs between storage directories.");
            else if (properties.NodeId != first.NodeId)
                problems.Add("Mismatched node IDs between storage directories.");
        }

        if (first?.Version == 0)
            problems.Add(
                "The kafka configuration file appears to be for a cluster in KRaft mode, but the directories are formatted for legacy "
                    + "mode.");
        return new StorageReport(found, first, problems);
    }

    private static MetaProperties? Read(string path, IFileSystem fileSystem, List<string> problems)
    {
        try
        {
            if (MetaProperties.Read(fileSystem, path) is { } properties)
                return properties;
            problems.Add($"{path} is not formatted.");
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or InvalidDataException)
        {
            problems.Add($"Error loading {Path.Combine(path, MetaProperties.Name)}: {failure.Message}");
        }

        return null;
    }
}
