using System.Text;
using System.Text.Json;
using Ottla.Cli.Partitions;
using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.StateMachines.Balancing;

namespace Ottla.UnitTests.Cli.Partitions;

/// <summary>Plans as files: those of kafka-reassign-partitions, and our own, which it reads too.</summary>
public sealed class PlanFileTests
{
    private static readonly ReassignmentPlan Plan = new(
        [
            new PartitionMove(new("orders", 3), [1, 2, 3], [4, 2, 3], 5_000_000_000, MoveReasons.BrokerLeaves | MoveReasons.Leaders),
            new PartitionMove(new("orders", 4), [1, 2], [2, 1], 7, MoveReasons.Leaders),
        ],
        [new TopicPartition("pay", 0)],
        [
            new BrokerFigures(new BalancedBroker(1, "a", BrokerDuty.Leaving), new BrokerLoad(2, 2, 5_000_000_007), new BrokerLoad(1, 0, 7)),
            new BrokerFigures(new BalancedBroker(4, null), default, new BrokerLoad(1, 1, 5_000_000_000)),
        ],
        []);

    [Fact]
    public void A_file_of_Kafkas_tool_is_read()
    {
        var file = Parse("""
            {"version":1,"partitions":[{"topic":"move","partition":0,"replicas":[1,2,4],"log_dirs":["any","any","any"]},
              {"topic":"move","partition":1,"replicas":[5]}]}
            """);
        Assert.Equal(["move-0", "move-1"], file.Entries.Select(entry => entry.Id.ToString()));
        Assert.Equal([1, 2, 4], file.Entries[0].Replicas.AsEnumerable());
        Assert.All(file.Entries, entry => Assert.Null(entry.From));
        Assert.Empty(file.Elections);
        Assert.False(file.NamesDirectories);
        Assert.True(Parse("""{"partitions":[{"topic":"a","partition":0,"replicas":[1],"log_dirs":["/d"]}]}""").NamesDirectories);
    }

    [Fact]
    public void A_plan_is_written_with_what_Kafkas_tool_reads_and_is_read_back()
    {
        var content = PlanFile.Write(Plan);
        var json = JsonDocument.Parse(content).RootElement;
        Assert.Equal(1, json.GetProperty("version").GetInt32());
        var first = json.GetProperty("partitions")[0];
        Assert.Equal(
            ("orders", 3, "[4,2,3]", "[\"any\",\"any\",\"any\"]"),
            (first.GetProperty("topic").GetString(), first.GetProperty("partition").GetInt32(), Compact(first.GetProperty("replicas")),
                Compact(first.GetProperty("log_dirs"))));
        Assert.Equal("[\"broker leaves\",\"leaders\"]", Compact(first.GetProperty("reasons")));
        Assert.Equal(5_000_000_000, json.GetProperty("bytesToCopy").GetInt64());

        var read = PlanFile.Parse(content);
        Assert.Equal(Plan.Moves.Select(move => move.Partition), read.Entries.Select(entry => entry.Id));
        Assert.Equal([1, 2, 3], read.Entries[0].From!.Value.AsEnumerable());
        Assert.Equal([2, 1], read.Entries[1].Replicas.AsEnumerable());
        Assert.Equal(Plan.Elections.AsEnumerable(), read.Elections);
    }

