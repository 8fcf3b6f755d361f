using Microsoft.Extensions.Logging;
using Ottla.Broker.Metadata;
using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.StateMachines.Metadata;
using Ottla.StateMachines.Replication;
using Ottla.Storage.Log;

namespace Ottla.Broker.Replicas.Fetching;

/// <summary>The fetchers of a broker: one for each leader and each of <c>num.replica.fetchers</c>, as long as it has partitions.</summary>
/// <remarks>
/// Only the metadata publisher calls it, one call at a time, until it is closed. It is a publisher of its own behind the replicas: what is
/// to be followed is begun there, with the metadata that says so, as that has the leader's address and the version to speak in. It also
/// moves the partitions when the number of fetchers has changed, and tells the fetchers what is throttled.
/// </remarks>
internal sealed partial class ReplicaFetchers(
    FetcherHost host, Func<BrokerConfig> config, BackgroundWork background, ILogger logger)
    : IReplicaFetchers, IMetadataPublisher
{
    private readonly Lock _closeLock = new();
    private readonly Dictionary<(int Leader, int Index), ReplicaFetcher> _fetchers = [];
    private readonly Dictionary<TopicIdPartition, ReplicaFetcher> _byPartition = [];
    private readonly List<FollowedPartition> _beginning = [];
    private readonly List<Task> _ending = [];
    private int _count = config().NumReplicaFetchers;
    private bool _isClosed;

    /// <inheritdoc/>
    public string Name => "replica fetchers";

    /// <summary>How many partitions are fetched.</summary>
    public int PartitionCount
    {
        get
        {
            lock (_closeLock)
                return _fetchers.Values.Sum(fetcher => fetcher.Count);
        }
    }

    /// <summary>What is fetched by any of the fetchers.</summary>
    public IReadOnlyList<FollowedPartition> Followed
    {
        get
        {
            lock (_closeLock)
                return [.. _fetchers.Values.SelectMany(fetcher => fetcher.Followed)];
        }
    }

    /// <summary>Records that the replica furthest behind must fetch still, as far as it knows what its leader has.</summary>
    public long MaxLag
    {
        get
        {
            lock (_closeLock)
                return _fetchers.Values.Select(fetcher => fetcher.MaxLag).DefaultIfEmpty().Max();
        }
    }

    /// <inheritdoc/>
    public void Follow(IReadOnlyList<FollowedPartition> partitions)
    {
        lock (_closeLock)
        {
            if (!_isClosed)
                _beginning.AddRange(partitions);
        }
    }

    /// <inheritdoc/>
    public void Stop(IReadOnlyList<PartitionReplica> partitions)
    {
        lock (_closeLock)
        {
            foreach (var replica in partitions)
            {
                _beginning.RemoveAll(each => ReferenceEquals(each.Replica, replica));
                if (_byPartition.Remove(replica.Id, out var fetcher))
                    fetcher.Stop(replica);
            }
        }
    }

    /// <inheritdoc/>
    public void Publish(MetadataDelta delta)
    {
        lock (_closeLock)
        {
            if (_isClosed)
                return;
            host.Image = delta.New;
            if (config().NumReplicaFetchers is var count && count != _count)
                Resize(count);
            foreach (var partition in _beginning)
                Follow(partition);
            EndIdle();
            foreach (var fetcher in _fetchers.Values)
            {
                fetcher.OnMetadata(hasNewPartitions: _beginning.Count > 0);
                if (delta.Configs.Count > 0)
                    fetcher.UpdateThrottled();
            }

            StartNew();
            _beginning.Clear();
        }
    }

    /// <summary>Ends all fetchers; nothing is followed any more.</summary>
    public async Task CloseAsync()
    {
        Task[] ending;
        lock (_closeLock)
        {
            _isClosed = true;
            foreach (var fetcher in _fetchers.Values)
                _ending.Add(fetcher.StopAsync());
            _fetchers.Clear();
            _byPartition.Clear();
            _beginning.Clear();
            ending = [.. _ending];
        }

        await Task.WhenAll(ending);
        host.RetryLogger.Dispose();
    }

    /// <summary>Which fetcher of a leader has a partition, as Kafka chooses it.</summary>
    internal static int IndexOf(TopicPartition partition, int count) =>
        JavaHashCode.PlaceOf(JavaHashCode.Combine(JavaHashCode.Of(partition.Topic), partition.Partition), count);

    private void Follow(in FollowedPartition followed)
    {
        var replica = followed.Replica;
        var id = replica.Id;
        var key = (followed.LeaderId, IndexOf(replica.Partition, _count));
        // The former fetcher lets go first; then the end is read (P4).
        if (_byPartition.TryGetValue(id, out var former) && (former.LeaderId, former.Index) != key)
            former.Stop(replica);
        if (replica.Log.IsOffline || !TryPrepare(followed, out var position))
        {
            _byPartition.Remove(id, out former);
            former?.Stop(replica);
            return;
        }

        if (!_fetchers.TryGetValue(key, out var fetcher))
        {
            fetcher = new ReplicaFetcher(host, key.LeaderId, key.Item2);
            _fetchers.Add(key, fetcher);
        }

        _byPartition[id] = fetcher;
        fetcher.Follow(replica, followed.LeaderEpoch, position);
    }

    /// <summary>
    /// Reads where the log stands. A log that lost a file with the power, and not what came after it, goes back to that gap: the leader has
    /// what is missing. A log without leader epochs cannot tell where it diverges: it goes back to its high watermark, as in Kafka.
    /// </summary>
    private bool TryPrepare(in FollowedPartition followed, out FetcherPosition position)
    {
        var replica = followed.Replica;
        position = replica.PositionAsFollower();
        try
        {
            if (replica.Log.UnflushedGap is { } gap)
            {
                LogGap(replica.Partition, gap, position.EndOffset);
                replica.TruncateTo(host.Logs, gap, followed.LeaderEpoch, position.EndOffset);
                position = replica.PositionAsFollower();
            }

            if (position.LatestEpoch >= 0 || replica.Log.HighWatermark >= position.EndOffset)
                return true;
            LogWithoutEpochs(replica.Partition, position.EndOffset, replica.Log.HighWatermark);
            replica.TruncateTo(host.Logs, replica.Log.HighWatermark, followed.LeaderEpoch, position.EndOffset);
            position = replica.PositionAsFollower();
            return true;
        }
        catch (LogException e)
        {
            LogNotPrepared(replica.Partition, e.Message);
            return false;
        }
    }

    /// <summary>Spreads all partitions anew over another number of fetchers (P23): none is lost.</summary>
    private void Resize(int count)
    {
        LogResized(_count, count);
        _count = count;
        List<FollowedPartition> moved = [];
        foreach (var fetcher in _fetchers.Values)
            moved.AddRange(fetcher.TakeAll());
        _byPartition.Clear();
        _beginning.InsertRange(0, moved); // before what this change brings: of two for one partition, the later one counts
    }

    /// <summary>
    /// Starts fetchers once they have all partitions of a change: else the first request would name one, and wait for it alone.
    /// </summary>
    private void StartNew()
    {
        foreach (var fetcher in _fetchers.Values.Where(fetcher => !fetcher.IsStarted))
            background.Watch(fetcher.ToString(), fetcher.Start());
    }

    private void EndIdle()
    {
        _ending.RemoveAll(ended => ended.IsCompleted);
        foreach (var (key, fetcher) in _fetchers.Where(each => each.Value.Count == 0).ToList())
        {
            _fetchers.Remove(key);
            _ending.Add(fetcher.StopAsync());
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "num.replica.fetchers changed from {Old} to {New}: moving all partitions that "
        + "are followed here")]
    private partial void LogResized(int old, int @new);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Partition} has no leader epochs: it is truncated from its end {EndOffset} to its "
        + "high watermark {HighWatermark} before it follows")]
    private partial void LogWithoutEpochs(TopicPartition partition, long endOffset, long highWatermark);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Partition} lacks records from offset {Gap} on: this host lost power before a file "
        + "was flushed. It is truncated from its end {EndOffset} to {Gap}, and fetches the rest from its leader again")]
    private partial void LogGap(TopicPartition partition, long gap, long endOffset);

    [LoggerMessage(Level = LogLevel.Error, Message = "{Partition} cannot follow its leader: {Reason}")]
    private partial void LogNotPrepared(TopicPartition partition, string reason);
}
