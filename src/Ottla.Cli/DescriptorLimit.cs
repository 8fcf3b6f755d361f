using System.Runtime.InteropServices;

namespace Ottla.Cli;

/// <summary>How many files and sockets the process may have open.</summary>
/// <remarks>A shell's soft limit is mostly 1,024, which a broker has used up soon. The runtime raises it by itself, but not for native code.</remarks>
internal static partial class DescriptorLimit
{
    private const int OpenFiles = 7; // RLIMIT_NOFILE of Linux

    /// <summary>Takes what the hard limit allows (<c>ulimit -Hn</c>). Linux only; where it is refused the soft limit stays.</summary>
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
