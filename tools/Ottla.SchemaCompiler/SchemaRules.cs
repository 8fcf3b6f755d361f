using System.Globalization;

namespace Ottla.SchemaCompiler;

/// <summary>What must hold in a schema beyond the notation: whatever would otherwise only show in the compiled C#, or not at all.</summary>
internal static class SchemaRules
{
    private static readonly string[] KeyedKinds = [
        "api", "metadata-record", "group-record", "transaction-record", "share-record", "remote-log-record"];
    private static readonly string[] KnownListeners = ["broker", "controller"];

    public static string[] SidesOf(Schema schema) => schema.Kind switch
    {
        "api" => ["request", "response"],
        "group-record" or "transaction-record" or "share-record" => ["key", "value"],
        _ => ["body"],
    };

    public static void CheckHeader(Schema schema)
    {
        if (schema.Kind != "data" && !KeyedKinds.Contains(schema.Kind))
            throw new FormatException($"'{schema.Kind}' is no kind of schema");
        if ((schema.Key is not null) != KeyedKinds.Contains(schema.Kind))
            throw new FormatException(schema.Key is null ? "the number is missing" : "a schema of this kind has no number");
        if (schema.Key > short.MaxValue)
            throw new FormatException($"{schema.Key} is more than a number can be");
        if (schema.Listeners.FirstOrDefault(listener => !KnownListeners.Contains(listener)) is { } unknown)
            throw new FormatException($"'{unknown}' is no listener");
        if ((schema.Kind == "api") != (schema.Listeners.Length > 0))
            throw new FormatException("an API, and nothing else, names its listeners");
    }

    public static void CheckVersions(Message message)
    {
        if (message.Versions.IsEmpty || message.Versions.IsOpen)
            throw new FormatException("a message has a first and a last version");
        if (!message.FlexibleVersions.IsEmpty && !message.FlexibleVersions.IsOpen)
            throw new FormatException("what is flexible once is so in all later versions");
    }

    /// <summary>Rules over a whole schema.</summary>
    public static void Check(Schema schema)
    {
        if (!schema.Messages.Select(message => message.Side).SequenceEqual(SidesOf(schema)))
            throw Error(
                schema, schema.Messages.Count > 0 ? schema.Messages[^1].Body.Line : schema.Line,
                $"a schema of this kind has {string.Join(" and ", SidesOf(schema))}, once and in this order");
        foreach (var message in schema.Messages)
        {
            CheckStructs(schema, message);
            foreach (var owner in message.Structs)
            {
                var names = new HashSet<string>();
                var tags = new HashSet<int>();
                foreach (var field in owner.Fields)
                {
                    if (!names.Add(field.Name))
                        throw Error(schema, field.Line, $"{field.Name} is declared twice");
                    if (field.Tag is { } tag && !tags.Add(tag))
                        throw Error(schema, field.Line, $"tag {tag} is taken");
                    CheckField(schema, message, field);
                }
            }
        }

        CheckSources(schema);
        if (schema.Kind == "api" && schema.Messages[0].Versions != schema.Messages[1].Versions)
            throw Error(schema, schema.Messages[1].Body.Line, "request and response have different versions");
    }

    /// <summary>Rules over all schemas.</summary>
    public static void CheckTogether(IReadOnlyList<Schema> schemas)
    {
        foreach (var group in schemas.Where(s => s.Key is not null).GroupBy(s => (s.Kind, s.Key)).Where(g => g.Count() > 1))
            throw Error(group.Last(), group.Last().Line, $"{group.First().Path} has number {group.Key.Key} already");
        foreach (var group in schemas.SelectMany(s => s.Messages.Select(m => (Schema: s, Message: m))).GroupBy(m => m.Message.Name)
            .Where(g => g.Count() > 1))
            throw Error(group.Last().Schema, group.Last().Message.Body.Line, $"{group.First().Schema.Path} has a {group.Key} already");
    }

    /// <summary>What an error response is filled from has to be there.</summary>
    private static void CheckSources(Schema schema)
    {
        foreach (var message in schema.Messages)
        {
            var isResponse = schema.Kind == "api" && message.Side == "response";
            foreach (var field in message.Structs.SelectMany(owner => owner.Fields))
            {
                if (!isResponse && (field.Sources.Length > 0 || field.ErrorValue is not null))
                    throw Error(schema, field.Line, "only a response is filled from a request");
                if (field is { Sources.Length: > 0, IsArray: true, IsStruct: false })
                    throw Error(schema, field.Line, "only an array of structs is filled from a request");
                if (field.ErrorValue is { } value && !IsDefaultPossible(field, value))
                    throw Error(schema, field.Line, $"'{value}' is no value of {field.Name}");
            }
        }

        if (schema.Kind == "api")
            ErrorEmitter.Check(schema, (field, what) => Error(schema, field.Line, what));
    }

