using Ottla.Kernel;

namespace Ottla.StateMachines.Groups;

/// <summary>The purpose of a deadline.</summary>
public enum DeadlinePurpose
{
    /// <summary>A member of a classic group, or an expected member id, sent no heartbeat in time.</summary>
    ClassicSession,

    /// <summary>The time for the members of a classic group to join is over.</summary>
    ClassicJoin,

    /// <summary>The time for the members of a classic group to request their assignment is over.</summary>
    ClassicSync,

    /// <summary>A member of a consumer group sent no heartbeat in time.</summary>
    ConsumerSession,

    /// <summary>The time for a member of a consumer group to give up partitions is over.</summary>
    ConsumerRebalance,

    /// <summary>The time for a classic member of a consumer group to join again is over.</summary>
    ConsumerJoin,

    /// <summary>The time for a classic member of a consumer group to request its assignment is over.</summary>
    ConsumerSync,

    /// <summary>A member of a share group sent no heartbeat in time.</summary>
    ShareSession,

    /// <summary>The session of a member of an unserved group ends, because it cannot send heartbeats.</summary>
    UnservedSession,

    /// <summary>Expired offsets must be searched for.</summary>
    OffsetExpiration,
}

/// <summary>Identifies a deadline, which can be set once at a time.</summary>
/// <param name="Purpose">The purpose.</param>
/// <param name="GroupId">The group; empty for a deadline of all groups.</param>
/// <param name="MemberId">The member; empty for a deadline of the whole group.</param>
public readonly record struct GroupDeadline(DeadlinePurpose Purpose, string GroupId, string MemberId);

/// <summary>The deadlines of a partition's groups.</summary>
/// <remarks>
/// Owned by the <see cref="GroupMachine"/>; lives as long. A heartbeat moves its deadline to a later time for the cost of a look-up: the
/// queue keeps the old time, and when that comes, the deadline is queued again for its new time. Cancelled deadlines also stay in the queue
/// until their time comes, or until they make up most of the queue.
/// </remarks>
public sealed class GroupDeadlines
{
    private const int StaleEntriesMin = 64;

    private readonly Dictionary<GroupDeadline, Entry> _entries = [];
    private readonly PriorityQueue<(GroupDeadline Name, Entry Entry), (Instant At, long Number)> _queue = new();
    private long _lastNumber;

    /// <summary>The number of deadlines that are set.</summary>
    public int Count => _entries.Count;

    /// <summary>The number of entries in the queue, stale ones included.</summary>
    public int QueuedCount => _queue.Count;

    /// <summary>The earliest deadline; null when there is none.</summary>
    public Instant? Next
    {
        get
        {
            while (_queue.TryPeek(out var place, out var priority))
            {
                if (!IsCurrent(place, priority))
                    _queue.Dequeue();
                else if (place.Entry.At > priority.At)
                    Requeue(place);
                else
                    return priority.At;
            }

            return null;
        }
    }

    /// <summary>Sets a deadline; it replaces an earlier one of the same identity.</summary>
    public void Schedule(DeadlinePurpose purpose, string groupId, string memberId, Instant at)
    {
        var name = new GroupDeadline(purpose, groupId, memberId);
        if (!_entries.TryGetValue(name, out var entry))
            _entries[name] = entry = new Entry();
        else if (at >= entry.QueuedFor)
        {
            entry.At = at;
            return;
        }

        entry.At = at;
        Enqueue(name, entry);
    }

    /// <summary>Cancels a deadline, if it is set.</summary>
    public void Cancel(DeadlinePurpose purpose, string groupId, string memberId = "")
    {
        _entries.Remove(new GroupDeadline(purpose, groupId, memberId));
        DropStale();
    }

    /// <summary>The time of a deadline; null when it is not set.</summary>
    public Instant? At(DeadlinePurpose purpose, string groupId, string memberId = "") =>
        _entries.TryGetValue(new GroupDeadline(purpose, groupId, memberId), out var entry) ? entry.At : null;

    /// <summary>Removes and returns the earliest deadline, if it is due.</summary>
    public bool TryTakeDue(Instant now, out GroupDeadline due)
    {
        due = default;
        if (Next is not { } next || next > now)
            return false;
        due = _queue.Dequeue().Name;
        _entries.Remove(due);
        return true;
    }

    /// <summary>Cancels all deadlines.</summary>
    public void Clear()
    {
        _entries.Clear();
        _queue.Clear();
    }

    private bool IsCurrent((GroupDeadline Name, Entry Entry) place, (Instant At, long Number) priority) =>
        place.Entry.QueueNumber == priority.Number && _entries.TryGetValue(place.Name, out var entry)
            && ReferenceEquals(entry, place.Entry);

    private void Requeue((GroupDeadline Name, Entry Entry) place)
    {
        place.Entry.QueuedFor = place.Entry.At;
        place.Entry.QueueNumber = ++_lastNumber;
        _queue.DequeueEnqueue(place, (place.Entry.At, place.Entry.QueueNumber));
    }

    private void Enqueue(GroupDeadline name, Entry entry)
    {
        entry.QueuedFor = entry.At;
        entry.QueueNumber = ++_lastNumber;
        _queue.Enqueue((name, entry), (entry.At, entry.QueueNumber));
        DropStale();
    }

    // Two thirds of the entries are stale. Sorting the rest again costs less than what the delay saved.
    private void DropStale()
    {
        if (_queue.Count < StaleEntriesMin + (3 * _entries.Count))
            return;
        _queue.Clear();
        foreach (var (name, entry) in _entries)
        {
            entry.QueuedFor = entry.At;
            entry.QueueNumber = ++_lastNumber;
            _queue.Enqueue((name, entry), (entry.At, entry.QueueNumber));
        }
    }

    private sealed class Entry
    {
        public Instant At { get; set; }

        public Instant QueuedFor { get; set; }

        public long QueueNumber { get; set; }
    }
}
