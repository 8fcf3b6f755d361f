using Ottla.Network.Transport.Epoll;

namespace Ottla.Network.Transport;

/// <summary>
/// Descriptors that connections do not get: without them the next segment of a log could not be opened, which would take its directory
/// offline. Owned by one listener; used by its accept loop.
/// </summary>
/// <remarks>
/// A new descriptor always gets the lowest number that is free, so its number tells how many are in use at least: no list of them has to be
/// read.
/// </remarks>
/// <param name="limit">How many descriptors the process may have open.</param>
/// <param name="lowestFree">
/// The number that the next descriptor would get; negative when there is none. Asked only while descriptors are short.
/// </param>
internal sealed class DescriptorReserve(long limit, Func<int> lowestFree)
{
    /// <summary>The share of the limit that is held back.</summary>
    public const int ShareOfLimit = 8;

    /// <summary>More than this is not held back however high the limit is.</summary>
    public const int HeldBackMax = 16_384;

    private bool _isShort = true; // looked at before the first accept

    /// <summary>How many descriptors the process may have open.</summary>
    public long Limit => limit;

    /// <summary>How many of them are not for connections.</summary>
    public long HeldBack { get; } = Math.Min(limit / ShareOfLimit, HeldBackMax);

    /// <summary>Whether a connection may be accepted.</summary>
    public bool MayAccept()
    {
        if (_isShort)
            Note(lowestFree());
        return !_isShort;
    }

    /// <summary>Takes note of the number that a connection got.</summary>
    public void Note(int descriptor) => _isShort = descriptor < 0 || descriptor >= limit - HeldBack;

    /// <summary>The reserve of this process for a listener. Null where the operating system is not Linux.</summary>
    /// <param name="listener">The listening socket's descriptor.</param>
    public static DescriptorReserve? OfThisProcess(int listener)
    {
        if (!OperatingSystem.IsLinux() || LinuxSockets.OpenDescriptorsMax() is not { } limit)
            return null;
        return new DescriptorReserve(limit, () => LinuxSockets.LowestFreeDescriptor(listener));
    }
}
