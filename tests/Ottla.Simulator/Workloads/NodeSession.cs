using System.Net;
using Ottla.Simulator.Bugs;
using Ottla.Simulator.Worlds;

namespace Ottla.Simulator.Workloads;

/// <summary>A run of a workload on one node.</summary>
internal abstract class NodeSession : ClientSession
{
    /// <summary>A run on a node that was never started.</summary>
    /// <param name="world">Where.</param>
    /// <param name="configs">What is configured otherwise than for development.</param>
    /// <param name="powerLossPercent">Of a hundred kills of the node, how many take the power of its host.</param>
    /// <param name="bug">A bug that the node is to have; null for none.</param>
    protected NodeSession(World world, IReadOnlyDictionary<string, string> configs, int powerLossPercent = 0, BrokerBug? bug = null)
        : base(world, bug)
    {
        Node = new SimNode(world, IPAddress.Parse("10.0.0.1"), configs) { PowerLossPercent = powerLossPercent };
        Bootstrap = [Node.EndPoint];
        bug?.Disk?.Invoke(Node.DiskFaults);
    }

    /// <summary>The node.</summary>
    protected SimNode Node { get; }

    /// <inheritdoc/>
    protected override IReadOnlyList<IPEndPoint> Bootstrap { get; }
}
