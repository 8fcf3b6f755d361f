using Ottla.Broker.Server;
using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.StateMachines.Share;

namespace Ottla.Broker.Hosts.Share;

/// <summary>A partition of a share session.</summary>
/// <param name="Partition">The partition.</param>
internal sealed record ShareSessionPartition(TopicIdPartition Partition)
{
    /// <summary>Whether the member has had an answer about it since it was added.</summary>
    public bool IsTold { get; set; }
}

/// <summary>What a ShareFetch wants, once its session is found.</summary>
/// <param name="Partitions">The partitions, in the order in which they are read.</param>
internal sealed record ShareFetchPlan(IReadOnlyList<ShareSessionPartition> Partitions);

/// <summary>
/// The share sessions of this broker: which partitions a member fetches. When a session ends, what the member holds is given back.
/// </summary>
/// <remarks>
/// Thread-safe; lives as long as the broker. A session belongs to the connection that made it and ends with it; other connections may use
/// it. At most <c>group.share.max.share.sessions</c>.
/// </remarks>
internal sealed class ShareSessions(SharePartitions partitions, Func<BrokerConfig> config)
{
    /// <summary>The epoch of a request that begins a session.</summary>
    public const int FirstEpoch = 0;

    /// <summary>The epoch of a request that ends a session.</summary>
    public const int FinalEpoch = -1;

    private readonly Lock _lock = new();
    private readonly Dictionary<(string GroupId, string MemberId), Session> _sessions = [];
    private readonly Dictionary<string, int> _countByGroup = new(StringComparer.Ordinal);

    /// <summary>How many there are.</summary>
    public int Count
    {
        get
        {
            lock (_lock)
                return _sessions.Count;
        }
    }

    /// <summary>Finds or makes the session of a ShareFetch, and changes its partitions.</summary>
    /// <param name="groupId">The group.</param>
    /// <param name="memberId">The member, which need not be in the group.</param>
    /// <param name="epoch">The session epoch of the request.</param>
    /// <param name="added">The partitions that the request names.</param>
    /// <param name="forgotten">The partitions that the member fetches no more.</param>
    /// <param name="connection">The connection of the request.</param>
    /// <exception cref="ApiException">
    /// SHARE_SESSION_NOT_FOUND, INVALID_SHARE_SESSION_EPOCH, SHARE_SESSION_LIMIT_REACHED.
    /// </exception>
    public ShareFetchPlan Begin(
        string groupId, string memberId, int epoch, IEnumerable<TopicIdPartition> added, IEnumerable<TopicIdPartition> forgotten,
        ConnectionInfo connection)
    {
        if (epoch == FinalEpoch)
            return new ShareFetchPlan([]);
        if (epoch == FirstEpoch)
            return Make((groupId, memberId), added, connection);
        lock (_lock)
        {
            var session = GetLocked((groupId, memberId), epoch);
            session.Change(added, forgotten);
            session.Advance();
            return new ShareFetchPlan([.. session.Partitions]);
        }
    }

    /// <summary>Finds the session of a ShareAcknowledge.</summary>
    /// <exception cref="ApiException">SHARE_SESSION_NOT_FOUND, INVALID_SHARE_SESSION_EPOCH.</exception>
    public void Acknowledge(string groupId, string memberId, int epoch)
    {
        if (epoch == FirstEpoch)
            throw new ApiException(ErrorCode.InvalidShareSessionEpoch);
        lock (_lock)
        {
            if (epoch != FinalEpoch)
                GetLocked((groupId, memberId), epoch).Advance();
            else if (!_sessions.ContainsKey((groupId, memberId)))
                throw new ApiException(ErrorCode.ShareSessionNotFound);
        }
    }

    /// <summary>Has partitions that gave records come last at the next fetch, so that others get their turn.</summary>
    public void MoveToEnd(string groupId, string memberId, IReadOnlyCollection<TopicIdPartition> served)
    {
        if (served.Count == 0)
            return;
        lock (_lock)
        {
            if (_sessions.TryGetValue((groupId, memberId), out var session))
                session.MoveToEnd(served);
        }
    }

