namespace Ottla.SchemaCompiler;

/// <summary>Reads the notation of <c>schemas/README.md</c>. Any line that it does not understand is an error that names file and line.</summary>
internal sealed class SchemaParser
{
    private const int IndentWidth = 2;

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
                _lines.Add((number, (line.Length - line.TrimStart().Length) / IndentWidth, text));
        }
    }

    public static Schema Parse(string path)
    {
        var parser = new SchemaParser(path);
        try
        {
            return parser.ParseSchema();
        }
        catch (Exception e) when (e is FormatException or ArgumentException or OverflowException)
        {
            var line = parser._lines[Math.Clamp(parser._next - 1, 0, parser._lines.Count - 1)];
            throw new SchemaException($"{path}({line.Number}): {e.Message} in '{line.Text}'");
        }
    }

    private Schema ParseSchema()
    {
        var description = Take().Text;
        if (!description.StartsWith("# "))
            throw new FormatException("a schema starts with a line '# what it is for'");
        var words = Take().Text.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        var listeners = Array.IndexOf(words, "on") is > 0 and var on ? string.Join("", words[(on + 1)..]).Split(',') : [];
        var schema = new Schema
        {
            Kind = words[0],
            Name = words[1],
            Key = words.Length > 2 ? int.Parse(words[2]) : null,
            Description = description[2..],
            Listeners = listeners,
        };
        while (_next < _lines.Count)
            schema.Messages.Add(ParseMessage(schema));
        return schema;
    }

    private Message ParseMessage(Schema schema)
    {
        var words = Take().Text.Split(' ');
        if (words is not [var side, var versions, "flexible", var flexible, ..])
            throw new FormatException("expected 'request|response|key|value|body VERSIONS flexible VERSIONS'");
        var name = side == "body" ? schema.Name : schema.Name + char.ToUpperInvariant(side[0]) + side[1..];
        var message = new Message
        {
            Name = name,
            Side = side,
            Versions = VersionRange.Parse(versions),
            FlexibleVersions = VersionRange.Parse(flexible),
            IsLatestVersionUnstable = words is [.., "unstable"],
        };
        message.Structs.Add(new Struct { Name = name, Versions = message.Versions });
        ParseFields(message, message.Body, 1);
        while (_next < _lines.Count && _lines[_next].Text.StartsWith("struct "))
        {
            var header = Take().Text.Split(' ');
            var declared = new Struct { Name = header[1], Versions = message.Versions.Intersect(header.Length > 2 ? VersionRange.Parse(header[2]) : VersionRange.All) };
            message.Structs.Add(declared);
            ParseFields(message, declared, 2);
        }

        return message;
    }

    private void ParseFields(Message message, Struct owner, int depth)
    {
        while (_next < _lines.Count && _lines[_next].Depth == depth && !_lines[_next].Text.StartsWith("struct "))
        {
            var field = ParseField(Take().Text, owner.Versions);
            if (!field.Versions.IsEmpty) // else it went with versions that are no longer spoken
                owner.Fields.Add(field);
            if (_next < _lines.Count && _lines[_next].Depth > depth)
            {
                var nested = new Struct { Name = field.TypeName, Versions = field.Versions.Intersect(owner.Versions) };
                message.Structs.Add(nested);
                ParseFields(message, nested, depth + 1);
            }
        }
    }

    /// <summary><c>Name: type[?[versions]] [versions] [tag N] [ignorable] [inflexible] [= default]</c></summary>
    private static Field ParseField(string text, VersionRange ownerVersions)
    {
        var (declaration, defaultValue) = text.Split(" = ", 2) is [var before, var after] ? (before, after) : (text, null);
        var words = declaration.Split(' ');
        if (words.Length < 2 || !words[0].EndsWith(':'))
            throw new FormatException("expected 'Name: type'");
        var (type, nullable) = words[1].Split('?') is [var t, var n] ? (t, n) : (words[1], null);
        var versions = VersionRange.All;
        int? tag = null;
        bool isIgnorable = false, isInflexible = false;
        for (var i = 2; i < words.Length; i++)
        {
            switch (words[i])
            {
                case "tag":
                    tag = int.Parse(words[++i]);
                    break;
                case "ignorable":
                    isIgnorable = true;
                    break;
                case "inflexible":
                    isInflexible = true;
                    break;
                default:
                    versions = VersionRange.Parse(words[i]);
                    break;
            }
        }

        versions = versions.Intersect(ownerVersions);
        return new Field
        {
            Name = words[0][..^1],
            IsArray = type.StartsWith("[]"),
            TypeName = type.StartsWith("[]") ? type[2..] : type,
            Versions = versions,
            NullableVersions = nullable switch { null => VersionRange.None, "" => versions, _ => VersionRange.Parse(nullable).Intersect(versions) },
            Tag = tag,
            IsIgnorable = isIgnorable,
            IsInflexible = isInflexible,
            Default = defaultValue,
        };
    }

    private (int Number, int Depth, string Text) Take() =>
        _next < _lines.Count ? _lines[_next++] : throw new SchemaException($"{_path}: ends too early");
}

/// <summary>A schema that cannot be compiled.</summary>
internal sealed class SchemaException(string message) : Exception(message);
