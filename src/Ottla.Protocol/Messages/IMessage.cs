using System.Text.Json;
using Ottla.Protocol.Wire;

namespace Ottla.Protocol.Messages;

/// <summary>A message compiled from a schema: one class for all its versions.</summary>
public interface IMessage
{
    /// <summary>Encodes the message.</summary>
    /// <exception cref="UnsupportedVersionException">The schema has no such version.</exception>
    /// <exception cref="UnsupportedFieldException">A field that must not be dropped has a value, and the version has no place for it.</exception>
    void Write(ref WireWriter writer, short version);
}

/// <summary>What is known of a message type without an instance.</summary>
public interface IMessage<TSelf> : IMessage
    where TSelf : IMessage<TSelf>
{
    /// <summary>The oldest version of the schema.</summary>
    static abstract short LowestVersion { get; }

    /// <summary>The newest version of the schema.</summary>
    static abstract short HighestVersion { get; }

    /// <summary>The oldest version with compact lengths and tagged fields (KIP-482); <see cref="short.MaxValue"/> when there is none.</summary>
    static abstract short LowestFlexibleVersion { get; }

    /// <summary>Decodes a message.</summary>
    /// <exception cref="ProtocolException">The schema has no such version, or the bytes are not such a message.</exception>
    static abstract TSelf Read(ref WireReader reader, short version);
}

/// <summary>A message of an API.</summary>
public interface IApiMessage<TSelf> : IMessage<TSelf>
    where TSelf : IApiMessage<TSelf>
{
    /// <summary>The API it belongs to.</summary>
    static abstract ApiKey ApiKey { get; }
}

/// <summary>A request of an API.</summary>
public interface IRequestMessage<TSelf> : IApiMessage<TSelf>
    where TSelf : IRequestMessage<TSelf>;

/// <summary>A response of an API.</summary>
public interface IResponseMessage<TSelf> : IApiMessage<TSelf>
    where TSelf : IResponseMessage<TSelf>;

/// <summary>A message that is stored in files, and that tools show as JSON.</summary>
public interface IJsonMessage : IMessage
{
    /// <summary>Writes the fields that the version has, with the names and forms of Kafka's JSON converters: bytes in base64, tagged fields only when they are not the default.</summary>
    void WriteJson(Utf8JsonWriter json, short version);
}

/// <summary>A record of a log that the broker itself writes, or the key or value of one.</summary>
public interface IRecordMessage : IJsonMessage
{
    /// <summary>The number that names the type within its log.</summary>
    short RecordKey { get; }
}

/// <inheritdoc cref="IRecordMessage"/>
public interface IRecordMessage<TSelf> : IRecordMessage, IMessage<TSelf>
    where TSelf : IRecordMessage<TSelf>;

/// <summary>An object that is emptied and filled again instead of made anew.</summary>
public interface IReusable
{
    /// <summary>Makes the object as new, and takes back what it gave out. References into it are dead.</summary>
    void Reset();
}

/// <summary>A message of the hot path, marked <c>reused</c> in its schema.</summary>
public interface IReusableMessage : IMessage, IReusable
{
    /// <summary>Decodes a message into this object, whatever it was before.</summary>
    /// <exception cref="ProtocolException">The schema has no such version, or the bytes are not such a message; the object is to be reset.</exception>
    void ReadAgain(ref WireReader reader, short version);
}

/// <summary>What the schemas say of an API.</summary>
/// <param name="Key">The API.</param>
/// <param name="LowestVersion">The oldest version.</param>
/// <param name="HighestVersion">The newest version, stable or not.</param>
/// <param name="LowestFlexibleVersion">The oldest flexible version; <see cref="short.MaxValue"/> when there is none.</param>
/// <param name="IsLatestVersionUnstable">Whether the newest version may still change, and is not offered to clients.</param>
/// <param name="OnBroker">Whether brokers serve it.</param>
/// <param name="OnController">Whether controllers serve it.</param>
/// <param name="Description">What it is for.</param>
public sealed record ApiSchema(
    ApiKey Key,
    short LowestVersion,
    short HighestVersion,
    short LowestFlexibleVersion,
    bool IsLatestVersionUnstable,
    bool OnBroker,
    bool OnController,
    string Description)
{
    /// <summary>The newest version that clients may use.</summary>
    public short HighestStableVersion => IsLatestVersionUnstable ? (short)(HighestVersion - 1) : HighestVersion;
}
