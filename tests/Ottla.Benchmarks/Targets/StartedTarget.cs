using System.Diagnostics;
using Ottla.Benchmarks.Measure;

namespace Ottla.Benchmarks.Targets;

/// <summary>A process that the tool started, and ends and cleans up after.</summary>
internal sealed class StartedTarget : Target
{
    private const int LogLinesMax = 40;
    private const int PollMs = 1;
    private static readonly TimeSpan StartPatience = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan StopPatience = TimeSpan.FromSeconds(20);

    private readonly Process _process;
    private readonly string _directory;
    private readonly Queue<string> _log = new();

    private StartedTarget(string name, Process process, int port, string directory, CountersFile counters)
        : base(name, "127.0.0.1", port, process.Id, counters)
    {
        _process = process;
        _directory = directory;
        process.OutputDataReceived += (_, line) => Keep(line.Data);
        process.ErrorDataReceived += (_, line) => Keep(line.Data);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
    }

    public static StartedTarget Start(
        string name, ProcessStartInfo start, int port, string directory, CountersFile counters, out TimeSpan firstAnswer)
    {
        var started = Stopwatch.GetTimestamp();
        var process = Process.Start(start) ?? throw new BenchException($"{start.FileName} did not start.");
        var target = new StartedTarget(name, process, port, directory, counters);
        try
        {
            while (!target.Admin.TryApiVersions())
            {
                if (process.HasExited || Stopwatch.GetElapsedTime(started) > StartPatience)
                    throw new BenchException($"{name} does not answer:\n{target.LastLog()}");
                Thread.Sleep(PollMs);
            }

            firstAnswer = Stopwatch.GetElapsedTime(started);
            return target;
        }
        catch
        {
            target.Dispose();
            throw;
        }
    }

    /// <summary>The last lines that it printed.</summary>
    public string LastLog()
    {
        lock (_log)
            return string.Join('\n', _log);
    }

    protected override void Dispose(bool isDisposing)
    {
        if (!_process.HasExited)
        {
            _ = NativeMethods.Kill(_process.Id, NativeMethods.SignalTerminate);
            if (!_process.WaitForExit(StopPatience))
            {
                Console.Error.WriteLine($"{Name} did not stop within {StopPatience.TotalSeconds} s of SIGTERM and was killed.");
                _process.Kill();
                _process.WaitForExit();
            }
        }

        _process.Dispose();
        Directory.Delete(_directory, recursive: true);
        base.Dispose(isDisposing);
    }

    private void Keep(string? line)
    {
        if (line is null)
            return;
        lock (_log)
        {
            _log.Enqueue(line);
            if (_log.Count > LogLinesMax)
                _log.Dequeue();
        }
    }
}
