namespace Ottla.Protocol;

/// <summary>Bytes that are not what they claim to be, or a message that its version cannot carry. The only exception that decoding and encoding throw.</summary>
public abstract class ProtocolException(string message) : Exception(message);

/// <summary>Bytes that are not a message of the announced type and version.</summary>
public sealed class MalformedMessageException(string message) : ProtocolException(message)
{
    internal static MalformedMessageException NotNullable(string field) => new($"{field} is null, which its version does not allow.");
}

/// <summary>A record of a type that no schema has: a newer version wrote it, or it belongs to another log.</summary>
public sealed class UnknownRecordTypeException(string kind, short recordKey) : ProtocolException($"{kind} type {recordKey} is not known.");

/// <summary>A version that the schema of a message does not have.</summary>
public sealed class UnsupportedVersionException(string message) : ProtocolException(message)
{
    internal static void ThrowIfOutside(short lowest, short highest, short version, string name)
    {
        if (version < lowest || version > highest)
            throw new UnsupportedVersionException($"{name} has versions {lowest} to {highest}, not {version}.");
    }
}

/// <summary>A field that must not be dropped has a value, and the version has no place for it.</summary>
public sealed class UnsupportedFieldException(string message) : ProtocolException(message)
{
    internal static UnsupportedFieldException Create(string field, short version) => new($"{field} has a value, but version {version} has no place for it.");

    internal static UnsupportedFieldException NotNullable(string field, short version) => new($"{field} is null, which version {version} does not allow.");
}
