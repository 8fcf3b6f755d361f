using Ottla.Cli.KafkaTools.Groups;
using Ottla.Kernel;

namespace Ottla.UnitTests.Cli.KafkaTools;

/// <summary>Files with offsets of groups.</summary>
public sealed class OffsetCsvTests
{
    [Theory]
    [InlineData("billing")]
    [InlineData("a,b")]
    [InlineData("say \"hi\", twice")]
    public void What_is_written_is_read(string group)
    {
        var text = string.Join('\n', OffsetCsv.Line(group, new TopicPartition("orders", 0), 7),
            OffsetCsv.Line(group, new TopicPartition("orders", 1), 9));
        var (name, offsets) = Assert.Single(OffsetCsv.Parse(text, []));
        Assert.Equal(group, name);
        Assert.Equal([7, 9], offsets.OrderBy(each => each.Key.Partition).Select(each => each.Value));
    }

    [Theory]
    [InlineData("orders,0,7\r\norders,1,9\r\n")]
    [InlineData("\"orders\",0,\"7\"\norders,1,9")]
    public void A_file_may_leave_out_the_group_that_the_command_names(string text)
    {
        var (name, offsets) = Assert.Single(OffsetCsv.Parse(text, ["billing"]));
        Assert.Equal("billing", name);
        Assert.Equal(7, offsets[new TopicPartition("orders", 0)]);
        Assert.Equal(9, offsets[new TopicPartition("orders", 1)]);
    }
}
