using Microsoft.Extensions.Logging;
using Ottla.Broker.Hosts;
using Ottla.Protocol.Metadata;
using Ottla.StateMachines.Metadata;

namespace Ottla.Broker.Metadata;

/// <summary>The committed metadata of this node, and what follows it.</summary>
/// <remarks>
/// Lives as long as the node. The metadata log calls it one call at a time; <see cref="Current"/> and <see cref="WaitForOffset"/> may be used from
/// any thread. A publisher that throws stops the log from being followed any further: see <see cref="Failure"/>.
/// </remarks>
public sealed partial class MetadataCache : IMetadataLogListener
{
    private readonly Lock _lock = new();
    private readonly ILogger _logger;
    private readonly List<IMetadataPublisher> _publishers = [];
    private readonly PriorityQueue<TaskCompletionSource, long> _waiters = new();
    private readonly TaskCompletionSource<Exception> _failure = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly MetadataReplayer _replayer = new(MetadataImage.Empty);
    private volatile MetadataImage _current = MetadataImage.Empty;
    private long _publishedOffset = -1;
    private long _replayedOffset = -1;
    private bool _hasCaughtUp;

    /// <summary>Makes an empty cache; registering it with the metadata log fills it.</summary>
    public MetadataCache(ILogger logger) => _logger = logger;

    /// <summary>The committed image that all publishers have taken over.</summary>
    public MetadataImage Current => _current;

    /// <summary>The offset that <see cref="Current"/> has come to, open metadata transactions and control records included; -1 at first.</summary>
    public long PublishedOffset => Interlocked.Read(ref _publishedOffset);

    /// <summary>Completes with the error that ended the following of the log: the node must stop.</summary>
    public Task<Exception> Failure => _failure.Task;

    /// <summary>Adds a publisher, and has it take over what there is. Not while the log may call: before it is registered there, or from a publisher.</summary>
    public void Register(IMetadataPublisher publisher)
    {
        _publishers.Add(publisher);
        if (!ReferenceEquals(_current, MetadataImage.Empty))
            publisher.Publish(MetadataDelta.Between(MetadataImage.Empty, _current));
    }

    /// <summary>Waits until all publishers have taken over everything up to and including <paramref name="offset"/>.</summary>
    public Task WaitForOffset(long offset)
    {
        lock (_lock)
        {
            if (_publishedOffset >= offset)
                return Task.CompletedTask;
            if (_failure.Task.IsCompleted)
                return Task.FromException(_failure.Task.Result);
            var waiter = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _waiters.Enqueue(waiter, offset);
            return waiter.Task;
        }
    }

    /// <inheritdoc/>
    public void HandleSnapshot(OffsetAndEpoch id, IReadOnlyList<MetadataRecord> records)
    {
        // What the formatter wrote before the log (KIP-1170) counts only once a controller has put it there.
        if (id.Offset > 0)
            Follow(id.Offset - 1, () => _replayer.Load(records, new MetadataProvenance(id.Offset - 1, id.Epoch, -1)));
    }

    /// <inheritdoc/>
    public void HandleCommit(long baseOffset, int epoch, long appendTimestampMs, IReadOnlyList<MetadataRecord> records, long lastOffset) =>
        Follow(lastOffset, () => _replayer.Apply(records, baseOffset, new MetadataProvenance(lastOffset, epoch, appendTimestampMs)));

    /// <inheritdoc/>
    /// <remarks>
    /// A leader is named only once everything before it was handed over: until then nothing is published. Publishers see what a restart finds as
    /// one change; replaying history at them would have them undo today's disk by yesterday's metadata.
    /// </remarks>
    public void HandleLeaderChange(LeaderAndEpoch leader)
    {
        if (_hasCaughtUp || leader.LeaderId < 0)
            return;
        _hasCaughtUp = true;
        Publish(_replayedOffset, () => MetadataDelta.Between(MetadataImage.Empty, _replayer.Image));
    }

    [LoggerMessage(Level = LogLevel.Critical, Message = "Cannot follow the metadata log beyond offset {Offset} ({Stage}).")]
    private static partial void LogFailure(ILogger logger, Exception e, long offset, string stage);

    private void Follow(long lastOffset, Func<MetadataDelta> apply)
    {
        _replayedOffset = lastOffset;
        Publish(lastOffset, apply);
    }

    private void Publish(long lastOffset, Func<MetadataDelta> apply)
    {
        var stage = "applying records";
        try
        {
            if (_failure.Task.IsCompleted)
                return;
            var delta = apply();
            if (!_hasCaughtUp)
                return;
            foreach (var publisher in _publishers)
            {
                stage = publisher.Name;
                publisher.Publish(delta);
            }

            _current = delta.New;
            Advance(lastOffset);
        }
        catch (Exception e)
        {
            LogFailure(_logger, e, _publishedOffset, stage);
            Fail(e);
            throw;
        }
    }

    private void Advance(long lastOffset)
    {
        lock (_lock)
        {
            Interlocked.Exchange(ref _publishedOffset, lastOffset);
            while (_waiters.TryPeek(out var waiter, out var offset) && offset <= lastOffset)
            {
                _waiters.Dequeue();
                waiter.SetResult();
            }
        }
    }

    private void Fail(Exception e)
    {
        lock (_lock)
        {
            _failure.TrySetResult(e);
            while (_waiters.TryDequeue(out var waiter, out _))
                waiter.SetException(e);
        }
    }
}
