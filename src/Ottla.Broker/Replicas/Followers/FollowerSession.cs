using Ottla.Broker.Server;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.Broker.Replicas.Followers;

/// <summary>What a fetch of a follower says besides its partitions.</summary>
/// <param name="ReplicaId">The follower's node id.</param>
/// <param name="BrokerEpoch">The epoch of its registration; -1 when it is not registered yet, or its version has none.</param>
/// <param name="UsesTopicIds">Whether the request names topics by id.</param>
/// <param name="SessionEpoch">The epoch that the session has while this fetch is the last of it.</param>
/// <param name="MinBytes">The number of bytes that ends the wait.</param>
/// <param name="MaxBytes">The most bytes to read. The first batch is read even if it is larger.</param>
/// <param name="ArrivedAt">When it came in.</param>
internal readonly record struct FollowerFetchTerms(
    int ReplicaId, long BrokerEpoch, bool UsesTopicIds, int SessionEpoch, int MinBytes, int MaxBytes, Instant ArrivedAt);

/// <summary>
/// The partitions that one fetcher of a follower fetches from this leader, and which of them the next answer has to look at.
/// </summary>
/// <remarks>
/// <para>
/// A partition is due while a request names it, something in it changed, the follower may lack records of it, or it has an error. An answer
/// looks at what is due and at nothing else, so idle partitions cost nothing. Replicas report changes from any thread, without a lock, into
/// a list that the next look takes over.
/// </para>
/// <para>
/// Made by a full fetch; ends with the next one of the same fetcher, or with its connection. Everything but <see cref="OnChange"/> happens
/// under the session's lock. A fetch without a session has one of its own, with the id 0.
/// </para>
/// </remarks>
internal sealed partial class FollowerSession
{
    private readonly ScheduledLock _lock = new();
    private readonly FollowerSessions _owner;
    private readonly FollowerReader _reader;
    private readonly TimeProvider _time;
    private readonly Dictionary<(Uuid, string, int), FollowerPartition> _partitions = [];
    private readonly List<FollowerPartition> _due = [];

    /// <summary>The list of changed partitions: its newest.</summary>
    private FollowerPartition? _changed;
    private CancellationTokenRegistration _draining;
    private CancellationTokenRegistration _closing;
    private volatile FollowerWait _wait;
    private volatile int _nextEpoch = 1;
    private bool _isWaitedFor;
    private bool _hasAnswered;
    private bool _isEnded;
    private long _lastOrder;
    private long _brokerEpoch = long.MinValue;

    /// <summary>A session without partitions.</summary>
    /// <param name="id">Its id; 0 for a fetch without a session.</param>
    /// <param name="usesTopicIds">Whether its requests name topics by id. This cannot change within a session.</param>
    /// <param name="owner">Who is told when the connection closes.</param>
    /// <param name="reader">Reads the partitions.</param>
    /// <param name="time">The clock.</param>
    public FollowerSession(
        int id, bool usesTopicIds, FollowerSessions owner, FollowerReader reader, TimeProvider time)
    {
        Id = id;
        UsesTopicIds = usesTopicIds;
        _owner = owner;
        _reader = reader;
        _time = time;
        _wait = new FollowerWait(time);
    }

    /// <summary>Its id; 0 for a fetch without a session.</summary>
    public int Id { get; }

    /// <summary>Whether its requests name topics by id.</summary>
    public bool UsesTopicIds { get; }

    /// <summary>The session epoch that the next request must carry. Changed under the owner's lock.</summary>
    public int NextEpoch
    {
        get => _nextEpoch;
        set => _nextEpoch = value;
    }

    /// <summary>How many partitions the next answer looks at besides those that its request names. Slightly old.</summary>
    public int DueCount => _due.Count;

    /// <summary>How many partitions it has. Slightly old.</summary>
    public int PartitionCount => _partitions.Count;

    /// <summary>How many times an answer has looked at a partition.</summary>
    public long LookCount { get; private set; }

    /// <summary>
    /// Follows the connection from now on: a node that stops answers what waits, and the session ends with its connection.
    /// </summary>
    public void FollowConnection(ConnectionInfo connection)
    {
        _draining = connection.Draining.UnsafeRegister(static session => ((FollowerSession)session!)._wait.Signal(), this);
        _closing = connection.Closing.UnsafeRegister(static session => ((FollowerSession)session!).OnClosing(), this);
    }

    /// <summary>A partition has changed. Called from any thread; allocates nothing.</summary>
    public void OnChange(FollowerPartition partition, ReplicaChange change)
    {
        if (partition.TryMarkChanged())
        {
            var newest = Volatile.Read(ref _changed);
            while (true)
            {
                partition.NextChanged = newest;
                var found = Interlocked.CompareExchange(ref _changed, partition, newest);
                if (ReferenceEquals(found, newest))
                    break;
                newest = found;
            }
        }

        // Another high watermark or log start goes with the next answer, as in Kafka: a follower would do nothing else with it.
        if ((change & (ReplicaChange.Appended | ReplicaChange.Leadership)) != 0)
            _wait.Signal();
    }

