using Microsoft.Extensions.Logging;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Storage.Files;
using Ottla.Storage.Producers;

namespace Ottla.Storage.Log;

/// <content>
/// Creation of logs. One request may create ten thousand, so a new log is only a directory and an empty file, without a flush.
/// After a power loss a log without records may be missing; the broker creates it again. The first flush makes the names durable,
/// before it counts records as flushed.
/// </content>
public sealed partial class PartitionLog
{
    /// <summary>Whether this process created the directory and has not flushed its name yet.</summary>
    private bool _isDirectoryNew;

    /// <summary>The topic's id is known but not in <c>partition.metadata</c> yet; it is written before the first records.</summary>
    private bool _isTopicIdUnwritten;

    /// <summary>It is written beside <c>partition.metadata</c>.</summary>
    private bool _isTopicIdStaged;

    /// <summary>Whether files that recovery wrote are not flushed yet.</summary>
    private bool _isRecoveryUnflushed;

    /// <summary>Whether files that recovery wrote are not flushed yet; <see cref="StageRecovered"/> comes next.</summary>
    internal bool IsRecoveryUnflushed => Volatile.Read(ref _isRecoveryUnflushed);

    /// <summary><c>partition.metadata</c> is still to be written.</summary>
    internal bool IsTopicIdUnwritten => Volatile.Read(ref _isTopicIdUnwritten);

    /// <summary>Creates an empty log, or opens the log that is in the directory already.</summary>
    /// <inheritdoc cref="Open"/>
    public static PartitionLog Create(
        IFileSystem fileSystem, string directory, TopicPartition partition, LogConfig config, LogOpenOptions options, TimeProvider time,
        ILogger logger)
    {
        if (fileSystem.DirectoryExists(directory))
            return Open(fileSystem, directory, partition, config, options, time, logger);
        fileSystem.CreateDirectory(directory);
        var segment = LogSegment.Create(fileSystem, directory, 0, LogLoader.JitterOf(options.JitterSeed, 0),
            Instant.Now(time).UnixMilliseconds);
        var loaded = new LoadedLog(
            [segment], new LeaderEpochCache(fileSystem, directory), new ProducerStateManager(fileSystem, directory, config, logger),
            LogStartOffset: 0, LogEndOffset: 0, RecoveryPoint: 0);
        return new PartitionLog(fileSystem, directory, partition, config, options, time, logger, loaded) { _isDirectoryNew = true };
    }

    /// <summary>
    /// Sets the topic id of the log. A new log writes it to <c>partition.metadata</c> with its first records or in
    /// <see cref="StageTopicId"/>.
    /// </summary>
    /// <exception cref="LogException">INCONSISTENT_TOPIC_ID when the log belongs to another topic.</exception>
    public void AssignTopicId(Uuid topicId)
    {
        using (_lock.EnterScope())
        {
            ThrowIfOffline();
            if (TopicId == topicId)
                return;
            if (TopicId is { } known)
                throw new LogException(
                    ErrorCode.InconsistentTopicId, $"The log {Directory} belongs to the topic with id {known}, not {topicId}.");
            TopicId = topicId;
            _isTopicIdUnwritten = true;
            if (_isDirectoryNew)
                return;
            try
            {
                WriteTopicId();
            }
            catch (Exception failure) when (IsIoFailure(failure))
            {
                TopicId = null;
                _isTopicIdUnwritten = false;
                throw FailOrRefuse(failure);
            }
        }
    }

    /// <summary>
    /// Writes <c>partition.metadata</c> under a temporary name; after a flush of the volume <see cref="PublishTopicId"/> renames
    /// it. For many logs at a time.
    /// </summary>
    internal void StageTopicId()
    {
        using (_lock.EnterScope())
        {
            ThrowIfOffline();
            if (!_isTopicIdUnwritten)
                return;
            try
            {
                WriteStagedTopicId();
            }
            catch (Exception failure) when (IsIoFailure(failure))
            {
                throw FailOrRefuse(failure);
            }
        }
    }

    /// <summary>Renames the file that <see cref="StageTopicId"/> wrote, or writes it now.</summary>
    /// <param name="isFlushed">The volume was flushed since.</param>
    internal void PublishTopicId(bool isFlushed)
    {
        using (_lock.EnterScope())
        {
            ThrowIfOffline();
            try
            {
                if (isFlushed)
                    PublishStagedTopicId();
                else
                    WriteTopicId();
            }
            catch (Exception failure) when (IsIoFailure(failure))
            {
                throw FailOrRefuse(failure);
            }
        }
    }

    /// <summary>
    /// Writes the remaining files of a recovery under temporary names; after a flush of the volume <see cref="PublishRecovered"/>
    /// renames them.
    /// </summary>
    /// <exception cref="LogException">KAFKA_STORAGE_ERROR.</exception>
    internal void StageRecovered()
    {
        using (_lock.EnterScope())
        {
            ThrowIfOffline();
            try
            {
                _epochs.StageSave();
            }
            catch (Exception failure) when (IsIoFailure(failure))
            {
                throw FailOrRefuse(failure);
            }
        }
    }

    /// <summary>Ends a recovery; after it the volume is flushed once more.</summary>
    /// <exception cref="LogException">KAFKA_STORAGE_ERROR.</exception>
    internal void PublishRecovered()
    {
        using (_lock.EnterScope())
        {
            ThrowIfOffline();
            try
            {
                _epochs.PublishStaged();
                Volatile.Write(ref _isRecoveryUnflushed, false);
            }
            catch (Exception failure) when (IsIoFailure(failure))
            {
                throw FailOrRefuse(failure);
            }
        }
    }

    /// <summary>Under the lock: the topic's id must be there before records are.</summary>
    private void WriteTopicId()
    {
        if (!_isTopicIdUnwritten)
            return;
        PartitionMetadataFile.Write(_fileSystem, Directory, TopicId!.Value);
        Volatile.Write(ref _isTopicIdUnwritten, false);
        _isTopicIdStaged = false;
    }

    private void WriteStagedTopicId()
    {
        if (!_isTopicIdUnwritten)
            return;
        PartitionMetadataFile.Stage(_fileSystem, Directory, TopicId!.Value);
        _isTopicIdStaged = true;
    }

    private void PublishStagedTopicId()
    {
        if (!_isTopicIdStaged)
            return; // there was no room for it, or it was written in the meantime
        PartitionMetadataFile.Publish(_fileSystem, Directory);
        Volatile.Write(ref _isTopicIdUnwritten, false);
        _isTopicIdStaged = false;
    }
}
