using Ottla.Chaos.Clients;
using Ottla.Chaos.Machines;

namespace Ottla.Chaos.Faults;

/// <summary>Partitions move to other replicas under load, and back.</summary>
internal sealed class Reassignment(IReadOnlyList<int> partitions, IReadOnlyList<int> there, IReadOnlyList<int> back)
    : Fault(
        "reassign",
        $"partitions {string.Join(", ", partitions)} move to [{string.Join(',', there)}], then to [{string.Join(',', back)}]")
{
    public override Task InjectAsync(ChaosCluster cluster) => MoveAsync(cluster, there);

    public override Task HealAsync(ChaosCluster cluster) => MoveAsync(cluster, back);

    private Task MoveAsync(ChaosCluster cluster, IReadOnlyList<int> replicas) =>
        cluster.Admin.ReassignAsync(
            Workload.Topic, [.. partitions.Select(partition => (partition, (IReadOnlyList<int>?)replicas))]);
}
