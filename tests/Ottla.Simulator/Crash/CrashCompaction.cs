using Ottla.Simulator.Disk;
using Ottla.Storage.Upkeep;

namespace Ottla.Simulator.Crash;

/// <summary>
/// Compaction beside everything else that a <see cref="CrashMachine"/> does: it goes on a piece at a time, as if on a thread of its own.
/// Lives as long as the process.
/// </summary>
internal sealed class CrashCompaction(LogCleaner cleaner, SimDisk disk) : IDisposable
{
    private readonly PieceByPiece _pieces = new();
    private readonly CancellationTokenSource _stopping = new();
    private Task<bool> _running = Task.FromResult(false);

    public bool IsRunning => !_running.IsCompleted;

    /// <summary>Begins to compact the dirtiest log.</summary>
    public void Begin() => _pieces.Run(() => _running = cleaner.CleanDirtiestAsync(_stopping.Token));

    /// <summary>Does some more of it.</summary>
    /// <exception cref="PowerLossException">The machine died of it.</exception>
    public void GoOn(int pieces)
    {
        for (; pieces > 0 && IsRunning; pieces--)
            _pieces.RunNext();
        if (!IsRunning)
            _running.GetAwaiter().GetResult();
        if (disk.IsDead)
            throw new PowerLossException();
        if (cleaner.Uncleanable.Count > 0)
            throw new SimulationException($"{cleaner.Uncleanable.First()} cannot be compacted");
    }

    /// <summary>Ends it before its time, as an orderly end of the process does.</summary>
    public void Stop()
    {
        _stopping.Cancel();
        GoOn(int.MaxValue);
    }

    public void Dispose() => _stopping.Dispose();

    /// <summary>Keeps continuations until somebody wants them to run.</summary>
    private sealed class PieceByPiece : SynchronizationContext
    {
        private readonly Queue<(SendOrPostCallback Callback, object? State)> _pieces = [];

        public override void Post(SendOrPostCallback d, object? state) => _pieces.Enqueue((d, state));

        public void RunNext() => Run(() =>
        {
            var (callback, state) = _pieces.Dequeue();
            callback(state);
        });

        public void Run(Action action)
        {
            var outer = Current;
            SetSynchronizationContext(this);
            try
            {
                action();
            }
            finally
            {
                SetSynchronizationContext(outer);
            }
        }
    }
}
