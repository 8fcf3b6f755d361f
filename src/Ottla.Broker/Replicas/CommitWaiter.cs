using System.Threading.Tasks.Sources;
using Ottla.Kernel;
using Ottla.Protocol;

namespace Ottla.Broker.Replicas;

/// <summary>Waits until what one request appended is committed, one partition after the other.</summary>
/// <remarks>
/// <para>
/// A wait allocates nothing and has no timer of its own: <see cref="CommitDeadlines"/> watches the deadlines of all waits of the broker. A
/// replica wakes it when the high watermark passes its offset, not before.
/// </para>
/// <para>
/// The thread that claims the waiter goes on with it, and no other: a replica, the timer, or the end of the connection. A claim that comes
/// late, even one that was meant for an earlier use of the object, makes it look again and changes nothing.
/// </para>
/// </remarks>
public abstract class CommitWaiter
{
    private readonly List<CommitWait> _commits = [];
    private CommitDeadlines? _deadlines;
    private CancellationToken _closing;
    private CancellationTokenRegistration _closingRegistration;
    private int _next;
    private bool _isWaiting;
    private volatile bool _isExpired;

    /// <summary>The next one in a list of waiters that a thread has claimed. Belongs to that thread.</summary>
    internal CommitWaiter? NextClaimed { get; set; }

    /// <summary>The offset that it waits for. Guarded by the lock of the replica where it waits.</summary>
    internal long Offset { get; private set; }

    /// <summary>When the wait ends at the latest. Guarded by the lock of <see cref="CommitDeadlines"/>.</summary>
    internal Instant Deadline { get; set; }

    /// <summary>Its place in the list of <see cref="CommitDeadlines"/>. Guarded by the same lock.</summary>
    internal int Place { get; set; }

    /// <summary>How many commits it can hold without an allocation.</summary>
    protected int Capacity => _commits.Capacity;

    /// <summary>Adds what is to be waited for. Before <see cref="Begin"/>.</summary>
    protected void Add(in CommitWait commit) => _commits.Add(commit);

    /// <summary>Begins to wait. Completes at once when there is nothing to wait for.</summary>
    protected void Begin(Instant deadline, TimeProvider time, CancellationToken closing)
    {
        _closing = closing;
        if (_commits.Count > 0)
        {
            if (deadline <= Instant.Now(time))
            {
                _isExpired = true;
            }
            else
            {
                _deadlines = _commits[0].Replica.CommitDeadlines;
                _deadlines.Add(this, deadline);
            }

            _closingRegistration = closing.UnsafeRegister(static waiter => ((CommitWaiter)waiter!).Interrupt(), this);
        }

        GoOn(isBeginning: true);
    }

    /// <summary>Empties it for the next use. Once it has completed, and its result was taken.</summary>
    protected void Clear()
    {
        _commits.Clear();
        (_deadlines, _closing, _closingRegistration) = (null, default, default);
        (_next, _isExpired) = (0, false);
    }

    /// <summary>What became of the commit at a place.</summary>
    protected abstract void OnOutcome(int index, ErrorCode outcome);

    /// <summary>The wait is over.</summary>
    /// <param name="isBeginning">Whether <see cref="Begin"/> is still running on this thread.</param>
    /// <param name="failure">The connection was closed; null when all outcomes are known.</param>
    protected abstract void OnEnd(bool isBeginning, OperationCanceledException? failure);

    /// <summary>It is in the list of a replica now. Called under that replica's lock.</summary>
    internal void OnListed(long offset)
    {
        Offset = offset;
        Interlocked.Exchange(ref _isWaiting, true);
    }

    /// <summary>Makes the caller the one who goes on with it, if it waits.</summary>
    internal bool TryClaim() => Interlocked.Exchange(ref _isWaiting, false);

    /// <summary>Its time is over. Who claims it then, sees it.</summary>
    internal void Expire() => _isExpired = true;

