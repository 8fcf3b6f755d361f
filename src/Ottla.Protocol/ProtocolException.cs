namespace Ottla.Protocol;

/// <summary>
/// Bytes that are not what they claim to be, or a message that does not fit its version. Decoding and encoding throw no other exceptions.
/// </summary>
public abstract class ProtocolException(string message) : Exception(message);

/// <summary>Bytes that are not a message of the announced type and version.</summary>
public sealed class MalformedMessageException(string message) : ProtocolException(message)
{
    internal static MalformedMessageException NotNullable(string field) => new($"{field} is null, but this version does not allow null.");
}

/// <summary>A record of an unknown type: a newer version wrote it, or it belongs to another log.</summary>
public sealed class UnknownRecordTypeException(string kind, short recordKey) : ProtocolException($"Unknown {kind} type {recordKey}.");

/// <summary>A version that the message's schema does not have.</summary>
public sealed class UnsupportedVersionException(string message) : ProtocolException(message)
{
    internal static void ThrowIfOutside(short lowest, short highest, short version, string name)
    {
        if (version < lowest || version > highest)
            throw new UnsupportedVersionException(
                $"{name} does not support version {version}: the supported versions are {lowest} to {highest}.");
    }
}

/// <summary>A field that must not be dropped has a value, but the version does not have the field.</summary>
public sealed class UnsupportedFieldException(string message) : ProtocolException(message)
{
    internal static UnsupportedFieldException Create(string field, short version) =>
        new($"{field} has a value, but version {version} does not have this field.");

    internal static UnsupportedFieldException NotNullable(string field, short version) =>
        new($"{field} is null, but version {version} does not allow null.");
}
