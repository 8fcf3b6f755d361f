using System.Globalization;
using System.Text;
using Ottla.Simulator.Clusters;
using Ottla.Simulator.Worlds;

namespace Ottla.Simulator.Replication;

/// <summary>
/// E6: a cluster that nobody uses comes to rest. Its logs and its metadata stay as they are, but for the no-op records of the metadata log,
/// and its nodes do little more than to wait.
/// </summary>
/// <param name="world">Where it is.</param>
/// <param name="cluster">Which.</param>
/// <param name="conditions">How often its nodes have to do something at least.</param>
/// <param name="look">Looks at it.</param>
internal sealed class RestingCluster(
    World world, SimCluster cluster, ReplicationConditions conditions, Func<ClusterView?> look)
{
    private const int RestSeconds = 5;

    /// <summary>A no-op record comes every half second (<c>metadata.max.idle.interval.ms</c>), and one may lie on either edge.</summary>
    private const int NoOpsMax = (2 * RestSeconds) + 2;

    /// <summary>
    /// How many pieces of work an exchange of messages takes, both sides together: sends, receipts in pieces, continuations, timers.
    /// </summary>
    private const int StepsPerExchange = 40;

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    /// <summary>Waits until it rests. Leaders may have to move first, and sessions to end.</summary>
    /// <exception cref="SimulationException">It does not, or does too much meanwhile.</exception>
    public async Task AwaitAsync(SimProcess director)
    {
        var deadline = director.Clock.GetUtcNow() + Patience;
        while (true)
        {
            var (before, offset, steps) = (Describe(), NewestOffset, world.Scheduler.Steps);
            await director.Delay(TimeSpan.FromSeconds(RestSeconds));
            if (Describe() is var after && after == before && NewestOffset - offset <= NoOpsMax)
            {
                var done = world.Scheduler.Steps - steps;
                world.Tell(director.Name, $"the cluster rests: {done} steps in {RestSeconds} s, at most {StepsMax} are fine");
                if (done > StepsMax)
                    throw new SimulationException($"a cluster at rest takes {done} steps in {RestSeconds} s, not {StepsMax} at most");
                return;
            }

            if (director.Clock.GetUtcNow() > deadline)
                throw new SimulationException(
                    $"the cluster does not come to rest: from{Environment.NewLine}{before}it went to{Environment.NewLine}{after}"
                        + $"and the metadata log grew by {NewestOffset - offset} records");
        }
    }

    private long NewestOffset => cluster.NewestImage?.Provenance.LastOffset ?? -1;

    /// <summary>Fetches of all replicas and of the metadata, heartbeats, the votes of nobody, and the looks of the simulation.</summary>
    private long StepsMax
    {
        get
        {
            var (nodes, brokers) = (cluster.Nodes.Count, conditions.Brokers.Length);
            var replicaFetches = brokers * (brokers - 1) * Number("num.replica.fetchers") * 1000L / Number("replica.fetch.wait.max.ms");
            var metadataFetches = nodes * 4L; // each answered by a no-op record, or after half a second
            var heartbeats = brokers * 1000L / Number("broker.heartbeat.interval.ms") * 2;
            return RestSeconds * StepsPerExchange * (replicaFetches + metadataFetches + heartbeats + (nodes * 5));
        }
    }

    private int Number(string config) => int.Parse(conditions.Configs[config], CultureInfo.InvariantCulture);

    /// <summary>What must not change: who leads in which epochs, and where the logs end.</summary>
    private string Describe()
    {
        var text = new StringBuilder();
        foreach (var partition in look()?.Partitions ?? [])
        {
            var (registration, ends) = (partition.Registration, partition.Replicas.Select(replica => replica.Live?.End));
            text.Append(CultureInfo.InvariantCulture, $"{partition.Partition}: leader epoch {registration.LeaderEpoch}, partition epoch ");
            text.AppendLine(CultureInfo.InvariantCulture, $"{registration.PartitionEpoch}, ends {string.Join(',', ends)}");
        }

        return text.ToString();
    }
}
