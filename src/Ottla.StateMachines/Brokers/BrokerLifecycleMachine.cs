using System.Collections.Immutable;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Metadata;

namespace Ottla.StateMachines.Brokers;

/// <summary>How far a broker is in its life, as Kafka numbers it.</summary>
public enum BrokerState
{
    /// <summary>It registers, and reads the metadata up to its registration.</summary>
    Starting = 1,

    /// <summary>It has caught up, makes its logs ready, and is still fenced.</summary>
    Recovery = 2,

    /// <summary>The controller has unfenced it: it may lead partitions.</summary>
    Running = 3,

    /// <summary>It asks the controller to move its leaderships away.</summary>
    PendingControlledShutdown = 6,

    /// <summary>It sends no more heartbeats.</summary>
    ShuttingDown = 7,
}

/// <summary>The configs that a broker's life follows.</summary>
/// <param name="HeartbeatIntervalMs"><c>broker.heartbeat.interval.ms</c>.</param>
/// <param name="RegistrationTimeoutMs"><c>initial.broker.registration.timeout.ms</c>.</param>
/// <param name="DirectoryFailureTimeoutMs"><c>log.dir.failure.timeout.ms</c>.</param>
/// <param name="ShutdownTimeoutMs">How long a controlled shutdown may take.</param>
/// <param name="QuorumTimeoutMs">
/// How long a controlled shutdown goes on while no active controller answers: longer than an election takes.
/// </param>
public sealed record BrokerLifecycleOptions(
    long HeartbeatIntervalMs, long RegistrationTimeoutMs, long DirectoryFailureTimeoutMs, long ShutdownTimeoutMs, long QuorumTimeoutMs);

/// <summary>Decides when a broker registers and sends heartbeats, what is in them, and what the answers mean (KIP-631).</summary>
/// <remarks>
/// Pure: time and answers come in, requests go out. One request is under way at a time. Owned by the loop of the broker's lifecycle; lives
/// as long as the broker. An incarnation registers once, and again with the same incarnation only where its registration lacks log
/// directories.
/// </remarks>
public sealed class BrokerLifecycleMachine
{
    /// <summary>How soon a broker that starts asks again whether it has caught up.</summary>
    private const long StartingIntervalMs = 10;

    /// <summary>How soon a broker that begins to shut down asks again whether it may.</summary>
    private const long FirstShutdownIntervalMs = 50;

    private readonly BrokerLifecycleOptions _options;
    private readonly BrokerRegistrationRequest _registration;
    private readonly Instant _registrationDeadline;
    private readonly SortedDictionary<Uuid, Instant?> _failedDirectories = [];
    private ImmutableArray<Uuid> _cordonedDirectories;
    private Uuid[] _reportedDirectories = [];
    private Instant? _nextSend;
    private Instant? _shutdownDeadline;
    private Instant? _unansweredSince;
    private bool _isRegistered;
    private bool _wasRegistered;
    private bool _isUnderWay;
    private bool _sendsAtOnce;
    private bool _isReadyToUnfence;
    private bool _hasShutdownAnswer;
    private bool _isShutdownKnown;

    /// <summary>A broker that starts now.</summary>
    /// <param name="options">The configs.</param>
    /// <param name="registration">What it registers with.</param>
    /// <param name="cordonedDirectories">The log directories that take no new replicas.</param>
    /// <param name="now">The time.</param>
    public BrokerLifecycleMachine(
        BrokerLifecycleOptions options, BrokerRegistrationRequest registration, IEnumerable<Uuid> cordonedDirectories, Instant now)
    {
        _options = options;
        _registration = registration;
        _cordonedDirectories = [.. cordonedDirectories];
        _registrationDeadline = now.AddMilliseconds(options.RegistrationTimeoutMs);
        _nextSend = now;
    }

    /// <summary>How far the broker is.</summary>
    public BrokerState State { get; private set; } = BrokerState.Starting;

    /// <summary>The epoch of its registration; -1 before it.</summary>
    public long Epoch { get; private set; } = -1;

    /// <summary>The error of the last answer; <see cref="ErrorCode.None"/> when it was a success.</summary>
    public ErrorCode LastError { get; private set; }

    /// <summary>Why the broker cannot go on; null while it can.</summary>
    public string? Failure { get; private set; }

    /// <summary>Why the broker stops before the controller has ended its controlled shutdown; null when it does not.</summary>
    public string? ShutdownProblem { get; private set; }

