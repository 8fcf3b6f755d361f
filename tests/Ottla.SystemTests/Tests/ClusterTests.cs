using System.Diagnostics;
using System.Globalization;
using System.Text;
using Ottla.SystemTests.Harness;
using Ottla.SystemTests.Wire;
using Xunit.Abstractions;

namespace Ottla.SystemTests.Tests;

/// <summary>Several real processes that make a cluster: start, stop, and what its tools say.</summary>
[Trait(Categories.Trait, Categories.Cluster)]
public sealed class ClusterTests(ITestOutputHelper output)
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public async Task CombinedNodesServeAndEndAllAtOnce(int count)
    {
        await using var cluster = await LocalCluster.FormatCombinedAsync(count);
        var started = Stopwatch.GetTimestamp();
        await cluster.StartAsync();
        output.WriteLine($"{count} nodes serve after {Seconds(started)}");
        await AssertTopicsAppearEverywhereAsync(cluster);
        await AssertToolsAgreeAsync(cluster);

        started = Stopwatch.GetTimestamp();
        foreach (var node in cluster.Nodes)
            node.Terminate();
        foreach (var node in cluster.Nodes)
            Assert.Equal(0, await node.WaitForExitAsync());
        output.WriteLine($"all {count} are stopped after {Seconds(started)}");
        await cluster.StartAsync();
    }

    [Theory]
    [InlineData(3, 3)]
    [InlineData(5, 1)]
    public async Task ControllersAndBrokersApartServe(int controllers, int brokers)
    {
        await using var cluster = await LocalCluster.FormatSeparateAsync(controllers, brokers);
        var started = Stopwatch.GetTimestamp();
        await cluster.StartAsync();
        output.WriteLine($"{brokers} brokers of {controllers} controllers serve after {Seconds(started)}");
        await AssertTopicsAppearEverywhereAsync(cluster);
        await AssertToolsAgreeAsync(cluster);
    }

    /// <summary>
    /// The nodes start one after another in an order that the seed draws. Each that comes before there is a majority says that it waits,
    /// before the next one is started. Then as many controllers are killed as the quorum can do without, the active one among them.
    /// </summary>
    /// <param name="controllers">How many controllers.</param>
    /// <param name="brokers">How many brokers beside them; 0 when the controllers are brokers too.</param>
    /// <param name="seed">Draws the order, and who is killed.</param>
    [Theory]
    [InlineData(3, 0, 7)]
    [InlineData(3, 3, 2)]
    [InlineData(5, 2, 3)]
    [InlineData(5, 2, 4)]
    public async Task NodesStartInAnyOrderAndServeWithoutAMinority(int controllers, int brokers, int seed)
    {
        await using var cluster = brokers == 0
            ? await LocalCluster.FormatCombinedAsync(controllers)
            : await LocalCluster.FormatSeparateAsync(controllers, brokers);
        var random = new Random(seed);
        var order = cluster.Nodes.ToArray();
        random.Shuffle(order);
        output.WriteLine($"order: {string.Join(", ", order.Select(node => node.Id))}");
        var missing = controllers / 2 + 1;
        foreach (var node in order)
        {
            node.Start();
            missing -= node.ControllerPort is null ? 0 : 1;
            if (missing > 0)
                await cluster.WaitAsync($"{node} says that it waits", Limit, () =>
                    Task.FromResult(node.Output.Contains("Waiting for an active controller", StringComparison.Ordinal)));
        }

        await cluster.WaitUntilAllServeAsync();
        await AssertTopicsAppearEverywhereAsync(cluster);
        await AssertToolsAgreeAsync(cluster);

        var active = await cluster.ActiveControllerAsync();
        var others = cluster.Controllers.Where(node => node != active).ToArray();
        random.Shuffle(others);
        ClusterNode[] killed = [active, .. others.Take((controllers - 1) / 2 - 1)];
        output.WriteLine($"killed: {string.Join(", ", killed.Select(node => node.Id))}");
        await Task.WhenAll(killed.Select(node => node.KillAsync()));
        await cluster.ActiveControllerAsync();
        await AssertTopicsAppearEverywhereAsync(cluster);
        await AssertToolsAgreeAsync(cluster);
    }

    /// <summary>Each node in turn ends in order and comes back, while topics can be created all the time.</summary>
    [Fact]
    public async Task RollingRestart()
    {
        await using var cluster = await LocalCluster.FormatCombinedAsync(3);
        await cluster.StartAsync();
        await using var load = TopicCreationLoad.Start(cluster, "rolled-");
        var active = await cluster.ActiveControllerAsync();
        foreach (var node in cluster.Nodes.OrderBy(node => node == active))
        {
            var before = load.Answered;
            var started = Stopwatch.GetTimestamp();
            node.Terminate();
            Assert.Equal(0, await node.WaitForExitAsync());
            var stopped = Seconds(started);
            started = Stopwatch.GetTimestamp();
            node.Start();
            await cluster.WaitUntilAllServeAsync();
            output.WriteLine(
                $"{node}{(node == active ? ", the active controller," : "")} stopped within {stopped}, serves again after "
                    + $"{Seconds(started)}");
            await cluster.WaitAsync("topics are created", Limit, () => Task.FromResult(load.Answered > before));
        }

        await load.StopAsync();
        await AssertAllSeeAsync(cluster, load);
    }

    [Fact]
    public async Task AKilledBrokerIsFenced()
    {
        await using var cluster = await LocalCluster.FormatSeparateAsync(controllers: 1, brokers: 2);
        await cluster.StartAsync();
        var (survivor, killed) = (cluster.Brokers.First(), cluster.Brokers.Last());
        var started = Stopwatch.GetTimestamp();
        await killed.KillAsync();
        await cluster.WaitAsync("the killed broker is fenced", Limit, async () =>
            await ClusterClient.TryMetadataAsync(survivor.BrokerPort!.Value) is { } metadata && !metadata.Brokers.ContainsKey(killed.Id));
        output.WriteLine($"fenced {Seconds(started)} after the kill");
        started = Stopwatch.GetTimestamp();
        killed.Start();
        await cluster.WaitUntilAllServeAsync();
        output.WriteLine($"back {Seconds(started)} after its start");
    }

    internal static async Task AssertAllSeeAsync(LocalCluster cluster, TopicCreationLoad load)
    {
        var last = await LastTopicAsync(cluster);
        foreach (var broker in cluster.Brokers)
        {
            ClusterMetadata? metadata = null;
            await cluster.WaitAsync($"{broker} has caught up", Limit, async () =>
                (metadata = await ClusterClient.TryMetadataAsync(broker.BrokerPort!.Value))?.Topics.Any(
                    topic => topic.Name == last) == true);
            load.Check(metadata!);
        }
    }

    /// <summary>Creates one more topic: who has it has everything before it.</summary>
    private static async Task<string> LastTopicAsync(LocalCluster cluster)
    {
        var name = BrokerFixture.NewTopicName("last");
        await using var connection = await RawConnection.OpenAsync(cluster.Brokers.First(node => node.IsRunning).BrokerPort!.Value);
        Assert.Equal(0, (await ClusterClient.CreateTopicAsync(connection, name, 8000)).Error);
        return name;
    }

    /// <summary>A topic that one running broker was asked for can be used there at once, and soon everywhere.</summary>
    private static async Task AssertTopicsAppearEverywhereAsync(LocalCluster cluster)
    {
        var brokers = cluster.Brokers.Where(node => node.IsRunning).ToList();
        foreach (var broker in brokers)
        {
            var name = BrokerFixture.NewTopicName(string.Create(CultureInfo.InvariantCulture, $"asked-at-{broker.Id}"));
            await using var connection = await RawConnection.OpenAsync(broker.BrokerPort!.Value);
            var creation = await ClusterClient.CreateTopicAsync(connection, name, 8000);
            Assert.Equal(0, creation.Error);
            Assert.Contains(
                (await ClusterClient.MetadataAsync(connection)).Topics, topic => topic.Name == name && topic.Id == creation.TopicId);
            foreach (var other in brokers)
            {
                await cluster.WaitAsync($"{other} knows {name}", Limit, async () =>
                    (await ClusterClient.TryMetadataAsync(other.BrokerPort!.Value))?.Topics.Any(
                        topic => topic.Name == name && topic.Id == creation.TopicId) == true);
            }
        }
    }

    /// <summary>Every running node, asked by the tool, names the same leader, and all controllers as voters.</summary>
    private static async Task AssertToolsAgreeAsync(LocalCluster cluster)
    {
        var active = await cluster.ActiveControllerAsync();
        var statuses = new List<string>();
        foreach (var node in cluster.Nodes.Where(node => node.IsRunning))
        {
            string[] server = node.BrokerPort is { } port
                ? ["--bootstrap-server", $"127.0.0.1:{port}"]
                : ["--bootstrap-controller", $"127.0.0.1:{node.ControllerPort}"];
            statuses.Add(Text(await ClientTool.RunAsync(RepositoryPaths.BrokerExecutable, ["quorum", "status", .. server])));
        }

        Assert.All(statuses, status => Assert.Contains($"LeaderId:               {active.Id}\n", status, StringComparison.Ordinal));
        foreach (var controller in cluster.Controllers)
            Assert.All(statuses, status => Assert.Contains(
                $"\"endpoints\": [\"CONTROLLER://127.0.0.1:{controller.ControllerPort}\"]", status, StringComparison.Ordinal));
        var replication = Text(await ClientTool.RunAsync(
            RepositoryPaths.BrokerExecutable,
            ["quorum", "replication", "--human-readable", "--bootstrap-controller", cluster.BootstrapControllers]));
        Assert.Equal(1 + cluster.Nodes.Count, replication.Split('\n', StringSplitOptions.RemoveEmptyEntries).Length);
    }

    private static string Text(ToolResult result) => Encoding.UTF8.GetString(result.OrFail().Output);

    private static string Seconds(long started) =>
        string.Create(CultureInfo.InvariantCulture, $"{Stopwatch.GetElapsedTime(started).TotalSeconds:0.00} s");
}
