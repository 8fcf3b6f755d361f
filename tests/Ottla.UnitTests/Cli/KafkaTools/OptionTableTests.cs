using System.IO.Compression;
using System.Text.Json;
using Ottla.Cli.KafkaTools.Options;

namespace Ottla.UnitTests.Cli.KafkaTools;

/// <summary>The table of options against what the help of Kafka's tools lists.</summary>
public sealed class OptionTableTests
{
    private static readonly Lazy<Dictionary<string, JsonElement>> Recorded = new(ReadRecorded);

    public static TheoryData<string> Tools() => [.. OptionTable.Tools()];

    [Theory]
    [MemberData(nameof(Tools))]
    public void A_tool_has_the_options_of_Kafkas_help(string tool)
    {
        var recorded = Recorded.Value[tool];
        var table = OptionTable.Of(tool);
        var wanted = recorded.TryGetProperty("options", out var options) ? options.EnumerateArray().Select(Line).ToList() : [];
        if (tool == "kafka-transactions")
            wanted.Add("--bootstrap-server||host:port|False|True|False|"); // only the usage line of its help has it

        Assert.Equal(wanted.Order(StringComparer.Ordinal), table.Options.Select(Line).Order(StringComparer.Ordinal));
        Assert.Equal(recorded.GetProperty("help_exit").GetInt32(), table.HelpExitCode);
        Assert.Equal(recorded.GetProperty("help_stream").GetString() == "stdout", table.IsHelpOnOutput);
    }

    [Fact]
    public void Every_option_is_explained()
    {
        Assert.Equal([], OptionTable.Tools().SelectMany(tool => OptionTable.Of(tool).Options).Where(
            option => option.Description.Length == 0).Select(option => option.Name));
    }

    private static string Line(JsonElement option)
    {
        return string.Join(
            '|', Sorted(Text("option").Split(", ")), Text("type"), Text("placeholder"), Text("argument") == "optional", Is("required"),
            Is("deprecated"), Text("default"));

        string Text(string name) =>
            option.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString()! : "";

        bool Is(string name) => option.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.True;
    }

    private static string Line(OptionSpec option) => string.Join(
        '|', Sorted(option.Names), option.Type, option.Placeholder, option.Argument == OptionArgument.Optional, option.IsRequired,
        option.IsDeprecated, option.Default);

    private static string Sorted(IEnumerable<string> names) => string.Join(',', names.Order(StringComparer.Ordinal));

    private static Dictionary<string, JsonElement> ReadRecorded()
    {
        using var reader = new StreamReader(new GZipStream(
            File.OpenRead(GoldenData.Path("kafka-tools-options.jsonl.gz")), CompressionMode.Decompress));
        var recorded = new Dictionary<string, JsonElement>();
        while (reader.ReadLine() is { } line)
        {
            var tool = JsonElement.Parse(line);
            recorded[$"{tool.GetProperty("tool").GetString()} {tool.GetProperty("command").GetString()}".Trim()] = tool;
        }

        return recorded;
    }
}
