using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Storage.Log;

namespace Ottla.Broker.Replicas;

/// <summary>The limits of a consumer's fetch for all its partitions together.</summary>
/// <param name="Bound">The offset up to which it may read: high watermark, last stable offset or log end.</param>
/// <param name="UsesTopicIds">Whether the request names topics by id.</param>
/// <param name="NeedsLeader">Whether only the leader may serve it: versions before KIP-392.</param>
/// <param name="MinBytes">The number of bytes that ends the wait; at most <paramref name="MaxBytes"/>, or the wait would never end.</param>
/// <param name="MaxBytes">The most bytes to read. The first batch is read even if it is larger.</param>
public readonly record struct FetchTerms(ReadBound Bound, bool UsesTopicIds, bool NeedsLeader, int MinBytes, int MaxBytes)
{
    /// <summary>The consumer's rack; empty when it does not say, or when a fetch goes by no rack.</summary>
    public string Rack { get; init; } = "";

    /// <summary>The listener of the consumer.</summary>
    public string Listener { get; init; } = "";
}

/// <summary>Reads the partitions of a fetch, and waits until there are enough bytes. Stateless; all connections use it.</summary>
/// <remarks>
/// One read of a partition takes bound, records and offsets in one step under the log's lock
/// (<see cref="PartitionLog.Read(in LogReadRequest)"/>). A wait ends when that bound has moved; the check comes after the wait is
/// registered, so that no append is missed. A waiting fetch holds no file, and it does not read the disk to count bytes.
/// </remarks>
/// <param name="topics">The replicas of this broker.</param>
/// <param name="leaders">Why a partition is not among them.</param>
/// <param name="racks">Who serves consumers of other racks; null when leaders serve all.</param>
/// <param name="time">The clock.</param>
public sealed class FetchPlanner(HostedTopics topics, LeaderHints leaders, RackAwareReplicas? racks, TimeProvider time)
{
    /// <summary>Reads what is available.</summary>
    /// <param name="terms">The limits of the fetch.</param>
    /// <param name="partitions">The partitions, in the order in which they are read.</param>
    /// <param name="reads">
    /// Receives one result per partition. The caller releases the slices in it; when this method throws, it has released them itself.
    /// </param>
    /// <param name="mayWait">Whether the fetch can wait. Then nothing is read while there are too few bytes.</param>
    /// <returns>True when the fetch is to be answered now.</returns>
    public bool TryRead(in FetchTerms terms, List<FetchedPartition> partitions, PartitionRead[] reads, bool mayWait)
    {
        // Most fetches ask for one byte. The read itself finds out without the disk whether there is one.
        if (mayWait && terms.MinBytes > 1 && !IsEnough(terms, partitions, reads, isMeasure: true))
            return false;
        try
        {
            return IsEnough(terms, partitions, reads, isMeasure: false);
        }
        catch
        {
            GiveBack(reads);
            throw;
        }
    }

    /// <summary>
    /// The long poll: reads again at every change of a partition, until there are enough bytes or the deadline has passed, and then
    /// answers.
    /// </summary>
    /// <param name="terms">The limits of the fetch.</param>
    /// <param name="partitions">The partitions.</param>
    /// <param name="reads">What <see cref="TryRead"/> found; what there is now is handed to <paramref name="answer"/>.</param>
    /// <param name="deadline">When the fetch is answered with what is available.</param>
    /// <param name="state">The argument of <paramref name="answer"/>.</param>
    /// <param name="answer">
    /// Builds the answer and takes over the slices. It is a parameter because an awaiting caller would allocate more.
    /// </param>
    /// <param name="draining">Ends the wait; the fetch is answered with what is available.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="OperationCanceledException">The connection is closed. All slices are released.</exception>
    public async ValueTask<TAnswer> WaitAsync<TState, TAnswer>(
        FetchTerms terms,
        List<FetchedPartition> partitions,
        PartitionRead[] reads,
        Instant deadline,
        TState state,
        Func<TState, PartitionRead[], TAnswer> answer,
        CancellationToken draining,
        CancellationToken cancellationToken)
    {
        using var counted = topics.Waits.CountFetch();
        while (true)
        {
            GiveBack(reads);
            if (!draining.IsCancellationRequested && deadline.MillisecondsSince(Instant.Now(time)) is var remainingMs and > 0)
            {
                await new DataWaiter(time).WaitAsync(
                    new WatchedReads(reads, terms.Bound), TimeSpan.FromMilliseconds(remainingMs), cancellationToken, draining);
            }

            var mayWait = Instant.Now(time) < deadline && !draining.IsCancellationRequested;
            if (TryRead(terms, partitions, reads, mayWait) || !mayWait)
                return answer(state, reads);
        }
    }

