namespace Ottla.Kernel;

/// <summary>Lets one caller in at a time, in the order in which they came.</summary>
/// <remarks>
/// Thread-safe. Who waited continues on the scheduler that it waited on, which <see cref="SemaphoreSlim"/> does not promise and the
/// simulator needs.
/// </remarks>
public sealed class AsyncTurn
{
    private readonly Lock _lock = new();
    private readonly LinkedList<TaskCompletionSource> _waiting = [];
    private bool _isTaken;

    /// <summary>Waits for the turn, which <see cref="Release"/> gives away again.</summary>
    /// <exception cref="OperationCanceledException">The wait was cancelled; the turn is not the caller's.</exception>
    public async Task WaitAsync(CancellationToken cancellation = default)
    {
        cancellation.ThrowIfCancellationRequested();
        LinkedListNode<TaskCompletionSource> waiter;
        lock (_lock)
        {
            if (!_isTaken)
            {
                _isTaken = true;
                return;
            }

            waiter = _waiting.AddLast(new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        }

        using (cancellation.UnsafeRegister(_ => Cancel(waiter, cancellation), null))
            await waiter.Value.Task;
    }

    /// <summary>Gives the turn to who has waited longest.</summary>
    public void Release()
    {
        TaskCompletionSource? next;
        lock (_lock)
        {
            next = _waiting.First?.Value;
            if (next is null)
                _isTaken = false;
            else
                _waiting.RemoveFirst();
        }

        next?.SetResult();
    }

    private void Cancel(LinkedListNode<TaskCompletionSource> waiter, CancellationToken cancellation)
    {
        lock (_lock)
        {
            if (waiter.List is null)
                return; // it has the turn
            _waiting.Remove(waiter);
        }

        waiter.Value.SetCanceled(cancellation);
    }
}