    [Theory]
    [InlineData("nonsense", "it is not valid JSON")]
    [InlineData("{\"version\":2,\"partitions\":[]}", "version 2 is not known")]
    [InlineData("{\"version\":1}", "no 'partitions'")]
    [InlineData("[]", "needs a 'topic'")]
    [InlineData("{\"partitions\":[{\"topic\":\"a\",\"replicas\":[1]}]}", "needs a 'topic'")]
    [InlineData("{\"partitions\":[{\"topic\":null,\"partition\":0,\"replicas\":[1]}]}", "needs a 'topic'")]
    [InlineData("{\"partitions\":[{\"topic\":\"a\",\"partition\":0,\"replicas\":[\"1\"]}]}", "needs a 'topic'")]
    [InlineData("{\"partitions\":[{\"topic\":\"a\",\"partition\":0,\"replicas\":[]}]}", "a-0 is to have no replicas")]
    [InlineData("{\"partitions\":[{\"topic\":\"a\",\"partition\":0,\"replicas\":[1,1]}]}", "a-0 is to be on a broker twice")]
    [InlineData(
        "{\"partitions\":[{\"topic\":\"a\",\"partition\":0,\"replicas\":[1]},{\"topic\":\"a\",\"partition\":0,\"replicas\":[2]}]}",
        "a-0 is in it more than once")]
    public void What_makes_no_sense_is_refused_in_plain_words(string content, string reason)
    {
        var failure = Assert.Throws<ConfigException>(() => Parse(content));
        Assert.Contains(reason, failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_plan_is_told_with_reasons_and_figures()
    {
        Assert.Equal(
            """
            1 partition moves: 5.00 GB are copied.
            1 partition changes only the order of its replicas.
            1 partition gets its preferred leader back.

            PARTITION  FROM   TO     COPIES   WHY
            orders-3   1,2,3  4,2,3  5.00 GB  broker leaves, leaders
            orders-4   1,2    2,1    0 B      leaders

            BROKER  RACK  REPLICAS  LEADERS  BYTES
            1       a     2 -> 1    2 -> 0   5.00 GB -> 7 B  leaves
            4       -     0 -> 1    0 -> 1   0 B -> 5.00 GB

            RACK  BROKERS  REPLICAS  LEADERS  BYTES
            -     1        0 -> 1    0 -> 1   0 B -> 5.00 GB
            a     1        2 -> 1    2 -> 0   5.00 GB -> 7 B

            """.ReplaceLineEndings("\n"),
            PlanText.Of(Plan));
    }

    [Fact]
    public void What_is_stuck_is_told_with_what_helps()
    {
        var text = PlanText.Stuck([new StuckReplica(new("a", 1), 3, LacksRoom: true), new StuckReplica(new("b", 0), 3, LacksRoom: false)]);
        Assert.Equal(
            "Broker 3 cannot be emptied of a-1: no broker that could take them has room: add a broker or disks.\n"
            + "Broker 3 cannot be emptied of b-0: every other broker has a replica of them already, or takes none: add a broker, or lower "
            + "their replication factor.\n",
            text);
    }

    [Theory]
    [InlineData(0, "0 B")]
    [InlineData(999, "999 B")]
    [InlineData(1000, "1.00 kB")]
    [InlineData(99_960, "100 kB")]
    [InlineData(123_456_789, "123 MB")]
    [InlineData(999_600, "1.00 MB")]
    [InlineData(36_000_000_000, "36.0 GB")]
    public void Sizes_are_written_with_three_digits(long bytes, string text) => Assert.Equal(text, ByteText.Of(bytes));

    [Theory]
    [InlineData("50MB/s", 50_000_000)]
    [InlineData("1.5 GiB/s", 1_610_612_736)]
    [InlineData("64KiB", 65_536)]
    [InlineData("20 kb/s", 20_000)]
    [InlineData("1000", 1000)]
    [InlineData("300B/s", 300)]
    public void Rates_are_read(string text, long bytes)
    {
        Assert.True(ByteText.TryParseRate(text, out var rate));
        Assert.Equal(bytes, rate);
    }

    [Theory]
    [InlineData("")]
    [InlineData("fast")]
    [InlineData("0")]
    [InlineData("-5MB/s")]
    [InlineData("0.1B/s")]
    [InlineData("99999999999GB/s")]
    [InlineData("5Mb/h")]
    public void What_is_no_rate_is_refused(string text) => Assert.False(ByteText.TryParseRate(text, out _));

    private static PlanFile Parse(string content) => PlanFile.Parse(Encoding.UTF8.GetBytes(content));

    private static string Compact(JsonElement json) => string.Concat(json.GetRawText().Where(letter => letter is not ('\n' or ' ')))
        .Replace("brokerleaves", "broker leaves", StringComparison.Ordinal);
}
