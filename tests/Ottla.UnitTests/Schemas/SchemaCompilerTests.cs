using System.Text.RegularExpressions;
using Ottla.SchemaCompiler;
using Ottla.UnitTests.Repository;

namespace Ottla.UnitTests.Schemas;

/// <summary>The notation of schemas/README.md: what is understood, and that every mistake is told with its file and line.</summary>
public sealed partial class SchemaCompilerTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("ottla-schemas-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public void Good_notation()
    {
        var schema = Parse("""
            # What it is for: one line.
            api Sample 7 on broker, controller

            # A remark between.
            request 3-13 flexible 9+ unstable
              Id: string? = null
              Topics: []Topic
                Name: string 0-12 ignorable
                TopicId: uuid 13+ ignorable
              Count: int32 4 = -1
            response 3-13 flexible 9+
              Error: int16 = -1
              Newer: Leader 10+ tag 0
              Older: Leader 10-11
              Data: bytes?7+
              Client: string inflexible
              struct Leader 10+
                LeaderId: int32 = -1
            """);
        Assert.Equal(("api", "Sample", 7, "What it is for: one line."), (schema.Kind, schema.Name, schema.Key, schema.Description));
        Assert.Equal(["broker", "controller"], schema.Listeners);
        var (request, response) = (schema.Messages[0], schema.Messages[1]);
        Assert.Equal(
            ("SampleRequest", "3-13", "9+", true),
            (request.Name, $"{request.Versions}", $"{request.FlexibleVersions}", request.IsLatestVersionUnstable));
        Assert.Equal(
            ("SampleResponse", "3-13", "9+", false),
            (response.Name, $"{response.Versions}", $"{response.FlexibleVersions}", response.IsLatestVersionUnstable));
        Assert.Equal(["Id string 3-13 null 3-13 = null", "Topics []Topic 3-13", "Count int32 4 = -1"], request.Body.Fields.Select(Text));
        Assert.Equal(["Name string 3-12 ignorable", "TopicId uuid 13 ignorable"], request.Structs[1].Fields.Select(Text));
        Assert.Equal(
            ["Error int16 3-13 = -1", "Newer Leader 10-13 tag 0", "Older Leader 10-11", "Data bytes 3-13 null 7-13",
                "Client string 3-13 inflexible"], response.Body.Fields.Select(Text));
        Assert.Equal(("Leader", "10-13"), (response.Structs[1].Name, $"{response.Structs[1].Versions}"));
        Assert.Equal([5, 6, 7, 8, 9, 10], request.Structs.SelectMany(s => s.Fields).Select(f => f.Line).Append(request.Body.Line).Order());
    }

    [Fact]
    public void Fields_of_versions_that_are_no_longer_spoken_are_left_out()
    {
        var schema = Parse("""
            # Purpose.
            data Sample
            body 3-4 flexible none
              Gone: int8 0-2
              Kept: int8 0-3
            """);
        Assert.Equal(["Kept int8 3"], schema.Messages[0].Body.Fields.Select(Text));
    }

    public static TheoryData<string, int, string> Mistakes => new()
    {
        // the header
        { "", 1, "ends too early" },
        { "# Purpose.", 1, "ends too early" },
        { "api A 1 on broker", 1, "starts with a line '# what it is for'" },
        { "# Purpose.\n\ndata", 3, "expected 'KIND NAME" },
        { "# Purpose.\ndata A 1 2", 2, "expected 'KIND NAME" },
        { "# Purpose.\nthing A", 2, "no kind of schema" },
        { "# Purpose.\napi A on broker", 2, "the number is missing" },
        { "# Purpose.\napi A x on broker", 2, "'x' is not a number" },
        { "# Purpose.\napi A -1 on broker", 2, "'-1' is not a number" },
        { "# Purpose.\napi A 99999 on broker", 2, "more than a number can be" },
        { "# Purpose.\ndata A 1", 2, "has no number" },
        { "# Purpose.\napi A 1", 2, "names its listeners" },
        { "# Purpose.\napi A 1 on mars", 2, "'mars' is no listener" },
        { "# Purpose.\ndata A on broker", 2, "names its listeners" },
        // the messages
        { "# Purpose.\ndata A", 2, "has body" },
        { "# Purpose.\ndata A\nrequest 0 flexible 0+", 3, "expected 'body VERSIONS" },
        { "# Purpose.\ndata A\nbody 0", 3, "expected 'body VERSIONS" },
        { "# Purpose.\ndata A\nbody 0 flexible", 3, "expected 'body VERSIONS" },
        { "# Purpose.\ndata A\nbody 0 flexible 0+ unstabel", 3, "expected 'body VERSIONS" },
        { "# Purpose.\ndata A\n  body 0 flexible 0+", 3, "expected 'body VERSIONS" },
        { "# Purpose.\ndata A\nbody 0+ flexible 0+", 3, "a first and a last version" },
        { "# Purpose.\ndata A\nbody none flexible 0+", 3, "a first and a last version" },
        { "# Purpose.\ndata A\nbody 0-2 flexible 0-1", 3, "flexible once" },
        { "# Purpose.\ndata A\nbody 2-1 flexible none", 3, "'2-1' are no versions" },
        { "# Purpose.\ndata A\nbody x flexible none", 3, "'x' are no versions" },
        { "# Purpose.\ndata A\nbody 0-1-2 flexible none", 3, "'0-1-2' are no versions" },
        { "# Purpose.\ndata A\nbody 0-99999 flexible none", 3, "'0-99999' are no versions" },
        { "# Purpose.\ndata A\nbody 0 flexible none\nbody 0 flexible none", 4, "once and in this order" },
        { "# Purpose.\napi A 1 on broker\nrequest 0 flexible none", 3, "request and response" },
        { "# Purpose.\napi A 1 on broker\nresponse 0 flexible none\nrequest 0 flexible none", 4, "in this order" },
        { "# Purpose.\napi A 1 on broker\nrequest 0-1 flexible none\nresponse 0 flexible none", 4, "different versions" },
        // the fields
        { Body("A"), 4, "expected 'Name: type'" },
        { Body("A:"), 4, "expected 'Name: type'" },
        { Body("A int8"), 4, "expected 'Name: type'" },
        { Body("A: string??"), 4, "expected 'Name: type'" },
        { Body("A: int8 0+ 1+"), 4, "'1+' is not understood" },
        { Body("A: int8 ignorabel"), 4, "'ignorabel' are no versions" },
        { Body("A: int8 tag"), 4, "'' is not a number" },
        { Body("A: int8 tag x"), 4, "'x' is not a number" },
        { Body("A: string?x"), 4, "'x' are no versions" },
        { Body("A: int33"), 4, "int33 is not known" },
        { Body("A: []Missing"), 4, "Missing is not known" },
        { Body("A: int8", "A: int16"), 5, "A is declared twice" },
        { Body("A: int8 tag 1", "B: int16 tag 1"), 5, "tag 1 is taken" },
        { Body("A: int32?"), 4, "a int32 cannot be null" },
        { Body("A: []records"), 4, "records are an array already" },
        { Body("A: records tag 0"), 4, "records cannot be tagged" },
        { Body("A: int8 inflexible"), 4, "only a string can be inflexible" },
        { Body("A: int8 = 128"), 4, "'128' is no default of a int8" },
        { Body("A: uint16 = -1"), 4, "'-1' is no default of a uint16" },
        { Body("A: bool = yes"), 4, "'yes' is no default of a bool" },
        { Body("A: string = null"), 4, "'null' is no default of a string" },
        { Body("A: string = \"quoted\""), 4, "is no default of a string" },
        { Body("A: []int8 = 1"), 4, "'1' is no default of a []int8" },
        { Body("A: uuid = 1"), 4, "'1' is no default of a uuid" },
        { Body("A: int8", "  B: int8"), 4, "int8 has no fields" },
        { Body("A: int8", "    B: int8"), 4, "int8 has no fields" },
        { Body(" A: int8"), 4, "expected 'body VERSIONS" },
        { Body("A: int8", "\tB: int8"), 5, "expected 'body VERSIONS" },
        { Body("A: int8").Replace("flexible 0+", "flexible none").Replace("int8", "int8 tag 0"), 4,
            "tagged fields are there from version none on" },
        // the structs
        { Body("struct"), 4, "expected 'Name: type'" },
        { Body("struct S 0+ 1+"), 4, "expected 'struct NAME" },
        { Body("struct S", "  A: int8"), 4, "S is not used" },
        { Body("A: []S", "struct S", "  B: int8", "struct S", "  B: int8"), 7, "S is declared twice" },
        { Body("S: []S", "  B: int8"), 4, "S is a field of the message too" },
        { Body("A: []S", "struct S", "  B: []S"), 5, "S contains itself" },
        { Body("A: []S", "struct S", "  B: []T", "struct T", "  C: []S"), 5, "S contains itself" },
        { Body("A: []S", "struct S 1+", "  B: int8").Replace("body 0 ", "body 0-2 "), 4, "A has versions 0-2, but S only 1-2" },
    };

    [Theory]
    [MemberData(nameof(Mistakes))]
    public void Mistakes_are_told_with_file_and_line(string text, int line, string what)
    {
        var mistake = Assert.Throws<SchemaException>(() => Parse(text));
        Assert.StartsWith($"{Path.Combine(_directory, "Sample.schema")}({line}): ", mistake.Message, StringComparison.Ordinal);
        Assert.Contains(what, mistake.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Schemas_must_not_share_a_number_or_a_name()
    {
        var one = Parse("# Purpose.\nmetadata-record One 1\nbody 0 flexible 0+", "One");
        var two = Parse("# Purpose.\nmetadata-record Two 1\nbody 0 flexible 0+", "Two");
        var data = Parse("# Purpose.\ndata One\nbody 0 flexible 0+", "Data");
        var group = Parse("# Purpose.\ngroup-record Two 1\nkey 0 flexible none\nvalue 0 flexible 0+", "Group");
        SchemaRules.CheckTogether([one, group]);
        var number = Assert.Throws<SchemaException>(() => SchemaRules.CheckTogether([one, two]));
        Assert.Contains("Two.schema(2): ", number.Message, StringComparison.Ordinal);
        var name = Assert.Throws<SchemaException>(() => SchemaRules.CheckTogether([one, data]));
        Assert.Contains("Data.schema(3): ", name.Message, StringComparison.Ordinal);
    }

    /// <summary>
    /// Not one schema can lose its compiler a line: every single line of a real schema, spoilt, is told with file and line, or still a
    /// schema.
    /// </summary>
    [Fact]
    public void No_spoilt_schema_brings_the_compiler_down()
    {
        var lines = File.ReadAllLines(RepositoryFiles.Path("schemas/api/001-Fetch.schema"));
        for (var i = 0; i < lines.Length; i++)
        {
            foreach (var spoilt in new[] { "", lines[i] + " tag", lines[i] + " = ", " " + lines[i], lines[i][..(lines[i].Length / 2)],
                lines[i].Replace(":", ""), lines[i].Replace("+", "-") })
            {
                try
                {
                    Parse(string.Join('\n', [.. lines[..i], spoilt, .. lines[(i + 1)..]]));
                }
                catch (SchemaException e)
                {
                    Assert.Matches(FileAndLine(), e.Message);
                }
            }
        }
    }

    [GeneratedRegex(@"\.schema\(\d+\): .")]
    private static partial Regex FileAndLine();

    private static string Body(params string[] fields) => "# Purpose.\ndata Sample\nbody 0 flexible 0+\n  " + string.Join("\n  ", fields);

    private static string Text(Field field) =>
        $"{field.Name} {(field.IsArray ? "[]" : "")}{field.TypeName} "
            + $"{field.Versions}{(field.IsNullable ? $" null {field.NullableVersions}" : "")}"
        + $"{(field.Tag is { } tag ? $" tag {tag}" : "")}"
            + $"{(field.IsIgnorable ? " ignorable" : "")}"
                + $"{(field.IsInflexible ? " inflexible" : "")}{(field.Default is { } value ? $" = {value}" : "")}";

    private Schema Parse(string text, string name = "Sample")
    {
        var path = Path.Combine(_directory, name + ".schema");
        File.WriteAllText(path, text);
        return SchemaParser.Parse(path);
    }
}
