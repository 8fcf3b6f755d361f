using Microsoft.Extensions.Logging;
using Ottla.Client.Calls;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Requests;

namespace Ottla.Client.Cluster;

/// <summary>What a client knows of its cluster, and the loop that keeps it up to date.</summary>
/// <remarks>
/// Thread-safe; owned by the client. It asks when somebody wants to know more (a new topic, an answer that says that a leader has moved, a
/// broken connection), and when what it knows is too old. Requests that change nothing are further and further apart, up to
/// <see cref="OttlaClientOptions.RetryBackoffMax"/>. The loop starts with the first request for an update.
/// </remarks>
internal sealed partial class ClusterMetadata : IAsyncDisposable
{
    private readonly Lock _lock = new();
    private readonly OttlaClientOptions _options;
    private readonly ClusterConnections _connections;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly ExponentialBackoff _backoff;
    private readonly Prng _random;
    private readonly LoopSignal _signal;
    private readonly CancellationTokenSource _closing = new();
    private readonly CancellationToken _closed;

    private volatile ClusterImage _image = ClusterImage.Empty;

    // Guarded by _lock.
    private readonly List<MetadataInterest> _interests = [];
    private TaskCompletionSource _progress = NewProgress();
    private Task? _loop;
    private long _wantedUpdate;
    private long _startedUpdate;
    private long _completedUpdate;
    private HashSet<string> _asked = [];
    private bool _asksForAll;
    private bool _isUrgent;
    private RequestFailedException? _refusal;
    private string _lastFailure = "the cluster has not answered yet";

    // Owned by the loop.
    private int _failures;
    private int _repeats;
    private Instant? _attemptedAt;
    private Instant? _succeededAt;
    private Instant? _failingSince;
    private bool _isBootstrapping = true;

    /// <param name="options">The client's options.</param>
    /// <param name="connections">The client's connections; metadata is asked for over the shared ones.</param>
    /// <param name="random">The random part of waits and choices; used by nobody else.</param>
    /// <param name="logger">The log.</param>
    public ClusterMetadata(OttlaClientOptions options, ClusterConnections connections, Prng random, ILogger logger)
    {
        _options = options;
        _connections = connections;
        _time = options.TimeProvider;
        _logger = logger;
        _random = random;
        _backoff = options.NewRetryBackoff(random);
        _signal = new LoopSignal(_time);
        _closed = _closing.Token;
    }

    /// <summary>What is known now.</summary>
    public ClusterImage Current => _image;

    /// <summary>Called after each change, outside of locks and with the image before and after it; it must not wait.</summary>
    public event Action<ClusterImage, ClusterImage>? Changed;

    /// <summary>Why the last update failed, for messages of time-outs.</summary>
    public string LastFailure
    {
        get
        {
            lock (_lock)
                return _lastFailure;
        }
    }

    /// <summary>Opens an interest in topics, empty at first. Its user disposes it.</summary>
    public MetadataInterest OpenInterest()
    {
        var interest = new MetadataInterest(this);
        lock (_lock)
            _interests.Add(interest);
        return interest;
    }

    /// <summary>Ends an interest.</summary>
    internal void Remove(MetadataInterest interest)
    {
        lock (_lock)
            _interests.Remove(interest);
    }

    /// <summary>Has the metadata asked for anew. Does not wait.</summary>
    /// <param name="isUrgent">Whether something is wanted that was never asked for, so that earlier updates in vain do not count.</param>
    /// <returns>The number of the update that begins after this call, for <see cref="WaitForUpdateAsync"/>.</returns>
    public long RequestUpdate(bool isUrgent = false)
    {
        long number;
        lock (_lock)
        {
            number = _wantedUpdate = _startedUpdate + 1;
            _isUrgent |= isUrgent;
            if (_loop is null && !_closed.IsCancellationRequested)
                _loop = Detached.Start(_options, RunAsync);
        }

        _signal.Set();
        return number;
    }

    /// <summary>Waits until an update has succeeded.</summary>
    /// <param name="number">What <see cref="RequestUpdate"/> returned.</param>
    /// <param name="cancellation">Ends the wait.</param>
    /// <exception cref="KafkaException">The cluster refuses this client, or speaks no version that it knows.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <exception cref="ObjectDisposedException">The client is closed.</exception>
    public async Task<ClusterImage> WaitForUpdateAsync(long number, CancellationToken cancellation)
    {
        while (true)
        {
            Task progress;
            lock (_lock)
            {
                if (_completedUpdate >= number)
                    return _image;
                if (_refusal is { } refusal && _startedUpdate >= number)
                    throw refusal.ToKafkaException();
                progress = _progress.Task;
            }

            ObjectDisposedException.ThrowIf(_closed.IsCancellationRequested, typeof(OttlaClient));
            await progress.UntilCanceled(cancellation);
        }
    }

