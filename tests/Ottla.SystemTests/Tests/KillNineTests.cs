using Ottla.SystemTests.Clients;
using Ottla.SystemTests.Harness;

namespace Ottla.SystemTests.Tests;

/// <summary>
/// An idempotent producer with acks=all goes on while its broker is killed with SIGKILL again and again and comes back on the same
/// directory. In the end every record is there once, in order, at the offset that was acknowledged.
/// (A killed process loses nothing that it gave to the operating system; power loss is the simulator's matter.)
/// </summary>
[Trait(Categories.Trait, Categories.Kill)]
public sealed class KillNineTests
{
    private const int Rounds = 20;
    private const int Partitions = 3;
    private const int Seed = 20261124;

    // How many more records are acknowledged before the next kill.
    private const int AcknowledgedMin = 200;
    private const int AcknowledgedMax = 3000;

    private static readonly TimeSpan ProgressLimit = TimeSpan.FromSeconds(30);

    [ClientFact("confluent-dotnet")]
    public async Task AcknowledgedRecordsSurviveKillsOnceAndInOrder()
    {
        await using var broker = await BrokerProcess.StartAsync();
        var client = ClientCatalog.Get("confluent-dotnet");
        var topic = BrokerFixture.NewTopicName("killed");
        await client.CreateTopicAsync(broker.Bootstrap, topic, Partitions);

        using var workload = new NumberedWorkload(broker.Bootstrap, topic, Partitions);
        var random = new Random(Seed);
        var producing = workload.StartAsync();
        for (var round = 1; round <= Rounds; round++)
        {
            var target = workload.Acknowledged + random.Next(AcknowledgedMin, AcknowledgedMax);
            await Until.TrueAsync(
                $"round {round}: {target} records are acknowledged\n{broker.Output}",
                ProgressLimit,
                () => workload.Acknowledged >= target || producing.IsCompleted);
            Assert.False(producing.IsCompleted, $"The producer stopped in round {round}: {producing.Exception}");
            await broker.KillAsync();
            await broker.StartAgainAsync();
        }

        workload.Stop();
        await producing;
        workload.AssertComplete(await client.ConsumeAsync(broker.Bootstrap, topic));
    }
}
