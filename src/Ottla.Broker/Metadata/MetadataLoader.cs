using System.Threading.Channels;
using Microsoft.Extensions.Logging;
using Ottla.Broker.Hosts;
using Ottla.Protocol.Metadata;
using Ottla.StateMachines.Metadata;

namespace Ottla.Broker.Metadata;

/// <summary>
/// Stands between the committed metadata log and everything on this node that follows it: replays each record once, then calls the
/// publishers.
/// </summary>
/// <remarks>
/// The metadata log's loop only queues here. One loop of this class's own replays, and tells the controller who leads; another calls the
/// publishers. So a slow publisher delays neither the quorum nor a controller that is to become active. What waits for both is bounded in
/// bytes: while it is too much, the log holds back what is committed and reads it again later. One instance lives as long as the node. A
/// publisher that throws ends both loops: see <see cref="Failure"/>.
/// </remarks>
public sealed partial class MetadataLoader(MetadataCache cache, ILogger logger) : IMetadataLogListener, IAsyncDisposable
{
    /// <summary>How many bytes of committed batches may wait to be published; one more is always taken while there are fewer.</summary>
    private const long QueuedBytesMax = 4L * MetadataBatch.SizeBytesMax;

    private readonly Channel<Event> _events = Channel.CreateUnbounded<Event>(new UnboundedChannelOptions { SingleReader = true });

    // As bounded as the events: what waits here is counted until it is published.
    private readonly Channel<Publication> _publications =
        Channel.CreateUnbounded<Publication>(new UnboundedChannelOptions { SingleReader = true, SingleWriter = true });

    private readonly List<IMetadataPublisher> _publishers = [];
    private readonly List<ILeadershipFollower> _leadershipFollowers = [];
    private readonly MetadataReplayer _replayer = new(MetadataImage.Empty);
    private readonly TaskCompletionSource<Exception> _failure = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private IMetadataLog? _log;
    private SnapshotGenerator? _snapshots;
    private Task _run = Task.CompletedTask;
    private Task _publish = Task.CompletedTask;
    private long _queuedBytes;
    private int _unpublished;
    private volatile bool _isStopping;

    // The fields below belong to the loop that replays.
    private long _replayedOffset = -1;
    private bool _isCurrent;
    private bool _hasRecords;
    private bool _publishes;
    private Func<MetadataImage, bool> _isPublishable = static _ => true;

    /// <summary>Completes with the error that ended the loop: the node must stop.</summary>
    public Task<Exception> Failure => _failure.Task;

    /// <inheritdoc/>
    public bool IsReady => Interlocked.Read(ref _queuedBytes) < QueuedBytesMax;

    /// <summary>Adds a publisher. They are called in the order of their registration. Before <see cref="Start"/>.</summary>
    public void Register(IMetadataPublisher publisher) => _publishers.Add(publisher);

    /// <summary>
    /// Adds what must know who leads the quorum. It is called once everything that was committed before is replayed, whether or not it is
    /// published. Before <see cref="Start"/>.
    /// </summary>
    public void Register(ILeadershipFollower follower) => _leadershipFollowers.Add(follower);

    /// <summary>Holds the first publication back until the image is as wanted. Before <see cref="Start"/>.</summary>
    public void PublishFrom(Func<MetadataImage, bool> isWanted) => _isPublishable = isWanted;

    /// <summary>Begins to follow a log.</summary>
    /// <param name="log">The metadata log.</param>
    /// <param name="snapshots">Writes its snapshots; owned by this from now on.</param>
    internal void Start(IMetadataLog log, SnapshotGenerator snapshots)
    {
        _log = log;
        _snapshots = snapshots;
        _run = RunAsync();
        _publish = PublishAsync();
        snapshots.Start(Fail);
        log.Register(this);
    }

    /// <inheritdoc/>
    public void HandleSnapshot(OpenMetadataSnapshot snapshot)
    {
        if (!_events.Writer.TryWrite(new Event { Snapshot = snapshot }))
            snapshot.Dispose();
    }

    /// <inheritdoc/>
    public void HandleCommit(MetadataBatch batch)
    {
        Interlocked.Add(ref _queuedBytes, batch.SizeBytes);
        _events.Writer.TryWrite(new Event { Batch = batch });
    }

    /// <inheritdoc/>
    public void HandleLeaderChange(LeaderAndEpoch leader) => _events.Writer.TryWrite(new Event { Leader = leader });

    /// <inheritdoc/>
    public void HandleCaughtUp() => _events.Writer.TryWrite(new Event { IsCaughtUp = true });

    /// <summary>Ends all loops: nothing is published any more, and a snapshot that is being written is written to its end.</summary>
    public async ValueTask DisposeAsync()
    {
        _isStopping = true;
        _events.Writer.TryComplete();
        await _run;
        await _publish;
        if (_snapshots is not null)
            await _snapshots.DisposeAsync();
    }

    private async Task RunAsync()
    {
        while (await _events.Reader.WaitToReadAsync())
        {
            while (_events.Reader.TryRead(out var next))
                Handle(next);
        }

        _publications.Writer.TryComplete();
    }

