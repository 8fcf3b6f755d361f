using Ottla.Client.Calls;
using Ottla.Client.Consumers.Fetching;
using Ottla.Kernel;
using Ottla.Protocol;

namespace Ottla.Client.Consumers;

/// <summary>Where partitions are read from.</summary>
internal sealed partial class ConsumerEngine
{
    private OffsetLookup Offsets => new(_client, _options.IsolationLevel);

    /// <summary>Runs an action on an assigned partition under the lock.</summary>
    /// <exception cref="InvalidOperationException">The partition is not assigned.</exception>
    public T With<T>(TopicPartition partition, Func<ConsumedPartition, T> action)
    {
        lock (_lock)
        {
            ThrowIfClosed();
            return _partitions.TryGetValue(partition, out var known)
                ? action(known)
                : throw new InvalidOperationException($"{partition} is not assigned to this consumer.");
        }
    }

    /// <summary>The partitions that are assigned.</summary>
    public List<TopicPartition> Assignment
    {
        get
        {
            lock (_lock)
                return [.. _partitions.Keys];
        }
    }

    /// <summary>The partitions that are paused.</summary>
    public List<TopicPartition> Paused
    {
        get
        {
            lock (_lock)
                return [.. _partitions.Values.Where(partition => partition.IsPaused).Select(partition => partition.Partition)];
        }
    }

    /// <summary>Has a partition go on at an offset, or at one that is looked up.</summary>
    /// <param name="partition">The partition.</param>
    /// <param name="offset">The offset; null to look it up.</param>
    /// <param name="timestamp">By which timestamp or mark it is looked up.</param>
    public void Seek(TopicPartition partition, CommitOffset? offset, long timestamp = OffsetLookup.Latest) => With(partition, known =>
    {
        if (_taken == known)
            _taken = null;
        if (offset is { } at)
            known.Seek(at.Offset, at.LeaderEpoch);
        else
            known.Reset(timestamp);
        known.Stored = offset;
        Wake();
        return true;
    });

    /// <summary>Pauses or resumes partitions.</summary>
    public void SetPaused(IEnumerable<TopicPartition> partitions, bool isPaused)
    {
        foreach (var partition in partitions)
        {
            With(partition, known =>
            {
                known.IsPaused = isPaused;
                EnqueueReady(known);
                Wake();
                if (known.HasRecords)
                    WakeApplication();
                return true;
            });
        }
    }

    /// <summary>The position of a partition, once it is known.</summary>
    public async Task<long> PositionAsync(TopicPartition partition, TimeSpan timeout, CancellationToken cancellation)
    {
        using var deadline = new CallDeadline(timeout, _time, cancellation);
        try
        {
            while (true)
            {
                Task waiting;
                lock (_lock)
                {
                    ThrowIfClosed();
                    if (!_partitions.TryGetValue(partition, out var known))
                        throw new InvalidOperationException($"{partition} is not assigned to this consumer.");
                    if (known.Need == PositionNeed.Choice)
                        throw known.Refusal!;
                    if (known.Position >= 0)
                        return known.Position;
                    waiting = (_waiter ??= NewWaiter()).Task;
                }

                await waiting.UntilCanceled(deadline.Token);
            }
        }
        catch (OperationCanceledException) when (deadline.IsOver)
        {
            throw deadline.TimedOut($"Finding the position of {partition}", _client.Metadata.LastFailure, null);
        }
    }

    /// <summary>Starts to look up what positions need. Called under the lock.</summary>
    /// <returns>When to look again.</returns>
    private Instant? StartLookups(Instant now)
    {
        Instant? deadline = null;
        List<ConsumedPartition> committed = [], reset = [], validated = [];
        foreach (var partition in _partitions.Values)
        {
            NoteLeaderEpoch(partition);
            if (partition.IsLookedUp || partition.Need is PositionNeed.Nothing or PositionNeed.Callback or PositionNeed.Choice)
                continue;
            if (partition.RetryAt > now)
            {
                Consider(ref deadline, partition.RetryAt);
                continue;
            }

            if (partition.Need == PositionNeed.Committed && _options.GroupId is null)
                ChooseReset(partition, now, null);
            switch (partition.Need)
            {
                case PositionNeed.Committed:
                    committed.Add(partition);
                    break;
                case PositionNeed.Reset:
                    reset.Add(partition);
                    break;
                case PositionNeed.Validation:
                    validated.Add(partition);
                    break;
            }
        }

        if (committed.Count > 0)
            StartLookup(committed, LoadCommittedAsync);
        if (reset.Count > 0)
            StartLookup(reset, ResetAsync);
        if (validated.Count > 0)
            StartLookup(validated, ValidateAsync);
        return deadline;
    }

    /// <summary>A new leader may lack records that were read from the one before.</summary>
    private void NoteLeaderEpoch(ConsumedPartition partition)
    {
        if (partition.Need != PositionNeed.Nothing || partition.FetchEpoch < 0 || partition.IsFetched)
            return;
        var epoch = _client.Metadata.Current.Partition(partition.Partition)?.LeaderEpoch ?? -1;
        if (epoch <= partition.ValidEpoch)
            return;
        if (epoch == partition.FetchEpoch)
            partition.ValidEpoch = epoch; // it was read from this very leader
        else
            partition.Need = PositionNeed.Validation;
    }

