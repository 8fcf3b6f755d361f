using System.Globalization;
using System.Text;
using Ottla.Kernel;
using Ottla.Storage.Files;

namespace Ottla.Storage.Log;

/// <summary>The file <c>meta.properties</c> of a log directory: the ids of its cluster, its node and the directory.</summary>
public sealed record MetaProperties
{
    /// <summary>The file's name in a log directory.</summary>
    public const string Name = "meta.properties";

    private const int CurrentVersion = 1;
    private const int LengthMaxBytes = 64 * 1024;

    /// <summary>0 or 1; only 1 is written.</summary>
    public int Version { get; init; } = CurrentVersion;

    /// <summary>The cluster's id.</summary>
    public string? ClusterId { get; init; }

    /// <summary>The node's id (<c>broker.id</c> in version 0).</summary>
    public int? NodeId { get; init; }

    /// <summary>This directory's id (KIP-858).</summary>
    public Uuid? DirectoryId { get; init; }

    /// <summary>Reads the file; null when there is none.</summary>
    /// <exception cref="InvalidDataException">The file is malformed, or of an unknown version.</exception>
    /// <exception cref="IOException">The disk fails.</exception>
    public static MetaProperties? Read(IFileSystem fileSystem, string logDirectory)
    {
        var path = Path.Combine(logDirectory, Name);
        byte[] bytes;
        try
        {
            bytes = fileSystem.ReadAllBytes(path, LengthMaxBytes);
        }
        catch (Exception missing) when (missing is FileNotFoundException or DirectoryNotFoundException)
        {
            return null; // FileExists says false for a file that it may not read, so it is not asked before
        }

        var values = Parse(Encoding.Latin1.GetString(bytes));
        try
        {
            var version = values.TryGetValue("version", out var text) ? int.Parse(text, CultureInfo.InvariantCulture) : 0;
            if (version is < 0 or > CurrentVersion)
                throw new InvalidDataException($"{path} has the unknown version {version}: only 0 and {CurrentVersion} can be read.");
            var nodeId = values.GetValueOrDefault(version == 0 ? "broker.id" : "node.id") ?? values.GetValueOrDefault("node.id");
            if (nodeId is null && version > 0)
                throw new InvalidDataException($"{path} has no node.id.");
            return new MetaProperties
            {
                Version = version,
                ClusterId = values.GetValueOrDefault("cluster.id"),
                NodeId = nodeId is null ? null : int.Parse(nodeId, CultureInfo.InvariantCulture),
                DirectoryId = values.TryGetValue("directory.id", out var id) ? Uuid.Parse(id) : null,
            };
        }
        catch (Exception failure) when (failure is FormatException or OverflowException)
        {
            throw new InvalidDataException($"{path} is malformed: {failure.Message}", failure);
        }
    }

    /// <summary>Replaces the file.</summary>
    public void Write(IFileSystem fileSystem, string logDirectory)
    {
        var text = new StringBuilder();
        if (ClusterId is not null)
            text.Append(CultureInfo.InvariantCulture, $"cluster.id={ClusterId}\n");
        if (DirectoryId is { } directoryId)
            text.Append(CultureInfo.InvariantCulture, $"directory.id={directoryId}\n");
        if (NodeId is { } nodeId)
            text.Append(CultureInfo.InvariantCulture, $"node.id={nodeId}\n");
        text.Append("version=1\n");
        fileSystem.ReplaceFile(Path.Combine(logDirectory, Name), Encoding.Latin1.GetBytes(text.ToString()));
    }

    /// <summary>The lines of a Java properties file: comments, <c>=</c> or <c>:</c> between key and value, backslash escapes.</summary>
    private static Dictionary<string, string> Parse(string text)
    {
        var values = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var line in text.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            if (line[0] is '#' or '!')
                continue;
            var key = new StringBuilder();
            var value = new StringBuilder();
            var target = key;
            for (var i = 0; i < line.Length; i++)
            {
                if (line[i] == '\\' && i + 1 < line.Length)
                    target.Append(line[++i]);
                else if (target == key && line[i] is '=' or ':')
                    target = value;
                else
                    target.Append(line[i]);
            }

            values[key.ToString().Trim()] = value.ToString().Trim();
        }

        return values;
    }
}