    private async Task PublishAsync()
    {
        while (await _publications.Reader.WaitToReadAsync())
        {
            while (_publications.Reader.TryRead(out var next))
                Publish(next);
        }
    }

    private void Handle(in Event next)
    {
        using var snapshot = next.Snapshot;
        if (HasEnded)
        {
            GiveBack(next.Batch?.SizeBytes ?? 0);
            return;
        }

        var stage = "replaying records";
        try
        {
            if (snapshot is not null)
                Load(snapshot);
            else if (next.Batch is { } batch)
                Replay(batch);
            else if (next.IsCaughtUp)
                BecomeCurrent();
            else
                ChangeLeader(next.Leader, ref stage);
        }
        catch (Exception e)
        {
            LogFailure(_replayedOffset, stage, e);
            Fail(e);
        }
    }

    private bool HasEnded => _isStopping || _failure.Task.IsCompleted;

    /// <summary>Makes room in the queues, and asks the log for what it held back once half of it is free.</summary>
    private void GiveBack(int bytes)
    {
        var left = Interlocked.Add(ref _queuedBytes, -bytes);
        if (left <= QueuedBytesMax / 2 && left + bytes > QueuedBytesMax / 2)
            _log!.Resume(this);
    }

    private void Load(OpenMetadataSnapshot snapshot)
    {
        var provenance = new MetadataProvenance(snapshot.Id.Offset - 1, snapshot.Id.Epoch, -1);
        var delta = _replayer.Load(snapshot.Read().Records, provenance);
        _replayedOffset = provenance.LastOffset;
        _hasRecords = true;
        _snapshots!.Loaded();
        Enqueue(delta, 0);
    }

    private void Replay(MetadataBatch batch)
    {
        var delta = _replayer.Apply(
            batch.Records, batch.BaseOffset, new MetadataProvenance(batch.LastOffset, batch.Epoch, batch.AppendTimestampMs));
        _replayedOffset = batch.LastOffset;
        _hasRecords |= batch.Records.Count > 0;
        _snapshots!.Committed(batch, _replayer);
        Enqueue(delta, batch.SizeBytes);
    }

    private void ChangeLeader(LeaderAndEpoch leader, ref string stage)
    {
        stage = "change of the leader";
        foreach (var follower in _leadershipFollowers)
            follower.HandleLeaderChange(leader, _replayer);
    }

    private void BecomeCurrent()
    {
        _isCurrent = true;
        if (!_publishes)
            Enqueue(MetadataDelta.Between(MetadataImage.Empty, _replayer.Image), 0);
    }

    /// <remarks>
    /// Nothing is published before the log is read up to what the quorum had committed when this node came to it. Publishers see what a
    /// restart finds as one change; replaying history at them would have them undo today's disk by yesterday's metadata.
    /// </remarks>
    private void Enqueue(MetadataDelta delta, int bytes)
    {
        if (!_publishes)
        {
            if (!_isCurrent || !_hasRecords || !_isPublishable(_replayer.Image))
            {
                GiveBack(bytes);
                return;
            }

            _publishes = true;
            delta = MetadataDelta.Between(MetadataImage.Empty, _replayer.Image);
        }

        if (delta.IsEmpty && Volatile.Read(ref _unpublished) == 0)
        {
            // There is nothing to take over, and nobody is to be waked for it: a cluster at rest writes such a batch twice a second.
            GiveBack(bytes);
            cache.Advance(delta.New, _replayedOffset, hasNews: false);
            return;
        }

        Interlocked.Increment(ref _unpublished);
        _publications.Writer.TryWrite(new Publication(delta, _replayedOffset, bytes));
    }

    private void Publish(in Publication next)
    {
        GiveBack(next.Bytes);
        if (HasEnded)
            return;
        var stage = "";
        try
        {
            foreach (var publisher in next.Delta.IsEmpty ? [] : _publishers)
            {
                stage = publisher.Name;
                publisher.Publish(next.Delta);
            }

            cache.Advance(next.Delta.New, next.Offset, hasNews: !next.Delta.IsEmpty);
            Interlocked.Decrement(ref _unpublished);
        }
        catch (Exception e)
        {
            LogFailure(next.Offset, stage, e);
            Fail(e);
        }
    }

    private void Fail(Exception e)
    {
        _failure.TrySetResult(e);
        cache.Fail(e);
    }

    [LoggerMessage(
        Level = LogLevel.Critical,
        Message = "Cannot apply the metadata log up to offset {Offset}, because {Stage} failed; stopping this node")]
    private partial void LogFailure(long offset, string stage, Exception e);

    /// <summary>What the log said: a snapshot, a batch, that all is there which was committed, or else a leader.</summary>
    private readonly record struct Event
    {
        public OpenMetadataSnapshot? Snapshot { get; init; }

        public MetadataBatch? Batch { get; init; }

        public bool IsCaughtUp { get; init; }

        public LeaderAndEpoch Leader { get; init; }
    }

    /// <summary>What the publishers are to take over.</summary>
    /// <param name="Delta">What changes.</param>
    /// <param name="Offset">The last offset that it has.</param>
    /// <param name="Bytes">What it counts for in the bound.</param>
    private readonly record struct Publication(MetadataDelta Delta, long Offset, int Bytes);
}
