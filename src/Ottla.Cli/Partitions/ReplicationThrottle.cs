using System.Globalization;
using Ottla.Cli.Admin;
using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using AlterResource = Ottla.Protocol.Messages.IncrementalAlterConfigsRequest.AlterConfigsResource;

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
internal sealed class ReplicationThrottle(AdminConnection connection)
{
    private const string LeaderRate = "leader.replication.throttled.rate";
    private const string FollowerRate = "follower.replication.throttled.rate";
    private const string LeaderReplicas = "leader.replication.throttled.replicas";
    private const string FollowerReplicas = "follower.replication.throttled.replicas";

    /// <summary>The controller writes a record for each config, and refuses requests with more than 10,000.</summary>
    private const int TopicsPerRequest = 1000;

    private const sbyte FromTopic = 1;
    private const sbyte FromBroker = 2;

    /// <summary>Sets the rate on brokers, and which replicas it is for.</summary>
    /// <param name="moves">Each partition with the brokers that have it, and those that it is copied to.</param>
    /// <param name="brokers">The brokers that send or receive.</param>
    /// <param name="bytesPerSecond">How much each of them sends at most, and how much it receives.</param>
    public async Task SetAsync(
        IEnumerable<(TopicPartition Partition, IEnumerable<int> Sources, IEnumerable<int> Destinations)> moves,
        IEnumerable<BrokerState> brokers, long bytesPerSecond)
    {
        await AlterTopicsAsync([.. moves.GroupBy(move => move.Partition.Topic).Select(topic => Topic(topic.Key,
        [
            Set(LeaderReplicas, string.Join(',', topic.SelectMany(move => move.Sources.Select(id => $"{move.Partition.Partition}:{id}")))),
            Set(FollowerReplicas, string.Join(
                ',', topic.SelectMany(move => move.Destinations.Except(move.Sources).Select(id => $"{move.Partition.Partition}:{id}")))),
        ]))]);
        var rate = bytesPerSecond.ToString(CultureInfo.InvariantCulture);
        foreach (var broker in brokers)
            await AlterBrokerAsync(broker, [Set(LeaderRate, rate), Set(FollowerRate, rate)]);
    }

    /// <summary>Finds out what is set.</summary>
    /// <param name="brokers">The brokers to ask; those that are fenced are not.</param>
    /// <param name="topics">The topics to look at.</param>
    public async Task<ThrottleState> FindAsync(IEnumerable<BrokerState> brokers, IEnumerable<string> topics)
    {
        var rates = new List<(BrokerState, long)>();
        foreach (var broker in brokers.Where(broker => !broker.IsFenced))
        {
            var request = Describe(ConfigResourceType.Broker, [Text(broker.Id)], [LeaderRate, FollowerRate]);
            var answer = await connection.SendToAsync<DescribeConfigsRequest, DescribeConfigsResponse>(
                broker.Address, null, _ => request, ErrorOf);
            var set = answer.Results.SelectMany(result => result.Configs).Where(config => config.ConfigSource == FromBroker)
                .Select(config => long.Parse(config.Value!, CultureInfo.InvariantCulture)).ToList();
            if (set.Count > 0)
                rates.Add((broker, set.Max()));
        }

        var throttled = new List<string>();
        foreach (var names in topics.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal).Chunk(TopicsPerRequest))
        {
            var request = Describe(ConfigResourceType.Topic, names, [LeaderReplicas, FollowerReplicas]);
            var answer = await connection.SendAsync<DescribeConfigsRequest, DescribeConfigsResponse>(_ => request, ErrorOf);
            throttled.AddRange(answer.Results.Where(result => result.Configs.Any(config => config.ConfigSource == FromTopic))
                .Select(result => result.ResourceName));
        }

        return new ThrottleState(rates, throttled);
    }

    /// <summary>Removes what is set.</summary>
    public async Task ClearAsync(ThrottleState state)
    {
        foreach (var (broker, _) in state.Brokers)
            await AlterBrokerAsync(broker, [Delete(LeaderRate), Delete(FollowerRate)]);
        await AlterTopicsAsync([.. state.Topics.Select(topic => Topic(topic, [Delete(LeaderReplicas), Delete(FollowerReplicas)]))]);
    }

    private Task<IncrementalAlterConfigsResponse> AlterBrokerAsync(
        BrokerState broker, IncrementalAlterConfigsRequest.AlterableConfig[] configs)
    {
        var request = new IncrementalAlterConfigsRequest
        {
            Resources =
            [
                new AlterResource { ResourceType = (sbyte)ConfigResourceType.Broker, ResourceName = Text(broker.Id), Configs = configs },
            ],
        };
        return connection.SendToAsync<IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse>(
            broker.Address, null, _ => request, ErrorOf);
    }

    private async Task AlterTopicsAsync(List<AlterResource> topics)
    {
        foreach (var some in topics.Chunk(TopicsPerRequest))
        {
            var request = new IncrementalAlterConfigsRequest { Resources = some };
            await connection.SendAsync<IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse>(_ => request, ErrorOf);
        }
    }

    /// <summary>The first error of a resource; a topic that is gone needs no throttle.</summary>
    private static (ErrorCode, string?) ErrorOf(IncrementalAlterConfigsResponse answer) =>
        Array.Find(answer.Responses, each => IsFailure(each.ErrorCode)) is { } failed
            ? ((ErrorCode)failed.ErrorCode, failed.ErrorMessage)
            : (ErrorCode.None, null);

    private static (ErrorCode, string?) ErrorOf(DescribeConfigsResponse answer) =>
        Array.Find(answer.Results, each => IsFailure(each.ErrorCode)) is { } failed
            ? ((ErrorCode)failed.ErrorCode, failed.ErrorMessage)
            : (ErrorCode.None, null);

    private static bool IsFailure(short error) => (ErrorCode)error is not (ErrorCode.None or ErrorCode.UnknownTopicOrPartition);

    private static DescribeConfigsRequest Describe(ConfigResourceType type, IEnumerable<string> names, string[] configs) => new()
    {
        Resources =
        [
            .. names.Select(name => new DescribeConfigsRequest.DescribeConfigsResource
            {
                ResourceType = (sbyte)type, ResourceName = name, ConfigurationKeys = configs,
            }),
        ],
    };

    private static AlterResource Topic(string name, IncrementalAlterConfigsRequest.AlterableConfig[] configs) =>
        new() { ResourceType = (sbyte)ConfigResourceType.Topic, ResourceName = name, Configs = configs };

    private static IncrementalAlterConfigsRequest.AlterableConfig Set(string name, string value) =>
        new() { Name = name, ConfigOperation = (sbyte)AlterConfigOperation.Set, Value = value };

    private static IncrementalAlterConfigsRequest.AlterableConfig Delete(string name) =>
        new() { Name = name, ConfigOperation = (sbyte)AlterConfigOperation.Delete, Value = null };

    private static string Text(int id) => id.ToString(CultureInfo.InvariantCulture);
}