    /// <summary>Releases the slices that will not be sent.</summary>
    public static void GiveBack(PartitionRead[] reads)
    {
        foreach (var read in reads)
            read.Slice?.Dispose();
    }

    /// <param name="terms">The limits of the fetch.</param>
    /// <param name="partitions">The partitions.</param>
    /// <param name="reads">Receives the results.</param>
    /// <param name="isMeasure">Whether to count the bytes only. The count may be too high, never too low.</param>
    private bool IsEnough(in FetchTerms terms, List<FetchedPartition> partitions, PartitionRead[] reads, bool isMeasure)
    {
        var remainingBytes = terms.MaxBytes;
        var isFirst = true;
        var readableBytes = 0L;
        var isEnough = reads.Length == 0;
        for (var i = 0; i < reads.Length; i++)
        {
            var maxBytes = partitions[i].Position.MaxBytes;
            var read = Read(terms, partitions[i], Math.Min(maxBytes, remainingBytes), isFirst, isMeasure, out var availableBytes);
            reads[i] = read;
            // As in Kafka, the bytes that could be read count, not the bytes up to the last batch that fits.
            readableBytes += Math.Max(Math.Min(availableBytes, maxBytes), read.Bytes);
            isFirst &= read.Bytes == 0;
            remainingBytes = Math.Max(remainingBytes - read.Bytes, 0);
            isEnough |= read.EndsWait;
        }

        return isEnough || readableBytes >= terms.MinBytes;
    }

    private PartitionRead Read(
        in FetchTerms terms, FetchedPartition partition, int maxBytes, bool minOneBatch, bool isMeasure, out long availableBytes)
    {
        availableBytes = 0;
        if (partition.IsForbidden)
            return new PartitionRead(partition, null, null, ErrorCode.TopicAuthorizationFailed);
        var position = partition.Position;
        var replica = (terms.UsesTopicIds ? topics.Find(partition.TopicId) : topics.Find(partition.Topic))?.Find(position.Partition);
        var leadership = replica?.Leadership; // taken before the read: a later change ends the wait
        var error = replica is null ? leaders.ErrorForMissing(
                terms.UsesTopicIds, partition.Topic, partition.TopicId, partition.KnownName, position.Partition)
            : replica.CheckReader(position.CurrentLeaderEpoch, terms.NeedsLeader);
        if (error != ErrorCode.None)
            return new PartitionRead(partition, replica, leadership, error);
        partition.KnownName = replica!.Partition.Topic;
        var preferred = racks is null || terms.Rack.Length == 0 ? RackAwareReplicas.Leader
            : racks.Choose(replica, terms.Rack, terms.Listener, position.FetchOffset);
        if (preferred != RackAwareReplicas.Leader)
            return new PartitionRead(partition, replica, leadership, preferred);
        try
        {
            var request = new LogReadRequest(position.FetchOffset, terms.Bound, maxBytes, minOneBatch)
            {
                LastFetchedEpoch = position.LastFetchedEpoch,
            };
            var result = isMeasure ? replica.Log.Measure(request) : replica.Log.Read(request);
            availableBytes = result.AvailableBytes;
            return new PartitionRead(partition, replica, leadership, result);
        }
        catch (LogException e)
        {
            // A client that names no leader epoch takes a follower that lags for the leader. It would reset its position (Kafka lets it).
            var takesForLeader = e.ErrorCode == ErrorCode.OffsetOutOfRange && position.CurrentLeaderEpoch < 0 && !leadership!.IsLeaderHere;
            return new PartitionRead(partition, replica, leadership, takesForLeader ? ErrorCode.NotLeaderOrFollower : e.ErrorCode);
        }
    }

    /// <summary>The partitions of a waiting fetch. A partition has changed when the bound of its read has moved.</summary>
    private readonly struct WatchedReads(PartitionRead[] reads, ReadBound bound) : IWatched
    {
        public void Add(DataWaiter waiter)
        {
            foreach (ref readonly var read in reads.AsSpan())
                read.Replica?.AddWaiter(waiter);
        }

        public void Remove(DataWaiter waiter)
        {
            foreach (ref readonly var read in reads.AsSpan())
                read.Replica?.RemoveWaiter(waiter);
        }

        public bool HasNews()
        {
            foreach (ref readonly var read in reads.AsSpan())
            {
                if (read.Replica is not { } replica)
                    continue;
                if (replica.Log.OffsetOf(bound) != read.BoundOffset || replica.Log.IsOffline
                    || !replica.Leadership.IsSameToReaders(read.Leadership!))
                    return true;
            }

            return false;
        }
    }
}