    /// <summary>Takes over the changes of a request: the partitions that it names are due.</summary>
    /// <returns>False when the session has no partitions left.</returns>
    public bool Update(FetchRequest request, in FollowerFetchTerms terms)
    {
        using (_lock.EnterScope())
        {
            if (_isEnded)
                return true; // the answer says so
            foreach (var topic in request.Topics)
            {
                foreach (var asked in topic.Partitions)
                {
                    var key = (topic.TopicId, topic.Topic, asked.Partition);
                    if (!_partitions.TryGetValue(key, out var partition))
                    {
                        partition = new FollowerPartition(this, topic.Topic, topic.TopicId, asked.Partition) { Order = ++_lastOrder };
                        _partitions.Add(key, partition);
                    }

                    partition.Ask(asked);
                    MakeDue(partition);
                }
            }

            foreach (var topic in request.ForgottenTopicsData)
            {
                foreach (var index in topic.Partitions)
                {
                    if (_partitions.Remove((topic.TopicId, topic.Topic, index), out var partition))
                        partition.Forget();
                }
            }

            if (terms.BrokerEpoch != _brokerEpoch)
            {
                // The replicas remember the epoch of a follower's last fetch: all of them hear of the new one.
                _brokerEpoch = terms.BrokerEpoch;
                foreach (var partition in _partitions.Values)
                    MakeDue(partition);
            }

            return _partitions.Count > 0 || !_hasAnswered;
        }
    }

    /// <summary>Answers a fetch if there is enough to answer.</summary>
    /// <param name="terms">The fetch.</param>
    /// <param name="isArrival">Whether the fetch has just come in: the replicas hear where the follower is.</param>
    /// <param name="mayWait">Whether it can wait for more.</param>
    /// <param name="context">The request.</param>
    /// <param name="response">Receives the answer, with the slices in it.</param>
    /// <param name="wait">What to wait for when there is no answer yet.</param>
    /// <returns>Whether the response is complete.</returns>
    public bool TryAnswer(
        in FollowerFetchTerms terms, bool isArrival, bool mayWait, in RequestContext context, FetchResponse response, out FollowerWait wait)
    {
        using (_lock.EnterScope())
        {
            if (isArrival && _isWaitedFor)
            {
                // Another fetch of the session waits, and its follower has given it up.
                _wait.Signal();
                _wait = new FollowerWait(_time);
            }

            wait = _wait;
            if (IsSuperseded(terms, response))
                return true;
            if (!Look(terms, isArrival, mayWait))
            {
                _isWaitedFor = true;
                return false;
            }

            _isWaitedFor = false;
            Fill(context, response);
            return true;
        }
    }

    /// <summary>Ends the session: its fetch that waits is answered, and no replica reports to it any more.</summary>
    public void End()
    {
        _draining.Unregister();
        _closing.Unregister();
        using (_lock.EnterScope())
        {
            if (_isEnded)
                return;
            _isEnded = true;
            foreach (var partition in _partitions.Values)
                partition.Forget();
            _due.Clear();
            _partitions.Clear();
            _wait.Signal();
            if (!_isWaitedFor)
                _wait.Dispose();
        }
    }

    /// <summary>A fetch of the session that waited is over.</summary>
    public void OnWaited(FollowerWait wait)
    {
        using (_lock.EnterScope())
        {
            if (_isEnded || !ReferenceEquals(wait, _wait))
                wait.Dispose();
        }
    }

    private void OnClosing()
    {
        _owner.Remove(this);
        End();
    }

    private bool IsSuperseded(in FollowerFetchTerms terms, FetchResponse response)
    {
        if (_isEnded)
        {
            response.ErrorCode = (short)ErrorCode.FetchSessionIdNotFound;
            return true;
        }

        if (Id == 0 || terms.SessionEpoch == NextEpoch)
            return false;
        response.ErrorCode = (short)ErrorCode.InvalidFetchSessionEpoch;
        response.SessionId = Id;
        return true;
    }

    private void MakeDue(FollowerPartition partition)
    {
        if (partition.IsDue)
            return;
        partition.IsDue = true;
        _due.Add(partition);
    }

    /// <summary>Takes over the list of changed partitions.</summary>
    private void TakeChanged()
    {
        var partition = Interlocked.Exchange(ref _changed, null);
        while (partition is not null)
        {
            var next = partition.NextChanged;
            partition.ClearChanged(); // before it is read: a later change puts it into the list again
            if (!partition.IsForgotten)
                MakeDue(partition);
            partition = next;
        }
    }
}
