using Microsoft.Extensions.Logging;
using Ottla.Client.Calls;
using Ottla.Client.Consumers.Membership;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.Client.Consumers;

/// <summary>The offsets of the group.</summary>
internal sealed partial class ConsumerEngine
{
    private const short FirstCommitVersionWithIds = 10;
    private const short FirstFetchVersionWithGroups = 8;
    private const short FirstFetchVersionWithStable = 7;
    private const short LastFetchVersionWithNames = 9;

    // Guarded by _lock.
    private Instant? _autoCommitAt;
    private CancellationTokenSource? _autoCommit;

    /// <summary>The positions of all partitions that have one.</summary>
    public List<PartitionOffset> Positions()
    {
        lock (_lock)
        {
            return [.. _partitions.Values.Where(partition => partition.Position >= 0).Select(partition => new PartitionOffset(
                partition.Partition, new CommitOffset(partition.Position, partition.PositionEpoch)))];
        }
    }

    /// <summary>Notes an offset for the next automatic commit.</summary>
    public void Store(PartitionOffset offset) => With(offset.Partition, known =>
    {
        if (_taken == known)
            _taken = null;
        known.Stored = offset.Offset;
        Wake();
        return true;
    });

    /// <summary>Commits offsets, and tries again what another attempt may mend.</summary>
    /// <exception cref="CommitFailedException">The member is not the group's any more.</exception>
    /// <exception cref="KafkaException">It failed; the code says why.</exception>
    public async Task CommitAsync(IReadOnlyCollection<PartitionOffset> offsets, TimeSpan timeout, CancellationToken cancellation)
    {
        CancellationTokenSource? older;
        lock (_lock)
            older = _autoCommit;
        older?.Cancel(); // another attempt of it would come after this one, and take the group back
        await SendCommitAsync(offsets, timeout, cancellation);
    }

    private async Task SendCommitAsync(IReadOnlyCollection<PartitionOffset> offsets, TimeSpan timeout, CancellationToken cancellation)
    {
        ObjectDisposedException.ThrowIf(_closed.IsCancellationRequested, typeof(ConsumerEngine));
        if (_options.GroupId is not { } group)
            throw new InvalidOperationException("A consumer without a GroupId commits nothing.");
        if (offsets.Count == 0)
            return;
        foreach (var each in offsets)
            ArgumentOutOfRangeException.ThrowIfNegative(each.Offset.Offset, nameof(offsets));
        var byId = IdsOf(offsets.Select(each => each.Partition.Topic));
        var sentAs = MemberOrThrow(group);
        var options = new CallOptions
        {
            Timeout = timeout,
            IsRetriable = error => IsCommittedLater(error, sentAs),
            VersionMax = byId is null ? (short)(FirstCommitVersionWithIds - 1) : short.MaxValue,
        };
        try
        {
            var beganAt = _time.GetTimestamp();
            await _client.Calls.ToCoordinatorAsync<OffsetCommitRequest, OffsetCommitResponse>(
                CoordinatorType.Group, group, _ => NewCommit(sentAs = MemberOrThrow(group), offsets, byId), FirstError, options,
                cancellation);
            _metrics?.OnCommitted(_time.GetElapsedTime(beganAt));
        }
        catch (KafkaException e) when (e is not KafkaTimeoutException)
        {
            OnCommitRefused(sentAs, e.ErrorCode);
            if (e.ErrorCode is ErrorCode.UnknownMemberId or ErrorCode.IllegalGeneration or ErrorCode.StaleMemberEpoch
                or ErrorCode.FencedMemberEpoch)
            {
                throw new CommitFailedException(
                    e.ErrorCode, $"the group '{group}' does not know this member as it was: its partitions may be others' by now");
            }

            throw;
        }

        lock (_lock)
        {
            foreach (var each in offsets)
            {
                if (_partitions.TryGetValue(each.Partition, out var known) && known.Stored == each.Offset)
                    known.Stored = null; // it is not new any more
            }
        }
    }

    /// <summary>How the coordinator knows this consumer; one that subscribes commits as a member of its group alone.</summary>
    private MemberIdentity MemberOrThrow(string group)
    {
        lock (_lock)
        {
            var identity = IdentityNow()!;
            if (_membership is not null && identity.MemberId.Length == 0)
                throw new CommitFailedException(
                    ErrorCode.UnknownMemberId, $"this consumer is no member of the group '{group}' now: its partitions may be others'");
            return identity;
        }
    }

    private void OnCommitRefused(MemberIdentity sentAs, ErrorCode error)
    {
        lock (_lock)
        {
            _membership?.OnCommitRefused(Instant.Now(_time), sentAs, error);
            _signal.Set();
        }
    }

