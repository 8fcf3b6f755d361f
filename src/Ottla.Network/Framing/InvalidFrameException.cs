namespace Ottla.Network.Framing;

/// <summary>
/// A peer announced an invalid frame length: it does not speak Kafka's protocol, or it is hostile. The connection must be closed.
/// </summary>
public sealed class InvalidFrameException : IOException
{
    /// <summary>Describes the announced length and the limit, both in bytes.</summary>
    public InvalidFrameException(int announcedBytes, int frameBytesMax)
        : base(
            $"Invalid frame: the peer announced {announcedBytes} bytes, and the limit is {frameBytesMax} bytes (socket.request.max.bytes, "
                + $"or "
                + "sasl.server.max.receive.size before the login)")
    {
        AnnouncedBytes = announcedBytes;
        FrameBytesMax = frameBytesMax;
    }

    /// <summary>The announced length, in bytes; may be negative.</summary>
    public int AnnouncedBytes { get; }

    /// <summary>The limit (<c>socket.request.max.bytes</c>), in bytes.</summary>
    public int FrameBytesMax { get; }
}
