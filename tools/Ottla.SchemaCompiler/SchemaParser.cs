using System.Globalization;

namespace Ottla.SchemaCompiler;

/// <summary>
/// Reads the notation of <c>schemas/README.md</c>. Any line that it does not understand is an error that names file and line.
/// </summary>
internal sealed class SchemaParser
{
    private const int IndentWidth = 2;

    /// <summary>What may stand behind the versions of a message.</summary>
    private static readonly string[] s_marks = ["unstable", "reused"];

    private readonly string _path;
    private readonly List<(int Number, int Depth, string Text)> _lines = [];
    private int _next;

    private SchemaParser(string path)
    {
        _path = path;
        var number = 0;
        foreach (var line in File.ReadLines(path))
        {
            number++;
            var text = line.Trim();
            if (text.Length > 0 && !(text[0] == '#' && _lines.Count > 0))
                _lines.Add((number, Depth(line), text));
        }
    }

    /// <summary>The levels a line is indented by; -1, which nothing expects, when it is not a whole number of them.</summary>
    private static int Depth(string line)
    {
        var width = line.Length - line.TrimStart(' ').Length;
        return line[width] == '\t' || width % IndentWidth != 0 ? -1 : width / IndentWidth;
    }

    public static Schema Parse(string path)
    {
        var parser = new SchemaParser(path);
        try
        {
            var schema = parser.ParseSchema();
            SchemaRules.Check(schema);
            return schema;
        }
        catch (FormatException e)
        {
            var line = parser._lines[Math.Max(parser._next - 1, 0)];
            throw new SchemaException($"{path}({line.Number}): {e.Message} in '{line.Text}'");
        }
    }

    private Schema ParseSchema()
    {
        var description = Take().Text;
        if (!description.StartsWith("# "))
            throw new FormatException("a schema starts with a line '# what it is for'");
        var (line, header) = Take();
        var words = header.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        var on = Array.IndexOf(words, "on") is >= 0 and var found ? found : words.Length;
        if (words[..on] is not [var kind, var name, .. { Length: <= 1 } key])
            throw new FormatException("expected 'KIND NAME [KEY] [on LISTENER, LISTENER]'");
        var schema = new Schema
        {
            Path = _path,
            Line = line,
            Kind = kind,
            Name = name,
            Key = key is [var number] ? ParseNumber(number) : null,
            Description = description[2..],
            Listeners = on < words.Length ? string.Join("", words[(on + 1)..]).Split(',') : [],
        };
        SchemaRules.CheckHeader(schema);
        while (_next < _lines.Count)
            schema.Messages.Add(ParseMessage(schema));
        return schema;
    }

    private Message ParseMessage(Schema schema)
    {
        var depth = _next < _lines.Count ? _lines[_next].Depth : 0;
        var (line, text) = Take();
        if (depth != 0 || text.Split(' ') is not [var side, var versions, "flexible", var flexible, .. var marks]
            || marks.Except(s_marks).Any() || !SchemaRules.SidesOf(schema).Contains(side))
            throw new FormatException(
                $"expected '{string.Join('|', SchemaRules.SidesOf(schema))} VERSIONS flexible VERSIONS [{string.Join("] [", s_marks)}]'");
        var name = side == "body" ? schema.Name : schema.Name + char.ToUpperInvariant(side[0]) + side[1..];
        var message = new Message
        {
            Name = name,
            Side = side,
            Versions = VersionRange.Parse(versions),
            FlexibleVersions = VersionRange.Parse(flexible),
            IsLatestVersionUnstable = marks.Contains("unstable"),
            IsReused = marks.Contains("reused"),
        };
        SchemaRules.CheckVersions(message);
        message.Structs.Add(new Struct { Name = name, Line = line, Versions = message.Versions });
        ParseFields(message, message.Body, 1);
        while (_next < _lines.Count && _lines[_next].Depth == 1 && _lines[_next].Text.Split(' ')[0] == "struct")
        {
            var header = Take();
            if (header.Text.Split(' ') is not [_, var structName, .. { Length: <= 1 } structVersions])
                throw new FormatException("expected 'struct NAME [VERSIONS]'");
            var declared = new Struct
            {
                Name = structName,
                Line = header.Line,
                Versions = message.Versions.Intersect(structVersions is [var range] ? VersionRange.Parse(range) : VersionRange.All),
            };
            message.Structs.Add(declared);
            ParseFields(message, declared, 2);
        }

        return message;
    }