    /// <summary>Whether a commit is tried again. A member that has a newer epoch than it was sent with is still the same member.</summary>
    private bool IsCommittedLater(ErrorCode error, MemberIdentity sentAs) => error switch
    {
        ErrorCode.UnknownTopicOrPartition or ErrorCode.UnknownTopicId or ErrorCode.CoordinatorLoadInProgress or ErrorCode.RequestTimedOut
            or ErrorCode.CoordinatorNotAvailable or ErrorCode.NotCoordinator => true,
        ErrorCode.StaleMemberEpoch => Identity is { GenerationOrEpoch: >= 0 } now && now != sentAs,
        _ => false,
    };

    private static ApiError FirstError(OffsetCommitResponse answer)
    {
        foreach (var topic in answer.Topics)
        {
            foreach (var partition in topic.Partitions)
            {
                if (partition.ErrorCode != (short)ErrorCode.None)
                    return new ApiError((ErrorCode)partition.ErrorCode, $"{topic.Name}-{partition.PartitionIndex} was not committed");
            }
        }

        return ApiError.None;
    }

    private static OffsetCommitRequest NewCommit(
        MemberIdentity identity, IEnumerable<PartitionOffset> offsets, Dictionary<string, Uuid>? byId) => new()
        {
            GroupId = identity.GroupId,
            GenerationIdOrMemberEpoch = identity.GenerationOrEpoch,
            MemberId = identity.MemberId,
            GroupInstanceId = identity.MemberId.Length > 0 ? identity.InstanceId : null,
            Topics = [.. offsets.GroupBy(each => each.Partition.Topic).Select(topic => new OffsetCommitRequest.OffsetCommitRequestTopic
            {
                Name = topic.Key,
                TopicId = byId?[topic.Key] ?? Uuid.Zero,
                Partitions = [.. topic.Select(each => new OffsetCommitRequest.OffsetCommitRequestPartition
                {
                    PartitionIndex = each.Partition.Partition,
                    CommittedOffset = each.Offset.Offset,
                    CommittedLeaderEpoch = each.Offset.LeaderEpoch,
                    CommittedMetadata = each.Offset.Metadata ?? "",
                })],
            })],
        };

    /// <summary>The ids of topics; null when one is not known.</summary>
    private Dictionary<string, Uuid>? IdsOf(IEnumerable<string> topics)
    {
        var image = _client.Metadata.Current;
        var ids = topics.Distinct().ToDictionary(topic => topic, topic => image.Topic(topic)?.Id ?? Uuid.Zero);
        return ids.ContainsValue(Uuid.Zero) ? null : ids;
    }

    /// <summary>The offsets that the group has committed; null where there is none.</summary>
    /// <exception cref="KafkaException">The group does not say.</exception>
    public async Task<Dictionary<TopicPartition, CommitOffset?>> CommittedAsync(
        IReadOnlyCollection<TopicPartition> partitions, TimeSpan timeout, CancellationToken cancellation)
    {
        if (_options.GroupId is not { } group)
            throw new InvalidOperationException("A consumer without a GroupId has no committed offsets.");
        var committed = partitions.ToDictionary(partition => partition, _ => (CommitOffset?)null);
        if (committed.Count == 0)
            return committed;
        var byId = IdsOf(partitions.Select(partition => partition.Topic));
        var answer = await _client.Calls.ToCoordinatorAsync<OffsetFetchRequest, OffsetFetchResponse>(
            CoordinatorType.Group, group, version => NewOffsetFetch(group, committed.Keys, byId, version), FirstError,
            new CallOptions { Timeout = timeout, VersionMax = byId is null ? LastFetchVersionWithNames : short.MaxValue }, cancellation);
        var names = byId?.ToDictionary(each => each.Value, each => each.Key);
        foreach (var topic in answer.Groups.SelectMany(each => each.Topics))
        {
            var name = topic.Name.Length > 0 ? topic.Name : names?.GetValueOrDefault(topic.TopicId) ?? "";
            foreach (var each in topic.Partitions)
                Take(new TopicPartition(name, each.PartitionIndex), each.CommittedOffset, each.CommittedLeaderEpoch, each.Metadata);
        }

        foreach (var topic in answer.Topics)
        {
            foreach (var each in topic.Partitions)
                Take(new TopicPartition(topic.Name, each.PartitionIndex), each.CommittedOffset, each.CommittedLeaderEpoch, each.Metadata);
        }

        return committed;

        void Take(TopicPartition partition, long offset, int leaderEpoch, string? metadata)
        {
            if (offset >= 0 && committed.ContainsKey(partition))
                committed[partition] = new CommitOffset(offset, leaderEpoch, metadata ?? "");
        }
    }

