namespace Ottla.Broker.Shared;

/// <summary>
/// The reason why a node must stop. Both roles report here; the first reason counts. Lives as long as the node; thread-safe.
/// </summary>
public sealed class NodeFailure
{
    private readonly TaskCompletionSource<Exception> _reason = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Completes with the reason when the node must stop.</summary>
    public Task<Exception> Reason => _reason.Task;

    /// <summary>Reports that the node must stop.</summary>
    public void Report(Exception reason) => _reason.TrySetResult(reason);
}
