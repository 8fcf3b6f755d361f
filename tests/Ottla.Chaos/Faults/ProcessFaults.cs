using System.Globalization;
using Ottla.Chaos.Machines;
using Ottla.Chaos.Network;

namespace Ottla.Chaos.Faults;

/// <summary>SIGKILL.</summary>
internal sealed class Kill(int machine) : Fault("kill", $"node{machine} is killed")
{
    public override int? Victim => machine;

    public override Task InjectAsync(ChaosCluster cluster) => cluster[machine].KillAsync();

    public override Task HealAsync(ChaosCluster cluster)
    {
        cluster[machine].Start();
        return Task.CompletedTask;
    }
}

/// <summary>SIGKILL of all nodes at once: what they wrote is there.</summary>
internal sealed class KillAll() : Fault("kill-all", "all nodes are killed")
{
    public override Task InjectAsync(ChaosCluster cluster) => Task.WhenAll(cluster.Machines.Select(machine => machine.KillAsync()));

    public override Task HealAsync(ChaosCluster cluster)
    {
        cluster.StartAll();
        return Task.CompletedTask;
    }
}

/// <summary>SIGSTOP, as a machine that hangs: it goes on later and does not know.</summary>
internal sealed class Pause(int machine) : Fault("pause", $"node{machine} is paused")
{
    public override Task InjectAsync(ChaosCluster cluster)
    {
        cluster[machine].Pause();
        return Task.CompletedTask;
    }

    public override Task HealAsync(ChaosCluster cluster)
    {
        cluster[machine].Continue();
        return Task.CompletedTask;
    }
}

/// <summary>SIGTERM, and a start when it is mended.</summary>
internal sealed class Stop(int machine) : Fault("stop", $"node{machine} is stopped")
{
    public override Task InjectAsync(ChaosCluster cluster) => cluster[machine].StopAsync();

    public override Task HealAsync(ChaosCluster cluster)
    {
        cluster[machine].Start();
        return Task.CompletedTask;
    }
}

/// <summary>SIGTERM and a new start: a controlled shutdown, which no client should notice.</summary>
internal sealed class Restart(int machine) : Fault("restart", $"node{machine} is restarted")
{
    public override async Task InjectAsync(ChaosCluster cluster)
    {
        await cluster[machine].StopAsync();
        cluster[machine].Start();
    }

    public override Task HealAsync(ChaosCluster cluster) => Task.CompletedTask;
}

/// <summary>Every node is restarted, each when the one before serves again: how a cluster gets a new version.</summary>
internal sealed class RollingRestart(IReadOnlyList<int> order)
    : Fault("roll", $"rolling restart of {string.Join(", ", order.Select(id => $"node{id}"))}")
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    public override async Task InjectAsync(ChaosCluster cluster)
    {
        foreach (var machine in order)
        {
            await cluster.WaitUntilHealthyAsync(Limit, $"all is well before node{machine} is restarted");
            await cluster[machine].StopAsync();
            cluster[machine].Start();
        }
    }

    public override Task HealAsync(ChaosCluster cluster) => Task.CompletedTask;
}

/// <summary>The power of a machine goes: what was not synced is lost, and nobody hears of it. Then it comes back.</summary>
internal sealed class PowerCut(int machine)
    : Fault("power", string.Create(CultureInfo.InvariantCulture, $"node{machine} loses power"))
{
    private readonly LinkRule[] _silence = [new(machine, null), new(null, machine)];

    public override bool NeedsWholeCluster => true;

    public override int? Victim => machine;

    public override Task InjectAsync(ChaosCluster cluster)
    {
        cluster.Network.Add(_silence);
        return cluster[machine].LosePowerAsync();
    }

    public override Task HealAsync(ChaosCluster cluster)
    {
        cluster.Network.Remove(_silence);
        cluster[machine].Start();
        return Task.CompletedTask;
    }
}
