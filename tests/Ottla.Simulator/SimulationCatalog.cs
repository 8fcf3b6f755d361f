using Ottla.Simulator.Crash;
using Ottla.Simulator.Workloads;

namespace Ottla.Simulator;

/// <summary>The one list of the simulations: name a new one here.</summary>
public static class SimulationCatalog
{
    /// <summary>All simulations.</summary>
    public static IReadOnlyList<ISimulation> All { get; } =
    [
        new CrashSimulation(),
        new Interleaving.InterleavingSimulation(),
        new Groups.GroupStorm(),
        new ProduceWorkload(),
        new TransactionWorkload(),
        new Quorum.QuorumSimulation(),
        new Clusters.ClusterSimulation(),
        new Replication.ReplicationSimulation(),
        new Library.ClientSimulation(),
    ];

    /// <summary>The simulation called <paramref name="name"/>; null when there is none.</summary>
    public static ISimulation? Find(string name) => All.FirstOrDefault(simulation => simulation.Name == name);
}
