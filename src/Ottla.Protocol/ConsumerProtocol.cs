using Ottla.Protocol.Messages;
using Ottla.Protocol.Wire;

namespace Ottla.Protocol;

/// <summary>
/// The embedded protocol of classic consumers: the content of the bytes that the coordinator passes on between members, after a version.
/// </summary>
/// <remarks>A newer version begins with the fields of older ones, so an unknown version can be read as the newest known one.</remarks>
public static class ConsumerProtocol
{
    /// <summary>The protocol type of groups that use it.</summary>
    public const string ProtocolType = "consumer";

    /// <summary>Reads the version at the start of a subscription or an assignment.</summary>
    /// <exception cref="ProtocolException">The bytes are too short.</exception>
    public static short ReadVersion(byte[] bytes) => new WireReader(bytes).ReadInt16();

    /// <summary>Reads a member's subscription.</summary>
    /// <exception cref="ProtocolException">The bytes are not a subscription.</exception>
    public static ConsumerProtocolSubscription ReadSubscription(byte[] bytes)
    {
        var reader = new WireReader(bytes);
        return ConsumerProtocolSubscription.Read(ref reader, KnownVersion(reader.ReadInt16(), ConsumerProtocolSubscription.HighestVersion));
    }

    /// <summary>Reads the topics of a member's subscription, which is the first field in all versions.</summary>
    /// <exception cref="ProtocolException">The bytes are not a subscription.</exception>
    public static string[] ReadSubscribedTopics(byte[] bytes)
    {
        var reader = new WireReader(bytes);
        reader.ReadInt16();
        return ConsumerProtocolSubscription.Read(ref reader, 0).Topics;
    }

    /// <summary>Reads a member's assignment.</summary>
    /// <exception cref="ProtocolException">The bytes are not an assignment.</exception>
    public static ConsumerProtocolAssignment ReadAssignment(byte[] bytes)
    {
        var reader = new WireReader(bytes);
        return ConsumerProtocolAssignment.Read(ref reader, KnownVersion(reader.ReadInt16(), ConsumerProtocolAssignment.HighestVersion));
    }

    /// <summary>
    /// Writes an assignment in the version of the member's subscription, or in the newest known version if that is older.
    /// </summary>
    public static byte[] WriteAssignment(ConsumerProtocolAssignment assignment, short version) =>
        Write(assignment, KnownVersion(version, ConsumerProtocolAssignment.HighestVersion));

    /// <summary>Writes a subscription.</summary>
    public static byte[] WriteSubscription(ConsumerProtocolSubscription subscription, short version) => Write(subscription, version);

    private static byte[] Write(IMessage message, short version)
    {
        var buffer = new WireBuffer();
        var writer = new WireWriter(buffer);
        writer.WriteInt16(version);
        message.Write(ref writer, version);
        writer.Flush();
        return buffer.Written.ToArray();
    }

    private static short KnownVersion(short version, short highest)
    {
        if (version < 0)
            throw new MalformedMessageException($"version {version} of the consumer protocol");
        return Math.Min(version, highest);
    }
}
