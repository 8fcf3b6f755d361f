using System.Globalization;
using Ottla.Broker.Hosts;
using Ottla.Configuration;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Controller;

namespace Ottla.Broker.Metadata;

/// <summary>Creates topics that clients use without having created them: the brokers' own with the first use, others as <c>auto.create.topics.enable</c> says.</summary>
public sealed class TopicAutoCreation(ControllerChannel controller, Func<BrokerConfig> config)
{
    /// <summary>Whether the broker may create topics by itself that are not its own.</summary>
    public bool IsEnabled => config().AutoCreateTopicsEnable;

    /// <summary>Creates topics with the broker's defaults, or those that internal topics have, and waits until they can be used.</summary>
    /// <returns>The error of each topic; <see cref="ErrorCode.None"/> also when it existed already.</returns>
    public async Task<IReadOnlyDictionary<string, ErrorCode>> CreateAsync(IReadOnlyList<string> names)
    {
        var request = new CreateTopicsRequest { Topics = [.. names.Select(Topic)], TimeoutMs = config().RequestTimeoutMs };
        try
        {
            var response = await controller.SubmitAsync(new CreateTopicsCommand(request));
            return response.Topics.ToDictionary(topic => topic.Name, topic => Meaning((ErrorCode)topic.ErrorCode), StringComparer.Ordinal);
        }
        catch (ApiException e)
        {
            return names.ToDictionary(name => name, _ => e.Error.Code, StringComparer.Ordinal);
        }
    }

    private CreateTopicsRequest.CreatableTopic Topic(string name)
    {
        var broker = config();
        return name switch
        {
            TopicNames.ConsumerOffsets => Topic(
                name, broker.OffsetsTopicNumPartitions, broker.OffsetsTopicReplicationFactor,
                ("cleanup.policy", "compact"), ("compression.type", "producer"), ("segment.bytes", Text(broker.OffsetsTopicSegmentBytes))),
            TopicNames.TransactionState => Topic(
                name, broker.TransactionStateLogNumPartitions, broker.TransactionStateLogReplicationFactor,
                ("cleanup.policy", "compact"), ("compression.type", "uncompressed"), ("segment.bytes", Text(broker.TransactionStateLogSegmentBytes)),
                ("min.insync.replicas", Text(broker.TransactionStateLogMinIsr)), ("unclean.leader.election.enable", "false")),
            _ => Topic(name, partitions: -1, replicationFactor: -1),
        };
    }

    private static CreateTopicsRequest.CreatableTopic Topic(string name, int partitions, short replicationFactor, params ReadOnlySpan<(string Name, string Value)> configs)
    {
        var topic = new CreateTopicsRequest.CreatableTopic { Name = name, NumPartitions = partitions, ReplicationFactor = replicationFactor, Configs = new CreateTopicsRequest.CreatableTopicConfig[configs.Length] };
        for (var i = 0; i < configs.Length; i++)
            topic.Configs[i] = new CreateTopicsRequest.CreatableTopicConfig { Name = configs[i].Name, Value = configs[i].Value };
        return topic;
    }

    private static string Text(int value) => value.ToString(CultureInfo.InvariantCulture);

    /// <summary>What another client created meanwhile is as good.</summary>
    private static ErrorCode Meaning(ErrorCode error) => error == ErrorCode.TopicAlreadyExists ? ErrorCode.None : error;
}
