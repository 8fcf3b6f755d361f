using System.Globalization;
using System.Text;
using Ottla.Kernel;
using Ottla.Storage.Files;

namespace Ottla.Storage.Log;

/// <summary>A text file in a log directory with one offset per partition: lines of <c>topic partition offset</c>.</summary>
/// <remarks>Stateless; callers allow one writer at a time.</remarks>
public sealed class OffsetCheckpointFile(IFileSystem fileSystem, string logDirectory, string name)
{
    /// <summary>Everything before these offsets is flushed.</summary>
    public const string RecoveryPoint = "recovery-point-offset-checkpoint";

    /// <summary>First offsets that clients may read, where they differ from the first segment's.</summary>
    public const string LogStartOffset = "log-start-offset-checkpoint";

    /// <summary>High watermarks.</summary>
    public const string HighWatermark = "replication-offset-checkpoint";

    /// <summary>The offsets from which the cleaner goes on.</summary>
    public const string Cleaner = "cleaner-offset-checkpoint";

    private readonly string _path = Path.Combine(logDirectory, name);

    /// <summary>Reads all lines; a missing file has none.</summary>
    /// <exception cref="InvalidDataException">The file is not such a checkpoint.</exception>
    public Dictionary<TopicPartition, long> Read()
    {
        var offsets = new Dictionary<TopicPartition, long>();
        foreach (var line in CheckpointText.Read(fileSystem, _path))
        {
            var fields = line.Split(' ');
            if (fields.Length != 3
                || !int.TryParse(fields[1], NumberStyles.None, CultureInfo.InvariantCulture, out var partition)
                || !long.TryParse(fields[2], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var offset))
                throw new InvalidDataException($"{_path} has the malformed line '{line}'.");
            offsets[new TopicPartition(fields[0], partition)] = offset;
        }

        return offsets;
    }

    /// <summary>Replaces the file.</summary>
    public void Write(IReadOnlyCollection<KeyValuePair<TopicPartition, long>> offsets)
    {
        var text = new StringBuilder();
        foreach (var (partition, offset) in offsets)
            text.Append(CultureInfo.InvariantCulture, $"{partition.Topic} {partition.Partition} {offset}\n");
        CheckpointText.Write(fileSystem, _path, offsets.Count, text.ToString());
    }
}
