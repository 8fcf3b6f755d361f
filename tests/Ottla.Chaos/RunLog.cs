using System.Diagnostics;
using System.Globalization;

namespace Ottla.Chaos;

/// <summary>
/// What happens in a run, each with its time since the beginning: to the console and to <c>run.log</c>. Used from any thread; lives as long
/// as the run.
/// </summary>
internal sealed class RunLog(string file) : IDisposable
{
    private readonly Lock _lock = new();
    private readonly StreamWriter _file = new(file) { AutoFlush = true };
    private readonly long _started = Stopwatch.GetTimestamp();

    /// <summary>When the run began, on the clock of the wall.</summary>
    public DateTime StartedAt { get; } = DateTime.UtcNow;

    /// <summary>How long the run goes on.</summary>
    public TimeSpan Now => Stopwatch.GetElapsedTime(_started);

    /// <summary>Writes a line.</summary>
    public void Write(string text)
    {
        var line = string.Create(CultureInfo.InvariantCulture, $"{Now.TotalSeconds,8:0.000} {text}");
        lock (_lock)
        {
            Console.WriteLine(line);
            _file.WriteLine(line);
        }
    }

    public void Dispose() => _file.Dispose();
}
