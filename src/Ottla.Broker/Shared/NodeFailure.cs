namespace Ottla.Broker.Shared;

/// <summary>Why a node cannot go on. Both roles report here; the first reason counts. Lives as long as the node; thread-safe.</summary>
public sealed class NodeFailure
{
    private readonly TaskCompletionSource<Exception> _reason = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Completes with the reason when the node cannot go on.</summary>
    public Task<Exception> Reason => _reason.Task;

    /// <summary>Says that the node cannot go on.</summary>
    public void Report(Exception reason) => _reason.TrySetResult(reason);
}
