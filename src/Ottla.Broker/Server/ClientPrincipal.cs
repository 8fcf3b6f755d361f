using System.Buffers.Binary;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Wire;

namespace Ottla.Broker.Server;

/// <summary>The identity of a client, which a broker sends to the controller with a forwarded request (KIP-590). Immutable.</summary>
/// <param name="Type">The kind of name: <c>User</c>.</param>
/// <param name="Name">The name.</param>
/// <param name="IsTokenAuthenticated">Whether the client logged in with a delegation token.</param>
public sealed record ClientPrincipal(string Type, string Name, bool IsTokenAuthenticated)
{
    /// <summary>The type of every user.</summary>
    public const string UserType = "User";

    private const short Version = 0;

    /// <summary>A client that has not logged in.</summary>
    public static readonly ClientPrincipal Anonymous = new(UserType, "ANONYMOUS", false);

    /// <summary>Writes the principal as Kafka's default principal builder does.</summary>
    public byte[] Serialize()
    {
        var data = new DefaultPrincipalData { Type = Type, Name = Name, TokenAuthenticated = IsTokenAuthenticated };
        byte[] bytes = [0, 0, .. WireBuffer.Encode(data, Version)];
        BinaryPrimitives.WriteInt16BigEndian(bytes, Version);
        return bytes;
    }

    /// <summary>Reads a principal.</summary>
    /// <exception cref="ProtocolException">The bytes are not a principal.</exception>
    public static ClientPrincipal Deserialize(byte[] bytes)
    {
        var reader = new WireReader(bytes);
        var version = reader.ReadInt16();
        if (version != Version)
            throw new MalformedMessageException($"A principal of version {version} is unknown.");
        var data = DefaultPrincipalData.Read(ref reader, version);
        return new ClientPrincipal(data.Type, data.Name, data.TokenAuthenticated);
    }
}
