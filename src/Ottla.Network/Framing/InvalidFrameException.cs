namespace Ottla.Network.Framing;

/// <summary>A peer announced a frame length that cannot be: it does not speak this protocol, or it is hostile. The connection is to be closed.</summary>
public sealed class InvalidFrameException : IOException
{
    /// <summary>Describes the announced length and the limit it broke, both in bytes.</summary>
    public InvalidFrameException(int announcedBytes, int frameBytesMax)
        : base($"Invalid frame: a length of {announcedBytes} bytes was announced, the limit is {frameBytesMax} bytes")
    {
        AnnouncedBytes = announcedBytes;
        FrameBytesMax = frameBytesMax;
    }

    /// <summary>The length announced, in bytes; negative when the peer sent a negative one.</summary>
    public int AnnouncedBytes { get; }

    /// <summary>The limit (<c>socket.request.max.bytes</c>), in bytes.</summary>
    public int FrameBytesMax { get; }
}
