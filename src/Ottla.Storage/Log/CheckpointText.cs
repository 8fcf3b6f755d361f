using System.Globalization;
using System.Text;
using Ottla.Storage.Files;

namespace Ottla.Storage.Log;

/// <summary>Kafka's checkpoint format: the line <c>0</c> (version), a count, and that many lines.</summary>
internal static class CheckpointText
{
    private const string CurrentVersion = "0";
    private const int LengthMaxBytes = 256 * 1024 * 1024;

    /// <summary>Reads the lines; a missing or empty file has none.</summary>
    /// <exception cref="InvalidDataException">The file is not such a checkpoint.</exception>
    public static IReadOnlyList<string> Read(IFileSystem fileSystem, string path)
    {
        if (fileSystem.TryReadAllBytes(path, LengthMaxBytes) is not { } bytes)
            return [];
        if (bytes.Length == 0)
            return [];
        var lines = Encoding.UTF8.GetString(bytes).Split('\n');
        if (lines[0].TrimEnd('\r') != CurrentVersion)
            throw new InvalidDataException($"{path} has the unknown version '{lines[0]}'.");
        if (lines.Length < 2 || !int.TryParse(lines[1], NumberStyles.None, CultureInfo.InvariantCulture, out var count))
            throw new InvalidDataException($"The second line of {path} must be its number of entries.");
        var rest = lines.AsSpan(2);
        if (!rest.IsEmpty && rest[^1].Length == 0)
            rest = rest[..^1];
        if (rest.Length != count)
            throw new InvalidDataException($"{path} claims {count} entries but has {rest.Length}.");
        return rest.ToArray();
    }

    /// <summary>Replaces the file.</summary>
    public static void Write(IFileSystem fileSystem, string path, int count, string lines) =>
        fileSystem.ReplaceFile(path, Content(count, lines));

    /// <summary>As <see cref="Write"/>, without the last step, which <see cref="FileSystemExtensions.PublishFile"/> does.</summary>
    public static void Stage(IFileSystem fileSystem, string path, int count, string lines) =>
        fileSystem.StageFile(path, Content(count, lines));

    private static byte[] Content(int count, string lines) =>
        Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{CurrentVersion}\n{count}\n{lines}"));
}
