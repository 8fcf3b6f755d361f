using Microsoft.Extensions.Logging;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Storage.Files;
using Ottla.Storage.Producers;

namespace Ottla.Storage.Log;

/// <content>
/// New logs. Ten thousand are made with one request, so that making one is a directory and an empty file and waits for no disk:
/// after a power loss a log that has no records may be missing, and is made again. What it takes for records to survive is made
/// up for by the first flush.
/// </content>
public sealed partial class PartitionLog
{
    /// <summary>The directory was made by this process, and its name is not known to be durable.</summary>
    private bool _isDirectoryNew;

    /// <summary>The topic's id is known and not yet in <c>partition.metadata</c>: it will be before records are.</summary>
    private bool _isTopicIdUnwritten;

    /// <summary>It is written beside <c>partition.metadata</c>.</summary>
    private bool _isTopicIdStaged;

    /// <summary>What its recovery wrote is not known to be durable.</summary>
    private bool _isRecoveryUnflushed;

    /// <summary>What its recovery wrote is not known to be durable: <see cref="StageRecovered"/> comes next.</summary>
    internal bool IsRecoveryUnflushed => Volatile.Read(ref _isRecoveryUnflushed);

    /// <summary><c>partition.metadata</c> is still to be written.</summary>
    internal bool IsTopicIdUnwritten => Volatile.Read(ref _isTopicIdUnwritten);

    /// <summary>Makes an empty log. One that a process left in this directory is opened instead.</summary>
    /// <inheritdoc cref="Open"/>
    public static PartitionLog Create(
        IFileSystem fileSystem, string directory, TopicPartition partition, LogConfig config, LogOpenOptions options, TimeProvider time, ILogger logger)
    {
        if (fileSystem.DirectoryExists(directory))
            return Open(fileSystem, directory, partition, config, options, time, logger);
        fileSystem.CreateDirectory(directory);
        var segment = LogSegment.Create(fileSystem, directory, 0, LogLoader.JitterOf(options.JitterSeed, 0), Instant.Now(time).UnixMilliseconds);
        var loaded = new LoadedLog(
            [segment], new LeaderEpochCache(fileSystem, directory), new ProducerStateManager(fileSystem, directory, config, logger), LogStartOffset: 0, LogEndOffset: 0, RecoveryPoint: 0);
        return new PartitionLog(fileSystem, directory, partition, config, options, time, logger, loaded) { _isDirectoryNew = true };
    }

    /// <summary>
    /// Notes which topic the log belongs to: <c>partition.metadata</c>. That of a new log is written with its first records, or
    /// by <see cref="StageTopicId"/>.
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
                throw new LogException(ErrorCode.InconsistentTopicId, $"The log {Directory} belongs to the topic with id {known}, not {topicId}.");
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
    /// Writes <c>partition.metadata</c> so far that it can be put in place once the volume is flushed: for many logs at a time.
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

    /// <summary>Puts in place what <see cref="StageTopicId"/> wrote, or writes it now.</summary>
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
    /// Writes what is left of a recovery, to be put in place by <see cref="PublishRecovered"/> once the volume is flushed.
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
