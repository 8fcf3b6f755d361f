using System.Diagnostics;
using System.Globalization;
using Ottla.SystemTests.Harness;
using Ottla.SystemTests.Wire;
using Xunit.Abstractions;

namespace Ottla.SystemTests.Tests;

/// <summary>
/// Processes end by SIGKILL, and others see it: what a broker led gets another leader, whoever it was. Every time-out that would notice it
/// otherwise is longer than the test. <c>OTTLA_KILLS=50</c> kills fifty times.
/// </summary>
[Trait(Categories.Trait, Categories.Cluster)]
public sealed class ProcessEndTests(ITestOutputHelper output)
{
    private const int KillsDefault = 3;
    private const int TimeoutMs = 8000;
    private const int TopicsMax = 50;

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    private static readonly Dictionary<string, string> s_settings = new()
    {
        ["broker.session.timeout.ms"] = "600000",
        ["controller.quorum.fetch.timeout.ms"] = "300000",
        ["controller.quorum.request.timeout.ms"] = "300000",
    };

    private static int Kills =>
        int.TryParse(Environment.GetEnvironmentVariable("OTTLA_KILLS"), CultureInfo.InvariantCulture, out var kills) ? kills : KillsDefault;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task PartitionsOfAKilledNodeGetAnotherLeader(bool isActiveController)
    {
        await using var cluster = await LocalCluster.FormatCombinedAsync(3, s_settings);
        await cluster.StartAsync();
        var milliseconds = new List<double>();
        for (var kill = 1; kill <= Kills; kill++)
        {
            var active = await cluster.ActiveControllerAsync();
            var victim = isActiveController ? active : cluster.Nodes.First(node => node != active);
            var topic = await CreateTopicLedByAsync(cluster, victim, kill);
            var witness = cluster.Nodes.First(node => node != victim && node != active);
            await using (var connection = await RawConnection.OpenAsync(witness.BrokerPort!.Value))
            {
                var started = Stopwatch.GetTimestamp();
                await victim.KillAsync();
                await cluster.WaitAsync($"{topic} has another leader than {victim}", Limit, async () =>
                {
                    var metadata = await ClusterClient.MetadataAsync(connection);
                    return !metadata.Brokers.ContainsKey(victim.Id)
                        && metadata.Topics.Single(each => each.Name == topic).Leader is >= 0 and var leader && leader != victim.Id;
                });
                milliseconds.Add(Stopwatch.GetElapsedTime(started).TotalMilliseconds);
            }

            victim.Start();
            await cluster.WaitUntilAllServeAsync();
        }

        var times = string.Join(", ", milliseconds.Select(each => each.ToString("0", CultureInfo.InvariantCulture)));
        output.WriteLine($"from the kill to the next leader in another broker's metadata: {times} ms");
    }

    private static async Task<string> CreateTopicLedByAsync(LocalCluster cluster, ClusterNode leader, int kill)
    {
        await using var connection = await RawConnection.OpenAsync(leader.BrokerPort!.Value);
        for (var i = 0; i < TopicsMax; i++)
        {
            var name = string.Create(CultureInfo.InvariantCulture, $"led-{kill}-{i}");
            var created = await ClusterClient.CreateTopicAsync(connection, name, TimeoutMs, replicas: 3);
            Assert.Equal(0, created.Error);
            var metadata = await ClusterClient.MetadataAsync(connection);
            if (metadata.Topics.Single(topic => topic.Name == name).Leader == leader.Id)
                return name;
        }

        throw new InvalidOperationException($"{leader} leads none of {TopicsMax} topics: {cluster.Outputs()}");
    }
}
