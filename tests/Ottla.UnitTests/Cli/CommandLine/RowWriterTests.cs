using Ottla.Cli.Framework;
using Ottla.Configuration;

namespace Ottla.UnitTests.Cli.CommandLine;

/// <summary>What rows look like in each format.</summary>
public sealed class RowWriterTests
{
    private static readonly string[] Columns = ["topic", "leaderEpoch", "isr", "at", "internal", "share"];

    private static readonly object?[] Full =
        ["a\tb", 7, new[] { 1, 2 }, DateTimeOffset.FromUnixTimeMilliseconds(1_700_000_000_123), true, 0.5];

    private static readonly object?[] Empty = ["ü\"", null, Array.Empty<int>(), null, false, 12.0];

    [Fact]
    public void Text_is_a_table() => Assert.Equal(
        "TOPIC  LEADER-EPOCH  ISR  AT                        INTERNAL  SHARE\n"
        + "a\tb    7             1,2  2023-11-14T22:13:20.123Z  yes       0.5\n"
        + "ü\"     -                  -                         no        12\n",
        Print(RowFormat.Text, null));

    [Fact]
    public void Json_is_an_object_a_row() => Assert.Equal(
        "{\"topic\":\"a\\tb\",\"leaderEpoch\":7,\"isr\":[1,2],\"at\":\"2023-11-14T22:13:20.123Z\",\"internal\":true,\"share\":0.5}\n"
        + "{\"topic\":\"ü\\\"\",\"leaderEpoch\":null,\"isr\":[],\"at\":null,\"internal\":false,\"share\":12}\n",
        Print(RowFormat.Json, null));

    [Theory]
    [InlineData(30, "GROUP      MEMBER     HOST\nbilling-…  app-1-01…  10.0.0.1\n")]
    [InlineData(1_000, "GROUP            MEMBER            HOST\nbilling-reports  app-1-0123456789  10.0.0.1\n")]
    [InlineData(5, "GROUP     MEMBER    HOST\nbilling…  app-1-0…  10.0.0.1\n")]
    public void A_table_fits_the_terminal_as_far_as_it_stays_readable(int width, string expected)
    {
        using var output = new StringWriter { NewLine = "\n" };
        var writer = new RowWriter(output, RowFormat.Text, ["group", "member", "host"], null, widthMax: width);
        writer.Add("billing-reports", "app-1-0123456789", "10.0.0.1");
        writer.End();
        Assert.Equal(expected, output.ToString());
    }

    [Fact]
    public void Yaml_is_a_list_of_maps() => Assert.Equal(
        "- topic: \"a\\tb\"\n  leaderEpoch: 7\n  isr: [1,2]\n  at: \"2023-11-14T22:13:20.123Z\"\n  internal: true\n  share: 0.5\n"
        + "- topic: \"ü\\\"\"\n  leaderEpoch: null\n  isr: []\n  at: null\n  internal: false\n  share: 12\n",
        Print(RowFormat.Yaml, null));

    [Fact]
    public void Tabs_separate_cells_and_are_never_inside() => Assert.Equal(
        "a b\t7\t1,2\t2023-11-14T22:13:20.123Z\tyes\t0.5\nü\"\t-\t\t-\tno\t12\n", Print(RowFormat.Tsv, null));

    [Theory]
    [InlineData("text", "SHARE  TOPIC\n0.5    a\tb\n12     ü\"\n")]
    [InlineData("json", "{\"share\":0.5,\"topic\":\"a\\tb\"}\n{\"share\":12,\"topic\":\"ü\\\"\"}\n")]
    [InlineData("tsv", "0.5\ta b\n12\tü\"\n")]
    [InlineData("yaml", "- share: 0.5\n  topic: \"a\\tb\"\n- share: 12\n  topic: \"ü\\\"\"\n")]
    public void Columns_are_chosen(string format, string expected) =>
        Assert.Equal(expected, Print(RowFormats.Of(format), "share, TOPIC"));

    [Fact]
    public void An_unknown_column_is_said() =>
        Assert.Contains("leaderEpoch", Assert.Throws<ConfigException>(() => Print(RowFormat.Json, "nothing")).Message,
            StringComparison.Ordinal);

    [Fact]
    public void One_thing_has_a_line_for_each_of_what_is_known()
    {
        using var output = new StringWriter { NewLine = "\n" };
        var writer = new RowWriter(output, RowFormat.Text, ["clusterId", "brokers"], null, isRecord: true);
        writer.Add("c", 3);
        writer.End();
        Assert.Equal("CLUSTER-ID  c\nBROKERS     3\n", output.ToString());
        output.GetStringBuilder().Clear();
        writer = new RowWriter(output, RowFormat.Yaml, ["clusterId", "brokers"], null, isRecord: true);
        writer.Add("c", 3);
        writer.End();
        Assert.Equal("clusterId: \"c\"\nbrokers: 3\n", output.ToString());
    }

    [Fact]
    public void An_empty_table_says_so_in_text_only()
    {
        using var output = new StringWriter { NewLine = "\n" };
        new RowWriter(output, RowFormat.Text, Columns, null).End("Nothing.");
        new RowWriter(output, RowFormat.Json, Columns, null).End("Nothing.");
        new RowWriter(output, RowFormat.Yaml, Columns, null).End("Nothing.");
        Assert.Equal("Nothing.\n[]\n", output.ToString());
    }

    private static string Print(RowFormat format, string? chosen)
    {
        using var output = new StringWriter { NewLine = "\n" };
        var writer = new RowWriter(output, format, Columns, chosen);
        writer.Add(Full);
        writer.Add(Empty);
        writer.End();
        return output.ToString();
    }
}
