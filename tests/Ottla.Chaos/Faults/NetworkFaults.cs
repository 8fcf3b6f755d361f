using Ottla.Chaos.Machines;
using Ottla.Chaos.Network;

namespace Ottla.Chaos.Faults;

/// <summary>Packets are lost: all of a machine's or some, one way or both, of all connections or those to one listener.</summary>
internal sealed class Cut(IReadOnlyList<LinkRule> rules) : Fault("cut", $"cut: {string.Join(", ", rules)}")
{
    public override Task InjectAsync(ChaosCluster cluster)
    {
        cluster.Network.Add(rules);
        return Task.CompletedTask;
    }

    public override Task HealAsync(ChaosCluster cluster)
    {
        cluster.Network.Remove([.. rules]);
        return Task.CompletedTask;
    }
}

/// <summary>The links of a machine are slow, in both directions.</summary>
internal sealed class Slow(int machine, SlowLink link)
    : Fault("slow", $"node{machine} has links of {link.Delay.TotalMilliseconds} ms and {link.BytesPerSecond / 1000} kB/s")
{
    private readonly LinkRule[] _rules = [new(machine, null, null, link), new(null, machine, null, link)];

    public override Task InjectAsync(ChaosCluster cluster)
    {
        cluster.Network.Add(_rules);
        return Task.CompletedTask;
    }

    public override Task HealAsync(ChaosCluster cluster)
    {
        cluster.Network.Remove(_rules);
        return Task.CompletedTask;
    }
}
