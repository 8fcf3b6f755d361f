using System.Text;
using Ottla.Kernel;
using Ottla.Storage.Files;

namespace Ottla.Storage.Log;

/// <summary>
/// The file <c>partition.metadata</c>: which topic (by id) a log's directory belongs to. A different id means stale data.
/// </summary>
public static class PartitionMetadataFile
{
    private const int LengthMaxBytes = 4096;
    private const string VersionKey = "version: ";
    private const string TopicIdKey = "topic_id: ";

    /// <summary>Reads the topic id; null when there is no such file.</summary>
    /// <exception cref="InvalidDataException">The file is not of this format.</exception>
    public static Uuid? Read(IFileSystem fileSystem, string directory)
    {
        var path = Path.Combine(directory, LogFileNames.PartitionMetadata);
        if (fileSystem.TryReadAllBytes(path, LengthMaxBytes) is not { } bytes)
            return null;
        var lines = Encoding.UTF8.GetString(bytes).Split('\n', StringSplitOptions.TrimEntries);
        if (lines.Length < 2 || lines[0] != VersionKey + "0" || !lines[1].StartsWith(TopicIdKey, StringComparison.Ordinal)
            || !Uuid.TryParse(lines[1][TopicIdKey.Length..], out var topicId) || topicId == Uuid.Zero)
            throw new InvalidDataException($"{path} is malformed: it has no valid version and topic id.");
        return topicId;
    }

    /// <summary>Replaces the file.</summary>
    public static void Write(IFileSystem fileSystem, string directory, Uuid topicId) =>
        fileSystem.ReplaceFile(PathIn(directory), Content(topicId));

    /// <summary>Writes the new content under a temporary name, without a flush.</summary>
    public static void Stage(IFileSystem fileSystem, string directory, Uuid topicId) =>
        fileSystem.StageFile(PathIn(directory), Content(topicId));

    /// <summary>Renames the file that <see cref="Stage"/> wrote, after a flush.</summary>
    public static void Publish(IFileSystem fileSystem, string directory) => fileSystem.PublishFile(PathIn(directory));

    private static string PathIn(string directory) => Path.Combine(directory, LogFileNames.PartitionMetadata);

    private static byte[] Content(Uuid topicId) => Encoding.UTF8.GetBytes($"{VersionKey}0\n{TopicIdKey}{topicId}");
}
