using System.Text;
using System.Text.Json;
using Ottla.SystemTests.Harness;

namespace Ottla.SystemTests.Tests;

/// <summary>The commands of <c>ottla</c> for clusters, as processes against a real node.</summary>
[Trait(Categories.Trait, Categories.Process)]
public sealed class CommandLineTests(BrokerFixture fixture) : IClassFixture<BrokerFixture>
{
    private const string Secret = "correct-horse-battery";

    [Fact]
    public async Task Records_go_in_and_come_out_by_key_header_partition_and_offset()
    {
        var topic = BrokerFixture.NewTopicName("records");
        await RunAsync(["topic", "create", topic, "--partitions", "3"]);
        await RunAsync(["produce", topic, "--key-separator", ":", "-H", "origin=test"], "a:first\nb:second\na:third\n");
        await RunAsync(["produce", topic, "--key", "gone", "--value", "-", "--null", "-", "--partition", "2"]);

        var records = Objects(await RunAsync(["consume", topic, "--format", "json"]));
        Assert.Equal(4, records.Count);
        var keyed = records.Where(record => record.GetProperty("key").GetString() == "a").ToList();
        Assert.Equal(["first", "third"], keyed.Select(record => record.GetProperty("value").GetString()));
        Assert.Single(keyed.Select(record => record.GetProperty("partition").GetInt32()).Distinct());
        Assert.Equal("origin", keyed[0].GetProperty("headers")[0].GetProperty("name").GetString());
        var tombstone = records.Single(record => record.GetProperty("key").GetString() == "gone");
        Assert.Equal((2, JsonValueKind.Null), (tombstone.GetProperty("partition").GetInt32(), tombstone.GetProperty("value").ValueKind));

        var partition = keyed[0].GetProperty("partition").GetInt32();
        Assert.Equal("third\n", await RunAsync(["consume", topic, "-p", $"{partition}", "--from", "1", "--grep", "^t"]));
        Assert.Equal("a=first\n", await RunAsync(["consume", topic, "-p", $"{partition}", "-n", "1", "--print", "%k=%v\\n"]));
        Assert.Equal("", await RunAsync(["consume", topic, "--from", "end"]));
        Assert.Equal(4, (await RunAsync(["consume", topic, "--from", "-1h"])).Count(c => c == '\n')); // a tombstone is an empty line

        // What JSON says is what another topic gets.
        var copy = BrokerFixture.NewTopicName("copy");
        await RunAsync(["topic", "create", copy, "--partitions", "3"]);
        await RunAsync(["produce", copy, "--input", "json"], await RunAsync(["consume", topic, "--format", "json"]));
        static string Shape(JsonElement record) => record.GetRawText().Split(",\"partition\"")[1];
        Assert.Equal(
            records.Select(Shape).Order(StringComparer.Ordinal),
            Objects(await RunAsync(["consume", copy, "--format", "json"])).Select(Shape).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task A_consumer_that_follows_ends_after_so_many_records_or_when_nothing_comes()
    {
        var topic = BrokerFixture.NewTopicName("follow");
        await RunAsync(["topic", "create", topic, "--partitions", "1"]);
        var following = RunAsync(["consume", topic, "--follow", "-n", "2"]);
        await RunAsync(["produce", topic], "one\ntwo\nthree\n");
        Assert.Equal("one\ntwo\n", await following);
        Assert.Equal("one\ntwo\nthree\n", await RunAsync(["consume", topic, "--follow", "--idle", "500ms"]));
    }

    [Fact]
    public async Task A_group_is_found_by_its_lag_and_reset()
    {
        var topic = BrokerFixture.NewTopicName("lag");
        var group = $"g-{topic}";
        await RunAsync(["topic", "create", topic, "--partitions", "1"]);
        await RunAsync(["produce", topic], "0\n1\n2\n3\n4\n");
        Assert.Equal("0\n1\n", await RunAsync(["consume", topic, "--group", group, "-n", "2"]));
        Assert.Equal("2\n", await RunAsync(["consume", topic, "--group", group, "-n", "1"]));
        var total = Objects(await RunAsync(["group", "lag", "--total", "--format", "json"]))
            .Single(row => row.GetProperty("group").GetString() == group);
        Assert.Equal(2, total.GetProperty("lag").GetInt64());
        Assert.Contains(group, await RunAsync(["group", "list", "--state", "Empty"]), StringComparison.Ordinal);

        var planned = Objects(await RunAsync(["group", "reset", group, "--to", "shift:-2", "--dry-run", "--format", "json"]));
        Assert.Equal((3, 1), (planned[0].GetProperty("before").GetInt64(), planned[0].GetProperty("after").GetInt64()));
        await RunAsync(["group", "reset", group, "--to", "start", "--yes"]);
        Assert.Equal("0\n", await RunAsync(["consume", topic, "--group", group, "-n", "1"]));

        var exported = await RunAsync(["group", "export", group]);
        Assert.Equal($"{group},{topic},0,1\n", exported);
        await RunAsync(["group", "import", "-", "--group", $"{group}-copy", "--yes"], exported);
        Assert.Equal(
            $"- group: \"{group}-copy\"\n  offset: 1\n",
            await RunAsync(["group", "export", $"{group}-copy", "--format", "yaml", "--columns", "group,offset"]));
        var commits = Objects(await RunAsync(["consume", "__consumer_offsets", "--decode", "offsets"]))
            .Select(record => record.GetProperty("key").GetProperty("data").GetProperty("group").GetString());
        Assert.Contains($"{group}-copy", commits);
        await RunAsync(["group", "delete", group, "--yes"]);
        Assert.Equal(1, (await TryAsync(["group", "lag", group])).ExitCode);
    }

    [Fact]
    public async Task Topics_configs_users_and_quotas_are_changed_and_shown()
    {
        var topic = BrokerFixture.NewTopicName("admin");
        await RunAsync(["topic", "create", topic, "-p", "2", "-c", "retention.ms=60000"]);
        var created = Objects(await RunAsync(["topic", "list", topic, "--format", "json"]))[0];
        Assert.Equal((2, 1), (created.GetProperty("partitions").GetInt32(), created.GetProperty("replicas").GetInt32()));
        await RunAsync(["config", "set", "topic", topic, "cleanup.policy+=compact"]);
        await RunAsync(["config", "unset", "topic", topic, "retention.ms"]);
        Assert.Equal("cleanup.policy\tdelete,compact\n", await RunAsync(
            ["config", "get", "topic", topic, "cleanup.policy", "--format", "tsv", "--columns", "config,value"]));
        await RunAsync(["topic", "add-partitions", topic, "--total", "3"]);
        await RunAsync(["produce", topic, "-p", "0", "--key", "k"], "a\nb\n");
        await RunAsync(["topic", "trim", $"{topic}:0", "--before", "1", "--yes"]);
        Assert.Equal(
            $"{topic}\t0\t1\t2\t1\n{topic}\t1\t0\t0\t0\n{topic}\t2\t0\t0\t0\n", await RunAsync(["offsets", topic, "--format", "tsv"]));
        Assert.Equal(2, (await TryAsync(["topic", "delete", topic])).ExitCode); // there is nobody to ask
        await RunAsync(["topic", "delete", topic, "--yes"]);
        var gone = await TryAsync(["topic", "describe", topic]);
        Assert.Equal(1, gone.ExitCode);
        Assert.Contains("UNKNOWN_TOPIC_OR_PARTITION", gone.Error, StringComparison.Ordinal);

        await RunAsync(["user", "set", "alice", "--password-file", "-"], $"{Secret}\n");
        Assert.Contains("alice\tSCRAM-SHA-512\t4096\n", await RunAsync(["user", "list", "--format", "tsv"]), StringComparison.Ordinal);
        await RunAsync(["user", "delete", "alice", "--yes"]);
        await RunAsync(["quota", "set", "producer_byte_rate=1000", "--user", "default"]);
        Assert.Equal(
            "producer_byte_rate\t1000\tuser=<default>\n", await RunAsync(["quota", "resolve", "--user", "bob", "--format", "tsv"]));
        await RunAsync(["quota", "unset", "producer_byte_rate", "--user", "default"]);
    }

    [Theory]
    [InlineData("cluster", "info")]
    [InlineData("cluster", "nodes")]
    [InlineData("cluster", "health")]
    [InlineData("cluster", "api-versions")]
    [InlineData("quorum", "status")]
    [InlineData("quorum", "replication")]
    [InlineData("feature", "describe")]
    [InlineData("features", "describe")]
    [InlineData("logdir", "list")]
    [InlineData("config", "list")]
    [InlineData("txn", "list")]
    [InlineData("txn", "hanging")]
    [InlineData("topic", "list")]
    [InlineData("partition", "status")]
    public async Task What_shows_the_cluster_works_in_text_and_in_json(string noun, string verb)
    {
        Assert.NotEqual("", await RunAsync([noun, verb]));
        var json = await RunAsync([noun, verb, "--format", "json"]);
        if (noun != "partition")
            Assert.All(Objects(json), row => Assert.Equal(JsonValueKind.Object, row.ValueKind));
    }

    [Fact]
    public async Task What_nobody_answers_is_said_in_time()
    {
        var result = await ClientTool.RunAsync(
            RepositoryPaths.BrokerExecutable, ["topic", "list", "-B", "127.0.0.1:1", "--timeout", "1s"], limit: TimeSpan.FromSeconds(20));
        Assert.Equal(1, result.ExitCode);
        Assert.Contains("127.0.0.1:1", result.Error, StringComparison.Ordinal);
        Assert.Empty(result.Output);
    }

    [Fact]
    public async Task A_bug_report_has_the_cluster_and_no_secret()
    {
        var folder = Directory.CreateTempSubdirectory("ottla-doctor");
        try
        {
            var archive = Path.Combine(folder.FullName, "report.tar.gz");
            var config = Path.Combine(folder.FullName, "server.properties");
            var log = Path.Combine(folder.FullName, "node.log");
            await File.WriteAllTextAsync(config, $"node.id=1\nssl.keystore.password={Secret}\n");
            await File.WriteAllTextAsync(log, $"INFO started\nWARN password={Secret} was not taken\n");
            await RunAsync(["doctor", "--output", archive, "--config", config, "--log", log, "--metrics-address", "127.0.0.1:1"]);
            await ClientTool.RunAsync("tar", ["-xzf", archive, "-C", folder.FullName]);
            File.Delete(config);
            File.Delete(log);
            var texts = Directory.EnumerateFiles(folder.FullName, "*", SearchOption.AllDirectories)
                .Where(file => file != archive).ToDictionary(file => Path.GetFileName(file), File.ReadAllText);
            Assert.All(texts, text => Assert.DoesNotContain(Secret, text.Value, StringComparison.Ordinal));
            Assert.Contains("clusterId", texts["cluster.jsonl"], StringComparison.Ordinal);
            Assert.Contains("INFO started", texts["log-0.txt"], StringComparison.Ordinal);
            Assert.Contains("node.id=1", texts["server.properties"], StringComparison.Ordinal);
            Assert.Contains("metrics.txt", texts["missing.txt"], StringComparison.Ordinal);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Fact]
    public async Task Completions_know_the_topics()
    {
        var topic = BrokerFixture.NewTopicName("completed");
        await RunAsync(["topic", "create", topic]);
        var environment = new Dictionary<string, string> { ["OTTLA_BOOTSTRAP"] = fixture.Bootstrap };
        var result = await ClientTool.RunAsync(
            RepositoryPaths.BrokerExecutable, ["__complete", "consume", "completed-"], environment: environment);
        Assert.Equal($"{topic}\n", Encoding.UTF8.GetString(result.OrFail().Output));
        foreach (var shell in new[] { "bash", "zsh", "fish" })
            Assert.Contains("__complete", await RunAsync(["completion", shell], withServer: false), StringComparison.Ordinal);
    }

    private static string[] Lines(string text) => text.Split('\n', StringSplitOptions.RemoveEmptyEntries);

    private static List<JsonElement> Objects(string text) =>
        [.. Lines(text).Select(line => JsonDocument.Parse(line).RootElement)];

    private async Task<string> RunAsync(string[] arguments, string input = "", bool withServer = true) =>
        Encoding.UTF8.GetString((await TryAsync(arguments, input, withServer)).OrFail().Output);

    private Task<ToolResult> TryAsync(string[] arguments, string input = "", bool withServer = true) => ClientTool.RunAsync(
        RepositoryPaths.BrokerExecutable, withServer ? [.. arguments, "--bootstrap-server", fixture.Bootstrap] : arguments,
        Encoding.UTF8.GetBytes(input));
}