    private static void CheckStructs(Schema schema, Message message)
    {
        var structs = new Dictionary<string, Struct>();
        foreach (var declared in message.Structs)
        {
            if (!structs.TryAdd(declared.Name, declared))
                throw Error(schema, declared.Line, $"{declared.Name} is declared twice");
            if (message.Body.Fields.Any(field => field.Name == declared.Name))
                throw Error(schema, declared.Line, $"{declared.Name} is a field of the message too");
        }

        var used = new HashSet<string> { message.Name };
        foreach (var field in message.Structs.SelectMany(s => s.Fields).Where(field => field.IsStruct))
        {
            if (!structs.TryGetValue(field.TypeName, out var type))
                throw Error(schema, field.Line, $"{field.TypeName} is not known");
            if (!type.Versions.Contains(field.Versions))
                throw Error(schema, field.Line, $"{field.Name} has versions {field.Versions}, but {type.Name} only {type.Versions}");
            used.Add(field.TypeName);
        }

        if (message.Structs.Find(s => !used.Contains(s.Name) && !s.Versions.IsEmpty) is { } unused)
            throw Error(schema, unused.Line, $"{unused.Name} is not used");
        CheckAcyclic(schema, structs, message.Body, []);
    }

    /// <summary>A struct within itself could nest as deep as a frame is long.</summary>
    private static void CheckAcyclic(Schema schema, Dictionary<string, Struct> structs, Struct owner, HashSet<string> path)
    {
        if (!path.Add(owner.Name))
            throw Error(schema, owner.Line, $"{owner.Name} contains itself");
        foreach (var field in owner.Fields.Where(field => field.IsStruct))
            CheckAcyclic(schema, structs, structs[field.TypeName], path);
        path.Remove(owner.Name);
    }

    private static void CheckField(Schema schema, Message message, Field field)
    {
        var line = field.Line;
        if (field.IsNullable && !CSharp.CanBeNull(field))
            throw Error(schema, line, $"a {field.TypeName} cannot be null");
        if (field is { IsArray: true, TypeName: "records" })
            throw Error(schema, line, "records are an array already");
        if (field.IsInflexible && field is not { TypeName: "string", IsArray: false, Tag: null })
            throw Error(schema, line, "only a string can be inflexible");
        if (field.Tag is not null && !message.FlexibleVersions.Contains(field.Versions))
            throw Error(schema, line, $"tagged fields are there from version {message.FlexibleVersions} on");
        if (field.Tag is not null && field.TypeName == "records")
            throw Error(schema, line, "records cannot be tagged: their bytes are not there to measure");
        if (field.Default is { } value && !IsDefaultPossible(field, value))
            throw Error(
                schema, line, $"'{value}' is no default of a {(field.IsArray ? "[]" : "")}{field.TypeName}{(field.IsNullable ? "?" : "")}");
    }

    private static bool IsDefaultPossible(Field field, string value)
    {
        if (value == "null")
            return field.IsNullable;
        if (field.IsArray || field.IsStruct)
            return false;
        var culture = CultureInfo.InvariantCulture;
        const NumberStyles Style = NumberStyles.AllowLeadingSign;
        return field.TypeName switch
        {
            "bool" => value is "true" or "false",
            "int8" => sbyte.TryParse(value, Style, culture, out var _),
            "int16" => short.TryParse(value, Style, culture, out var _),
            "uint16" => ushort.TryParse(value, Style, culture, out var _),
            "int32" => int.TryParse(value, Style, culture, out var _),
            "uint32" => uint.TryParse(value, Style, culture, out var _),
            "int64" => long.TryParse(value, Style, culture, out var _),
            "float64" => double.TryParse(value, NumberStyles.Float, culture, out var _),
            "string" => value.All(c => c is >= ' ' and <= '~' and not ('"' or '\\')),
            _ => false,
        };
    }

    private static SchemaException Error(Schema schema, int line, string what) => new($"{schema.Path}({line}): {what}");
}
