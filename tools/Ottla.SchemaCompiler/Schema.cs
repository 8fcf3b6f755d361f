using System.Globalization;

namespace Ottla.SchemaCompiler;

/// <summary>An inclusive range of message versions: <c>3+</c>, <c>0-12</c>, <c>4</c> or <c>none</c>.</summary>
internal readonly record struct VersionRange(int Low, int High)
{
    public static readonly VersionRange All = new(0, short.MaxValue);

    public static readonly VersionRange None = new(short.MaxValue, -1);

    public bool IsEmpty => Low > High;

    public bool IsOpen => High == short.MaxValue;

    public bool Contains(VersionRange other) => other.IsEmpty || (Low <= other.Low && High >= other.High);

    public VersionRange Intersect(VersionRange other) => new(Math.Max(Low, other.Low), Math.Min(High, other.High));

    public static VersionRange Parse(string text) => text switch
    {
        "none" => None,
        _ when text.EndsWith('+') => Checked(text, text[..^1], $"{short.MaxValue}"),
        _ when text.Split('-') is [var low, var high] => Checked(text, low, high),
        _ => Checked(text, text, text),
    };

    private static VersionRange Checked(string text, string low, string high) =>
        short.TryParse(low, NumberStyles.None, CultureInfo.InvariantCulture, out var from)
        && short.TryParse(high, NumberStyles.None, CultureInfo.InvariantCulture, out var to) && from <= to
            ? new VersionRange(from, to)
            : throw new FormatException($"'{text}' are no versions");

    public override string ToString() => IsEmpty ? "none" : IsOpen ? $"{Low}+" : Low == High ? $"{Low}" : $"{Low}-{High}";
}

/// <summary>A field of a message or struct, as one line of a schema declares it.</summary>
internal sealed class Field
{
    public required string Name { get; init; }

    /// <summary>The line of the schema that declares it.</summary>
    public required int Line { get; init; }

    /// <summary>The type without <c>[]</c> and <c>?</c>: a primitive or the name of a struct.</summary>
    public required string TypeName { get; init; }

    public required bool IsArray { get; init; }

    public required VersionRange Versions { get; init; }

    public required VersionRange NullableVersions { get; init; }

    /// <summary>The tag, for a tagged field of flexible versions; null for a field at a fixed place.</summary>
    public required int? Tag { get; init; }

    /// <summary>Whether a value may be dropped silently at a version that has no place for it.</summary>
    public required bool IsIgnorable { get; init; }

    /// <summary>Whether it keeps its old encoding in flexible versions (only the client id of request headers).</summary>
    public required bool IsInflexible { get; init; }

    /// <summary>The default as written in the schema; null for the type's own.</summary>
    public required string? Default { get; init; }

    /// <summary>
    /// In a response: the fields of the request that an error response is filled from. An array gets an element for each of theirs.
    /// </summary>
    public string[] Sources { get; init; } = [];

    /// <summary>In a response: the value in an error response where that is not the default; null for the default.</summary>
    public string? ErrorValue { get; init; }

    public bool IsNullable => !NullableVersions.IsEmpty;

    public bool IsPrimitive => Primitives.All.ContainsKey(TypeName);

    public bool IsStruct => !IsPrimitive;
}

/// <summary>A struct: the body of a message, or the elements of one of its fields.</summary>
internal sealed class Struct
{
    public required string Name { get; init; }

    /// <summary>The line of the schema that declares it.</summary>
    public required int Line { get; init; }

    public required VersionRange Versions { get; init; }

    public List<Field> Fields { get; } = [];
}

/// <summary>One encodable message: a side of an API, or the key, value or body of a record.</summary>
internal sealed class Message
{
    public required string Name { get; init; }

    /// <summary>request, response, key, value or body.</summary>
    public required string Side { get; init; }

    public required VersionRange Versions { get; init; }

    public required VersionRange FlexibleVersions { get; init; }

    /// <summary>Whether the newest version may still change upstream, and is not offered to clients.</summary>
    public required bool IsLatestVersionUnstable { get; init; }

    /// <summary>Whether its objects can be filled again and again: for messages of the hot path.</summary>
    public required bool IsReused { get; init; }

    /// <summary>The message's own fields come first, then its structs.</summary>
    public List<Struct> Structs { get; } = [];

    public Struct Body => Structs[0];
}

/// <summary>A schema file: an API or a record type, with its messages.</summary>
internal sealed class Schema
{
    /// <summary>The file it was read from, for errors.</summary>
    public required string Path { get; init; }

    /// <summary>The line of its header.</summary>
    public required int Line { get; init; }

    public required string Name { get; init; }

    /// <summary>api, data, or "something-record".</summary>
    public required string Kind { get; init; }

    public required string Description { get; init; }

    public required int? Key { get; init; }

    /// <summary>The listeners an API is served on: broker, controller or both.</summary>
    public required string[] Listeners { get; init; }

    public List<Message> Messages { get; } = [];
}

/// <summary>The primitive types of the notation.</summary>
internal static class Primitives
{
    /// <summary>Name in a schema to (C# type, method suffix of the reader and writer, bytes; 0 where the length varies).</summary>
    public static readonly Dictionary<string, (string Type, string Method, int Size)> All = new()
    {
        ["bool"] = ("bool", "Boolean", 1),
        ["int8"] = ("sbyte", "Int8", 1),
        ["int16"] = ("short", "Int16", 2),
        ["uint16"] = ("ushort", "UInt16", 2),
        ["int32"] = ("int", "Int32", 4),
        ["uint32"] = ("uint", "UInt32", 4),
        ["int64"] = ("long", "Int64", 8),
        ["float64"] = ("double", "Float64", 8),
        ["uuid"] = ("Uuid", "Uuid", 16),
        ["string"] = ("string", "String", 0),
        ["bytes"] = ("byte[]", "Bytes", 0),
        ["records"] = ("Records", "Records", 0),
    };
}
