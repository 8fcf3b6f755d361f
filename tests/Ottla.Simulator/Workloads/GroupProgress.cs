using System.Globalization;
using Ottla.HistoryChecker.History;
using Ottla.Kernel;
using Ottla.Protocol.Messages;
using Ottla.Simulator.Worlds;

namespace Ottla.Simulator.Workloads;

/// <summary>How far the groups of a simulation have read: one check for both kinds of clients.</summary>
internal static class GroupProgress
{
    /// <summary>Waits until groups have committed the ends of partitions.</summary>
    /// <exception cref="SimulationException">A group has not come so far in time.</exception>
    public static async Task DrainAsync(
        ClientSession session, SimProcess director, IEnumerable<string> groups, IReadOnlyList<TopicPartition> partitions)
    {
        var client = session.NewClient(director, (ApiKey.OffsetFetch, 8, 9));
        var deadline = director.Clock.GetUtcNow() + ClientSession.LongPatience;
        foreach (var group in groups)
        {
            foreach (var partition in partitions)
            {
                while (await client.CommittedOffsetAsync(group, partition) is var committed
                    && committed < await client.EndOffsetAsync(partition))
                {
                    if (director.Clock.GetUtcNow() > deadline)
                        throw new SimulationException(
                            string.Create(CultureInfo.InvariantCulture, $"the group {group} stays at {committed} of {partition}"));
                    await director.Delay(TimeSpan.FromMilliseconds(100));
                }
            }
        }
    }

    /// <summary>Demands that each group has read all that there is.</summary>
    /// <exception cref="SimulationException">One has not.</exception>
    public static void CheckConsumed(IReadOnlyDictionary<string, HashSet<long>> consumedBy, IReadOnlyList<PolledRecord> records)
    {
        foreach (var (group, consumed) in consumedBy)
        {
            if (records.FirstOrDefault(record => !consumed.Contains(record.Value)) is { Partition: not null } missed)
                throw new SimulationException($"the group {group} has committed the end, and never read {missed}");
        }
    }
}
