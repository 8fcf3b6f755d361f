using Ottla.Broker.Server;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.Broker.Replicas.Followers;

/// <summary>The fetch sessions of the followers of this broker: one for each of their fetchers. Used by all connections.</summary>
/// <remarks>
/// They are apart from those of consumers, which neither evict them nor are evicted for them. A fetcher is known by its node and its client
/// id; when it begins anew, its former session ends.
/// </remarks>
/// <param name="reader">Reads the partitions.</param>
/// <param name="slotsMax">The most sessions; 0 refuses them all, and followers fetch without.</param>
/// <param name="prng">Draws session ids. Owned by this object.</param>
/// <param name="time">The clock.</param>
internal sealed class FollowerSessions(FollowerReader reader, int slotsMax, Prng prng, TimeProvider time)
{
    private const int NoSession = 0;
    private const int InitialEpoch = 0;
    private const int FinalEpoch = -1;

    private readonly Lock _registryLock = new();
    private readonly Dictionary<int, FollowerSession> _sessions = [];
    private readonly Dictionary<(int ReplicaId, string? ClientId), FollowerSession> _byFetcher = [];

    /// <summary>Counts the fetches that wait.</summary>
    public ReplicaWaits Waits => reader.Waits;

    /// <summary>The partitions of all sessions. Slightly old.</summary>
    public int PartitionCount
    {
        get
        {
            lock (_registryLock)
                return _sessions.Values.Sum(session => session.PartitionCount);
        }
    }

    /// <summary>Open sessions.</summary>
    public int Count
    {
        get
        {
            lock (_registryLock)
                return _sessions.Count;
        }
    }

    /// <summary>The session of an id; null when there is none.</summary>
    public FollowerSession? Find(int id)
    {
        lock (_registryLock)
            return _sessions.GetValueOrDefault(id);
    }

    /// <summary>Finds, makes or ends the session of a request.</summary>
    /// <param name="context">The request.</param>
    /// <param name="request">Its body.</param>
    /// <param name="replicaId">The follower.</param>
    /// <param name="usesTopicIds">Whether it names topics by id.</param>
    /// <param name="session">The session: one with the id 0 if the fetch has none, which ends with it.</param>
    /// <returns>An error of the session; then there is none, and nothing is fetched.</returns>
    public ErrorCode Begin(
        in RequestContext context, FetchRequest request, int replicaId, bool usesTopicIds, out FollowerSession? session)
    {
        if (request.SessionEpoch is InitialEpoch or FinalEpoch)
        {
            session = BeginFull(context, request, replicaId, usesTopicIds);
            return ErrorCode.None;
        }

        lock (_registryLock)
        {
            if (!_sessions.TryGetValue(request.SessionId, out session))
                return ErrorCode.FetchSessionIdNotFound;
            var error = session.NextEpoch != request.SessionEpoch ? ErrorCode.InvalidFetchSessionEpoch
                : session.UsesTopicIds != usesTopicIds ? ErrorCode.FetchSessionTopicIdError
                : ErrorCode.None;
            if (error != ErrorCode.None)
            {
                session = null;
                return error;
            }

            session.NextEpoch = request.SessionEpoch == int.MaxValue ? 1 : request.SessionEpoch + 1;
            return ErrorCode.None;
        }
    }

    /// <summary>Forgets a session, which its caller ends.</summary>
    public void Remove(FollowerSession session)
    {
        lock (_registryLock)
        {
            if (session.Id == NoSession || !_sessions.Remove(session.Id))
                return;
            foreach (var (fetcher, known) in _byFetcher)
            {
                if (!ReferenceEquals(known, session))
                    continue;
                _byFetcher.Remove(fetcher);
                return;
            }
        }
    }

    private FollowerSession BeginFull(in RequestContext context, FetchRequest request, int replicaId, bool usesTopicIds)
    {
        var fetcher = (replicaId, context.ClientId);
        FollowerSession? former, named;
        lock (_registryLock)
        {
            _byFetcher.TryGetValue(fetcher, out former);
            _sessions.TryGetValue(request.SessionId, out named);
        }

        EndRemoved(former);
        EndRemoved(named);
        FollowerSession session;
        lock (_registryLock)
        {
            if (request.SessionEpoch == FinalEpoch || _sessions.Count >= slotsMax)
            {
                session = New(NoSession);
            }
            else
            {
                session = New(NewId());
                _sessions.Add(session.Id, session);
                _byFetcher[fetcher] = session;
            }
        }

        session.FollowConnection(context.Connection);
        return session;

        FollowerSession New(int id) => new(id, usesTopicIds, this, reader, time);
    }

    private void EndRemoved(FollowerSession? session)
    {
        if (session is null)
            return;
        Remove(session);
        session.End();
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