    /// <summary>Goes on after <see cref="TryClaim"/>. Under no lock.</summary>
    /// <param name="isListed">Whether it may be in the list of the replica still.</param>
    internal void Resume(bool isListed)
    {
        if (isListed)
            _commits[_next].Replica.RemoveCommitWaiter(this);
        GoOn(isBeginning: false);
    }

    private void Interrupt()
    {
        if (TryClaim())
            Resume(isListed: true);
    }

    private ErrorCode? Look(in CommitWait commit) => commit.Look() ?? (_isExpired ? ErrorCode.RequestTimedOut : null);

    private void GoOn(bool isBeginning)
    {
        while (true)
        {
            while (_next < _commits.Count && !_closing.IsCancellationRequested && Look(_commits[_next]) is { } outcome)
            {
                OnOutcome(_next, outcome);
                _next++;
            }

            if (_next == _commits.Count || _closing.IsCancellationRequested)
            {
                End(isBeginning);
                return;
            }

            var (commit, closing) = (_commits[_next], _closing);
            commit.Replica.AddCommitWaiter(this, commit.Offset);
            // From here on another thread may go on with it. This one looks again, so that no commit before the registration is missed.
            if (Look(commit) is null && !closing.IsCancellationRequested)
                return;
            if (!TryClaim())
                return;
            _commits[_next].Replica.RemoveCommitWaiter(this);
            isBeginning = false; // meanwhile the object may have come to be another request's
        }
    }

    private void End(bool isBeginning)
    {
        _deadlines?.Remove(this);
        _closingRegistration.Unregister();
        OnEnd(isBeginning, _next < _commits.Count ? new OperationCanceledException(_closing) : null);
    }
}

/// <summary>A <see cref="CommitWaiter"/> that can be awaited.</summary>
public abstract class CommitWaiter<TResult> : CommitWaiter, IValueTaskSource<TResult>, IThreadPoolWorkItem
{
    private ManualResetValueTaskSourceCore<TResult> _completion;

    /// <summary>The result, once all outcomes are known.</summary>
    protected abstract TResult Result { get; }

    /// <summary>Begins to wait.</summary>
    /// <param name="deadline">When the wait ends at the latest.</param>
    /// <param name="time">The clock.</param>
    /// <param name="closing">Ends the wait with an <see cref="OperationCanceledException"/>.</param>
    /// <returns>Completes with the result. To be awaited once.</returns>
    protected ValueTask<TResult> WaitAsync(Instant deadline, TimeProvider time, CancellationToken closing)
    {
        _completion.Reset();
        var waiting = new ValueTask<TResult>(this, _completion.Version);
        Begin(deadline, time, closing);
        return waiting;
    }

    /// <summary>The result was taken: it may be used again.</summary>
    protected abstract void OnTaken();

    /// <inheritdoc/>
    /// <remarks>
    /// Woken on a network thread, the request goes on there as soon as the handler that woke it is done, because a running thread is the
    /// cheapest. Woken elsewhere, it goes on on the thread pool, so that nobody is delayed.
    /// </remarks>
    protected override void OnEnd(bool isBeginning, OperationCanceledException? failure)
    {
        if (failure is not null)
        {
            _completion.RunContinuationsAsynchronously = true;
            _completion.SetException(failure);
        }
        else if (!isBeginning && HandlerThread.Current is { } thread)
        {
            thread.Defer(this);
        }
        else
        {
            _completion.RunContinuationsAsynchronously = !isBeginning;
            _completion.SetResult(Result);
        }
    }

    void IThreadPoolWorkItem.Execute()
    {
        _completion.RunContinuationsAsynchronously = false;
        _completion.SetResult(Result);
    }

    TResult IValueTaskSource<TResult>.GetResult(short token)
    {
        try
        {
            return _completion.GetResult(token);
        }
        finally
        {
            OnTaken();
        }
    }

    ValueTaskSourceStatus IValueTaskSource<TResult>.GetStatus(short token) => _completion.GetStatus(token);

    void IValueTaskSource<TResult>.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _completion.OnCompleted(continuation, state, token, flags);
}
