using System.Text;
using Ottla.SystemTests.Harness;

namespace Ottla.SystemTests.Tests;

/// <summary>The commands of <c>ottla</c> against three nodes.</summary>
[Trait(Categories.Trait, Categories.Cluster)]
public sealed class CommandLineClusterTests
{
    [Fact]
    public async Task Three_nodes_are_shown_written_to_and_changed()
    {
        await using var cluster = await LocalCluster.FormatCombinedAsync(3);
        await cluster.StartAsync();
        await cluster.WaitUntilAllServeAsync();
        await RunAsync(cluster, ["topic", "create", "orders", "-p", "6", "-r", "3", "-c", "min.insync.replicas=2"]);
        await RunAsync(cluster, ["topic", "create", "placed", "--assign", "2,1", "--assign", "3,2"]);
        Assert.Equal("placed\t0\t2\t2,1\nplaced\t1\t3\t3,2\n", await RunAsync(
            cluster, ["topic", "describe", "placed", "--format", "tsv", "--columns", "topic,partition,leader,replicas"]));
        var lines = string.Concat(Enumerable.Range(0, 1000).Select(i => $"k{i}:v{i}\n"));
        await RunAsync(cluster, ["produce", "orders", "-K", ":", "-z", "lz4"], lines);
        var read = (await RunAsync(cluster, ["consume", "orders", "--print", "%k:%v\\n"]))
            .Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(
            lines.Split('\n', StringSplitOptions.RemoveEmptyEntries).Order(StringComparer.Ordinal), read.Order(StringComparer.Ordinal));

        Assert.Equal(3, Count(await RunAsync(cluster, ["cluster", "nodes", "--format", "tsv"])));
        Assert.Equal(3, Count(await RunAsync(cluster, ["quorum", "replication", "--format", "json"])));
        Assert.Equal(3, Count(await RunAsync(cluster, ["logdir", "list", "--format", "json"])));
        Assert.Equal(18, Count(await RunAsync(cluster, ["logdir", "replicas", "orders", "--format", "tsv"])));
        Assert.Contains("healthy", await RunAsync(cluster, ["cluster", "health"]), StringComparison.Ordinal);
        Assert.Equal(3, Count(Encoding.UTF8.GetString((await ClientTool.RunAsync(
            RepositoryPaths.BrokerExecutable,
            ["cluster", "nodes", "--format", "tsv", "--controller", cluster.BootstrapControllers])).OrFail().Output)));
        await RunAsync(cluster, ["config", "set", "broker", "default", "log.cleaner.threads=2"]);
        Assert.Contains(
            "log.cleaner.threads\t2\tall-brokers",
            await RunAsync(cluster, ["config", "get", "broker", "default", "--format", "tsv"]), StringComparison.Ordinal);
    }

    private static int Count(string text) => text.Split('\n', StringSplitOptions.RemoveEmptyEntries).Length;

    private static async Task<string> RunAsync(LocalCluster cluster, string[] arguments, string input = "") =>
        Encoding.UTF8.GetString((await ClientTool.RunAsync(
            RepositoryPaths.BrokerExecutable, [.. arguments, "-B", cluster.Bootstrap], Encoding.UTF8.GetBytes(input))).OrFail().Output);
}
