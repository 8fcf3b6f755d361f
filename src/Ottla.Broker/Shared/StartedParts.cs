using Microsoft.Extensions.Logging;

namespace Ottla.Broker.Shared;

/// <summary>The started parts of a node, which are stopped in the opposite order.</summary>
/// <remarks>
/// Owned by the node; used by whoever starts or stops it, one call at a time. A part is added as soon as it exists, so that a start that
/// fails leaves nothing open.
/// </remarks>
internal sealed partial class StartedParts(ILogger logger)
{
    private readonly Stack<Part> _parts = new();

    /// <summary>Adds a part.</summary>
    /// <param name="stop">What stopping it in order does, for the log: "closing the logs".</param>
    /// <param name="stopAsync">Stops it in order.</param>
    /// <param name="abandonAsync">
    /// Lets go of it as a crash would, when the node did not start or is disposed without a stop; null when that is what its stop does.
    /// </param>
    public void Add(string stop, Func<Task> stopAsync, Func<Task>? abandonAsync = null) =>
        _parts.Push(new Part(stop, stopAsync, abandonAsync ?? stopAsync));

    /// <summary>Adds a part whose stop does not wait.</summary>
    /// <inheritdoc cref="Add(string, Func{Task}, Func{Task}?)"/>
    public void Add(string stop, Action stopNow, Action? abandonNow = null) =>
        Add(stop, Completed(stopNow), abandonNow is null ? null : Completed(abandonNow));

    /// <summary>
    /// Stops everything in order. A step that fails is logged and the next is taken: whatever has failed, the logs are closed.
    /// </summary>
    public async Task StopAsync()
    {
        while (_parts.TryPop(out var part))
            await TryAsync(part.Stop, part.StopAsync);
    }

    /// <summary>Lets go of everything; does nothing after a stop.</summary>
    public async Task AbandonAsync()
    {
        while (_parts.TryPop(out var part))
            await TryAsync(part.Stop, part.AbandonAsync);
    }

    private static Func<Task> Completed(Action action) => () =>
    {
        action();
        return Task.CompletedTask;
    };

    private async Task TryAsync(string name, Func<Task> step)
    {
        try
        {
            await step();
        }
        catch (Exception e)
        {
            LogFailed(name, e);
        }
    }

    private sealed record Part(string Stop, Func<Task> StopAsync, Func<Task> AbandonAsync);

    [LoggerMessage(Level = LogLevel.Error, Message = "Failed to stop {Step}; stopping the other parts of the node")]
    private partial void LogFailed(string step, Exception e);
}
