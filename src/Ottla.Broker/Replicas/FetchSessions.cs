using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.Broker.Replicas;

/// <summary>Where and how much a client wants to read of a partition. Immutable.</summary>
/// <param name="Partition">The partition's index.</param>
/// <param name="CurrentLeaderEpoch">The leader epoch that the client knows; -1 when it does not say.</param>
/// <param name="FetchOffset">Where to read from.</param>
/// <param name="LastFetchedEpoch">The epoch of the last record it has; -1 when it does not say.</param>
/// <param name="MaxBytes">The most to read, in bytes.</param>
public sealed record FetchPosition(int Partition, int CurrentLeaderEpoch, long FetchOffset, int LastFetchedEpoch, int MaxBytes)
{
    internal static FetchPosition Of(FetchRequest.FetchPartition asked) =>
        new(asked.Partition, asked.CurrentLeaderEpoch, asked.FetchOffset, asked.LastFetchedEpoch, asked.PartitionMaxBytes);
}

/// <summary>A partition of a fetch, and what the session last told the client about it.</summary>
public sealed class FetchedPartition
{
    /// <summary>The topic's name; empty in versions that name topics by id.</summary>
    public required string Topic { get; init; }

    /// <summary>The topic's id; zero in versions that name topics by name.</summary>
    public required Uuid TopicId { get; init; }

    /// <summary>
    /// The name of the topic with this id; null until the topic is found, and in requests that name topics by name.
    /// </summary>
    public string? KnownName { get; set; }

    /// <summary>Whether the client may not read it, as of its last fetch.</summary>
    public bool IsForbidden { get; set; }

    /// <summary>What the client last asked for.</summary>
    public required FetchPosition Position { get; set; }

    /// <summary>The high watermark that the client knows.</summary>
    public long KnownHighWatermark { get; set; } = -1;

    /// <summary>The log start offset that the client knows.</summary>
    public long KnownLogStartOffset { get; set; } = -1;

    internal bool IsOfSameTopic(FetchedPartition other) => Topic == other.Topic && TopicId == other.TopicId;

    internal (Uuid, string, int) Key => (TopicId, Topic, Position.Partition);
}

/// <summary>
/// An incremental fetch session (KIP-227): the partitions a client fetches, remembered so that it only names those that change.
/// </summary>
public sealed class FetchSession(int id, bool usesTopicIds)
{
    private readonly LinkedList<FetchedPartition> _order = new();
    private readonly Dictionary<(Uuid, string, int), LinkedListNode<FetchedPartition>> _nodes = [];

    /// <summary>The session's id, never 0.</summary>
    public int Id => id;

    /// <summary>Whether its requests name topics by id. This cannot change within a session.</summary>
    public bool UsesTopicIds => usesTopicIds;

    /// <summary>The number of partitions. Read without a lock, so it may be slightly old.</summary>
    public int PartitionCount => _order.Count;

    /// <summary>The session epoch that the next request must carry.</summary>
    internal int NextEpoch { get; set; } = 1;

    /// <summary>When it was last used.</summary>
    internal Instant LastUsed { get; set; }

    /// <summary>The partitions in reading order: those that returned records most recently come last.</summary>
    internal List<FetchedPartition> Partitions()
    {
        lock (_order)
            return [.. _order];
    }

    /// <summary>Whether the session has no partitions left.</summary>
    internal bool IsEmpty
    {
        get
        {
            lock (_order)
                return _nodes.Count == 0;
        }
    }

    internal void Update(FetchRequest request)
    {
        lock (_order)
        {
            foreach (var topic in request.Topics)
            {
                foreach (var partition in topic.Partitions)
                {
                    var key = (topic.TopicId, topic.Topic, partition.Partition);
                    if (_nodes.TryGetValue(key, out var known))
                        known.Value.Position = FetchPosition.Of(partition);
                    else
                        _nodes[key] = _order.AddLast(
                            new FetchedPartition { Topic = topic.Topic, TopicId = topic.TopicId, Position = FetchPosition.Of(partition) });
                }
            }

            foreach (var topic in request.ForgottenTopicsData)
            {
                foreach (var partition in topic.Partitions)
                {
                    if (_nodes.Remove((topic.TopicId, topic.Topic, partition), out var node))
                        _order.Remove(node);
                }
            }
        }
    }

    /// <summary>Moves a partition that returned records to the end, so that the others get their turn.</summary>
    internal void MoveToEnd(FetchedPartition partition)
    {
        lock (_order)
        {
            if (_nodes.TryGetValue(partition.Key, out var node))
            {
                _order.Remove(node);
                _order.AddLast(node);
            }
        }
    }
}

/// <summary>The partitions that a fetch request asks for, including those of its session.</summary>
/// <param name="Error">An error of the session itself; then nothing is fetched.</param>
/// <param name="Session">The session; null for a fetch without one.</param>
/// <param name="IsIncremental">Whether the response leaves out partitions without news.</param>
/// <param name="Partitions">What to fetch, in order.</param>
public readonly record struct FetchContext(ErrorCode Error, FetchSession? Session, bool IsIncremental, List<FetchedPartition> Partitions);

