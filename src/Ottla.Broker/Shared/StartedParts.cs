using Microsoft.Extensions.Logging;

namespace Ottla.Broker.Shared;

/// <summary>The started parts of a node, which are stopped in the opposite order.</summary>
/// <remarks>
/// Owned by the node; its start and its stop use it, one call at a time. The start adds each part as soon as it exists, so that a failed
/// start leaves nothing open.
/// </remarks>
internal sealed partial class StartedParts(ILogger logger)
{
    private readonly Stack<Part> _parts = new();

    /// <summary>Adds a part.</summary>
    /// <param name="stop">What its stop does, for the log: "closing the logs".</param>
    /// <param name="stopAsync">Stops the part.</param>
    /// <param name="abandonAsync">
    /// Releases the part as a crash would, when the start failed or the node is disposed without a stop; null when its stop does that.
    /// </param>
    public void Add(string stop, Func<Task> stopAsync, Func<Task>? abandonAsync = null) =>
        _parts.Push(new Part(stop, stopAsync, abandonAsync ?? stopAsync));

    /// <summary>Adds a part whose stop does not wait.</summary>
    /// <inheritdoc cref="Add(string, Func{Task}, Func{Task}?)"/>
    public void Add(string stop, Action stopNow, Action? abandonNow = null) =>
        Add(stop, Completed(stopNow), abandonNow is null ? null : Completed(abandonNow));

    /// <summary>Stops all parts. Logs a part that fails to stop, and goes on with the next: so the logs are closed in any case.</summary>
    public async Task StopAsync()
    {
        while (_parts.TryPop(out var part))
            await TryAsync(part.Stop, part.StopAsync);
    }

    /// <summary>Releases all parts; does nothing after a stop.</summary>
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

    [LoggerMessage(Level = LogLevel.Error, Message = "Failed at {Step}; stopping the other parts of the node")]
    private partial void LogFailed(string step, Exception e);
}
