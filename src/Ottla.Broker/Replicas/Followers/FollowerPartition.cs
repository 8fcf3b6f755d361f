using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Storage.Log;

namespace Ottla.Broker.Replicas.Followers;

#pragma warning disable CA1001 // A slice that is not in use holds nothing.
/// <summary>A partition that a follower fetches: what it asked for last, what it was told last, and what the last read found.</summary>
/// <remarks>
/// Belongs to a session, whose lock guards it; only <see cref="OnChange"/> comes from other threads. Lives until the follower forgets the
/// partition, or the session ends.
/// </remarks>
internal sealed class FollowerPartition(FollowerSession session, string topic, Uuid topicId, int index) : IReplicaObserver
{
    /// <summary>What is not known, or not to be told.</summary>
    private const long Unknown = -1;

    private readonly FileSlice _slice = new();
    private long _knownHighWatermark = Unknown;
    private long _knownLogStartOffset = Unknown;
    private LogReadResult _result;
    private bool _isChanged;

    /// <summary>The topic's name; empty in versions that name topics by id.</summary>
    public string Topic => topic;

    /// <summary>The topic's id; zero in versions that name topics by name.</summary>
    public Uuid TopicId => topicId;

    /// <summary>The partition's index.</summary>
    public int Index => index;

    /// <summary>The name of the topic with this id; null until there was a replica of it.</summary>
    public string? KnownName { get; private set; }

    /// <summary>The leader epoch that the follower knows; -1 when it does not say.</summary>
    public int CurrentLeaderEpoch { get; private set; }

    /// <summary>The end of the follower's log, where it reads from.</summary>
    public long FetchOffset { get; private set; }

    /// <summary>The epoch of the last record it has; -1 when it does not say.</summary>
    public int LastFetchedEpoch { get; private set; }

    /// <summary>The start of the follower's log.</summary>
    public long LogStartOffset { get; private set; }

    /// <summary>The most to read, in bytes.</summary>
    public int MaxBytes { get; private set; }

    /// <summary>The replica here; null when there is none.</summary>
    public PartitionReplica? Replica { get; private set; }

    /// <summary>Its place in the order in which the session reads: after records were sent, it is the last.</summary>
    public long Order { get; set; }

    /// <summary>Whether the next answer looks at it.</summary>
    public bool IsDue { get; set; }

    /// <summary>Whether the follower fetches it no longer.</summary>
    public bool IsForgotten { get; private set; }

    /// <summary>The next in the session's list of changed partitions.</summary>
    public FollowerPartition? NextChanged { get; set; }

    /// <summary>Why nothing was read.</summary>
    public ErrorCode Error { get; private set; }

    /// <summary>Whether the metadata did not have the partition when the fetch came in.</summary>
    public bool IsUnknown { get; private set; }

    /// <summary>What was read; -1 and nothing after an error.</summary>
    public ref readonly LogReadResult Result => ref _result;

    /// <summary>The bytes of the records that were read.</summary>
    public int Bytes => _result.Slice?.Length ?? 0;

    /// <summary>The bytes of the records that the last answer told.</summary>
    public int SentBytes { get; private set; }

    /// <summary>Whether the fetch is answered at once, with or without records.</summary>
    public bool EndsWait =>
        (Error != ErrorCode.None && !IsUnknown) || _result.DivergingEpoch is not null || _result.HasMoreInLaterSegments;

    /// <summary>Whether the follower does not know what the read found.</summary>
    public bool HasNews =>
        Error != ErrorCode.None || Bytes > 0 || _result.DivergingEpoch is not null
        || _result.HighWatermark != _knownHighWatermark || _result.LogStartOffset != _knownLogStartOffset;

    /// <summary>
    /// Whether the next answer has to look at it, changed or not: it has an error, or the follower may have not what it was sent.
    /// </summary>
    public bool IsUnfinished =>
        Error != ErrorCode.None || _result.DivergingEpoch is not null || _result.LogEndOffset > FetchOffset;

    /// <summary>Takes over what the follower asks for.</summary>
    public void Ask(FetchRequest.FetchPartition asked)
    {
        CurrentLeaderEpoch = asked.CurrentLeaderEpoch;
        FetchOffset = asked.FetchOffset;
        LastFetchedEpoch = asked.LastFetchedEpoch;
        LogStartOffset = asked.LogStartOffset;
        MaxBytes = asked.PartitionMaxBytes;
    }

    /// <summary>Hears of changes of a replica from now on. Called before it is read, so that no change is missed.</summary>
    public void Observe(PartitionReplica? replica)
    {
        if (ReferenceEquals(replica, Replica))
            return;
        Replica?.RemoveObserver(this);
        Replica = replica;
        replica?.AddObserver(this);
        KnownName = replica?.Partition.Topic ?? KnownName;
    }

    /// <summary>The follower fetches it no longer.</summary>
    public void Forget()
    {
        IsForgotten = true;
        Observe(null);
    }

    /// <summary>The request to the log.</summary>
    public LogReadRequest ReadRequest(int maxBytes, bool minOneBatch) =>
        new(FetchOffset, ReadBound.LogEnd, maxBytes, minOneBatch) { LastFetchedEpoch = LastFetchedEpoch, Slice = _slice };

    /// <summary>Takes over what a read found.</summary>
    public void Found(in LogReadResult result)
    {
        _result = result;
        Error = ErrorCode.None;
        IsUnknown = false;
    }

    /// <summary>Takes over offsets without records, which are held back: there seem to be none.</summary>
    public void HeldBack(in LogReadResult result) => Found(result with { AvailableBytes = 0, HasMoreInLaterSegments = false });

    /// <summary>Takes over why nothing was read.</summary>
    public void Failed(ErrorCode error, bool isUnknown)
    {
        _result = new LogReadResult(null, Unknown, Unknown, Unknown, Unknown);
        Error = error;
        IsUnknown = isUnknown;
    }

    /// <summary>Gives the records back, which are not sent.</summary>
    public void GiveBack()
    {
        _result.Slice?.Dispose();
        _result = _result with { Slice = null };
    }

    /// <summary>
    /// Notes what the follower knows once it has the answer; after an error everything is news again. The slice is the response's now.
    /// </summary>
    public void Told()
    {
        (_knownHighWatermark, _knownLogStartOffset) = (_result.HighWatermark, _result.LogStartOffset);
        SentBytes = Bytes;
        _result = _result with { Slice = null };
    }

    /// <summary>Notes that it is in the session's list of changed partitions.</summary>
    /// <returns>False when it was there already.</returns>
    public bool TryMarkChanged() => !Volatile.Read(ref _isChanged) && !Interlocked.Exchange(ref _isChanged, true);

    /// <summary>Notes that it has left the list. What changes from now on puts it there again.</summary>
    public void ClearChanged() => Interlocked.Exchange(ref _isChanged, false);

    /// <inheritdoc/>
    public void OnChange(PartitionReplica replica, ReplicaChange change) => session.OnChange(this, change);
}