    /// <summary>Ends a session, if it is there, and gives back what the member holds. That is written afterwards.</summary>
    public void End(string groupId, string memberId)
    {
        Session? session;
        lock (_lock)
        {
            if (_sessions.TryGetValue((groupId, memberId), out session))
                RemoveLocked((groupId, memberId), session);
        }

        if (session is not null)
            Release((groupId, memberId), session);
    }

    private ShareFetchPlan Make((string GroupId, string MemberId) key, IEnumerable<TopicIdPartition> added, ConnectionInfo connection)
    {
        var session = new Session();
        session.Change(added, []);
        lock (_lock)
        {
            if (_sessions.TryGetValue(key, out var before))
                RemoveLocked(key, before); // what was acquired stays acquired
            if (_sessions.Count >= config().GroupShareMaxShareSessions)
                throw new ApiException(ErrorCode.ShareSessionLimitReached);
            _sessions.Add(key, session);
            _countByGroup[key.GroupId] = _countByGroup.GetValueOrDefault(key.GroupId) + 1;
        }

        session.Connection = connection.Closing.UnsafeRegister(_ => End(key, session), null); // may be called at once
        return new ShareFetchPlan([.. session.Partitions]);
    }

    /// <summary>The connection of a session is closed.</summary>
    private void End((string GroupId, string MemberId) key, Session session)
    {
        lock (_lock)
        {
            if (!_sessions.TryGetValue(key, out var known) || !ReferenceEquals(known, session))
                return;
            RemoveLocked(key, session);
        }

        Release(key, session);
    }

    private void RemoveLocked((string GroupId, string MemberId) key, Session session)
    {
        _sessions.Remove(key);
        session.Connection.Unregister();
        var rest = _countByGroup[key.GroupId] - 1;
        if (rest == 0)
            _countByGroup.Remove(key.GroupId);
        else
            _countByGroup[key.GroupId] = rest;
    }

    private void Release((string GroupId, string MemberId) key, Session session)
    {
        foreach (var (topicId, partition) in session.EverFetched)
            partitions.Find(new SharePartitionKey(key.GroupId, topicId, partition))?.Release(key.MemberId);
        lock (_lock)
        {
            if (_countByGroup.ContainsKey(key.GroupId))
                return;
        }

        partitions.Forget(key.GroupId);
    }

    private Session GetLocked((string GroupId, string MemberId) key, int epoch)
    {
        if (!_sessions.TryGetValue(key, out var session))
            throw new ApiException(ErrorCode.ShareSessionNotFound);
        return session.Epoch == epoch ? session : throw new ApiException(ErrorCode.InvalidShareSessionEpoch);
    }

    /// <summary>One session. Guarded by the lock of the sessions.</summary>
    private sealed class Session
    {
        private readonly HashSet<TopicIdPartition> _everFetched = [];

        /// <summary>The epoch of the next request.</summary>
        public int Epoch { get; private set; } = FirstEpoch + 1;

        public List<ShareSessionPartition> Partitions { get; private set; } = [];

        /// <summary>The partitions of which the member may hold records.</summary>
        public IReadOnlyCollection<TopicIdPartition> EverFetched => _everFetched;

        /// <summary>Watches the connection that made it.</summary>
        public CancellationTokenRegistration Connection { get; set; }

        public void Advance() => Epoch = Epoch == int.MaxValue ? 1 : Epoch + 1;

        public void Change(IEnumerable<TopicIdPartition> added, IEnumerable<TopicIdPartition> forgotten)
        {
            var gone = forgotten.ToHashSet();
            if (gone.Count > 0)
                Partitions.RemoveAll(known => gone.Contains(known.Partition));
            var there = Partitions.Select(known => known.Partition).ToHashSet();
            Partitions.AddRange(added.Where(there.Add).Select(partition => new ShareSessionPartition(partition)));
            _everFetched.UnionWith(there);
        }

        public void MoveToEnd(IReadOnlyCollection<TopicIdPartition> served)
        {
            var last = Partitions.ToLookup(known => served.Contains(known.Partition));
            Partitions = [.. last[false], .. last[true]];
        }
    }
}
