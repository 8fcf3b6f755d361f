using System.Threading.Tasks.Sources;

namespace Ottla.Network.Transport.Epoll;

/// <summary>The result of one attempt at a system call.</summary>
internal enum Attempt
{
    /// <summary>The call would block: try again when the kernel reports readiness.</summary>
    WouldBlock,

    /// <summary>The call succeeded, and the next one may succeed at once.</summary>
    Done,

    /// <summary>The call succeeded and took everything: wait for the kernel before the next one.</summary>
    DoneAndDrained,
}

/// <summary>
/// One direction of a socket. It tries a system call; if that would block, it tries again on the loop's thread when the kernel reports
/// readiness, and the awaiting code continues there. One operation at a time; the object is reused and lives as long as its socket.
/// </summary>
internal abstract class EpollOperation<TResult> : IValueTaskSource<TResult>, IValueTaskSource
{
    private ReadySignal _signal = ReadySignal.Set;
    private ManualResetValueTaskSourceCore<TResult> _completion;
    private CancellationTokenRegistration _cancellation;
    private CancellationToken _cancellationToken;

    /// <summary>Reports that this direction may be ready. The loop's thread calls it.</summary>
    public void Raise()
    {
        if (_signal.Raise())
            Continue();
    }

    /// <summary>Ends a wait, if there is one: <see cref="TryCall"/> is called and is expected to throw. Any thread may call it.</summary>
    public void Break()
    {
        if (_signal.Raise())
            ThreadPool.UnsafeQueueUserWorkItem(static operation => operation.Continue(), this, preferLocal: false);
    }

    /// <inheritdoc/>
    public TResult GetResult(short token) => _completion.GetResult(token);

    void IValueTaskSource.GetResult(short token) => _completion.GetResult(token);

    /// <inheritdoc/>
    public ValueTaskSourceStatus GetStatus(short token) => _completion.GetStatus(token);

    /// <inheritdoc/>
    public void OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _completion.OnCompleted(continuation, state, token, flags);

    /// <summary>Makes the system call without waiting.</summary>
    /// <exception cref="Exception">Fails the operation.</exception>
    protected abstract Attempt TryCall(out TResult result);

    /// <summary>The token was cancelled during the wait; the awaiting code gets an <see cref="OperationCanceledException"/>.</summary>
    protected virtual void OnCancelled()
    {
    }

    /// <summary>The operation ended, with or without an error. Releases what it held.</summary>
    protected virtual void OnCompleted()
    {
    }

    /// <summary>Tries the call until it succeeds or would block.</summary>
    /// <returns>False when it would block.</returns>
    protected bool TryRun(out TResult result)
    {
        while (_signal.IsReady)
        {
            _signal.Reset();
            var keep = true;
            try
            {
                var attempt = TryCall(out result);
                keep = attempt == Attempt.Done;
                if (attempt != Attempt.WouldBlock)
                    return true;
            }
            finally
            {
                if (keep)
                    _signal.Keep();
            }
        }

        result = default!;
        return false;
    }

    /// <summary>Marks this direction as not ready. The caller must ensure that <see cref="Raise"/> follows.</summary>
    protected void Forget() => _signal.Reset();

    /// <summary>Begins to wait, and returns the version of the completion source.</summary>
    protected short Wait(CancellationToken cancellationToken)
    {
        _completion.Reset();
        var token = _completion.Version;
        _cancellationToken = cancellationToken;
        _cancellation = cancellationToken.UnsafeRegister(static operation => ((EpollOperation<TResult>)operation!).Cancel(), this);
        Continue();
        // A cancellation between the registration and the wait had nothing to end.
        if (cancellationToken.IsCancellationRequested)
            Cancel();
        return token;
    }

    private void Continue()
    {
        TResult result;
        try
        {
            do
            {
                if (TryRun(out result))
                {
                    Complete(result, null);
                    return;
                }
            }
            while (!_signal.TryWait());
        }
        catch (Exception e)
        {
            Complete(default!, e);
        }
    }

    private void Cancel()
    {
        if (!_signal.TryCancel())
            return;
        OnCancelled();
        ThreadPool.UnsafeQueueUserWorkItem(
            static operation =>
                operation.Complete(default!, new OperationCanceledException(operation._cancellationToken)), this, preferLocal: false);
    }

    private void Complete(TResult result, Exception? failure)
    {
        var cancellation = _cancellation;
        _cancellation = default;
        cancellation.Dispose(); // waits for a running cancellation callback, so that it cannot cancel the next operation
        OnCompleted();
        if (failure is null)
            _completion.SetResult(result);
        else
            _completion.SetException(failure);
    }
}
