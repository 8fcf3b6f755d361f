using System.Text.Json;
using Ottla.Protocol.Wire;

namespace Ottla.Protocol.Messages;

/// <summary>A message generated from a schema: one class for all of its versions.</summary>
public interface IMessage
{
    /// <summary>Encodes the message.</summary>
    /// <exception cref="UnsupportedVersionException">The schema does not have the version.</exception>
    /// <exception cref="UnsupportedFieldException">
    /// A field that must not be dropped has a value, but the version does not have the field.
    /// </exception>
    void Write(ref WireWriter writer, short version);
}

/// <summary>Static members of a message type.</summary>
public interface IMessage<TSelf> : IMessage
    where TSelf : IMessage<TSelf>
{
    /// <summary>The oldest version of the schema.</summary>
    static abstract short LowestVersion { get; }

    /// <summary>The newest version of the schema.</summary>
    static abstract short HighestVersion { get; }

    /// <summary>
    /// The oldest version with compact lengths and tagged fields (KIP-482); <see cref="short.MaxValue"/> when there is none.
    /// </summary>
    static abstract short LowestFlexibleVersion { get; }

    /// <summary>Decodes a message.</summary>
    /// <exception cref="ProtocolException">The schema does not have the version, or the bytes are not such a message.</exception>
    static abstract TSelf Read(ref WireReader reader, short version);
}

/// <summary>A message of an API.</summary>
public interface IApiMessage<TSelf> : IMessage<TSelf>
    where TSelf : IApiMessage<TSelf>
{
    /// <summary>The API of the message.</summary>
    static abstract ApiKey ApiKey { get; }
}

/// <summary>A request of an API.</summary>
public interface IRequestMessage<TSelf> : IApiMessage<TSelf>
    where TSelf : IRequestMessage<TSelf>;

/// <summary>A request that knows what its response looks like when all of it fails.</summary>
/// <remarks>
/// Compiled from the schemas: every error code of the response is set, for each thing that the request names where the response says so by
/// <c>from</c>.
/// </remarks>
public interface IFailableRequest<TResponse>
{
    /// <summary>The response that says the same error of everything that was asked for.</summary>
    /// <param name="version">The version of the request.</param>
    /// <param name="errorCode">The error.</param>
    /// <param name="errorMessage">What is said beside it, where the version has a place for it.</param>
    TResponse ToErrorResponse(short version, short errorCode, string? errorMessage);
}

/// <summary>A response of an API.</summary>
public interface IResponseMessage<TSelf> : IApiMessage<TSelf>
    where TSelf : IResponseMessage<TSelf>
{
    /// <summary>Adds up the error codes, NONE too: one of the response, or one of each thing that it names.</summary>
    /// <param name="version">The version of the response; fields that it does not have are left out.</param>
    /// <param name="tally">Receives the codes.</param>
    void CountErrors(short version, ref ErrorTally tally);
}

/// <summary>A message that is stored in files and that tools show as JSON.</summary>
public interface IJsonMessage : IMessage
{
    /// <summary>
    /// Writes the fields of a version in the names and forms of Kafka's JSON converters: bytes as base64, and tagged fields only when they
    /// differ from the default.
    /// </summary>
    void WriteJson(Utf8JsonWriter json, short version);
}

/// <summary>A record, or its key or value, in a log that the broker writes for itself.</summary>
public interface IRecordMessage : IJsonMessage
{
    /// <summary>The number of the type within its log.</summary>
    short RecordKey { get; }
}

/// <inheritdoc cref="IRecordMessage"/>
public interface IRecordMessage<TSelf> : IRecordMessage, IMessage<TSelf>
    where TSelf : IRecordMessage<TSelf>;

/// <summary>A response that tells its client how long the broker holds it back because of a quota.</summary>
public interface IThrottledMessage
{
    /// <summary>For how long, in milliseconds; 0 for not at all. Older versions of some responses leave it out.</summary>
    int ThrottleTimeMs { get; set; }
}

/// <summary>An object that is reset and filled again instead of allocated anew.</summary>
public interface IReusable
{
    /// <summary>Resets the object, and takes its parts back. References into it become invalid.</summary>
    void Reset();
}

/// <summary>A reusable message of the hot path; its schema is marked <c>reused</c>.</summary>
public interface IReusableMessage : IMessage, IReusable
{
    /// <summary>Decodes a message into this object and replaces its content.</summary>
    /// <exception cref="ProtocolException">
    /// The schema does not have the version, or the bytes are not such a message. The object must be reset.
    /// </exception>
    void ReadAgain(ref WireReader reader, short version);
}

/// <summary>The schemas' data about an API.</summary>
/// <param name="Key">The API.</param>
/// <param name="LowestVersion">The oldest version.</param>
/// <param name="HighestVersion">The newest version, stable or not.</param>
/// <param name="LowestFlexibleVersion">The oldest flexible version; <see cref="short.MaxValue"/> when there is none.</param>
/// <param name="IsLatestVersionUnstable">Whether the newest version may still change and is not offered to clients.</param>
/// <param name="OnBroker">Whether brokers serve the API.</param>
/// <param name="OnController">Whether controllers serve the API.</param>
/// <param name="Description">The purpose of the API.</param>
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
