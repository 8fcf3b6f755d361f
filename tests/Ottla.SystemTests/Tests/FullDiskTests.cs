using Ottla.SystemTests.Clients;
using Ottla.SystemTests.Harness;

namespace Ottla.SystemTests.Tests;

/// <summary>
/// A producer goes on while its broker's disk, a tmpfs of 64 MB, is filled to the last byte, and is emptied again: no acknowledged record
/// is lost, and the broker, which is never restarted, serves consumers and deletes topics meanwhile.
/// </summary>
[Trait(Categories.Trait, Categories.Disk)]
public sealed class FullDiskTests
{
    private const int DiskMegabytes = 64;
    private const int Partitions = 3;
    private const int ValueBytes = 2_000;
    private const long BallastBytes = 24_000_000;

    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(60);

    [TmpfsFact("confluent-dotnet")]
    public async Task FullDiskRefusesAppendsAndRecoversByItself()
    {
        using var disk = Tmpfs.Create(DiskMegabytes);
        var settings = new Dictionary<string, string> { ["log.segment.bytes"] = "1048576", ["log.segment.delete.delay.ms"] = "0" };
        await using var broker = await BrokerProcess.StartAsync(settings, Path.Combine(disk.Path, "data"));
        var client = ClientCatalog.Get("confluent-dotnet");
        var (filled, spare) = (BrokerFixture.NewTopicName("filled"), BrokerFixture.NewTopicName("spare"));
        await client.CreateTopicAsync(broker.Bootstrap, filled, Partitions);
        await client.CreateTopicAsync(broker.Bootstrap, spare, 1);
        var ballast = Path.Combine(disk.Path, "ballast");
        File.WriteAllBytes(ballast, new byte[BallastBytes]);

        using var workload = new NumberedWorkload(broker.Bootstrap, filled, Partitions, ValueBytes);
        var producing = workload.StartAsync();
        await Until.TrueAsync(
            $"the disk is full\n{broker.Output}", s_limit, () => producing.IsCompleted
            || broker.Output.Contains("There is no space left in", StringComparison.Ordinal));
        disk.FillUp("last-bytes");
        Assert.False(producing.IsCompleted, $"The producer stopped: {producing.Exception}");
        Assert.True(await broker.AnswersAsync());

        // Full, and still a broker: it serves what it has, and deletes what is not wanted any more.
        Assert.NotEmpty(await client.ConsumeAsync(broker.Bootstrap, filled));
        var deleted = await client.AdminAsync(broker.Bootstrap, [AdminOperation.DeleteTopic(spare)]);
        Assert.True(deleted[0].Ok, $"{deleted[0]}\n{broker.Output}");

        File.Delete(Path.Combine(disk.Path, "last-bytes"));
        File.Delete(ballast);
        var target = workload.Acknowledged + 1_000;
        await Until.TrueAsync(
            $"records are acknowledged again\n{broker.Output}", s_limit, () => producing.IsCompleted || workload.Acknowledged >= target);
        workload.Stop();
        await producing;
        workload.AssertComplete(await client.ConsumeAsync(broker.Bootstrap, filled));

        Assert.Equal(0, await broker.TerminateAsync());
        await broker.StartAgainAsync();
        workload.AssertComplete(await client.ConsumeAsync(broker.Bootstrap, filled));
    }
}
