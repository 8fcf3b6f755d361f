using System.Runtime.InteropServices;

namespace Ottla.Kernel;

/// <summary>Priorities of threads, which .NET itself does not set on Linux.</summary>
public static partial class ThreadPriorities
{
    private const int ProcessOrThread = 0; // PRIO_PROCESS
    private const int CallingThread = 0;
    private const int Niceness = 10;

    /// <summary>
    /// Has the operating system run this thread after all ordinary ones. On systems other than Linux it runs as before, and so it does when
    /// the system refuses: it is a matter of speed only.
    /// </summary>
    public static void GiveWay()
    {
        if (OperatingSystem.IsLinux())
            _ = SetPriority(ProcessOrThread, CallingThread, Niceness);
    }

    [LibraryImport("libc", EntryPoint = "setpriority")]
    private static partial int SetPriority(int which, int who, int priority);
}
