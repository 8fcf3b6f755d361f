using Ottla.Broker.Replicas;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.StateMachines.Share;
using Ottla.Storage.Log;

namespace Ottla.Broker.Hosts.Share;

/// <summary>The limits of a ShareFetch for all its partitions together.</summary>
/// <param name="GroupId">The group.</param>
/// <param name="MemberId">The member.</param>
/// <param name="Mode">How exactly <paramref name="RecordsMax"/> is meant.</param>
/// <param name="RecordsMax">How many records the member takes.</param>
/// <param name="BatchSize">From how many records on what is acquired is told in several ranges.</param>
/// <param name="MinBytes">How many bytes end the wait.</param>
/// <param name="BytesMax">The most bytes to read.</param>
/// <param name="Deadline">When the wait ends.</param>
internal readonly record struct ShareFetchTerms(
    string GroupId, string MemberId, ShareAcquireMode Mode, int RecordsMax, int BatchSize, int MinBytes, int BytesMax, Instant Deadline);

/// <summary>One partition of a ShareFetch. Owned by the fetch.</summary>
internal sealed class ShareFetchedPartition(TopicIdPartition partition)
{
    public TopicIdPartition Partition => partition;

    /// <summary>Why nothing can be acquired; it stays so for this fetch.</summary>
    public ApiError Error { get; set; } = ApiError.None;

    /// <summary>What was acquired. The handler that answers sends or disposes the records.</summary>
    public AcquiredRecords Acquired { get; set; } = AcquiredRecords.None;

    /// <summary>The object that leads it here; null until it is found.</summary>
    public SharePartitionLeader? Leader { get; set; }

    /// <summary>The leader's version before it was asked.</summary>
    public int SeenVersion { get; set; }

    /// <summary>The end of what can be read before it was asked.</summary>
    public long SeenEnd { get; set; }
}

/// <summary>Acquires records of several share partitions for a member, and waits until there are some.</summary>
/// <remarks>Thread-safe; lives as long as the broker. A fetch that waits holds no records.</remarks>
internal sealed class ShareFetcher(SharePartitions partitions, TimeProvider time)
{
    /// <summary>Acquires what there is, as soon as it has enough bytes, or at the deadline.</summary>
    /// <param name="terms">The limits.</param>
    /// <param name="fetched">The partitions, in the order in which they are read; receive what was found.</param>
    /// <param name="draining">Ends the wait.</param>
    /// <param name="closing">Ends the fetch.</param>
    /// <exception cref="OperationCanceledException">The connection is closed.</exception>
    public async Task FetchAsync(
        ShareFetchTerms terms, IReadOnlyList<ShareFetchedPartition> fetched, CancellationToken draining, CancellationToken closing)
    {
        if (terms.RecordsMax <= 0 || terms.BytesMax <= 0)
            return;
        while (true)
        {
            var bound = partitions.SettingsOf(terms.GroupId).ReadsCommitted ? ReadBound.LastStableOffset : ReadBound.HighWatermark;
            var ready = Ready(terms.GroupId, fetched, bound);
            if (fetched.All(each => each.Error.IsFailure))
                return;
            var remaining = TimeSpan.FromMilliseconds(terms.Deadline.MillisecondsSince(Instant.Now(time)));
            var isLast = remaining <= TimeSpan.Zero || draining.IsCancellationRequested;
            if (isLast || await IsEnoughAsync(terms, ready))
            {
                var hasProgressed = await AcquireAsync(terms, ready);
                if (isLast || ready.Exists(each => each.Acquired.Ranges.Count > 0))
                    return;
                if (hasProgressed)
                    continue; // for example past an aborted transaction
            }

            await new DataWaiter(time).WaitAsync(new WatchedShares(fetched, bound), remaining, closing, draining);
        }
    }

    /// <summary>Looks for who leads the partitions, and returns those whose state is taken over.</summary>
    private List<ShareFetchedPartition> Ready(string groupId, IReadOnlyList<ShareFetchedPartition> fetched, ReadBound bound)
    {
        var ready = new List<ShareFetchedPartition>(fetched.Count);
        foreach (var each in fetched.Where(each => !each.Error.IsFailure))
        {
            try
            {
                each.Leader ??= partitions.Get(ShareGroupState.KeyOf(groupId, each.Partition));
            }
            catch (ApiException e)
            {
                each.Error = e.Error;
                continue;
            }

            (each.SeenVersion, each.SeenEnd) = (each.Leader.Version, each.Leader.Replica.Log.OffsetOf(bound));
            if (each.Leader.OpeningResult is not { } opened)
                continue;
            if (opened.IsFailure)
                each.Error = opened;
            else
                ready.Add(each);
        }

        return ready;
    }

    private static async Task<bool> IsEnoughAsync(ShareFetchTerms terms, List<ShareFetchedPartition> ready)
    {
        var readableBytes = 0L;
        foreach (var each in ready)
        {
            try
            {
                readableBytes += Math.Min(await each.Leader!.MeasureAsync(), terms.BytesMax);
            }
            catch (ApiException e)
            {
                each.Error = e.Error;
            }
        }

        return readableBytes >= Math.Max(terms.MinBytes, 1);
    }

    /// <returns>Whether another read may find more, although none found anything.</returns>
    private static async Task<bool> AcquireAsync(ShareFetchTerms terms, List<ShareFetchedPartition> ready)
    {
        var remaining = terms.RecordsMax;
        var hasProgressed = false;
        foreach (var each in ready.Where(each => !each.Error.IsFailure))
        {
            if (remaining <= 0)
                break;
            try
            {
                each.Acquired = await each.Leader!.AcquireAsync(new ShareReadTerms(
                    terms.MemberId, terms.Mode, remaining, terms.BatchSize, Math.Max(terms.BytesMax / ready.Count, 1)));
            }
            catch (ApiException e)
            {
                each.Error = e.Error;
                continue;
            }

            hasProgressed |= each.Acquired.HasProgressed;
            remaining -= (int)each.Acquired.Ranges.Sum(range => range.LastOffset - range.FirstOffset + 1);
        }

        return hasProgressed;
    }

    /// <summary>The partitions of a fetch that waits.</summary>
    private readonly struct WatchedShares(IReadOnlyList<ShareFetchedPartition> fetched, ReadBound bound) : IWatched
    {
        public void Add(DataWaiter waiter)
        {
            foreach (var each in fetched)
            {
                each.Leader?.AddWaiter(waiter);
                each.Leader?.Replica.AddWaiter(waiter);
            }
        }

        public void Remove(DataWaiter waiter)
        {
            foreach (var each in fetched)
            {
                each.Leader?.RemoveWaiter(waiter);
                each.Leader?.Replica.RemoveWaiter(waiter);
            }
        }

        public bool HasNews()
        {
            foreach (var each in fetched)
            {
                if (each.Error.IsFailure || each.Leader is not { } leader)
                    continue;
                if (leader.Version != each.SeenVersion || leader.Replica.Log.OffsetOf(bound) != each.SeenEnd)
                    return true;
            }

            return false;
        }
    }
}
