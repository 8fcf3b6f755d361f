namespace Ottla.HistoryChecker.History;

/// <summary>Collects what several clients do. Used by all of them, from any thread; lives as long as the run.</summary>
/// <param name="output">
/// Where each operation is written when it ends, so that the history outlives whoever recorded it. Not disposed.
/// </param>
public sealed class HistoryRecorder(TextWriter? output = null) : IDisposable
{
    private readonly Lock _lock = new();
    private readonly List<Operation> _operations = [];
    private readonly SortedSet<int> _underWay = [];
    private long _lastProcess;

    /// <summary>What was recorded until now, in the order in which it began.</summary>
    public IReadOnlyList<Operation> Operations
    {
        get
        {
            lock (_lock)
                return [.. _operations];
        }
    }

    /// <summary>A number for a client that begins.</summary>
    public long NextProcess() => Interlocked.Increment(ref _lastProcess);

    /// <summary>Adds an operation that begins: until it ends, it is in doubt.</summary>
    /// <returns>What <see cref="End"/> wants to know.</returns>
    public int Begin(Operation operation)
    {
        lock (_lock)
        {
            _operations.Add(operation with { Outcome = Outcome.Info });
            _underWay.Add(_operations.Count - 1);
            return _operations.Count - 1;
        }
    }

    /// <summary>An operation has ended, and this is what became of it.</summary>
    public void End(int number, Operation operation)
    {
        lock (_lock)
        {
            _operations[number] = operation;
            Write(number);
        }
    }

    /// <summary>Adds an operation that has ended already.</summary>
    public void Add(Operation operation) => End(Begin(operation), operation);

    /// <summary>Writes what will never end.</summary>
    public void Dispose()
    {
        lock (_lock)
        {
            foreach (var number in _underWay.ToArray())
                Write(number);
        }
    }

    private void Write(int number)
    {
        _underWay.Remove(number);
        if (output is not null)
            HistoryFile.Write(output, _operations[number]);
    }
}
