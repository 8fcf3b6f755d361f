namespace Ottla.HistoryChecker.History;

/// <summary>Collects what several clients do. Used by all of them, from any thread; lives as long as the run.</summary>
/// <param name="output">Where each operation is written as well, at once: so the history outlives whoever recorded it. Not disposed.</param>
public sealed class HistoryRecorder(TextWriter? output = null)
{
    private readonly Lock _lock = new();
    private readonly List<Operation> _operations = [];
    private long _lastProcess;

    /// <summary>A number for a client that begins.</summary>
    public long NextProcess() => Interlocked.Increment(ref _lastProcess);

    /// <summary>Adds an operation that has ended.</summary>
    public void Add(Operation operation)
    {
        lock (_lock)
        {
            _operations.Add(operation);
            if (output is not null)
                HistoryFile.Write(output, operation);
        }
    }

    /// <summary>What was recorded until now.</summary>
    public IReadOnlyList<Operation> Operations
    {
        get
        {
            lock (_lock)
                return [.. _operations];
        }
    }
}
