using System.Globalization;
using System.Text;

namespace Ottla.Cli;

/// <summary>
/// Tells the outside what the runtime has counted: rewrites the file that <see cref="FileVariable"/> names, every second, for benchmarks to read
/// differences from. Owned by the command that started it, for the life of the process; works on a timer's thread, one tick at a time.
/// </summary>
/// <remarks>
/// One <c>name value</c> per line, all totals since the process began: <c>allocated_bytes</c>, <c>gen0_collections</c>, <c>gen1_collections</c>,
/// <c>gen2_collections</c>, <c>gc_pause_ms</c>; and <c>working_set_bytes</c> as of now. The file is replaced whole, so a reader never sees half of it.
/// Collections count as .NET counts them: one of generation 2 is also one of 1 and of 0.
/// </remarks>
internal sealed class RuntimeCounters : IDisposable
{
    /// <summary>The environment variable that names the file; unset or empty means no counters.</summary>
    public const string FileVariable = "OTTLA_COUNTERS_FILE";

    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    private readonly string _path;
    private readonly string _temporaryPath;
    private readonly Action<string> _warn;
    private readonly ITimer _timer;

    private RuntimeCounters(string path, TimeProvider time, Action<string> warn)
    {
        _path = path;
        _warn = warn;
        _temporaryPath = path + ".new";
        // Due once, and again after each write: ticks cannot overlap.
        _timer = time.CreateTimer(static self => ((RuntimeCounters)self!).Write(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Starts writing to the file that the environment names.</summary>
    /// <param name="time">The clock.</param>
    /// <param name="warn">Told when the file cannot be written.</param>
    /// <returns>Null when it names none.</returns>
    public static RuntimeCounters? StartFromEnvironment(TimeProvider time, Action<string> warn)
    {
        var path = Environment.GetEnvironmentVariable(FileVariable);
        if (string.IsNullOrEmpty(path))
            return null;
        var counters = new RuntimeCounters(path, time, warn);
        counters._timer.Change(TimeSpan.Zero, Timeout.InfiniteTimeSpan);
        return counters;
    }

    /// <summary>The counters of this process as the file has them.</summary>
    public static string Render()
    {
        var text = new StringBuilder(256);
        Append(text, "allocated_bytes", GC.GetTotalAllocatedBytes());
        Append(text, "gen0_collections", GC.CollectionCount(0));
        Append(text, "gen1_collections", GC.CollectionCount(1));
        Append(text, "gen2_collections", GC.CollectionCount(2));
        Append(text, "gc_pause_ms", (long)GC.GetTotalPauseDuration().TotalMilliseconds);
        Append(text, "working_set_bytes", Environment.WorkingSet);
        return text.ToString();
    }

    /// <inheritdoc/>
    public void Dispose() => _timer.Dispose();

    private static void Append(StringBuilder text, string name, long value) =>
        text.Append(name).Append(' ').Append(CultureInfo.InvariantCulture, $"{value}").Append('\n');

    private void Write()
    {
        try
        {
#pragma warning disable RS0030 // Not the broker's data: a report on the process itself, which the simulator has no part in.
            File.WriteAllText(_temporaryPath, Render());
            File.Move(_temporaryPath, _path, overwrite: true);
#pragma warning restore RS0030
            _timer.Change(Interval, Timeout.InfiniteTimeSpan);
        }
        catch (ObjectDisposedException)
        {
            // Disposed while it wrote: that was the last report.
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            _warn($"{FileVariable}: cannot write {_path}, no more counters: {e.Message}");
        }
    }
}