    private void ParseFields(Message message, Struct owner, int depth)
    {
        while (_next < _lines.Count && _lines[_next].Depth == depth && !_lines[_next].Text.StartsWith("struct "))
        {
            var (line, text) = Take();
            var field = ParseField(line, text, owner.Versions);
            if (!field.Versions.IsEmpty) // else it went with versions that are no longer spoken
                owner.Fields.Add(field);
            if (_next < _lines.Count && _lines[_next].Depth > depth)
            {
                if (field.IsPrimitive)
                    throw new FormatException($"{field.TypeName} has no fields");
                var nested = new Struct { Name = field.TypeName, Line = line, Versions = field.Versions.Intersect(owner.Versions) };
                message.Structs.Add(nested);
                ParseFields(message, nested, depth + 1);
            }
        }
    }

    /// <summary>
    /// <c>Name: type[?[versions]] [versions] [tag N] [ignorable] [inflexible] [from FIELD]... [error VALUE] [= default]</c>
    /// </summary>
    private static Field ParseField(int line, string text, VersionRange ownerVersions)
    {
        var (declaration, defaultValue) = text.Split(" = ", 2) is [var before, var after] ? (before, after) : (text, null);
        var words = declaration.Split(' ');
        if (words.Length < 2 || !words[0].EndsWith(':') || words[1].Split('?').Length > 2)
            throw new FormatException("expected 'Name: type'");
        var (type, nullable) = words[1].Split('?') is [var t, var n] ? (t, n) : (words[1], null);
        VersionRange? declared = null;
        int? tag = null;
        bool isIgnorable = false, isInflexible = false;
        var sources = new List<string>();
        string? errorValue = null;
        for (var i = 2; i < words.Length; i++)
        {
            switch (words[i])
            {
                case "tag":
                    tag = ParseNumber(++i < words.Length ? words[i] : "");
                    break;
                case "from":
                    sources.Add(++i < words.Length ? words[i] : throw new FormatException("'from' names a field"));
                    break;
                case "error":
                    errorValue = ++i < words.Length ? words[i] : throw new FormatException("'error' has a value");
                    break;
                case "ignorable":
                    isIgnorable = true;
                    break;
                case "inflexible":
                    isInflexible = true;
                    break;
                default:
                    if (declared is not null)
                        throw new FormatException($"'{words[i]}' is not understood");
                    declared = VersionRange.Parse(words[i]);
                    break;
            }
        }

        var versions = (declared ?? VersionRange.All).Intersect(ownerVersions);
        return new Field
        {
            Name = words[0][..^1],
            Line = line,
            IsArray = type.StartsWith("[]"),
            TypeName = type.StartsWith("[]") ? type[2..] : type,
            Versions = versions,
            NullableVersions =
                nullable switch { null => VersionRange.None, "" => versions, _ => VersionRange.Parse(nullable).Intersect(versions) },
            Tag = tag,
            IsIgnorable = isIgnorable,
            IsInflexible = isInflexible,
            Default = defaultValue,
            Sources = [.. sources],
            ErrorValue = errorValue,
        };
    }

    private static int ParseNumber(string text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number
        : throw new FormatException($"'{text}' is not a number");

    private (int Line, string Text) Take()
    {
        if (_next == _lines.Count)
            throw new SchemaException($"{_path}({(_lines.Count == 0 ? 1 : _lines[^1].Number)}): the schema ends too early");
        var (number, _, text) = _lines[_next++];
        return (number, text);
    }
}

/// <summary>A schema that cannot be compiled.</summary>
internal sealed class SchemaException(string message) : Exception(message);
