using System.Net;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Ottla.Network.Transport.Epoll;

/// <summary>
/// System calls of Linux that .NET does not offer, or offers with more overhead. Each returns -1 on failure and sets
/// <see cref="LastError"/>.
/// </summary>
internal static partial class LinuxSockets
{
    public const uint EventIn = 0x001;
    public const uint EventOut = 0x004;
    public const uint EventError = 0x008;
    public const uint EventHangUp = 0x010;
    public const uint EventPeerClosed = 0x2000;
    public const uint EventEdgeTriggered = 1u << 31;

    public const int ControlAdd = 1;
    public const int ControlDelete = 2;
    public const int CloseOnExec = 0x80000;

    public const int MessagePeek = 0x2;
    public const int MessageNoSignal = 0x4000;
    public const int MessageMore = 0x8000;

    public const int Interrupted = 4; // EINTR
    public const int WouldBlock = 11; // EAGAIN
    public const int ConnectionInProgress = 115; // EINPROGRESS

    /// <summary>Converts an error number to the exception that callers of a transport expect.</summary>
    public static SocketException ExceptionOf(int error) => new((int)(error switch
    {
        13 => SocketError.AccessDenied,
        12 or 105 => SocketError.NoBufferSpaceAvailable,
        32 or 104 => SocketError.ConnectionReset, // EPIPE: a second send after a reset
        99 => SocketError.AddressNotAvailable,
        100 => SocketError.NetworkDown,
        101 => SocketError.NetworkUnreachable,
        103 => SocketError.ConnectionAborted,
        107 => SocketError.NotConnected,
        110 => SocketError.TimedOut,
        111 => SocketError.ConnectionRefused,
        112 => SocketError.HostDown,
        113 => SocketError.HostUnreachable,
        _ => SocketError.SocketError,
    }));

    /// <summary>
    /// Has calls on a socket return instead of waiting. The runtime's own property (<c>Socket.Blocking</c>) would give every socket the
    /// queues of its event loop, which a socket of ours does not use.
    /// </summary>
    /// <exception cref="SocketException">The kernel refuses.</exception>
    public static void SetNonBlocking(SafeHandle socket)
    {
        const int getFlags = 3; // F_GETFL
        const int setFlags = 4; // F_SETFL
        const int nonBlocking = 0x800; // O_NONBLOCK
        var flags = ControlFile(socket, getFlags, 0);
        if (flags < 0 || ControlFile(socket, setFlags, flags | nonBlocking) < 0)
            throw ExceptionOf(LastError);
    }

    /// <summary>The local address of a connected socket.</summary>
    public static unsafe IPEndPoint? LocalEndPointOf(SafeHandle socket, IPEndPoint remote)
    {
        var address = new SocketAddress(remote.AddressFamily);
        var size = address.Size;
        fixed (byte* bytes = address.Buffer.Span)
        {
            if (GetName(socket, bytes, &size) != 0)
                return null;
        }

        return (IPEndPoint)remote.Create(address);
    }

    /// <summary>How many descriptors the process may have open; null when the system does not say.</summary>
    public static unsafe long? OpenDescriptorsMax()
    {
        const int openFiles = 7; // RLIMIT_NOFILE
        ulong* limits = stackalloc ulong[2]; // soft, hard
        return IntPtr.Size == sizeof(ulong) && GetLimit(openFiles, limits) == 0 ? (long)Math.Min(limits[0], int.MaxValue) : null;
    }

    /// <summary>The number that the next descriptor would get; -1 when there is none.</summary>
    /// <param name="descriptor">Any open one.</param>
    public static int LowestFreeDescriptor(int descriptor)
    {
        var copy = Duplicate(descriptor);
        if (copy >= 0)
            _ = Close(copy);
        return copy;
    }

    /// <summary>The error number of the last call on this thread.</summary>
    public static int LastError => Marshal.GetLastPInvokeError();

    [LibraryImport("libc", EntryPoint = "epoll_create1", SetLastError = true)]
    public static partial int CreateEpoll(int flags);

    [LibraryImport("libc", EntryPoint = "epoll_ctl", SetLastError = true)]
    public static unsafe partial int ControlEpoll(int epoll, int operation, SafeHandle descriptor, void* interest);

    [LibraryImport("libc", EntryPoint = "epoll_ctl", SetLastError = true)]
    public static unsafe partial int ControlEpoll(int epoll, int operation, int descriptor, void* interest);

    [LibraryImport("libc", EntryPoint = "epoll_wait", SetLastError = true)]
    public static unsafe partial int Wait(int epoll, void* events, int eventsMax, int timeoutMs);

    [LibraryImport("libc", EntryPoint = "read", SetLastError = true)]
    public static unsafe partial nint Read(int descriptor, void* bytes, nint count);

    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    public static unsafe partial nint Write(int descriptor, void* bytes, nint count);

    [LibraryImport("libc", EntryPoint = "recv", SetLastError = true)]
    public static unsafe partial nint Receive(SafeHandle socket, byte* bytes, nint count, int flags);

    [LibraryImport("libc", EntryPoint = "send", SetLastError = true)]
    public static unsafe partial nint Send(SafeHandle socket, byte* bytes, nint count, int flags);

    [LibraryImport("libc", EntryPoint = "sendfile", SetLastError = true)]
    public static unsafe partial nint SendFile(SafeHandle socket, SafeFileHandle file, long* position, nint count);

    [LibraryImport("libc", EntryPoint = "connect", SetLastError = true)]
    public static unsafe partial int Connect(SafeHandle socket, byte* address, int addressBytes);

    [LibraryImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    private static partial int ControlFile(SafeHandle descriptor, int command, int argument);

    [LibraryImport("libc", EntryPoint = "getrlimit", SetLastError = true)]
    private static unsafe partial int GetLimit(int resource, ulong* limits);

    [LibraryImport("libc", EntryPoint = "dup", SetLastError = true)]
    private static partial int Duplicate(int descriptor);

    [LibraryImport("libc", EntryPoint = "close", SetLastError = true)]
    private static partial int Close(int descriptor);

    [LibraryImport("libc", EntryPoint = "getsockname", SetLastError = true)]
    public static unsafe partial int GetName(SafeHandle socket, byte* address, int* addressBytes);
}

/// <summary>An array of struct epoll_event, which is packed on x86-64 only. It is unmanaged memory; its creator frees it.</summary>
internal readonly unsafe struct EpollEvents
{
    private const int InterestBytes = sizeof(uint);

    private static readonly int DataOffset = RuntimeInformation.ProcessArchitecture == Architecture.X64 ? InterestBytes : sizeof(long);
    private static readonly int EventBytes = DataOffset + sizeof(long);

    private readonly byte* _bytes;

    public EpollEvents(int count) => _bytes = (byte*)NativeMemory.AllocZeroed((nuint)(count * EventBytes));

    public void* Pointer => _bytes;

    /// <summary>The events that happened, or the events to watch.</summary>
    public ref uint Interest(int index) => ref *(uint*)(_bytes + (index * EventBytes));

    /// <summary>The number that was given when the descriptor was added.</summary>
    public long Data(int index) => Unsafe.ReadUnaligned<long>(_bytes + (index * EventBytes) + DataOffset);

    public void SetData(int index, long data) => Unsafe.WriteUnaligned(_bytes + (index * EventBytes) + DataOffset, data);

    public void Free() => NativeMemory.Free(_bytes);
}
