using System.Globalization;
using System.Runtime.InteropServices;

namespace Ottla.SystemTests.Harness;

/// <summary>POSIX signals to other processes.</summary>
internal static partial class Signals
{
    private const int SignalHangUp = 1;
    private const int SignalTerminate = 15;

    /// <summary>SIGTERM: please end in order.</summary>
    public static void Terminate(int processId) => Send(processId, SignalTerminate);

    /// <summary>
    /// Whether this process ignores SIGHUP, as under nohup: the processes that it starts do so too, and nohup means that they shall live
    /// on.
    /// </summary>
    public static bool IsHangUpIgnored
    {
        get
        {
            const string ignored = "SigIgn:";
            var line = File.ReadLines("/proc/self/status").First(line => line.StartsWith(ignored, StringComparison.Ordinal));
            var mask = ulong.Parse(line.AsSpan(ignored.Length).Trim(), NumberStyles.HexNumber, CultureInfo.InvariantCulture);
            return (mask & (1UL << (SignalHangUp - 1))) != 0;
        }
    }

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
