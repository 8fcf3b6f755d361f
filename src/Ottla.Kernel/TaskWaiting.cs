namespace Ottla.Kernel;

/// <summary>Waiting for tasks in ways that stay on the waiter's scheduler.</summary>
/// <remarks><c>Task.WaitAsync</c>, <c>Task.WhenAny</c> and <c>Task.WhenAll</c> may go on by way of the thread pool, where a simulation cannot follow.</remarks>
public static class TaskWaiting
{
    /// <summary>Waits for <paramref name="task"/>, at most until the token is cancelled. The task itself goes on.</summary>
    /// <exception cref="OperationCanceledException">The token was cancelled first.</exception>
    public static Task UntilCanceled(this Task task, CancellationToken cancellationToken) =>
        task.IsCompleted || !cancellationToken.CanBeCanceled ? task : WaitAsync(task, cancellationToken);

    /// <summary>As <see cref="UntilCanceled(Task, CancellationToken)"/>, for a task with a result.</summary>
    public static async Task<T> UntilCanceled<T>(this Task<T> task, CancellationToken cancellationToken)
    {
        await UntilCanceled((Task)task, cancellationToken);
        return await task;
    }

    /// <summary>Starts all tasks, then awaits one after the other: their results, in their order.</summary>
    /// <remarks>Throws what the first of them throws that fails; the others go on.</remarks>
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
        _ = TellAsync(task, over);
        using (cancellationToken.UnsafeRegister(static (over, token) => ((TaskCompletionSource)over!).TrySetCanceled(token), over))
            await over.Task;
        await task;
    }

    private static async Task TellAsync(Task task, TaskCompletionSource over)
    {
        await task.ConfigureAwait(ConfigureAwaitOptions.ContinueOnCapturedContext | ConfigureAwaitOptions.SuppressThrowing);
        over.TrySetResult();
    }
}
