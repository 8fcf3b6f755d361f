using System.Globalization;
using Ottla.Client;
using Ottla.Kernel;
using Ottla.Protocol;

namespace Ottla.Cli.Partitions;

/// <summary>Throttles that are set.</summary>
/// <param name="Brokers">Brokers that have a rate, and the higher of their two.</param>
/// <param name="Topics">Topics that name throttled replicas.</param>
internal sealed record ThrottleState(IReadOnlyList<(BrokerState Broker, long Rate)> Brokers, IReadOnlyList<string> Topics)
{
    public bool IsNone => Brokers.Count == 0 && Topics.Count == 0;
}

/// <summary>
/// Bounds how fast replicas are copied, by the configs that kafka-reassign-partitions sets: a rate for each broker that sends or receives,
/// and for each topic which replicas count. Used by one command.
/// </summary>
internal sealed class ReplicationThrottle(IAdmin admin)
{
    private const string LeaderRate = "leader.replication.throttled.rate";
    private const string FollowerRate = "follower.replication.throttled.rate";
    private const string LeaderReplicas = "leader.replication.throttled.replicas";
    private const string FollowerReplicas = "follower.replication.throttled.replicas";

    /// <summary>The controller writes a record for each config, and refuses requests with more than 10,000.</summary>
    private const int TopicsPerRequest = 1000;

    /// <summary>Sets the rate on brokers, and which replicas it is for.</summary>
    /// <param name="moves">Each partition with the brokers that have it, and those that it is copied to.</param>
    /// <param name="brokers">The brokers that send or receive.</param>
    /// <param name="bytesPerSecond">How much each of them sends at most, and how much it receives.</param>
    public async Task SetAsync(
        IEnumerable<(TopicPartition Partition, IEnumerable<int> Sources, IEnumerable<int> Destinations)> moves,
        IEnumerable<BrokerState> brokers, long bytesPerSecond)
    {
        await AlterTopicsAsync(moves.GroupBy(move => move.Partition.Topic).ToDictionary(
            topic => topic.Key, IReadOnlyList<ConfigChange> (topic) =>
        [
            new ConfigChange(LeaderReplicas, Named(topic.Select(move => (move.Partition, move.Sources)))),
            new ConfigChange(FollowerReplicas, Named(topic.Select(move => (move.Partition, move.Destinations.Except(move.Sources))))),
        ]));
        var rate = bytesPerSecond.ToString(CultureInfo.InvariantCulture);
        foreach (var broker in brokers)
            await AlterBrokerAsync(broker, new ConfigChange(LeaderRate, rate), new ConfigChange(FollowerRate, rate));
    }

    /// <summary>Finds out what is set.</summary>
    /// <param name="brokers">The brokers to ask; those that are fenced are not.</param>
    /// <param name="topics">The topics to look at.</param>
    public async Task<ThrottleState> FindAsync(IEnumerable<BrokerState> brokers, IEnumerable<string> topics)
    {
        var rates = new List<(BrokerState, long)>();
        foreach (var broker in brokers.Where(broker => !broker.IsFenced))
        {
            var configs = (await admin.DescribeConfigsAsync([ConfigResource.Broker(broker.Id)]))[ConfigResource.Broker(broker.Id)].Value;
            var set = configs.Where(config => config.Source == ConfigSource.DynamicBroker && config.Name is LeaderRate or FollowerRate)
                .Select(config => long.Parse(config.Value!, CultureInfo.InvariantCulture)).ToList();
            if (set.Count > 0)
                rates.Add((broker, set.Max()));
        }

        var throttled = new List<string>();
        foreach (var names in topics.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal).Chunk(TopicsPerRequest))
        {
            var described = await admin.DescribeConfigsAsync(names.Select(ConfigResource.Topic));
            throttled.AddRange(described.Where(topic => topic.Value.Error != ErrorCode.UnknownTopicOrPartition && topic.Value.Value.Any(
                config => config.Source == ConfigSource.DynamicTopic && config.Name is LeaderReplicas or FollowerReplicas))
                .Select(topic => topic.Key.Name));
        }

        return new ThrottleState(rates, throttled);
    }

    /// <summary>Removes what is set.</summary>
    public async Task ClearAsync(ThrottleState state)
    {
        foreach (var (broker, _) in state.Brokers)
            await AlterBrokerAsync(broker, ConfigChange.Delete(LeaderRate), ConfigChange.Delete(FollowerRate));
        await AlterTopicsAsync(state.Topics.ToDictionary(
            topic => topic,
            IReadOnlyList<ConfigChange> (_) => [ConfigChange.Delete(LeaderReplicas), ConfigChange.Delete(FollowerReplicas)]));
    }

    private async Task AlterBrokerAsync(BrokerState broker, params ConfigChange[] changes)
    {
        var resource = ConfigResource.Broker(broker.Id);
        var results = await admin.IncrementalAlterConfigsAsync(
            new Dictionary<ConfigResource, IReadOnlyList<ConfigChange>> { [resource] = changes });
        results[resource].ThrowIfFailed();
    }

    /// <summary>Changes configs of topics; one that is gone needs no throttle.</summary>
    private async Task AlterTopicsAsync(Dictionary<string, IReadOnlyList<ConfigChange>> changes)
    {
        foreach (var some in changes.Chunk(TopicsPerRequest))
        {
            var results = await admin.IncrementalAlterConfigsAsync(
                some.ToDictionary(each => ConfigResource.Topic(each.Key), each => each.Value));
            foreach (var result in results.Values.Where(result => result.Error != ErrorCode.UnknownTopicOrPartition))
                result.ThrowIfFailed();
        }
    }

    /// <summary>The value that names replicas: <c>0:1,0:2</c> for partition 0 on the brokers 1 and 2.</summary>
    private static string Named(IEnumerable<(TopicPartition Partition, IEnumerable<int> Brokers)> replicas) => string.Join(
        ',', replicas.SelectMany(each => each.Brokers.Select(id => $"{each.Partition.Partition}:{id}")));
}
