using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Storage.Log;

namespace Ottla.Broker.Replicas;

/// <summary>What a fetch wants of all its partitions together.</summary>
/// <param name="Bound">How far it may read.</param>
/// <param name="UsesTopicIds">Its partitions are named by the ids of their topics.</param>
/// <param name="IsFromReplica">Another broker asks.</param>
/// <param name="MinBytes">How many bytes end the wait; not more than <paramref name="MaxBytes"/>, or it would never end.</param>
/// <param name="MaxBytes">How many bytes are read at most, but for the first batch.</param>
public readonly record struct FetchTerms(ReadBound Bound, bool UsesTopicIds, bool IsFromReplica, int MinBytes, int MaxBytes);

/// <summary>Reads the partitions of a fetch, and waits until there is enough. Used by all connections; keeps nothing.</summary>
/// <remarks>
/// Everything that is known of a partition comes from one moment under its log's lock
/// (<see cref="PartitionLog.Read(in LogReadRequest)"/>). There is news when
/// that which bounded the read is another, and it is asked for after the wait is registered: no append is missed. While a fetch waits it
/// holds no file, and an
/// append that cannot be enough yet costs it no look at the disk.
/// </remarks>
/// <param name="topics">The replicas of this broker.</param>
/// <param name="leaders">Why a partition is not among them.</param>
/// <param name="time">The clock.</param>
public sealed class FetchPlanner(HostedTopics topics, LeaderHints leaders, TimeProvider time)
{
    /// <summary>Reads what there is.</summary>
    /// <param name="terms">What is wanted.</param>
    /// <param name="partitions">The partitions, in the order in which they are read.</param>
    /// <param name="reads">A place for each. Slices in it are the caller's to give back; none is left when this throws.</param>
    /// <param name="mayWait">The fetch can wait: without enough bytes, nothing is read.</param>
    /// <returns>Whether the fetch is to be answered now.</returns>
    public bool TryRead(in FetchTerms terms, List<FetchedPartition> partitions, PartitionRead[] reads, bool mayWait)
    {
        // One byte is enough for most, and whether there is one the read itself knows without the disk.
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

    /// <summary>The long poll: reads at every news of one of the partitions, until there is enough or time is up; then answers.</summary>
    /// <param name="terms">What is wanted.</param>
    /// <param name="partitions">The partitions.</param>
    /// <param name="reads">What <see cref="TryRead"/> found; what there is now is handed to <paramref name="answer"/>.</param>
    /// <param name="deadline">When the fetch is answered with what there is.</param>
    /// <param name="state">What <paramref name="answer"/> works with.</param>
    /// <param name="answer">Makes the answer; the slices are its own. An argument, because a caller that awaits allocates more.</param>
    /// <param name="draining">Ends the wait with what there is.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="OperationCanceledException">Nobody waits any more. No slice is left.</exception>
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

    /// <summary>Gives back the slices that will not be answered.</summary>
    public static void GiveBack(PartitionRead[] reads)
    {
        foreach (var read in reads)
            read.Slice?.Dispose();
    }

    /// <param name="terms">What is wanted.</param>
    /// <param name="partitions">The partitions.</param>
    /// <param name="reads">Where what is found goes.</param>
    /// <param name="isMeasure">Only count, and rather too much than too little.</param>
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
            // As in Kafka what counts is what could be read, and not where batches happen to end below the limit.
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
        var position = partition.Position;
        var replica = (terms.UsesTopicIds ? topics.Find(partition.TopicId) : topics.Find(partition.Topic))?.Find(position.Partition);
        var leadership = replica?.Leadership; // before it is looked at: if it changes meanwhile, that is news
        var error = replica is null ? leaders.ErrorForMissing(terms.UsesTopicIds, partition, position.Partition)
            : terms.IsFromReplica ? ErrorCode.NotLeaderOrFollower // no other broker is assigned a replica
            : replica.CheckLeader(position.CurrentLeaderEpoch);
        if (error != ErrorCode.None)
            return new PartitionRead(partition, replica, leadership, error);
        partition.KnownName = replica!.Partition.Topic;
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
            return new PartitionRead(partition, replica, leadership, e.ErrorCode);
        }
    }

    /// <summary>The partitions of a fetch that waits. News is that which bounded a read being another.</summary>
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
                if (replica.Log.OffsetOf(bound) != read.BoundOffset || replica.Log.IsOffline || !ReferenceEquals(replica.Leadership, read.Leadership))
                    return true;
            }

            return false;
        }
    }
}
