using System.Runtime.InteropServices;

namespace Ottla.Benchmarks;

/// <summary>What the tool needs of the C library. Linux only, as all of its measuring is.</summary>
internal static partial class NativeMethods
{
    public const int SignalTerminate = 15;
    public const int ClockTicksPerSecond = 2; // _SC_CLK_TCK

    public const int SignalInterrupt = 2;

    private const int MessageNoSignal = 0x4000;
    private const int MessageMore = 0x8000;

    /// <summary>Sends all bytes on a blocking socket.</summary>
    /// <param name="socket">The socket.</param>
    /// <param name="bytes">What to send.</param>
    /// <param name="more">What follows at once may share their last packet.</param>
    /// <exception cref="IOException">The connection failed.</exception>
    public static void SendAll(SafeHandle socket, ReadOnlySpan<byte> bytes, bool more)
    {
        while (!bytes.IsEmpty)
        {
            var count = Send(socket, bytes, bytes.Length, MessageNoSignal | (more ? MessageMore : 0));
            if (count <= 0)
                throw new IOException(Marshal.GetLastPInvokeErrorMessage());
            bytes = bytes[(int)count..];
        }
    }

    /// <summary>Sends a range of a file on a blocking socket.</summary>
    /// <exception cref="IOException">The connection failed, or the file is shorter.</exception>
    public static void SendFile(SafeHandle socket, SafeHandle file, long position, int length)
    {
        while (length > 0)
        {
            var count = SendFile(socket, file, ref position, length);
            if (count <= 0)
                throw new IOException(Marshal.GetLastPInvokeErrorMessage());
            length -= (int)count;
        }
    }

    [LibraryImport("libc", EntryPoint = "send", SetLastError = true)]
    private static partial nint Send(SafeHandle socket, ReadOnlySpan<byte> bytes, nint count, int flags);

    [LibraryImport("libc", EntryPoint = "sendfile", SetLastError = true)]
    private static partial nint SendFile(SafeHandle socket, SafeHandle file, ref long position, nint count);

    [LibraryImport("libc", EntryPoint = "sync")]
    public static partial void Sync();

    [LibraryImport("libc", EntryPoint = "kill")]
    public static partial int Kill(int processId, int signal);

    [LibraryImport("libc", EntryPoint = "usleep")]
    public static partial int SleepMicroseconds(uint microseconds);

    [LibraryImport("libc", EntryPoint = "sysconf")]
    public static partial nint SystemConfiguration(int name);
}
