using Ottla.Client.Consumers.Membership;
using Ottla.Kernel;

namespace Ottla.Client.Consumers;

/// <summary>What a processor of records needs of the engine.</summary>
internal sealed partial class ConsumerEngine
{
    // Guarded by _lock.
    private IAssignmentGuard? _guard;

    /// <summary>
    /// Sets what works on the records, null for the application itself. Meanwhile records that were taken do not count as processed by
    /// themselves.
    /// </summary>
    /// <exception cref="InvalidOperationException">Another one works on them.</exception>
    public void SetGuard(IAssignmentGuard? guard)
    {
        lock (_lock)
        {
            if (guard is not null)
            {
                ThrowIfClosed();
                if (_guard is not null)
                    throw new InvalidOperationException("Another call processes the records of this consumer. One at a time may.");
                StoreTaken();
            }

            _guard = guard;
            _taken = null;
        }
    }

    /// <summary>Has a partition rest, or go on, besides what the application pauses.</summary>
    public void SetHeld(TopicPartition partition, bool isHeld)
    {
        lock (_lock)
        {
            if (!_partitions.TryGetValue(partition, out var known))
                return;
            known.IsHeld = isHeld;
            EnqueueReady(known);
            if (known.HasRecords)
                WakeApplication();
        }
    }

    /// <summary>Notes an offset for the next automatic commit, if the partition is assigned.</summary>
    public void TryStore(PartitionOffset offset)
    {
        lock (_lock)
        {
            if (!_options.EnableAutoCommit || !_partitions.TryGetValue(offset.Partition, out var known))
                return;
            known.Stored = offset.Offset;
            _signal.Set();
        }
    }

    /// <summary>Has a partition go on at an offset, if it is assigned.</summary>
    public void TrySeek(TopicPartition partition, long offset)
    {
        lock (_lock)
        {
            if (_isClosing || !_partitions.TryGetValue(partition, out var known))
                return;
            known.Seek(offset, -1);
            Wake();
        }
    }

    /// <summary>
    /// Lets the member decide. While the application waits for records it is alive, unless a record is worked on for longer than it may
    /// take: then it counts as one that has not come back since. Called under the lock.
    /// </summary>
    /// <returns>When to look again because of the guard.</returns>
    private Instant? AdvanceMember(IMembershipMachine membership, Instant now, List<MembershipAction> actions)
    {
        if (!_isWaiting || _guard?.BusySince is not { } since)
        {
            membership.Advance(now, actions);
            return null;
        }

        var limit = since.AddMilliseconds((long)_options.MaxPollInterval.TotalMilliseconds);
        if (now < limit)
        {
            membership.Advance(now, actions);
            return limit;
        }

        membership.OnPollEnded(since);
        membership.Advance(now, actions);
        membership.OnPollBegun(now); // it is told of the loss while it waits
        membership.Advance(now, actions);
        return null;
    }
}