    private void StartLookup(List<ConsumedPartition> partitions, Func<Dictionary<ConsumedPartition, int>, Task> lookUpAsync)
    {
        foreach (var partition in partitions)
            partition.IsLookedUp = true;
        var versions = partitions.ToDictionary(partition => partition, partition => partition.PositionVersion);
        Start(async () =>
        {
            try
            {
                await lookUpAsync(versions);
            }
            catch (KafkaException e) when (e.IsRetriable)
            {
                // Tried again, as long as the application waits.
            }
            finally
            {
                lock (_lock)
                {
                    var retryAt = Instant.Now(_time).AddMilliseconds(_retryBackoffMs);
                    foreach (var (partition, version) in versions)
                    {
                        if (partition.PositionVersion != version || !partition.IsLookedUp)
                            continue;
                        partition.IsLookedUp = false;
                        partition.RetryAt = retryAt; // its lookup failed
                    }

                    WakeApplication(); // who asks for a position may have it now
                }
            }
        });
    }

    /// <summary>Finds a partition whose lookup still counts. Called under the lock.</summary>
    private ConsumedPartition? StillWanted(Dictionary<ConsumedPartition, int> versions, TopicPartition partition) =>
        _partitions.TryGetValue(partition, out var known) && versions.TryGetValue(known, out var version)
        && version == known.PositionVersion && known.IsLookedUp ? known : null;

    private async Task LoadCommittedAsync(Dictionary<ConsumedPartition, int> versions)
    {
        var committed = await CommittedAsync([.. versions.Keys.Select(each => each.Partition)], _client.Options.ApiTimeout, _closed);
        lock (_lock)
        {
            var now = Instant.Now(_time);
            foreach (var (partition, offset) in committed)
            {
                if (StillWanted(versions, partition) is not { } known)
                    continue;
                if (offset is { } at)
                    known.Seek(at.Offset, at.LeaderEpoch);
                else
                    ChooseReset(known, now, null);
            }
        }
    }

    /// <summary>Decides what to do with a partition that has no position, or one that is not there. Called under the lock.</summary>
    private void ChooseReset(ConsumedPartition partition, Instant now, long? goneOffset)
    {
        var position = partition.Position;
        switch (_options.OffsetReset.Which)
        {
            case OffsetReset.Kind.Latest:
                partition.Reset(OffsetLookup.Latest);
                break;
            case OffsetReset.Kind.Earliest:
                partition.Reset(OffsetLookup.Earliest);
                break;
            case OffsetReset.Kind.Duration:
                var age = (long)Math.Min(_options.OffsetReset.Duration.TotalMilliseconds, now.UnixMilliseconds);
                partition.Reset(now.UnixMilliseconds - age);
                break;
            default:
                partition.DropFetched();
                partition.IsLookedUp = false;
                partition.Need = PositionNeed.Choice;
                partition.Refusal = goneOffset is { } gone
                    ? new OffsetResetException(ErrorCode.OffsetOutOfRange, partition.Partition, gone,
                        $"{partition.Partition} has no record at offset {gone} any more, or not yet, and no other is to be chosen")
                    : new OffsetResetException(ErrorCode.OffsetOutOfRange, partition.Partition, position,
                        $"{partition.Partition} has no committed offset, and no other is to be chosen");
                _isUnchosen = true;
                WakeApplication();
                break;
        }
    }

    private async Task ResetAsync(Dictionary<ConsumedPartition, int> versions)
    {
        var timestamps = versions.Keys.ToDictionary(each => each.Partition, each => each.ResetTimestamp);
        await Offsets.FindAsync(timestamps, (partition, found) =>
        {
            lock (_lock)
            {
                if (StillWanted(versions, partition) is not { } known)
                    return;
                if (found.Offset < 0)
                {
                    known.Reset(OffsetLookup.Latest); // nothing is as young as that
                    return;
                }

                known.Seek(found.Offset, -1);
                // As Kafka's consumer: the epoch of a commit is that of the record before it, and none was read.
                known.Stored = new CommitOffset(found.Offset);
            }
        }, _closed);
    }

    private async Task ValidateAsync(Dictionary<ConsumedPartition, int> versions)
    {
        Dictionary<TopicPartition, int> epochs;
        Dictionary<TopicPartition, int> leaderEpochs;
        lock (_lock)
        {
            var image = _client.Metadata.Current;
            epochs = versions.Keys.ToDictionary(each => each.Partition, each => each.FetchEpoch);
            leaderEpochs = epochs.Keys.ToDictionary(each => each, each => image.Partition(each)?.LeaderEpoch ?? -1);
        }

        try
        {
            await Offsets.FindEpochEndsAsync(epochs, (partition, epoch, end) =>
            {
                lock (_lock)
                {
                    if (StillWanted(versions, partition) is { } known)
                        OnEpochEnd(known, leaderEpochs[partition], epoch, end);
                }
            }, _closed);
        }
        catch (KafkaException e) when (e.ErrorCode == ErrorCode.UnsupportedVersion)
        {
            lock (_lock)
            {
                foreach (var partition in versions.Keys.Where(each => StillWanted(versions, each.Partition) is not null))
                    Validate(partition, leaderEpochs[partition.Partition]); // so old a cluster cannot tell
            }
        }
    }

    private void OnEpochEnd(ConsumedPartition partition, int leaderEpoch, int epoch, long end)
    {
        if (end >= partition.FetchOffset)
        {
            Validate(partition, leaderEpoch);
            return;
        }

        // The leader ends before what was read, or does not know the epoch at all: what follows its end is lost.
        var now = Instant.Now(_time);
        if (end < 0 || _options.OffsetReset.Which == OffsetReset.Kind.None)
            ChooseReset(partition, now, partition.FetchOffset);
        else
            partition.Seek(Math.Min(end, partition.Position), epoch);
        if (end >= 0)
            Validate(partition, leaderEpoch);
    }

    private void Validate(ConsumedPartition partition, int leaderEpoch)
    {
        partition.IsLookedUp = false;
        partition.ValidEpoch = leaderEpoch;
        if (partition.Need == PositionNeed.Validation)
            partition.Need = PositionNeed.Nothing;
        EnqueueReady(partition);
    }
}
