using System.Globalization;
using Ottla.Kernel;

namespace Ottla.Storage.Log;

/// <summary>The names Kafka gives to the files and directories of logs.</summary>
public static class LogFileNames
{
    public const string LogSuffix = ".log";
    public const string OffsetIndexSuffix = ".index";
    public const string TimeIndexSuffix = ".timeindex";
    public const string TransactionIndexSuffix = ".txnindex";
    public const string ProducerSnapshotSuffix = ".snapshot";
    public const string DeletedSuffix = ".deleted";
    public const string CleanedSuffix = ".cleaned";
    public const string SwapSuffix = ".swap";

    /// <summary>A metadata snapshot that is being deleted; it belongs to the Raft layer.</summary>
    public const string CheckpointDeletedSuffix = ".checkpoint.deleted";

    public const string LeaderEpochCheckpoint = "leader-epoch-checkpoint";
    public const string PartitionMetadata = "partition.metadata";

    public const string DeleteDirectorySuffix = "-delete";
    public const string FutureDirectorySuffix = "-future";
    public const string StrayDirectorySuffix = "-stray";

    /// <summary>The longest directory name; longer topic names are cut in <c>-delete</c> and <c>-stray</c> names.</summary>
    public const int DirectoryNameLengthMax = 255;

    private const int OffsetDigits = 20;

    /// <summary>The file of a segment: its base offset in 20 digits and a suffix.</summary>
    public static string ForOffset(long offset, string suffix) => offset.ToString("D20", CultureInfo.InvariantCulture) + suffix;

    /// <summary>Reads the offset that a file's name starts with.</summary>
    /// <returns>False when the name does not start with 20 digits and a dot.</returns>
    public static bool TryParseOffset(string fileName, out long offset)
    {
        offset = 0;
        return fileName.Length > OffsetDigits && fileName[OffsetDigits] == '.'
            && long.TryParse(fileName.AsSpan(0, OffsetDigits), NumberStyles.None, CultureInfo.InvariantCulture, out offset);
    }

    /// <summary>Reads <c>topic-partition</c>: the partition follows the last dash, in digits without leading zeros.</summary>
    public static bool TryParseDirectory(string directoryName, out TopicPartition partition)
    {
        partition = default;
        var dash = directoryName.LastIndexOf('-');
        if (dash <= 0 || !int.TryParse(directoryName.AsSpan(dash + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var index))
            return false;
        partition = new TopicPartition(directoryName[..dash], index);
        return directoryName[dash + 1] != '0' || directoryName.Length == dash + 2; // t-00 would be taken for t-0
    }

    /// <summary>Reads the partition from the name of a directory that a replica is being moved to.</summary>
    public static bool TryParseFuture(string directoryName, out TopicPartition partition)
    {
        partition = default;
        var dot = directoryName.LastIndexOf('.');
        return dot > 0 && directoryName.EndsWith(FutureDirectorySuffix, StringComparison.Ordinal)
            && TryParseDirectory(directoryName[..dot], out partition);
    }

    /// <summary>The directory name of a log that is being deleted.</summary>
    public static string DeletedDirectory(TopicPartition partition, Uuid unique) => WithUnique(partition, unique, DeleteDirectorySuffix);

    /// <summary>The directory name of a log that is in no metadata.</summary>
    public static string StrayDirectory(TopicPartition partition, Uuid unique) => WithUnique(partition, unique, StrayDirectorySuffix);

    /// <summary>
    /// Whether a topic's name is too long for the directory of a replica that moves: unlike others, that name is not cut.
    /// </summary>
    public static bool IsTooLongToMove(TopicPartition partition) =>
        !FutureDirectory(partition, Uuid.Zero).StartsWith(partition.ToString() + ".", StringComparison.Ordinal);

    /// <summary>The directory name of a replica that is being moved between log directories.</summary>
    public static string FutureDirectory(TopicPartition partition, Uuid unique) => WithUnique(partition, unique, FutureDirectorySuffix);

    /// <summary>
    /// The new name of a log's directory when its copy replaces it. It contains the unique part of the copy's name, by which a start
    /// recognises an interrupted replacement.
    /// </summary>
    /// <param name="futureName">The name of the copy's directory.</param>
    public static string ReplacedBy(string futureName) => string.Concat(
        futureName.AsSpan(0, futureName.Length - FutureDirectorySuffix.Length), DeleteDirectorySuffix);

    private static string WithUnique(TopicPartition partition, Uuid unique, string suffix)
    {
        var tail = string.Create(CultureInfo.InvariantCulture, $"-{partition.Partition}.{unique.High:x16}{unique.Low:x16}{suffix}");
        var topicLengthMax = DirectoryNameLengthMax - tail.Length;
        var topic = partition.Topic.Length <= topicLengthMax ? partition.Topic : partition.Topic[..topicLengthMax];
        return topic + tail;
    }
}
