using System.Collections.Concurrent;
using System.Globalization;
using Microsoft.Extensions.Logging;
using Ottla.Broker.Peers;
using Ottla.Broker.Server;
using Ottla.Configuration;
using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.Broker.Metadata;

/// <summary>
/// Creates topics at their first use: internal topics always, others as
/// <c>auto.create.topics.enable</c> says. Lives as long as the broker; any thread may call it.
/// </summary>
public sealed partial class TopicAutoCreation(Forwarder forwarder, Func<BrokerConfig> config, ILogger logger)
{
    /// <summary>The most topics that are created at one time without a client that waits; a client asks again for what is beyond.</summary>
    private const int TopicsInFlightMax = 10_000;

    private readonly ConcurrentDictionary<string, bool> _inFlight = new(StringComparer.Ordinal);

    /// <summary>Whether the broker may create topics by itself that are not its own.</summary>
    public bool IsEnabled => config().AutoCreateTopicsEnable;

    /// <summary>Begins to create topics in a client's name and does not wait; a topic that cannot be created is logged.</summary>
    public void Begin(RequestContext client, IReadOnlyList<string> names)
    {
        var mine = names.Where(name => _inFlight.Count < TopicsInFlightMax && _inFlight.TryAdd(name, true)).ToList();
        if (mine.Count > 0)
            _ = CreateAndForgetAsync(client, mine);
    }

    /// <summary>
    /// Creates topics of the brokers' own, with the configs that they have, and waits until they can be used. What fails is logged.
    /// </summary>
    public async Task CreateInternalAsync(IReadOnlyList<string> names) => LogAll(await CreateAsync(names, forwarder.CreateTopicsAsync));

    /// <returns>What was not created, and is not there either.</returns>
    private async Task<IReadOnlyList<Failure>> CreateAsync(
        IReadOnlyList<string> names, Func<CreateTopicsRequest, Task<CreateTopicsResponse>> createAsync)
    {
        try
        {
            var response = await createAsync(
                new CreateTopicsRequest { Topics = [.. names.Select(Topic)], TimeoutMs = config().RequestTimeoutMs });
            return
            [
                .. response.Topics
                    .Where(topic => (ErrorCode)topic.ErrorCode is not ErrorCode.None and not ErrorCode.TopicAlreadyExists)
                    .Select(topic => new Failure(topic.Name, (ErrorCode)topic.ErrorCode, topic.ErrorMessage)),
            ];
        }
        catch (ApiException e)
        {
            return [new Failure(string.Join(", ", names), e.Error.Code, e.Error.Message)];
        }
    }

    private void LogAll(IReadOnlyList<Failure> failures)
    {
        foreach (var failure in failures)
            LogFailed(failure.Topic, failure.Error, failure.Reason);
    }

    /// <summary>Has the controller create topics for a client, as if the client had asked for that.</summary>
    private async Task<CreateTopicsResponse> CreateForAsync(RequestContext client, CreateTopicsRequest request)
    {
        var version = Math.Min(
            CreateTopicsRequest.HighestVersion, forwarder.ControllerVersionsOf(ApiKey.CreateTopics)?.Max ?? short.MaxValue);
        var context = client with { ApiKey = ApiKey.CreateTopics, ApiVersion = version };
        return await forwarder.ForwardAsync<CreateTopicsRequest, CreateTopicsResponse>(context, request)
            ?? throw new ApiException(ErrorCode.UnsupportedVersion, "The active controller cannot read the request.");
    }

    private async Task CreateAndForgetAsync(RequestContext client, List<string> names)
    {
        IReadOnlyList<Failure> failures = [];
        try
        {
            failures = await CreateAsync(names, request => CreateForAsync(client, request));
        }
        catch (OperationCanceledException)
        {
            // The client has left, or the node is stopping.
        }
        catch (Exception e) // nothing awaits this method
        {
            LogBroken(string.Join(", ", names), e);
        }
        finally
        {
            foreach (var name in names)
                _inFlight.TryRemove(name, out _);
        }

        LogAll(failures); // once the client may try again
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
                ("cleanup.policy", "compact"), ("compression.type", "uncompressed"),
                    ("segment.bytes", Text(broker.TransactionStateLogSegmentBytes)),
                ("min.insync.replicas", Text(broker.TransactionStateLogMinIsr)), ("unclean.leader.election.enable", "false")),
            TopicNames.ShareGroupState => Topic(
                name, broker.ShareCoordinatorStateTopicNumPartitions, broker.ShareCoordinatorStateTopicReplicationFactor,
                ("cleanup.policy", "delete"), ("compression.type", "producer"), ("retention.ms", "-1"),
                    ("segment.bytes", Text(broker.ShareCoordinatorStateTopicSegmentBytes)),
                ("min.insync.replicas", Text(broker.ShareCoordinatorStateTopicMinIsr))),
            _ => Topic(name, partitions: -1, replicationFactor: -1),
        };
    }

    private static CreateTopicsRequest.CreatableTopic Topic(
        string name, int partitions, short replicationFactor, params ReadOnlySpan<(string Name, string Value)> configs)
    {
        var topic =
            new CreateTopicsRequest.CreatableTopic
            {
                Name = name,
                NumPartitions = partitions,
                ReplicationFactor = replicationFactor,
                Configs = new CreateTopicsRequest.CreatableTopicConfig[configs.Length]
            };
        for (var i = 0; i < configs.Length; i++)
            topic.Configs[i] = new CreateTopicsRequest.CreatableTopicConfig { Name = configs[i].Name, Value = configs[i].Value };
        return topic;
    }

    private static string Text(int value) => value.ToString(CultureInfo.InvariantCulture);

    private readonly record struct Failure(string Topic, ErrorCode Error, string? Reason);

    [LoggerMessage(Level = LogLevel.Warning,
        Message = "The automatic creation of topic {Topic} failed with {Error}: {Reason}. "
            + "Create the topic yourself, or change what the reason names.")]
    private partial void LogFailed(string topic, ErrorCode error, string? reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "The automatic creation of topic {Topic} failed unexpectedly.")]
    private partial void LogBroken(string topic, Exception e);
}
