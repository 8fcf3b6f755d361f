using System.Diagnostics;
using System.Globalization;
using Ottla.SystemTests.Harness;
using Ottla.SystemTests.Wire;
using Xunit.Abstractions;

namespace Ottla.SystemTests.Tests;

/// <summary>
/// The active controller is killed with SIGKILL again and again while topics are created: nothing that was answered is lost, nothing is
/// there twice, and what was refused is not there. <c>OTTLA_KILLS=50</c> kills fifty times.
/// </summary>
[Trait(Categories.Trait, Categories.Cluster)]
public sealed class ControllerKillTests(ITestOutputHelper output)
{
    private const int KillsDefault = 3;
    private const int BetweenKills = 20;

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    private static int Kills =>
        int.TryParse(Environment.GetEnvironmentVariable("OTTLA_KILLS"), CultureInfo.InvariantCulture, out var kills) ? kills : KillsDefault;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task AnsweredCreationsSurviveKillsOfTheActiveController(bool areCombined)
    {
        await using var cluster = areCombined
            ? await LocalCluster.FormatCombinedAsync(3)
            : await LocalCluster.FormatSeparateAsync(controllers: 3, brokers: 2);
        await cluster.StartAsync();
        await using var load = TopicCreationLoad.Start(cluster, "made-");
        var gaps = new List<double>();
        var returns = new List<double>();
        for (var kill = 1; kill <= Kills; kill++)
        {
            var target = load.Answered + BetweenKills;
            await cluster.WaitAsync($"kill {kill}: {target} topics are created", Limit, () => Task.FromResult(load.Answered >= target));
            var active = await cluster.ActiveControllerAsync();
            var started = Stopwatch.GetTimestamp();
            await active.KillAsync();
            gaps.Add(await TimeToNextCreationAsync(cluster, started, kill));
            started = Stopwatch.GetTimestamp();
            active.Start();
            await cluster.WaitUntilAllServeAsync();
            returns.Add(Stopwatch.GetElapsedTime(started).TotalMilliseconds);
        }

        await load.StopAsync();
        await ClusterTests.AssertAllSeeAsync(cluster, load);
        output.WriteLine(
            $"{Kills} kills: the next CreateTopics is answered after {Describe(gaps)}; the killed node serves again after "
                + $"{Describe(returns)}");
        output.WriteLine(load.Check((await ClusterClient.TryMetadataAsync(cluster.Brokers.First().BrokerPort!.Value))!));
    }

    /// <summary>New requests at every broker that is left, until one is answered.</summary>
    private static async Task<double> TimeToNextCreationAsync(LocalCluster cluster, long killed, int kill)
    {
        var attempt = 0;
        var answer = new TaskCompletionSource<double>(TaskCreationOptions.RunContinuationsAsynchronously);
        var probes = cluster.Brokers.Where(node => node.IsRunning).Select(ProbeAsync).ToList();
        await cluster.WaitAsync($"a topic is created after kill {kill}", Limit, () => Task.FromResult(answer.Task.IsCompleted));
        await Task.WhenAll(probes);
        return await answer.Task;

        async Task ProbeAsync(ClusterNode broker)
        {
            while (!answer.Task.IsCompleted)
            {
                try
                {
                    await using var connection = await RawConnection.OpenAsync(broker.BrokerPort!.Value);
                    var name = string.Create(CultureInfo.InvariantCulture, $"probe-{kill}-{Interlocked.Increment(ref attempt)}");
                    if ((await ClusterClient.CreateTopicAsync(connection, name, 8000)).Error == 0)
                        answer.TrySetResult(Stopwatch.GetElapsedTime(killed).TotalMilliseconds);
                }
                catch (Exception exception) when (ClusterClient.IsNoAnswer(exception))
                {
                    // Asked again.
                }
            }
        }
    }

    private static string Describe(List<double> milliseconds)
    {
        var sorted = milliseconds.Order().ToList();
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{At(0.5):0} ms (median), {At(0.99):0} ms (p99), {sorted[^1]:0} ms (longest)");

        double At(double share) => sorted[Math.Max(0, (int)Math.Ceiling(share * sorted.Count) - 1)];
    }
}
