using System.Runtime.InteropServices;

namespace Ottla.SystemTests.Harness;

/// <summary>POSIX signals to other processes.</summary>
internal static partial class Signals
{
    private const int SignalHangUp = 1;
    private const int SignalTerminate = 15;

    /// <summary>SIGTERM: please end in order.</summary>
    public static void Terminate(int processId) => Send(processId, SignalTerminate);

    /// <summary>SIGHUP: the terminal is gone.</summary>
    public static void HangUp(int processId) => Send(processId, SignalHangUp);

    private static void Send(int processId, int signal)
    {
        if (Kill(processId, signal) != 0)
            throw new InvalidOperationException($"kill failed: {Marshal.GetLastPInvokeError()}");
    }

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static partial int Kill(int processId, int signal);
}
