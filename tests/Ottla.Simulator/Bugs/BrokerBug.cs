using Ottla.Simulator.Disk;

namespace Ottla.Simulator.Bugs;

/// <summary>
/// A bug that Ottla does not have, and that a workload has to find. It is put in where a node meets the world, on its disk or on the wire
/// of its clients, so that the node itself is the one that is shipped.
/// </summary>
/// <param name="Name">What is wrong.</param>
internal sealed record BrokerBug(string Name)
{
    /// <summary>Makes the node's disk one on which it has the bug; null when the bug is none of its disk.</summary>
    public Action<SimDiskFaults>? Disk { get; init; }

    /// <summary>Makes what clients say and hear that of a broker with the bug; null when that is not where it shows.</summary>
    public WireBug? Wire { get; init; }

    /// <inheritdoc/>
    public override string ToString() => Name;
}
