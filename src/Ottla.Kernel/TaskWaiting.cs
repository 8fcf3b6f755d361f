namespace Ottla.Kernel;

/// <summary>Waits for tasks and continues on the scheduler of the waiter.</summary>
/// <remarks>
/// <c>Task.WaitAsync</c>, <c>Task.WhenAny</c> and <c>Task.WhenAll</c> may continue on the thread pool, which the simulator does not
/// control.
/// </remarks>
public static class TaskWaiting
{
    /// <summary>
    /// Waits for <paramref name="task"/> until it completes or the token is cancelled. Cancelling ends only the wait; the task continues.
    /// </summary>
    /// <exception cref="OperationCanceledException">The token was cancelled first.</exception>
    public static Task UntilCanceled(this Task task, CancellationToken cancellationToken) =>
        task.IsCompleted || !cancellationToken.CanBeCanceled ? task : WaitAsync(task, cancellationToken);

    /// <summary>As <see cref="UntilCanceled(Task, CancellationToken)"/>, for a task with a result.</summary>
    public static async Task<T> UntilCanceled<T>(this Task<T> task, CancellationToken cancellationToken)
    {
        await UntilCanceled((Task)task, cancellationToken);
        return await task;
    }

    /// <summary>Completes when one of two tasks does, in whatever way. It does not fail.</summary>
    /// <remarks>A task that never completes keeps a reference to each such wait.</remarks>
    public static Task FirstOf(Task one, Task other)
    {
        if (one.IsCompleted || other.IsCompleted)
            return Task.CompletedTask;
        var first = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _ = SignalWhenDoneAsync(one, first);
        _ = SignalWhenDoneAsync(other, first);
        return first.Task;
    }

    /// <summary>Starts all tasks, awaits them one after the other, and returns their results in the same order.</summary>
    /// <remarks>Throws the exception of the first task that failed. The tasks behind it continue.</remarks>
    public static async Task<T[]> InOrderAsync<T>(this IEnumerable<Task<T>> tasks)
    {
        Task<T>[] started = [.. tasks];
        var results = new T[started.Length];
        for (var i = 0; i < started.Length; i++)
            results[i] = await started[i];
        return results;
    }

    private static async Task WaitAsync(Task task, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var over = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _ = SignalWhenDoneAsync(task, over);
        using (cancellationToken.UnsafeRegister(static (over, token) => ((TaskCompletionSource)over!).TrySetCanceled(token), over))
            await over.Task;
        await task;
    }

    private static async Task SignalWhenDoneAsync(Task task, TaskCompletionSource over)
    {
        await task.ConfigureAwait(ConfigureAwaitOptions.ContinueOnCapturedContext | ConfigureAwaitOptions.SuppressThrowing);
        over.TrySetResult();
    }
}
