using Ottla.Kernel;

namespace Ottla.Client;

/// <summary>The bound on the memory that the producers of a client hold. Thread-safe.</summary>
/// <remarks>
/// Who finds no room waits in turn, until there is a little more room than for one batch: a thread that is woken for each batch that was
/// written costs more than the records in it. One that wants more than the whole limit gets it when nobody else holds anything.
/// </remarks>
/// <param name="bytesMax">The bound, in bytes.</param>
internal sealed class MemoryLimit(long bytesMax)
{
    private const int SlackShare = 32;
    private const long SlackBytesMax = 2 * 1024 * 1024;

    /// <summary>What is free besides when who waits is let on.</summary>
    private readonly long _slackBytes = Math.Min(bytesMax / SlackShare, SlackBytesMax);
    private readonly Lock _lock = new();
    private readonly LinkedList<(long Bytes, TaskCompletionSource Granted)> _waiting = [];
    private long _takenBytes;

    /// <summary>Bytes that are taken.</summary>
    public long TakenBytes
    {
        get
        {
            lock (_lock)
                return _takenBytes;
        }
    }

    /// <summary>Whether somebody waits for room, so that what is held should be sent soon.</summary>
    public bool IsWaitedFor
    {
        get
        {
            lock (_lock)
                return _waiting.Count > 0;
        }
    }

    /// <summary>Takes bytes, to be given back with <see cref="Return"/>, if there are enough and nobody waits.</summary>
    public bool TryTake(long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        lock (_lock)
        {
            if (_waiting.Count > 0 || !Fits(bytes))
                return false;
            _takenBytes += bytes;
            return true;
        }
    }

    /// <summary>Takes bytes, to be given back with <see cref="Return"/>; waits in turn while there are not enough.</summary>
    /// <exception cref="OperationCanceledException">The wait was cancelled; nothing is taken.</exception>
    public async Task TakeAsync(long bytes, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        LinkedListNode<(long Bytes, TaskCompletionSource Granted)> waiter;
        lock (_lock)
        {
            if (_waiting.Count == 0 && Fits(bytes))
            {
                _takenBytes += bytes;
                return;
            }

            waiter = _waiting.AddLast((bytes, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)));
        }

        using (cancellation.UnsafeRegister(_ => Cancel(waiter, cancellation), null))
            await waiter.Value.Granted.Task;
    }

    /// <summary>Gives bytes back.</summary>
    public void Return(long bytes)
    {
        lock (_lock)
        {
            _takenBytes -= bytes;
            Invariant.Check(_takenBytes >= 0, "no more is given back than was taken");
        }

        GrantWhatFits();
    }

    private void GrantWhatFits()
    {
        var isGranting = false;
        while (true)
        {
            TaskCompletionSource granted;
            lock (_lock)
            {
                if (_waiting.First is not { } first || !Fits(first.Value.Bytes + (isGranting ? 0 : _slackBytes)))
                    return;
                isGranting = true;
                _waiting.RemoveFirst();
                _takenBytes += first.Value.Bytes;
                granted = first.Value.Granted;
            }

            granted.SetResult();
        }
    }

    private void Cancel(LinkedListNode<(long Bytes, TaskCompletionSource Granted)> waiter, CancellationToken cancellation)
    {
        lock (_lock)
        {
            if (waiter.List is null)
                return; // it has its bytes
            _waiting.Remove(waiter);
        }

        waiter.Value.Granted.SetCanceled(cancellation);
        GrantWhatFits(); // the next one may want less
    }

    private bool Fits(long bytes) => _takenBytes == 0 || _takenBytes + bytes <= bytesMax;
}