    private static OffsetFetchRequest NewOffsetFetch(
        string group, IEnumerable<TopicPartition> partitions, Dictionary<string, Uuid>? byId, short version)
    {
        var topics = partitions.GroupBy(partition => partition.Topic);
        if (version < FirstFetchVersionWithGroups)
        {
            return new OffsetFetchRequest
            {
                GroupId = group,
                RequireStable = version >= FirstFetchVersionWithStable,
                Topics = [.. topics.Select(topic => new OffsetFetchRequest.OffsetFetchRequestTopic
                {
                    Name = topic.Key,
                    PartitionIndexes = [.. topic.Select(partition => partition.Partition)],
                })],
            };
        }

        return new OffsetFetchRequest
        {
            RequireStable = true,
            Groups =
            [
                new OffsetFetchRequest.OffsetFetchRequestGroup
                {
                    GroupId = group,
                    Topics = [.. topics.Select(topic => new OffsetFetchRequest.OffsetFetchRequestTopics
                    {
                        Name = topic.Key,
                        TopicId = byId?[topic.Key] ?? Uuid.Zero,
                        PartitionIndexes = [.. topic.Select(partition => partition.Partition)],
                    })],
                },
            ],
        };
    }

    private static ApiError FirstError(OffsetFetchResponse answer)
    {
        var errors = answer.Groups.Select(group => group.ErrorCode).Append(answer.ErrorCode)
            .Concat(answer.Groups.SelectMany(group => group.Topics).SelectMany(topic => topic.Partitions).Select(each => each.ErrorCode))
            .Concat(answer.Topics.SelectMany(topic => topic.Partitions).Select(each => each.ErrorCode));
        return new ApiError((ErrorCode)errors.FirstOrDefault(error => error != (short)ErrorCode.None), null);
    }

    /// <summary>Starts the commit that is due. Called under the lock.</summary>
    /// <returns>When the next one is due.</returns>
    private Instant? StartAutoCommit(Instant now)
    {
        if (!_options.EnableAutoCommit || _options.GroupId is null || _autoCommit is not null || _isClosing)
            return null;
        if (_partitions.Values.All(partition => partition.Stored is null))
        {
            _autoCommitAt = null;
            return null;
        }

        _autoCommitAt ??= now.AddMilliseconds((long)_options.AutoCommitInterval.TotalMilliseconds);
        if (_autoCommitAt > now)
            return _autoCommitAt;
        _autoCommitAt = null;
        var autoCommit = _autoCommit = new CancellationTokenSource(); // without a timer it holds nothing, and is never disposed
        Start(() => AutoCommitAsync(autoCommit));
        return null;
    }

    private async Task AutoCommitAsync(CancellationTokenSource end)
    {
        using var closing = _closed.UnsafeRegister(static end => ((CancellationTokenSource)end!).Cancel(), end);
        try
        {
            await TryCommitAsync(StoredOffsets(null), SendCommitAsync, end.Token);
        }
        catch (OperationCanceledException) when (end.IsCancellationRequested)
        {
            // A newer commit has taken its place, or the consumer is closed.
        }
        finally
        {
            lock (_lock)
                _autoCommit = null;
        }
    }

    /// <summary>Commits what is processed, as far as that succeeds: what fails comes with the next commit.</summary>
    /// <param name="partitions">The partitions; null for all.</param>
    /// <param name="cancellation">Ends the call.</param>
    private async Task CommitStoredAsync(IReadOnlyList<TopicPartition>? partitions, CancellationToken cancellation)
    {
        try
        {
            await TryCommitAsync(StoredOffsets(partitions), CommitAsync, cancellation);
        }
        catch (OperationCanceledException) when (!_closed.IsCancellationRequested)
        {
            LogNotCommitted(_logger, _options.GroupId!, "there was no time left");
        }
    }

    private List<PartitionOffset> StoredOffsets(IReadOnlyList<TopicPartition>? partitions)
    {
        lock (_lock)
        {
            return [.. _partitions.Values.Where(each => each.Stored is not null && partitions?.Contains(each.Partition) != false)
                .Select(each => new PartitionOffset(each.Partition, each.Stored!.Value))];
        }
    }

    private async Task TryCommitAsync(
        List<PartitionOffset> offsets, Func<IReadOnlyCollection<PartitionOffset>, TimeSpan, CancellationToken, Task> commitAsync,
        CancellationToken cancellation)
    {
        if (offsets.Count == 0 || _options.GroupId is null)
            return;
        try
        {
            await commitAsync(offsets, _client.Options.ApiTimeout, cancellation);
        }
        catch (KafkaException e)
        {
            LogNotCommitted(_logger, _options.GroupId, e.Message);
        }
    }

    [LoggerMessage(EventId = 120, Level = LogLevel.Warning,
        Message = "Group {Group}: the offsets of processed records are not committed, so these may be processed again: {Reason}")]
    private static partial void LogNotCommitted(ILogger logger, string group, string reason);
}
