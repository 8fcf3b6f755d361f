using System.Collections.Immutable;
using System.Globalization;
using Ottla.Client;
using Ottla.Kernel;
using Ottla.Protocol;

namespace Ottla.Cli.Partitions;

/// <summary>Begins and cancels reassignments, and elects preferred leaders. Used by one command.</summary>
internal sealed class Reassigner(IAdmin admin)
{
    /// <summary>The controller writes up to two records for a partition, and refuses requests with more than 10,000.</summary>
    private const int PartitionsPerRequest = 1000;

    /// <summary>Begins the reassignment of partitions, or cancels it where the replicas are null.</summary>
    /// <returns>What was refused, and why.</returns>
    public async Task<IReadOnlyDictionary<TopicPartition, string>> AlterAsync(
        IEnumerable<(TopicPartition Partition, ImmutableArray<int>? Replicas)> partitions)
    {
        var refused = new Dictionary<TopicPartition, string>();
        foreach (var some in partitions.Chunk(PartitionsPerRequest))
        {
            var results = await admin.AlterPartitionReassignmentsAsync(
                some.ToDictionary(each => each.Partition, IReadOnlyList<int>? (each) => each.Replicas));
            Note(refused, results);
        }

        return refused;
    }

    /// <summary>Has preferred replicas lead.</summary>
    /// <returns>Those whose preferred replica cannot lead, and why.</returns>
    public async Task<IReadOnlyDictionary<TopicPartition, string>> ElectPreferredAsync(IEnumerable<TopicPartition> partitions)
    {
        var refused = new Dictionary<TopicPartition, string>();
        foreach (var some in partitions.Chunk(PartitionsPerRequest))
        {
            Note(refused, await admin.ElectLeadersAsync(ElectionType.Preferred, some));
        }

        return refused;
    }

    /// <summary>Names some partitions, and counts the rest.</summary>
    public static string Names(IReadOnlyCollection<TopicPartition> partitions)
    {
        const int NamesMax = 10;
        var names = string.Join(", ", partitions.Take(NamesMax));
        return partitions.Count > NamesMax
            ? string.Create(CultureInfo.InvariantCulture, $"{names} and {partitions.Count - NamesMax} more")
            : names;
    }

    private static void Note(Dictionary<TopicPartition, string> refused, AdminResults<TopicPartition> results)
    {
        foreach (var (partition, result) in results)
        {
            if (result.Error is not (ErrorCode.None or ErrorCode.ElectionNotNeeded))
                refused[partition] = new KafkaException(result.Error, result.Message).Message;
        }
    }
}
