using System.Globalization;
using System.Text;

namespace Ottla.Cli;

/// <summary>
/// Writes the runtime's counters once a second to the file that <see cref="FileVariable"/> names. Benchmarks read the file and compute
/// differences. The command that started it owns it for the life of the process. It runs on a timer's thread, one tick at a time.
/// </summary>
/// <remarks>
/// The file has one <c>name value</c> per line. Totals since the process began: <c>allocated_bytes</c>, <c>gen0_collections</c>,
/// <c>gen1_collections</c>, <c>gen2_collections</c> and <c>gc_pause_ms</c>. The value at the time of writing: <c>working_set_bytes</c>.
/// Each write replaces the whole file, so a reader never sees half of it. As in .NET, a collection of generation 2 also counts as one of
/// generations 1 and 0.
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
        // The timer fires once and is set again after each write, so ticks cannot overlap.
        _timer =
            time.CreateTimer(static self => ((RuntimeCounters)self!).Write(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Starts writing to the file that the environment names.</summary>
    /// <param name="time">The clock.</param>
    /// <param name="warn">Receives a warning when the file cannot be written.</param>
    /// <returns>The counters; null when the environment names no file.</returns>
    public static RuntimeCounters? StartFromEnvironment(TimeProvider time, Action<string> warn)
    {
        var path = Environment.GetEnvironmentVariable(FileVariable);
        if (string.IsNullOrEmpty(path))
            return null;
        var counters = new RuntimeCounters(path, time, warn);
        counters._timer.Change(TimeSpan.Zero, Timeout.InfiniteTimeSpan);
        return counters;
    }

    /// <summary>Formats the current counters as the content of the file.</summary>
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
#pragma warning disable RS0030 // This file is not broker data: it reports on the process, and the simulator never runs it.
            File.WriteAllText(_temporaryPath, Render());
            File.Move(_temporaryPath, _path, overwrite: true);
#pragma warning restore RS0030
            _timer.Change(Interval, Timeout.InfiniteTimeSpan);
        }
        catch (ObjectDisposedException)
        {
            // The process is stopping: the file that was just written is the last one.
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            _warn($"{FileVariable}: cannot write {_path}, no more counters: {e.Message}");
        }
    }
}
