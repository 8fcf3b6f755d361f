using Ottla.Kernel;
using Ottla.Protocol.Metadata;
using Ottla.StateMachines.Raft;
using Ottla.Storage.Files;
using Ottla.Storage.Log;
using Microsoft.Extensions.Logging.Abstractions;

namespace Ottla.Broker.Hosts;

/// <summary>Prepares the metadata log's directory of a new node: what <c>format</c> writes.</summary>
public static class RaftBootstrap
{
    /// <summary>The metadata log's topic.</summary>
    public const string TopicName = "__cluster_metadata";

    /// <summary>The only partition of the metadata log, and its directory's name.</summary>
    public static readonly TopicPartition Partition = new(TopicName, 0);

    /// <summary>The topic id of the metadata log: fixed.</summary>
    public static readonly Uuid TopicId = Uuid.One;

    /// <summary>The id of the snapshot that <see cref="Write"/> makes: it stands before the log.</summary>
    public static readonly OffsetAndEpoch SnapshotId = new(0, 0);

    /// <summary>
    /// Writes <c>partition.metadata</c> and the bootstrap snapshot <c>00000000000000000000-0000000000.checkpoint</c> (KIP-853, 1170).
    /// </summary>
    /// <param name="fileSystem">Where.</param>
    /// <param name="logDirectory">The log directory.</param>
    /// <param name="kraftVersion">0 with static voters, 1 with <paramref name="voters"/>.</param>
    /// <param name="voters">The first voters of a dynamic quorum; null with static voters, or for a node that joins later.</param>
    /// <param name="records">The first metadata (feature levels, SCRAM users, ...): the first controller puts it in the log.</param>
    /// <param name="now">The timestamp of the records.</param>
    public static void Write(
        IFileSystem fileSystem, string logDirectory, short kraftVersion, VoterSet? voters, IEnumerable<MetadataRecord> records, Instant now)
    {
        var directory = Path.Combine(logDirectory, Partition.ToString());
        fileSystem.CreateDurableDirectory(directory);
        PartitionMetadataFile.Write(fileSystem, directory, TopicId);
        new MetadataSnapshotFiles(fileSystem, directory, NullLogger.Instance).Write(
            new LogPosition(SnapshotId.Offset, SnapshotId.Epoch),
            SnapshotBuilder.Build(SnapshotId.Epoch, now.UnixMilliseconds, kraftVersion, voters?.ToRecord(), now.UnixMilliseconds, records));
        fileSystem.FlushDirectory(logDirectory);
    }
}
