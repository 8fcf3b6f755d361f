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
/// The metadata log's loop only queues here; a loop of this class's own replays and publishes, so a slow publisher never delays the quorum.
/// The queue is bounded in bytes: while it is full, the log holds back what is committed and reads it again later. One instance lives as
/// long as the node. A publisher that throws ends the loop: see <see cref="Failure"/>.
/// </remarks>
public sealed partial class MetadataLoader(MetadataCache cache, ILogger logger) : IMetadataLogListener, IAsyncDisposable
{
    /// <summary>How many bytes of committed batches may wait; one more batch is always taken while there are fewer.</summary>
    private const long QueuedBytesMax = 4L * MetadataBatch.SizeBytesMax;

    private readonly Channel<Event> _events = Channel.CreateUnbounded<Event>(new UnboundedChannelOptions { SingleReader = true });
    private readonly List<IMetadataPublisher> _publishers = [];
    private readonly List<ILeadershipFollower> _leadershipFollowers = [];
    private readonly MetadataReplayer _replayer = new(MetadataImage.Empty);
    private readonly TaskCompletionSource<Exception> _failure = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private IMetadataLog? _log;
    private SnapshotGenerator? _snapshots;
    private Task _run = Task.CompletedTask;
    private long _queuedBytes;
    private volatile bool _isStopping;

    // The fields below belong to the loop.
    private long _replayedOffset = -1;
    private bool _hasCaughtUp;
    private bool _hasRecords;
    private Func<MetadataImage, bool> _isPublishable = static _ => true;

    /// <summary>Completes with the error that ended the loop: the node must stop.</summary>
    public Task<Exception> Failure => _failure.Task;

    /// <inheritdoc/>
    public bool IsReady => Interlocked.Read(ref _queuedBytes) < QueuedBytesMax;

    /// <summary>Adds a publisher. They are called in the order of their registration. Before <see cref="Start"/>.</summary>
    public void Register(IMetadataPublisher publisher) => _publishers.Add(publisher);

    /// <summary>
    /// Adds what must know who leads the quorum. It is called after the publishers took over what was committed before. Before
    /// <see cref="Start"/>.
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

    /// <summary>Ends both loops: nothing is published any more, and a snapshot that is being written is written to its end.</summary>
    public async ValueTask DisposeAsync()
    {
        _isStopping = true;
        _events.Writer.TryComplete();
        await _run;
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
    }

    private void Handle(in Event next)
    {
        using var snapshot = next.Snapshot;
        if (next.Batch is { } taken)
            GiveBack(taken.SizeBytes);
        if (_isStopping || _failure.Task.IsCompleted)
            return;
        var stage = "replaying records";
        try
        {
            if (snapshot is not null)
                Load(snapshot, ref stage);
            else if (next.Batch is { } batch)
                Replay(batch, ref stage);
            else
                ChangeLeader(next.Leader, ref stage);
        }
        catch (Exception e)
        {
            LogFailure(_replayedOffset, stage, e);
            Fail(e);
        }
    }

    /// <summary>Makes room in the queue, and asks the log for what it held back once half of it is free.</summary>
    private void GiveBack(int bytes)
    {
        var left = Interlocked.Add(ref _queuedBytes, -bytes);
        if (left <= QueuedBytesMax / 2 && left + bytes > QueuedBytesMax / 2)
            _log!.Resume(this);
    }

    private void Load(OpenMetadataSnapshot snapshot, ref string stage)
    {
        var provenance = new MetadataProvenance(snapshot.Id.Offset - 1, snapshot.Id.Epoch, -1);
        var delta = _replayer.Load(snapshot.Read().Records, provenance);
        _replayedOffset = provenance.LastOffset;
        _hasRecords = true;
        _snapshots!.Loaded();
        Publish(delta, ref stage);
    }

    private void Replay(MetadataBatch batch, ref string stage)
    {
        var delta = _replayer.Apply(
            batch.Records, batch.BaseOffset, new MetadataProvenance(batch.LastOffset, batch.Epoch, batch.AppendTimestampMs));
        _replayedOffset = batch.LastOffset;
        _hasRecords |= batch.Records.Count > 0;
        _snapshots!.Committed(batch, _replayer);
        Publish(delta, ref stage);
    }

    private void ChangeLeader(LeaderAndEpoch leader, ref string stage)
    {
        stage = "change of the leader";
        foreach (var follower in _leadershipFollowers)
            follower.HandleLeaderChange(leader, _replayer);
    }

    /// <remarks>
    /// Nothing is published before the log is read up to what is known to be committed. Publishers see what a restart finds as one change;
    /// replaying history at them would have them undo today's disk by yesterday's metadata.
    /// </remarks>
    private void Publish(MetadataDelta delta, ref string stage)
    {
        if (!_hasCaughtUp)
        {
            if (!_hasRecords || _replayedOffset < _log!.HighWatermark - 1 || !_isPublishable(_replayer.Image))
                return;
            _hasCaughtUp = true;
            delta = MetadataDelta.Between(MetadataImage.Empty, _replayer.Image);
        }

        foreach (var publisher in _publishers)
        {
            stage = publisher.Name;
            publisher.Publish(delta);
        }

        cache.Advance(delta.New, _replayedOffset);
    }

    private void Fail(Exception e)
    {
        _failure.TrySetResult(e);
        cache.Fail(e);
    }

    [LoggerMessage(
        Level = LogLevel.Critical,
        Message = "Cannot apply the metadata log after offset {Offset}, because {Stage} failed; stopping this node")]
    private partial void LogFailure(long offset, string stage, Exception e);

    /// <summary>What the log said: a snapshot, a batch, or else a leader.</summary>
    private readonly record struct Event
    {
        public OpenMetadataSnapshot? Snapshot { get; init; }

        public MetadataBatch? Batch { get; init; }

        public LeaderAndEpoch Leader { get; init; }
    }
}
