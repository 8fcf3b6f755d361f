namespace Ottla.Broker.Hosts.Share;

/// <summary>
/// Runs steps one at a time, in the order in which they came: the thread that finds it idle runs them, and other threads do not wait.
/// </summary>
/// <remarks>
/// Thread-safe. A step that asks for another one does not run it, so steps never nest. What a step throws is a bug: the thread that ran it
/// gets it.
/// </remarks>
internal sealed class SingleWriter
{
    private readonly Lock _lock = new();
    private readonly Queue<Action> _steps = new();
    private bool _isRunning;

    /// <summary>Runs a step now, or leaves it to the thread that is running steps.</summary>
    public void Run(Action step)
    {
        lock (_lock)
        {
            _steps.Enqueue(step);
            if (_isRunning)
                return;
            _isRunning = true;
        }

        while (TryTake(out var next))
            RunNow(next);
    }

    private void RunNow(Action step)
    {
        try
        {
            step();
        }
        catch
        {
            lock (_lock)
                _isRunning = false;
            throw;
        }
    }

    private bool TryTake(out Action step)
    {
        lock (_lock)
        {
            _isRunning = _steps.TryDequeue(out step!);
            return _isRunning;
        }
    }
}
