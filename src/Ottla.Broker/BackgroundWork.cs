using Microsoft.Extensions.Logging;

namespace Ottla.Broker;

/// <summary>
/// The work that a node does beside its requests: every loop and every task that nobody awaits is started or watched here, so that none
/// ends unseen.
/// </summary>
/// <remarks>
/// Made by the node, lives as long as it; thread-safe. Work that fails is a bug, or a lost disk that the work itself did not expect: it is
/// logged, and the node is told, which cannot go on. The stop waits for the loops, and does not fail because one of them has.
/// </remarks>
public sealed partial class BackgroundWork : IDisposable
{
    private readonly Action<Exception> _onFailure;
    private readonly ILogger _logger;
    private readonly CancellationTokenSource _stopping = new();
    private readonly Lock _lock = new();
    private readonly List<Task> _loops = [];

    /// <summary>Makes it; nothing runs yet.</summary>
    /// <param name="onFailure">Told why work has failed, unless the node stops. Called from anywhere; must not block.</param>
    /// <param name="logger">Where failures are logged.</param>
    public BackgroundWork(Action<Exception> onFailure, ILogger logger)
    {
        _onFailure = onFailure;
        _logger = logger;
        Stopping = _stopping.Token;
    }

    /// <summary>Cancelled when the node stops.</summary>
    public CancellationToken Stopping { get; }

    /// <summary>Starts a loop. It runs until the node stops; if it ends before that, in any way, it has failed.</summary>
    /// <param name="name">What it does, for the log: "the compaction of logs".</param>
    /// <param name="loop">The loop; ends soon once its token is cancelled.</param>
    public void StartLoop(string name, Func<CancellationToken, Task> loop)
    {
        var running = WatchAsync(name, RunToItsEndAsync(loop));
        lock (_lock)
            _loops.Add(running);
    }

    /// <summary>Watches a task that nobody awaits, and that ends by itself.</summary>
    /// <param name="name">What it does, for the log.</param>
    /// <param name="work">The task.</param>
    public void Watch(string name, Task work)
    {
        if (!work.IsCompletedSuccessfully)
            _ = WatchAsync(name, work);
    }

    /// <summary>Tells the loops to end, and waits until they have. Never fails.</summary>
    public async Task StopAsync()
    {
        _stopping.Cancel();
        Task[] loops;
        lock (_lock)
            loops = [.. _loops];
        foreach (var loop in loops)
            await loop;
    }

    /// <inheritdoc/>
    public void Dispose() => _stopping.Dispose();

    private async Task RunToItsEndAsync(Func<CancellationToken, Task> loop)
    {
        await loop(Stopping);
        if (!Stopping.IsCancellationRequested)
            throw new InvalidOperationException("It has ended although the node does not stop.");
    }

    /// <returns>Never faulted.</returns>
    private async Task WatchAsync(string name, Task work)
    {
        try
        {
            await work;
        }
        catch (OperationCanceledException) when (Stopping.IsCancellationRequested)
        {
            // The node stops.
        }
        catch (Exception e)
        {
            LogFailed(name, e);
            if (!Stopping.IsCancellationRequested)
                _onFailure(e);
        }
    }

    [LoggerMessage(Level = LogLevel.Critical, Message = "The background task {Name} has failed; stopping this node")]
    private partial void LogFailed(string name, Exception e);
}