    /// <summary>
    /// When <see cref="Advance"/> or <see cref="TakeRequest"/> has something to do; null when only an answer can change anything.
    /// </summary>
    public Instant? NextDeadline
    {
        get
        {
            if (State == BrokerState.ShuttingDown || Failure is not null)
                return null;
            var next = _isUnderWay ? null : _nextSend;
            if (!_wasRegistered)
                next = Earlier(next, _registrationDeadline);
            foreach (var failedAt in _failedDirectories.Values)
                next = Earlier(next, failedAt?.AddMilliseconds(_options.DirectoryFailureTimeoutMs));
            next = Earlier(next, _shutdownDeadline);
            return State == BrokerState.PendingControlledShutdown
                ? Earlier(next, _unansweredSince?.AddMilliseconds(_options.QuorumTimeoutMs))
                : next;
        }
    }

    /// <summary>Lets time pass: what took too long fails or is given up.</summary>
    public void Advance(Instant now)
    {
        if (State == BrokerState.ShuttingDown || Failure is not null)
            return;
        if (!_wasRegistered && now >= _registrationDeadline)
        {
            Failure = $"The broker could not register within {_options.RegistrationTimeoutMs} ms (initial.broker.registration.timeout.ms).";
            return;
        }

        var overdue = _failedDirectories.Where(
            each => each.Value is { } at && now >= at.AddMilliseconds(_options.DirectoryFailureTimeoutMs));
        if (overdue.Select(each => each.Key).ToList() is { Count: > 0 } unheard)
        {
            Failure = $"The controller did not take note within {_options.DirectoryFailureTimeoutMs} ms (log.dir.failure.timeout.ms) that "
                + $"log directories have failed: {string.Join(", ", unheard)}.";
            return;
        }

        if (State != BrokerState.PendingControlledShutdown)
            return;
        if (_unansweredSince is { } since && now >= since.AddMilliseconds(_options.QuorumTimeoutMs))
            EndShutdown($"no active controller has answered for {_options.QuorumTimeoutMs} ms");
        else if (now >= _shutdownDeadline)
            EndShutdown($"the controller did not let the broker go within {_options.ShutdownTimeoutMs} ms");
    }

    /// <summary>Takes the request that is due now: a registration or a heartbeat. It is under way until it is answered.</summary>
    /// <param name="now">The time.</param>
    /// <param name="metadataOffset">The last offset of the metadata that this broker has published.</param>
    /// <param name="sendsCordonedDirectories">Whether the metadata.version has cordoned directories.</param>
    /// <returns>A <see cref="BrokerRegistrationRequest"/> or a <see cref="BrokerHeartbeatRequest"/>; null when nothing is due.</returns>
    public IMessage? TakeRequest(Instant now, long metadataOffset, bool sendsCordonedDirectories)
    {
        if (State == BrokerState.ShuttingDown || Failure is not null || _isUnderWay || !(now >= _nextSend))
            return null;
        _isUnderWay = true;
        _nextSend = null;
        _unansweredSince ??= now;
        if (!_isRegistered)
            return _registration;
        _reportedDirectories = [.. _failedDirectories.Keys];
        return new BrokerHeartbeatRequest
        {
            BrokerId = _registration.BrokerId,
            BrokerEpoch = Epoch,
            CurrentMetadataOffset = metadataOffset,
            WantFence = !_isReadyToUnfence,
            WantShutDown = State == BrokerState.PendingControlledShutdown,
            OfflineLogDirs = _reportedDirectories,
            CordonedLogDirs = sendsCordonedDirectories && State != BrokerState.Starting ? [.. _cordonedDirectories] : null,
        };
    }

    /// <summary>The registration was answered.</summary>
    public void OnAnswer(BrokerRegistrationResponse answer, Instant now)
    {
        TakeError(answer.ErrorCode);
        if (LastError != ErrorCode.None)
        {
            OnFailure(now);
            return;
        }

        _isUnderWay = false;
        _isRegistered = true;
        _wasRegistered = true;
        Epoch = answer.BrokerEpoch;
        Schedule(now, 0);
    }

    /// <summary>A heartbeat was answered.</summary>
    public void OnAnswer(BrokerHeartbeatResponse answer, Instant now)
    {
        TakeError(answer.ErrorCode);
        if (LastError != ErrorCode.None)
        {
            OnFailure(now);
            if (LastError == ErrorCode.StaleBrokerEpoch && State == BrokerState.PendingControlledShutdown)
                EndShutdown("the controller does not know this broker any more");
            return;
        }

        _isUnderWay = false;
        foreach (var directory in _reportedDirectories)
            _failedDirectories[directory] = null;
        Schedule(now, Move(answer));
    }

    /// <summary>There is no answer, or one that the broker cannot use: it is asked again after an interval, never at once.</summary>
    public void OnFailure(Instant now)
    {
        _isUnderWay = false;
        _sendsAtOnce = false;
        Schedule(now, _options.HeartbeatIntervalMs);
    }

