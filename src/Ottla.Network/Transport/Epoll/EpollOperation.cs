using System.Threading.Tasks.Sources;

namespace Ottla.Network.Transport.Epoll;

/// <summary>What an attempt at a call came to.</summary>
internal enum Attempt
{
    /// <summary>The kernel has to wait: try again when it says so.</summary>
    WouldBlock,

    /// <summary>Done, and another call may find more.</summary>
    Done,

    /// <summary>Done, and there was no more: the next call is not worth trying before the kernel says so.</summary>
    DoneAndDrained,
}

/// <summary>
/// One direction of a socket: tries a call, and where the kernel has to wait, tries again on the loop's thread when it is ready. What awaits it continues there.
/// One at a time; reused; lives as long as its socket.
/// </summary>
internal abstract class EpollOperation<TResult> : IValueTaskSource<TResult>, IValueTaskSource
{
    private ReadySignal _signal = ReadySignal.Set;
    private ManualResetValueTaskSourceCore<TResult> _completion;
    private CancellationTokenRegistration _cancellation;
    private CancellationToken _cancellationToken;

    /// <summary>There is news of this direction. The loop's thread.</summary>
    public void Raise()
    {
        if (_signal.Raise())
            Continue();
    }

    /// <summary>Ends the wait, if there is one, with what <see cref="TryCall"/> now throws. Any thread.</summary>
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

    /// <summary>Makes the call, without waiting.</summary>
    /// <exception cref="Exception">The operation fails with it.</exception>
    protected abstract Attempt TryCall(out TResult result);

    /// <summary>The wait ends because its token was cancelled; what awaits it gets an <see cref="OperationCanceledException"/>.</summary>
    protected virtual void OnCancelled()
    {
    }

    /// <summary>The operation is over, well or not: what it held may go.</summary>
    protected virtual void OnCompleted()
    {
    }

    /// <summary>Tries, as long as it is worth it.</summary>
    /// <returns>False when the kernel has to wait.</returns>
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

    /// <summary>Takes this direction for not ready. The caller sees to it that <see cref="Raise"/> follows.</summary>
    protected void Forget() => _signal.Reset();

    /// <summary>Begins to wait; the token of the completion is returned.</summary>
    protected short Wait(CancellationToken cancellationToken)
    {
        _completion.Reset();
        var token = _completion.Version;
        _cancellationToken = cancellationToken;
        _cancellation = cancellationToken.UnsafeRegister(static operation => ((EpollOperation<TResult>)operation!).Cancel(), this);
        Continue();
        // A cancellation between the registration and the wait found nobody waiting.
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
            static operation => operation.Complete(default!, new OperationCanceledException(operation._cancellationToken)), this, preferLocal: false);
    }

    private void Complete(TResult result, Exception? failure)
    {
        var cancellation = _cancellation;
        _cancellation = default;
        cancellation.Dispose(); // waits for a cancellation under way, so that it cannot meet the next operation
        OnCompleted();
        if (failure is null)
            _completion.SetResult(result);
        else
            _completion.SetException(failure);
    }
}
