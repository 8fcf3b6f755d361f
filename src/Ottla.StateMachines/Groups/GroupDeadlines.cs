using Ottla.Kernel;

namespace Ottla.StateMachines.Groups;

/// <summary>What is to be done at a deadline.</summary>
public enum DeadlinePurpose
{
    /// <summary>A member of a classic group, or one that was given an id, has not been heard of.</summary>
    ClassicSession,

    /// <summary>The members of a classic group have had their time to join.</summary>
    ClassicJoin,

    /// <summary>The members of a classic group have had their time to ask for their assignment.</summary>
    ClassicSync,

    /// <summary>A member of a consumer group has not been heard of.</summary>
    ConsumerSession,

    /// <summary>A member of a consumer group has had its time to give up partitions.</summary>
    ConsumerRebalance,

    /// <summary>A member of a consumer group that uses the classic protocol has had its time to join again.</summary>
    ConsumerJoin,

    /// <summary>A member of a consumer group that uses the classic protocol has had its time to ask for its assignment.</summary>
    ConsumerSync,

    /// <summary>A member of a group that is not served cannot be heard from.</summary>
    UnservedSession,

    /// <summary>Offsets that nobody uses are to be looked for.</summary>
    OffsetExpiration,
}

/// <summary>Names a deadline: there is at most one of each name.</summary>
/// <param name="Purpose">What is to be done.</param>
/// <param name="GroupId">The group; empty when it is about all of them.</param>
/// <param name="MemberId">The member; empty when it is about all of them.</param>
public readonly record struct GroupDeadline(DeadlinePurpose Purpose, string GroupId, string MemberId);

/// <summary>The deadlines of a partition's groups.</summary>
/// <remarks>
/// Owned by the <see cref="GroupMachine"/>; lives as long. A heartbeat moves its deadline to later, which costs no more than a look-up: the
/// queue keeps the old time, and when that has come the deadline is queued again for what has become of it. What was cancelled stays in the
/// queue likewise, until its time has come or most of the queue is such.
/// </remarks>
public sealed class GroupDeadlines
{
    private const int StaleEntriesMin = 64;

    private readonly Dictionary<GroupDeadline, Entry> _entries = [];
    private readonly PriorityQueue<(GroupDeadline Name, Entry Entry), (Instant At, long Number)> _queue = new();
    private long _lastNumber;

    /// <summary>Deadlines that are set.</summary>
    public int Count => _entries.Count;

    /// <summary>Places in the queue: those of deadlines that are set, and some that are left over.</summary>
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

    /// <summary>Sets a deadline, instead of what it was set to.</summary>
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

    /// <summary>Unsets a deadline, if it is set.</summary>
    public void Cancel(DeadlinePurpose purpose, string groupId, string memberId = "")
    {
        _entries.Remove(new GroupDeadline(purpose, groupId, memberId));
        DropStale();
    }

    /// <summary>When a deadline is; null when it is not set.</summary>
    public Instant? At(DeadlinePurpose purpose, string groupId, string memberId = "") =>
        _entries.TryGetValue(new GroupDeadline(purpose, groupId, memberId), out var entry) ? entry.At : null;

    /// <summary>Takes the earliest deadline out, if its time has come.</summary>
    public bool TryTakeDue(Instant now, out GroupDeadline due)
    {
        due = default;
        if (Next is not { } next || next > now)
            return false;
        due = _queue.Dequeue().Name;
        _entries.Remove(due);
        return true;
    }

    /// <summary>Unsets all.</summary>
    public void Clear()
    {
        _entries.Clear();
        _queue.Clear();
    }

    private bool IsCurrent((GroupDeadline Name, Entry Entry) place, (Instant At, long Number) priority) =>
        place.Entry.QueueNumber == priority.Number && _entries.TryGetValue(place.Name, out var entry) && ReferenceEquals(entry, place.Entry);

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

    // Two thirds of the places are left over: what it costs to sort the rest anew was saved before.
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
