using System.Runtime.InteropServices;

namespace Ottla.Cli;

/// <summary>Raises the limit of open files and sockets of the process.</summary>
/// <remarks>
/// Most shells set a soft limit of 1,024, which a broker soon reaches. The runtime raises the limit by itself, but a natively compiled
/// program does not.
/// </remarks>
internal static partial class DescriptorLimit
{
    private const int OpenFiles = 7; // RLIMIT_NOFILE of Linux

    /// <summary>
    /// Raises the soft limit to the hard limit (<c>ulimit -Hn</c>). Linux only. If the system refuses, the soft limit stays as it is.
    /// </summary>
    public static unsafe void Raise()
    {
        if (!OperatingSystem.IsLinux() || IntPtr.Size != sizeof(ulong))
            return;
        ulong* limits = stackalloc ulong[2]; // soft, hard
        if (GetLimit(OpenFiles, limits) != 0)
            return;
        limits[0] = limits[1];
        _ = SetLimit(OpenFiles, limits);
    }

    [LibraryImport("libc", EntryPoint = "getrlimit")]
    private static unsafe partial int GetLimit(int resource, ulong* limits);

    [LibraryImport("libc", EntryPoint = "setrlimit")]
    private static unsafe partial int SetLimit(int resource, ulong* limits);
}
