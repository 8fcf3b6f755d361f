namespace Ottla.SchemaCompiler;

/// <summary>How the notation's types, defaults and versions read in C#.</summary>
internal static class CSharp
{
    public static string ElementType(Field field) => field.IsPrimitive ? Primitives.All[field.TypeName].Type : field.TypeName;

    /// <summary>A tagged struct that is absent is null, so that the many empty ones cost nothing.</summary>
    public static bool IsAbsentAsNull(Field field) => field is { IsStruct: true, IsArray: false, Tag: not null, IsNullable: false };

    /// <summary>How a nullable struct is announced: in a tagged field otherwise than elsewhere.</summary>
    public static string PresenceMethod(Field field) => field.Tag is null ? "Presence" : "TaggedPresence";

    /// <summary>Whether a property can be null, allowed or not.</summary>
    public static bool CanBeNull(Field field) => field.IsArray || field.IsStruct || field.TypeName is "string" or "bytes" or "records";

    public static string PropertyType(Field field)
    {
        if (field is { TypeName: "records", IsArray: false })
            return "Records"; // which has a null of its own: the default value of the struct
        return ElementType(field) + (field.IsArray ? "[]" : "") + (field.IsNullable || IsAbsentAsNull(field) ? "?" : "");
    }

    public static string Initializer(Field field)
    {
        if (field.IsArray || field.TypeName == "bytes")
            return field.Default == "null" ? "" : " = [];";
        if (field.IsStruct)
            return field.IsNullable && field.Default == "null" || IsAbsentAsNull(field) ? "" : " = new();";
        return field switch
        {
            { TypeName: "records", IsNullable: false } => " = Records.Empty;",
            { TypeName: "string", Default: "null" } => "",
            { TypeName: "string" } => $" = \"{field.Default}\";",
            { Default: { } value } => $" = {value};",
            _ => "",
        };
    }

    /// <summary>The expression that tells whether a property still has its default.</summary>
    public static string IsDefault(Field field)
    {
        var name = field.Name;
        if (field.IsArray || field.TypeName == "bytes")
            return field.Default == "null" ? $"{name} is null" : $"{name} is {{ Length: 0 }}";
        if (field.IsStruct)
            return IsAbsentAsNull(field) ? $"{name} is null or {{ IsDefault: true }}"
                : field.Default == "null" ? $"{name} is null"
                : $"{name} is {{ IsDefault: true }}";
        return field switch
        {
            { TypeName: "records", IsNullable: true } => $"{name}.IsNull",
            { TypeName: "records" } => $"{name} is {{ IsNull: false, Length: 0 }}",
            { TypeName: "bool", Default: "true" } => name,
            { TypeName: "bool" } => $"!{name}",
            { TypeName: "uuid" } => $"{name} == Uuid.Zero",
            { TypeName: "string", Default: "null" } => $"{name} is null",
            { TypeName: "string" } => $"{name} == \"{field.Default}\"",
            _ => $"{name} == {field.Default ?? "0"}",
        };
    }

    /// <summary>
    /// The test for being within <paramref name="versions"/>, given that <paramref name="possible"/> holds already; null when always true.
    /// </summary>
    public static string? VersionCondition(VersionRange versions, VersionRange possible)
    {
        var fromBelow = versions.Low > possible.Low;
        var fromAbove = versions.High < possible.High;
        return (fromBelow, fromAbove) switch
        {
            _ when versions.IsEmpty => "false",
            (true, true) =>
                versions.Low == versions.High ? $"version == {versions.Low}" : $"version is >= {versions.Low} and <= {versions.High}",
            (true, false) => $"version >= {versions.Low}",
            (false, true) => $"version <= {versions.High}",
            _ => null,
        };
    }

    /// <summary>What stands for "is this version flexible" in emitted code.</summary>
    public static string Flexible(Message message) =>
        message.FlexibleVersions.IsEmpty ? "false" : message.FlexibleVersions.Contains(message.Versions) ? "true"
        : $"version >= {message.FlexibleVersions.Low}";

    public static string FlexibleChoice(Message message, string whenFlexible, string otherwise) => Flexible(message) switch
    {
        "true" => whenFlexible,
        "false" => otherwise,
        var condition => $"({condition} ? {whenFlexible} : {otherwise})",
    };

    /// <summary>The argument for methods whose encoding differs in flexible versions.</summary>
    public static string FlexibleArgument(Message message, Field field) =>
        field.IsInflexible ? "false" : field.Tag is not null ? "true" : Flexible(message) is "true" or "false" ? Flexible(message)
        : "flexible";

    /// <summary>Declares the local that <see cref="FlexibleArgument"/> may name.</summary>
    public static void DeclareFlexible(CodeWriter code, Message message)
    {
        if (Flexible(message) is not ("true" or "false"))
            code.Line($"var flexible = {Flexible(message)};");
    }
}