/// <summary>The fetch sessions of a broker: as many as <c>max.incremental.fetch.session.cache.slots</c>. Used by all connections.</summary>
/// <param name="slotsMax">The most sessions; 0 refuses them all, and clients fetch without.</param>
/// <param name="prng">Draws session ids. Owned by this object.</param>
public sealed class FetchSessions(int slotsMax, Prng prng)
{
    private const int NoSession = 0;
    private const int InitialEpoch = 0;
    private const int FinalEpoch = -1;

    /// <summary>A session unused for this long may be evicted for a new one (Kafka's MIN_INCREMENTAL_FETCH_SESSION_EVICTION_MS).</summary>
    private const long EvictionIdleMs = 120_000;

    private readonly Lock _lock = new();
    private readonly Dictionary<int, FetchSession> _sessions = [];

    private long _evictions;

    /// <summary>Sessions that were ended for new ones.</summary>
    public long Evictions => Interlocked.Read(ref _evictions);

    /// <summary>The partitions of all sessions. Slightly old.</summary>
    public int PartitionCount
    {
        get
        {
            lock (_lock)
                return _sessions.Values.Sum(session => session.PartitionCount);
        }
    }

    /// <summary>Open sessions.</summary>
    public int Count
    {
        get
        {
            lock (_lock)
                return _sessions.Count;
        }
    }

    /// <summary>How many partitions a session has; 0 when there is no such session.</summary>
    public int PartitionCountOf(int sessionId)
    {
        if (sessionId == NoSession)
            return 0;
        lock (_lock)
            return _sessions.TryGetValue(sessionId, out var session) ? session.PartitionCount : 0;
    }

    /// <summary>Finds, makes or ends the session of a request.</summary>
    public FetchContext Begin(FetchRequest request, bool usesTopicIds, Instant now)
    {
        if (request.SessionEpoch is InitialEpoch or FinalEpoch)
            return BeginFull(request, usesTopicIds, now);
        lock (_lock)
        {
            if (!_sessions.TryGetValue(request.SessionId, out var session))
                return Refused(ErrorCode.FetchSessionIdNotFound);
            if (session.NextEpoch != request.SessionEpoch)
                return Refused(ErrorCode.InvalidFetchSessionEpoch);
            if (session.UsesTopicIds != usesTopicIds)
                return Refused(ErrorCode.FetchSessionTopicIdError);
            session.Update(request);
            if (session.IsEmpty)
            {
                _sessions.Remove(session.Id); // a client without partitions does not use its session again
                return new FetchContext(ErrorCode.None, null, IsIncremental: false, []);
            }

            session.NextEpoch = request.SessionEpoch == int.MaxValue ? 1 : request.SessionEpoch + 1;
            session.LastUsed = now;
            return new FetchContext(ErrorCode.None, session, IsIncremental: true, session.Partitions());
        }
    }

    private FetchContext BeginFull(FetchRequest request, bool usesTopicIds, Instant now)
    {
        lock (_lock)
        {
            if (request.SessionId != NoSession)
                _sessions.Remove(request.SessionId);
            if (request.SessionEpoch == FinalEpoch || !HasRoom(now))
                return new FetchContext(ErrorCode.None, null, IsIncremental: false, Listed(request));
            var session = new FetchSession(NewId(), usesTopicIds) { LastUsed = now };
            session.Update(request);
            _sessions[session.Id] = session;
            return new FetchContext(ErrorCode.None, session, IsIncremental: false, session.Partitions());
        }
    }

    private static FetchContext Refused(ErrorCode error) => new(error, null, IsIncremental: false, []);

    private static List<FetchedPartition> Listed(FetchRequest request)
    {
        var count = 0;
        foreach (var topic in request.Topics)
            count += topic.Partitions.Length;
        var partitions = new List<FetchedPartition>(count);
        foreach (var topic in request.Topics)
        {
            foreach (var partition in topic.Partitions)
                partitions.Add(
                    new FetchedPartition { Topic = topic.Topic, TopicId = topic.TopicId, Position = FetchPosition.Of(partition) });
        }

        return partitions;
    }

    private bool HasRoom(Instant now)
    {
        if (_sessions.Count < slotsMax)
            return true;
        var oldest = _sessions.Values.MinBy(session => session.LastUsed);
        if (oldest is null || now.MillisecondsSince(oldest.LastUsed) <= EvictionIdleMs)
            return false;
        _sessions.Remove(oldest.Id);
        Interlocked.Increment(ref _evictions);
        return true;
    }

    private int NewId()
    {
        while (true)
        {
            var id = prng.NextInt(1, int.MaxValue);
            if (!_sessions.ContainsKey(id))
                return id;
        }
    }
}
