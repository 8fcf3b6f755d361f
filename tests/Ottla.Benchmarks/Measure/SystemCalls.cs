using System.Diagnostics;
using System.Globalization;

namespace Ottla.Benchmarks.Measure;

/// <summary>Counts a process's system calls by strace, which slows it down: a pass of its own, never part of a measurement.</summary>
internal static class SystemCalls
{
    private const int AttachMs = 500;

    /// <summary>Whether strace is installed.</summary>
    public static bool CanCount { get; } = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':')
        .Any(directory => File.Exists(Path.Combine(directory, "strace")));

    /// <summary>The calls of all threads while <paramref name="load"/> runs; null when strace may not attach.</summary>
    public static long? During(int processId, string directory, Action load)
    {
        var summary = Path.Combine(directory, $"strace-{processId}");
        var start = new ProcessStartInfo(
            "strace", ["-f", "-c", "-o", summary, "-p", processId.ToString(CultureInfo.InvariantCulture)])
        { RedirectStandardError = true };
        using var strace = Process.Start(start) ?? throw new BenchException("strace did not start.");
        strace.ErrorDataReceived += (_, _) => { };
        strace.BeginErrorReadLine();
        Thread.Sleep(AttachMs);
        if (strace.HasExited)
            return null;
        try
        {
            load();
        }
        finally
        {
            _ = NativeMethods.Kill(strace.Id, NativeMethods.SignalInterrupt);
            strace.WaitForExit();
        }

        var calls = Parse(File.ReadAllText(summary));
        File.Delete(summary);
        return calls;
    }

    /// <summary>The sum of the calls column of strace's summary: the number behind the microseconds of each call.</summary>
    internal static long Parse(string summary)
    {
        var calls = 0L;
        foreach (var line in summary.Split('\n'))
        {
            var fields = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (fields.Length >= 5 && fields[^1] != "total"
                && long.TryParse(fields[3], NumberStyles.None, CultureInfo.InvariantCulture, out var count))
                calls += count;
        }

        return calls;
    }
}
