using System.Runtime.InteropServices;

namespace Ottla.Benchmarks.Reports;

/// <summary>Asks the machine what it is.</summary>
internal static class MachineInfo
{
    /// <summary>The machine, and the file system that <paramref name="directory"/> is on.</summary>
    public static Machine Read(string directory) => new(
        ParseCpuModel(File.ReadAllText("/proc/cpuinfo")),
        Environment.ProcessorCount,
        File.ReadAllText("/proc/sys/kernel/osrelease").Trim(),
        RuntimeInformation.FrameworkDescription,
        GC.GetGCMemoryInfo().TotalAvailableMemoryBytes,
        new DriveInfo(directory).DriveFormat);

    /// <summary>The processor's name out of the text of /proc/cpuinfo; ARM machines do not say it.</summary>
    internal static string ParseCpuModel(string cpuInfo)
    {
        foreach (var line in cpuInfo.Split('\n'))
        {
            if (line.StartsWith("model name", StringComparison.Ordinal) && line.IndexOf(':', StringComparison.Ordinal) is > 0 and var colon)
                return line[(colon + 1)..].Trim();
        }

        return RuntimeInformation.ProcessArchitecture.ToString();
    }
}
