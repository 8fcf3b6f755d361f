using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Ottla.Chaos.Machines;

namespace Ottla.Chaos.Network;

/// <summary>
/// A network interface whose other end is this process: what the kernel sends out of it is read here, and what is written here comes in
/// from it (Linux TUN, whole IP packets). Made in this process's network namespace; stays readable when it is moved to another.
/// </summary>
internal sealed class TunDevice : IDisposable
{
    /// <summary>As large as an IP packet gets: fewer packets, less work.</summary>
    public const int PacketBytesMax = 65_520;

    private const nuint SetInterface = 0x400454ca; // TUNSETIFF
    private const short TunWithoutHeader = 0x1001; // IFF_TUN | IFF_NO_PI
    private const int InterfaceRequestBytes = 40; // struct ifreq
    private const int NameBytes = 16;
    private const string Device = "/dev/net/tun";

    private readonly SafeFileHandle _file;

    private TunDevice(SafeFileHandle file, string name) => (_file, Name) = (file, name);

    public string Name { get; }

    /// <exception cref="ToolException">The machine does not allow it.</exception>
    public static TunDevice Create(string name)
    {
        var file = NativeMethods.Open(Device, NativeMethods.ReadWrite | NativeMethods.CloseOnExec);
        if (file.IsInvalid)
            throw new ToolException($"{Device} cannot be opened: {Marshal.GetLastPInvokeErrorMessage()}");
        var request = new byte[InterfaceRequestBytes];
        Encoding.ASCII.GetBytes(name, request);
        MemoryMarshal.Write(request.AsSpan(NameBytes), TunWithoutHeader);
        if (NativeMethods.Control(file, SetInterface, ref request[0]) < 0)
            throw new ToolException($"the interface {name} cannot be made: {Marshal.GetLastPInvokeErrorMessage()}");
        return new TunDevice(file, name);
    }

    /// <summary>Waits for a packet; 0 when the device is gone.</summary>
    public int Read(Span<byte> packet) => (int)Math.Max(0, NativeMethods.Read(_file, ref packet[0], packet.Length));

    /// <summary>Hands a packet to the kernel, which drops it when it has no room, as a network does.</summary>
    public void Write(ReadOnlySpan<byte> packet) => NativeMethods.Write(_file, in packet[0], packet.Length);

    public void Dispose() => _file.Dispose();
}
