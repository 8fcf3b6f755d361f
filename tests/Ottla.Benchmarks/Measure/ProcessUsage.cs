using System.Globalization;

namespace Ottla.Benchmarks.Measure;

/// <summary>What the kernel has counted for a process: read from /proc, so it is the same for every target.</summary>
internal static class ProcessUsage
{
    private const int UserTicksField = 11; // counted from the field behind the name: "utime"
    private const int SystemTicksField = 12;

    private static readonly long TicksPerSecond = NativeMethods.SystemConfiguration(NativeMethods.ClockTicksPerSecond);

    /// <summary>Processor seconds, user and system, of all threads so far. Counts in hundredths.</summary>
    /// <exception cref="BenchException">There is no such process.</exception>
    public static double CpuSeconds(int processId) => ParseCpuTicks(Read(processId, "stat")) / (double)TicksPerSecond;

    /// <summary>Resident bytes.</summary>
    /// <exception cref="BenchException">There is no such process.</exception>
    public static long ResidentBytes(int processId) => ParseResidentBytes(Read(processId, "status"));

    /// <summary>The most resident bytes since <see cref="ResetPeak"/>, or ever.</summary>
    /// <exception cref="BenchException">There is no such process.</exception>
    public static long PeakResidentBytes(int processId) => ParseBytes(Read(processId, "status"), "VmHWM:");

    /// <summary>Has the kernel forget the most resident bytes so far.</summary>
    public static void ResetPeak(int processId) => File.WriteAllText($"/proc/{processId}/clear_refs", "5");

    /// <summary>
    /// User and system ticks out of the text of /proc/PID/stat. The process's name may hold anything, even blanks and parentheses.
    /// </summary>
    internal static long ParseCpuTicks(string stat)
    {
        var fields = stat[(stat.LastIndexOf(')') + 1)..].Split(' ', StringSplitOptions.RemoveEmptyEntries);
        return fields.Length > SystemTicksField ? Number(fields[UserTicksField]) + Number(fields[SystemTicksField])
            : throw new BenchException($"Not a process's stat: {stat}");
    }

    /// <summary>VmRSS out of the text of /proc/PID/status.</summary>
    internal static long ParseResidentBytes(string status) => ParseBytes(status, "VmRSS:");

    private static long ParseBytes(string status, string label)
    {
        foreach (var line in status.Split('\n'))
        {
            if (line.StartsWith(label, StringComparison.Ordinal))
                return Number(line[label.Length..].Replace("kB", "", StringComparison.Ordinal).Trim()) * 1024;
        }

        throw new BenchException("The process has no resident memory: it has ended.");
    }

    private static long Number(string text) => long.Parse(text, NumberStyles.None, CultureInfo.InvariantCulture);

    private static string Read(int processId, string name)
    {
        try
        {
            return File.ReadAllText($"/proc/{processId}/{name}");
        }
        catch (IOException e)
        {
            throw new BenchException($"Process {processId} is gone.", e);
        }
    }
}
