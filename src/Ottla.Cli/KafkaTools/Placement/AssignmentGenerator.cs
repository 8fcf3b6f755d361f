using System.Globalization;
using Ottla.Client;
using Ottla.Kernel;

namespace Ottla.Cli.KafkaTools.Placement;

/// <summary>Proposes an assignment, as kafka-reassign-partitions --generate does.</summary>
internal sealed class AssignmentGenerator(TextWriter output, ToolClient client)
{
    /// <summary>Proposes and prints.</summary>
    /// <param name="file">The file with the topics.</param>
    /// <param name="brokerList">The brokers to use.</param>
    /// <param name="isRackAware">Whether replicas of a partition are spread over racks.</param>
    public async Task RunAsync(string file, string brokerList, bool isRackAware)
    {
        var wanted = brokerList.Split(',').Select(text => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var id)
            ? id : throw new JavaException("java.lang.NumberFormatException", $"For input string: \"{text}\"")).ToList();
        ThrowIfTwice(wanted, "Broker list contains duplicate entries");
        var topics = ReassignmentJson.ReadTopics(file);
        ThrowIfTwice(topics, "List of topics to reassign contains duplicate entries");
        var current = await ReplicaLookup.ReplicasAsync(client, topics);
        var directories = await ReplicaLookup.DirectoriesAsync(client, current);
        var brokers = await BrokersAsync(wanted, isRackAware);
        var proposed = Propose(current, brokers);
        output.WriteLine($"Current partition replica assignment\n{ReassignmentJson.Write(current, directories)}\n");
        output.WriteLine($"Proposed partition reassignment configuration\n{ReassignmentJson.Write(proposed, _ => null)}");
    }

    private async Task<List<BrokerDescription>> BrokersAsync(List<int> wanted, bool isRackAware)
    {
        var brokers = (await client.CallAsync("listNodes", admin => admin.DescribeClusterAsync())).Brokers
            .Where(broker => wanted.Contains(broker.Id)).Select(broker => isRackAware ? broker : broker with { Rack = null }).ToList();
        if (brokers.Count == 0)
        {
            throw JavaException.Kafka(
                "InvalidReplicationFactorException", "All brokers are currently fenced, or have all their log directories cordoned.");
        }

        if (brokers.Any(broker => broker.Rack is null) && brokers.Any(broker => broker.Rack is not null))
        {
            throw new JavaException(
                "org.apache.kafka.tools.AdminOperationException",
                "Not all brokers have rack information. Add --disable-rack-aware in command line to make replica assignment without rack "
                    + "information.");
        }

        return brokers;
    }

    /// <summary>
    /// Deals partitions out: the brokers stand in a row in which racks alternate, each partition begins one place further, and each round
    /// moves the followers on by one.
    /// </summary>
    private static Dictionary<TopicPartition, IReadOnlyList<int>> Propose(
        Dictionary<TopicPartition, IReadOnlyList<int>> current, List<BrokerDescription> brokers)
    {
        var racks = brokers.GroupBy(broker => broker.Rack ?? $"{broker.Id}").Select(
            rack => rack.Select(broker => broker.Id).Order().ToList())
            .ToList();
        var row = Enumerable.Range(0, racks.Max(rack => rack.Count)).SelectMany(
            i => racks.Where(rack => i < rack.Count).Select(rack => rack[i])).ToList();
        var proposed = new Dictionary<TopicPartition, IReadOnlyList<int>>();
        foreach (var topic in current.GroupBy(each => each.Key.Topic))
        {
            var factor = topic.OrderBy(each => each.Key.Partition).First().Value.Count;
            if (factor > row.Count)
            {
                throw JavaException.Kafka(
                    "InvalidReplicationFactorException",
                    $"The target replication factor of {factor} cannot be reached because only {row.Count} broker(s) are registered or "
                        + "some brokers have all their log directories cordoned.");
            }

            foreach (var (partition, _) in topic)
                proposed[partition] = [.. Enumerable.Range(0, factor).Select(i => row[PlaceOf(partition.Partition, i, row.Count)])];
        }

        return proposed;
    }

    private static int PlaceOf(int partition, int replica, int count)
    {
        if (replica == 0 || count == 1)
            return (partition + replica) % count;
        var shift = partition / count;
        return (partition + 1 + ((shift + replica - 1) % (count - 1))) % count;
    }

    private static void ThrowIfTwice<T>(IEnumerable<T> items, string what)
        where T : notnull
    {
        var twice = items.GroupBy(each => each).Where(group => group.Count() > 1).Select(group => group.Key).ToList();
        if (twice.Count > 0)
            throw ReassignmentJson.Failed($"{what}: [{string.Join(", ", twice)}]");
    }
}
