using System.Runtime.InteropServices;

namespace Ottla.Benchmarks;

/// <summary>What the tool needs of the C library. Linux only, as all of its measuring is.</summary>
internal static partial class NativeMethods
{
    public const int SignalTerminate = 15;
    public const int ClockTicksPerSecond = 2; // _SC_CLK_TCK

    [LibraryImport("libc", EntryPoint = "sync")]
    public static partial void Sync();

    [LibraryImport("libc", EntryPoint = "kill")]
    public static partial int Kill(int processId, int signal);

    [LibraryImport("libc", EntryPoint = "usleep")]
    public static partial int SleepMicroseconds(uint microseconds);

    [LibraryImport("libc", EntryPoint = "sysconf")]
    public static partial nint SystemConfiguration(int name);
}