    /// <summary>Asks for the metadata anew, and returns it.</summary>
    /// <inheritdoc cref="WaitForUpdateAsync" path="/exception"/>
    public Task<ClusterImage> RefreshAsync(CancellationToken cancellation) => WaitForUpdateAsync(RequestUpdate(), cancellation);

    /// <summary>Waits for an image that is newer than another one, without asking for it.</summary>
    /// <param name="version">The other image's version.</param>
    /// <param name="cancellation">Ends the wait.</param>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <exception cref="ObjectDisposedException">The client is closed.</exception>
    public async Task<ClusterImage> WaitForNewerAsync(long version, CancellationToken cancellation)
    {
        while (true)
        {
            Task progress;
            lock (_lock)
            {
                if (_image.Version > version)
                    return _image;
                progress = _progress.Task;
            }

            ObjectDisposedException.ThrowIf(_closed.IsCancellationRequested, typeof(OttlaClient));
            await progress.UntilCanceled(cancellation);
        }
    }

    /// <summary>
    /// Waits until a topic can be used: it exists and its partitions are known. The caller has it in an interest.
    /// </summary>
    /// <remarks>A topic that does not exist is waited for, as by Kafka's producer: it may be about to be created.</remarks>
    /// <param name="name">The topic.</param>
    /// <param name="cancellation">Ends the wait.</param>
    /// <exception cref="KafkaException">The topic's name is invalid, it is not allowed, or the cluster refuses this client.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <exception cref="ObjectDisposedException">The client is closed.</exception>
    public async Task<TopicImage> TopicAsync(string name, CancellationToken cancellation)
    {
        for (var isFresh = false; ; isFresh = true)
        {
            var topic = _image.Topic(name);
            if (topic is { Error: ErrorCode.None, Partitions.Length: > 0 })
                return topic;
            if (isFresh && topic is { Error: ErrorCode.InvalidTopicException or ErrorCode.TopicAuthorizationFailed })
                throw new KafkaException(topic.Error, $"Topic {name} cannot be used");
            await WaitForUpdateAsync(RequestUpdateOf(name), cancellation);
        }
    }

    /// <summary>
    /// Has the metadata of a topic asked for anew, unless nothing is known of it and a request is under way that asks for it. Does not
    /// wait.
    /// </summary>
    /// <param name="topic">The topic; the caller has it in an interest.</param>
    /// <returns>The number of the update, for <see cref="WaitForUpdateAsync"/>.</returns>
    public long RequestUpdateOf(string topic)
    {
        bool isUnknown;
        lock (_lock)
        {
            isUnknown = _image.Topic(topic) is null;
            if (isUnknown && _startedUpdate > _completedUpdate && _refusal is null && (_asksForAll || _asked.Contains(topic)))
                return _startedUpdate;
        }

        return RequestUpdate(isUrgent: isUnknown);
    }

    /// <summary>Takes over who leads a partition, as a node said in the answer to a request (KIP-951).</summary>
    /// <param name="partition">The partition.</param>
    /// <param name="leaderId">The leader.</param>
    /// <param name="leaderEpoch">Its epoch.</param>
    /// <param name="endpoint">Where it listens, if the answer says so.</param>
    /// <returns>Whether that was news.</returns>
    public bool LearnLeader(TopicPartition partition, int leaderId, int leaderEpoch, ClusterNode? endpoint)
    {
        ClusterImage before, after;
        lock (_lock)
        {
            before = _image;
            after = before.WithLeader(partition, leaderId, leaderEpoch, endpoint);
            if (after == before)
                return false;
            _image = after;
        }

        Pulse();
        Changed?.Invoke(before, after);
        return true;
    }

    /// <summary>Has the client begin anew with its bootstrap servers: a node answered REBOOTSTRAP_REQUIRED (KIP-1102).</summary>
    public async ValueTask RebootstrapAsync(string reason)
    {
        LogRebootstrap(_logger, reason);
        lock (_lock)
            _isBootstrapping = true;
        await _connections.CloseAllAsync();
        RequestUpdate(isUrgent: true);
    }

    /// <summary>Ends the loop and all waits.</summary>
    public async ValueTask DisposeAsync()
    {
        Task? loop;
        lock (_lock)
        {
            _closing.Cancel();
            loop = _loop;
        }

        Pulse();
        if (loop is not null)
            await loop;
    }

    private static TaskCompletionSource NewProgress() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Has everybody who waits look again.</summary>
    private void Pulse()
    {
        TaskCompletionSource progress;
        lock (_lock)
        {
            progress = _progress;
            _progress = NewProgress();
        }

        progress.SetResult();
    }

    [LoggerMessage(EventId = 101, Level = LogLevel.Information, Message = "Beginning anew with the bootstrap servers: {Reason}")]
    private static partial void LogRebootstrap(ILogger logger, string reason);
}
