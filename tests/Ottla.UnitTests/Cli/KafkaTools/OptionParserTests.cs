using Ottla.Cli.KafkaTools;
using Ottla.Cli.KafkaTools.Options;

namespace Ottla.UnitTests.Cli.KafkaTools;

/// <summary>Command lines as Kafka's tools read them.</summary>
public sealed class OptionParserTests
{
    [Theory]
    [InlineData("--topic", "t1")]
    [InlineData("--topic=t1")]
    [InlineData("-topic", "t1")]
    [InlineData("passed over", "--topic", "t1")]
    public void An_option_has_its_value_behind_it(params string[] arguments)
    {
        Assert.Equal("t1", Parse("kafka-topics", arguments).Value("topic"));
    }

    [Fact]
    public void A_repeated_option_has_all_its_values()
    {
        var options = Parse("kafka-topics", "--config", "a=1", "--config=b=2");
        Assert.Equal(["a=1", "b=2"], options.Values("config"));
        Assert.Equal(
            "Found multiple arguments for option config, but you asked for only one",
            Assert.Throws<OptionException>(() => options.Value("config")).Message);
    }

    [Fact]
    public void An_optional_value_does_not_look_like_an_option()
    {
        var options = Parse("kafka-console-producer", "--compression-codec", "--topic", "t1");
        Assert.True(options.Has("compression-codec"));
        Assert.Null(options.Value("compression-codec"));
        Assert.Equal("t1", options.Value("topic"));
        Assert.Equal("zstd", Parse("kafka-console-producer", "--compression-codec", "zstd").Value("compression-codec"));
    }

    [Theory]
    [InlineData("top is not a recognized option", "--top", "t1")]
    [InlineData("Option topic requires an argument", "--topic")]
    [InlineData("Option list does not expect any arguments", "--list=yes")]
    public void A_wrong_option_is_refused(string message, params string[] arguments)
    {
        Assert.Equal(message, Assert.Throws<OptionException>(() => Parse("kafka-topics", arguments)).Message);
    }

    [Fact]
    public void A_number_has_to_be_one()
    {
        Assert.Equal(3, Parse("kafka-topics", "--partitions", "3").Int("partitions"));
        Assert.Equal(
            "Cannot parse argument 'three' of option partitions",
            Assert.Throws<OptionException>(() => Parse("kafka-topics", "--partitions", "three").Int("partitions")).Message);
    }

    [Theory]
    [InlineData("--config", "c.properties")]
    [InlineData("--conf", "c.properties")]
    [InlineData("-c", "c.properties")]
    [InlineData("--config=c.properties")]
    public void A_tool_with_sub_commands_takes_abbreviations(params string[] arguments)
    {
        var result = ArgparseParser.Parse(Context("kafka-storage", ["info", .. arguments]), "info", "format");
        Assert.Equal("info", result.Command);
        Assert.Equal("c.properties", result.Sub.Value("config"));
    }

    [Theory]
    [InlineData("too few arguments")]
    [InlineData("invalid choice: 'erase' (choose from 'info', 'format')", "erase")]
    [InlineData("unrecognized arguments: '--what'", "info", "--what")]
    [InlineData("argument --config/-c: expected one argument", "info", "--config")]
    public void A_wrong_sub_command_is_refused(string message, params string[] arguments)
    {
        var failure = Assert.Throws<ArgumentParserException>(
            () => ArgparseParser.Parse(Context("kafka-storage", arguments), "info", "format"));
        Assert.Equal(message, failure.Message);
    }

    [Fact]
    public void An_ambiguous_abbreviation_is_refused()
    {
        var failure = Assert.Throws<ArgumentParserException>(
            () => ArgparseParser.Parse(Context("kafka-storage", ["format", "--i"]), "info", "format"));
        Assert.Equal("ambiguous option: --i could match --ignore-formatted, --initial-controllers", failure.Message);
    }

    private static ParsedOptions Parse(string tool, params string[] arguments) => JoptParser.Parse(OptionTable.Of(tool), arguments);

    private static ToolContext Context(string tool, string[] arguments) =>
        new(tool, arguments, Stream.Null, TextWriter.Null, TextWriter.Null);
}
