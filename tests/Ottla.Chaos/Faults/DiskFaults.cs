using Ottla.Chaos.Machines;

namespace Ottla.Chaos.Faults;

/// <summary>A disk has no block left, until there is room again. A node may end by it if its metadata log is there.</summary>
internal sealed class FullDisk(int machine, int disk) : Fault("disk-full", $"disk {disk} of node{machine} is full")
{
    public override Task InjectAsync(ChaosCluster cluster)
    {
        cluster[machine].MayEnd = true;
        cluster[machine].Disks[disk].FillUp();
        return Task.CompletedTask;
    }

    public override Task HealAsync(ChaosCluster cluster)
    {
        cluster[machine].Disks[disk].MakeRoom();
        cluster[machine].Start();
        cluster[machine].MayEnd = false;
        return Task.CompletedTask;
    }
}

/// <summary>
/// The disk without the metadata log fails: every write is an error, and what was not synced is lost. The node goes on with the other one,
/// and gets the disk back with a restart.
/// </summary>
internal sealed class FailingDirectory(int machine) : Fault("dir-fail", $"the second disk of node{machine} fails")
{
    private const int WithoutMetadata = 1;

    public override bool NeedsWholeCluster => true;

    public override Task InjectAsync(ChaosCluster cluster)
    {
        cluster[machine].Disks[WithoutMetadata].Fail();
        return Task.CompletedTask;
    }

    public override async Task HealAsync(ChaosCluster cluster)
    {
        await cluster[machine].StopAsync();
        cluster[machine].Disks[WithoutMetadata].Restore();
        cluster[machine].Start();
    }
}
