using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Wire;

namespace Ottla.StateMachines.Groups;

/// <summary>The embedded protocol of classic consumers: what they put into the bytes that the coordinator only hands on, behind a version.</summary>
/// <remarks>Later versions begin with the fields of earlier ones, so unknown ones can be read as the newest that is known.</remarks>
public static class ConsumerProtocol
{
    /// <summary>The protocol type of groups that use it.</summary>
    public const string ProtocolType = "consumer";

    /// <summary>The version that a subscription or an assignment begins with.</summary>
    /// <exception cref="ProtocolException">There is none.</exception>
    public static short ReadVersion(byte[] bytes) => new WireReader(bytes).ReadInt16();

    /// <summary>Reads a member's subscription.</summary>
    /// <exception cref="ProtocolException">The bytes are not one.</exception>
    public static ConsumerProtocolSubscription ReadSubscription(byte[] bytes)
    {
        var reader = new WireReader(bytes);
        return ConsumerProtocolSubscription.Read(ref reader, KnownVersion(reader.ReadInt16(), ConsumerProtocolSubscription.HighestVersion));
    }

    /// <summary>Reads the topics of a member's subscription, which all versions begin with.</summary>
    /// <exception cref="ProtocolException">The bytes are not a subscription.</exception>
    public static string[] ReadSubscribedTopics(byte[] bytes)
    {
        var reader = new WireReader(bytes);
        reader.ReadInt16();
        return ConsumerProtocolSubscription.Read(ref reader, 0).Topics;
    }

    /// <summary>Reads a member's assignment.</summary>
    /// <exception cref="ProtocolException">The bytes are not one.</exception>
    public static ConsumerProtocolAssignment ReadAssignment(byte[] bytes)
    {
        var reader = new WireReader(bytes);
        return ConsumerProtocolAssignment.Read(ref reader, KnownVersion(reader.ReadInt16(), ConsumerProtocolAssignment.HighestVersion));
    }

    /// <summary>Writes an assignment in the version of the member's subscription, or the newest that is known.</summary>
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