    /// <summary>The broker's own metadata went on.</summary>
    /// <param name="own">Its registration as the metadata has it; null when there is none.</param>
    /// <param name="needsDirectories">Whether the metadata.version has log directories in registrations.</param>
    /// <param name="now">The time.</param>
    public void OnMetadata(BrokerRegistration? own, bool needsDirectories, Instant now)
    {
        if (!_isRegistered || State == BrokerState.ShuttingDown || own?.IncarnationId != _registration.IncarnationId)
            return;
        if (State == BrokerState.PendingControlledShutdown)
        {
            if (own.InControlledShutdown && !_isShutdownKnown)
                SendAtOnce(now); // it has read that its leaderships are gone, which the controller waits for
            _isShutdownKnown = own.InControlledShutdown;
        }
        else if (needsDirectories && own.LogDirs.IsEmpty)
        {
            _isRegistered = false; // it registered before the metadata.version had directories
            SendAtOnce(now);
        }
        else if (State == BrokerState.Starting)
        {
            SendAtOnce(now); // it has read its registration: no need to wait for the next beat
        }
    }

    /// <summary>The replicas are ready: the controller may unfence the broker.</summary>
    public void SetReadyToUnfence(Instant now)
    {
        _isReadyToUnfence = true;
        SendAtOnce(now);
    }

    /// <summary>A log directory has failed. Every heartbeat from now on says so.</summary>
    public void OnDirectoryFailure(Uuid directory, Instant now)
    {
        if (_failedDirectories.TryAdd(directory, now) && _isRegistered)
            SendAtOnce(now);
    }

    /// <summary>Other log directories take no new replicas.</summary>
    public void SetCordonedDirectories(IEnumerable<Uuid> directories, Instant now)
    {
        ImmutableArray<Uuid> next = [.. directories];
        if (next.ToHashSet().SetEquals(_cordonedDirectories))
            return;
        _cordonedDirectories = next;
        if (_isRegistered)
            SendAtOnce(now);
    }

    /// <summary>Another controller is active: it need not wait for the next beat to hear of this broker.</summary>
    public void OnNewController(Instant now) => SendAtOnce(now);

    /// <summary>The broker is to stop: its leaderships are moved first, if it has any.</summary>
    public void BeginControlledShutdown(Instant now)
    {
        if (State is BrokerState.PendingControlledShutdown or BrokerState.ShuttingDown)
            return;
        if (State != BrokerState.Running)
        {
            State = BrokerState.ShuttingDown; // it leads nothing
            return;
        }

        State = BrokerState.PendingControlledShutdown;
        _shutdownDeadline = now.AddMilliseconds(_options.ShutdownTimeoutMs);
        if (_unansweredSince is not null)
            _unansweredSince = now;
        SendAtOnce(now);
    }

    /// <summary>Goes to the state that an answer allows.</summary>
    /// <returns>In how many milliseconds the next heartbeat is due.</returns>
    private long Move(BrokerHeartbeatResponse answer)
    {
        switch (State)
        {
            case BrokerState.Starting:
                if (answer.IsCaughtUp)
                    State = BrokerState.Recovery;
                return StartingIntervalMs;
            case BrokerState.Recovery when !answer.IsFenced:
                State = BrokerState.Running;
                break;
            case BrokerState.PendingControlledShutdown when answer.ShouldShutDown:
                State = BrokerState.ShuttingDown;
                break;
            case BrokerState.PendingControlledShutdown when !_hasShutdownAnswer:
                _hasShutdownAnswer = true;
                return FirstShutdownIntervalMs;
            default:
                break;
        }

        return _options.HeartbeatIntervalMs;
    }

    /// <summary>Keeps the error of an answer. An active controller sent it, unless it says that it is none.</summary>
    private void TakeError(short code)
    {
        LastError = (ErrorCode)code;
        if (LastError != ErrorCode.NotController)
            _unansweredSince = null;
    }

    private void EndShutdown(string problem)
    {
        ShutdownProblem = problem;
        State = BrokerState.ShuttingDown;
    }

    private void SendAtOnce(Instant now)
    {
        if (_isUnderWay)
            _sendsAtOnce = true;
        else
            _nextSend = now;
    }

    private void Schedule(Instant now, long delayMs)
    {
        _nextSend = now.AddMilliseconds(_sendsAtOnce ? 0 : delayMs);
        _sendsAtOnce = false;
    }

    private static Instant? Earlier(Instant? one, Instant? other) => one is { } first
        && other is { } second ? (first <= second ? first : second) : one ?? other;
}
