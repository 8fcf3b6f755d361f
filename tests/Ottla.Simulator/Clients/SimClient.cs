using System.Net;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Simulator.Bugs;
using Ottla.Simulator.Worlds;

namespace Ottla.Simulator.Clients;

/// <summary>
/// What every client has: a connection to each broker that it needs, versions of its own of every API, patience, and a clock to wait by.
/// </summary>
/// <remarks>Lives as long as its process, and is used by that alone.</remarks>
internal sealed partial class SimClient
{
    /// <summary>What FindCoordinator calls the kind of key that a group is.</summary>
    public const sbyte GroupKey = 0;

    /// <summary>What FindCoordinator calls the kind of key that a transactional id is.</summary>
    public const sbyte TransactionKey = 1;

    private const int BackoffMsMin = 20;
    private const int BackoffMsMax = 100;

    private readonly IReadOnlyList<IPEndPoint> _bootstrap;
    private readonly Prng _random;
    private readonly ClientVersions _versions;
    private readonly Dictionary<string, Uuid> _topicIds = [];
    private readonly Dictionary<IPEndPoint, Task<BrokerConnection>> _connections = [];

    /// <summary>A client that knows some brokers: the one that there is, or several of a cluster.</summary>
    public SimClient(SimProcess process, IReadOnlyList<IPEndPoint> bootstrap, ClientVersions versions, Prng random)
    {
        Process = process;
        _bootstrap = bootstrap;
        _versions = versions;
        _random = random;
    }

    public SimProcess Process { get; }

    /// <summary>How long an answer may take before the connection is given up.</summary>
    public TimeSpan RequestTimeout { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>A bug that the broker is to seem to have; null for none.</summary>
    public BrokerBug? Bug { get; init; }

    public DateTimeOffset Now => Process.Clock.GetUtcNow();

    /// <summary>The version that this client uses of an API.</summary>
    public short VersionOf(ApiKey key) => _versions.Of(key);

    /// <summary>Uses other versions from now on, as clients do that hear of another finalized feature.</summary>
    public void Rebind(params (ApiKey Key, short Lowest, short Highest)[] bounds) => _versions.Rebind(bounds);

    /// <summary>The connection that is open to whom a request is for, or a new one.</summary>
    /// <exception cref="ConnectionLostException">Nobody answers there.</exception>
    public async Task<BrokerConnection> ConnectAsync(Destination to = default)
    {
        var broker = await LocateAsync(to);
        if (!_connections.TryGetValue(broker, out var connection)
            || connection.IsFaulted || (connection.IsCompletedSuccessfully && !connection.Result.IsOpen))
            _connections[broker] = connection = BrokerConnection.OpenAsync(Process, broker, Process.Name, RequestTimeout, Bug);
        try
        {
            return await connection;
        }
        catch (ConnectionLostException)
        {
            Forget(to);
            throw;
        }
    }

    /// <summary>Asks once.</summary>
    /// <exception cref="ConnectionLostException">There is no answer, and there will be none.</exception>
    public async Task<TResponse> CallAsync<TRequest, TResponse>(TRequest request, Destination to = default)
        where TRequest : IRequestMessage<TRequest>
        where TResponse : IResponseMessage<TResponse>
    {
        var connection = await ConnectAsync(to);
        try
        {
            return await connection.CallAsync<TRequest, TResponse>(request, VersionOf(TRequest.ApiKey), RequestTimeout);
        }
        catch (ConnectionLostException)
        {
            Forget(to);
            throw;
        }
    }

    /// <summary>Asks again and again, until there is an answer that does not ask for a retry.</summary>
    /// <param name="request">What to ask; may be asked more than once.</param>
    /// <param name="errorOf">Says what an answer says.</param>
    /// <param name="patience">How long to go on.</param>
    /// <param name="onUnanswered">Called whenever there is no answer.</param>
    /// <param name="to">Whom to ask; who it is, is asked anew after each failure.</param>
    /// <returns>The last answer; null when there was none in time, and what was asked is in doubt.</returns>
    public async Task<TResponse?> CallUntilAnsweredAsync<TRequest, TResponse>(
        TRequest request, Func<TResponse, ErrorCode> errorOf, TimeSpan patience, Action? onUnanswered = null,
        Destination to = default)
        where TRequest : IRequestMessage<TRequest>
        where TResponse : class, IResponseMessage<TResponse>
    {
        var deadline = Now + patience;
        while (Now < deadline)
        {
            try
            {
                var response = await CallAsync<TRequest, TResponse>(request, to);
                if (!IsRetriable(errorOf(response)))
                    return response;
                Forget(to);
            }
            catch (ConnectionLostException)
            {
                onUnanswered?.Invoke();
            }

            await BackOffAsync();
        }

        return null;
    }

    /// <summary>The offset that a group has committed, once no transaction may change it; -1 when there is none.</summary>
    /// <exception cref="SimulationException">The broker does not say.</exception>
    public async Task<long> CommittedOffsetAsync(string group, TopicPartition partition)
    {
        var patience = TimeSpan.FromMinutes(2);
        var request = new OffsetFetchRequest
        {
            RequireStable = true,
            Groups =
            [
                new OffsetFetchRequest.OffsetFetchRequestGroup
                {
                    GroupId = group,
                    Topics = [new OffsetFetchRequest.OffsetFetchRequestTopics { Name = partition.Topic,
                        PartitionIndexes = [partition.Partition] }],
                },
            ],
        };
        var response = await CallUntilAnsweredAsync<OffsetFetchRequest, OffsetFetchResponse>(
            request, ErrorOf, patience, to: Destination.CoordinatorOfGroup(group));
        if (response is null || ErrorOf(response) != ErrorCode.None)
            throw new SimulationException(
                $"the offset of {group} in {partition} is not to be had: {(response is null ? null : ErrorOf(response))}");
        return response.Groups[0].Topics[0].Partitions[0].CommittedOffset;

        static ErrorCode ErrorOf(OffsetFetchResponse answer) =>
            (ErrorCode)(answer.Groups[0].ErrorCode != 0 ? answer.Groups[0].ErrorCode : answer.Groups[0].Topics[0].Partitions[0].ErrorCode);
    }

    /// <summary>The offset behind the last record that is committed.</summary>
    /// <exception cref="SimulationException">The broker does not say.</exception>
    public async Task<long> EndOffsetAsync(TopicPartition partition)
    {
        const long latest = -1;
        var patience = TimeSpan.FromMinutes(2);
        var request = new ListOffsetsRequest
        {
            ReplicaId = -1,
            IsolationLevel = (sbyte)(VersionOf(ApiKey.ListOffsets) >= 2 ? 1 : 0),
            Topics =
            [
                new ListOffsetsRequest.ListOffsetsTopic
                {
                    Name = partition.Topic,
                    Partitions = [new ListOffsetsRequest.ListOffsetsPartition { PartitionIndex = partition.Partition, Timestamp = latest }],
                },
            ],
        };
        var response = await CallUntilAnsweredAsync<ListOffsetsRequest, ListOffsetsResponse>(
            request, ErrorOf, patience, to: Destination.LeaderOf(partition));
        if (response is null || ErrorOf(response) != ErrorCode.None)
            throw new SimulationException($"the end of {partition} is not to be had: {(response is null ? null : ErrorOf(response))}");
        return response.Topics[0].Partitions[0].Offset;

        static ErrorCode ErrorOf(ListOffsetsResponse answer) => (ErrorCode)answer.Topics[0].Partitions[0].ErrorCode;
    }

    /// <summary>Waits a moment before something is tried again: longer than bytes usually travel.</summary>
    public Task BackOffAsync() => Process.Delay(TimeSpan.FromMilliseconds(_random.NextInt(BackoffMsMin, BackoffMsMax)));

    /// <summary>Asks for the id of a topic until it is known, so that later nobody has to wait for it.</summary>
    public async Task LearnTopicIdAsync(string topic)
    {
        while (!_topicIds.ContainsKey(topic))
        {
            try
            {
                await TopicIdAsync(topic);
            }
            catch (ConnectionLostException)
            {
                await BackOffAsync();
            }
        }
    }

    /// <summary>The id of a topic that is there.</summary>
    /// <exception cref="ConnectionLostException">The broker does not say.</exception>
    public async Task<Uuid> TopicIdAsync(string topic)
    {
        if (_topicIds.TryGetValue(topic, out var known))
            return known;
        // Whatever versions the client has otherwise: before these, metadata has no ids.
        const short firstVersionWithIds = 12;
        var request = new MetadataRequest { Topics = [new MetadataRequest.MetadataRequestTopic { Name = topic }] };
        var response = await (await ConnectAsync()).CallAsync<MetadataRequest, MetadataResponse>(
            request, Math.Max(firstVersionWithIds, VersionOf(ApiKey.Metadata)), RequestTimeout);
        var found = response.Topics.Single();
        if (found.ErrorCode != (short)ErrorCode.None)
        {
            Forget(Destination.Any);
            throw new ConnectionLostException($"{topic}: {(ErrorCode)found.ErrorCode}");
        }

        return _topicIds[topic] = found.TopicId;
    }

    /// <summary>Whether Kafka's clients ask again after this error.</summary>
    public static bool IsRetriable(ErrorCode error) =>
        error is ErrorCode.CoordinatorLoadInProgress or ErrorCode.CoordinatorNotAvailable or ErrorCode.NotCoordinator
        or ErrorCode.ConcurrentTransactions or ErrorCode.NotLeaderOrFollower or ErrorCode.LeaderNotAvailable
        or ErrorCode.UnknownTopicOrPartition or ErrorCode.UnknownTopicId
        or ErrorCode.RequestTimedOut or ErrorCode.NotEnoughReplicas or ErrorCode.NotEnoughReplicasAfterAppend or ErrorCode.NotController
        or ErrorCode.UnstableOffsetCommit or ErrorCode.OffsetNotAvailable or ErrorCode.KafkaStorageError
        or ErrorCode.FencedLeaderEpoch or ErrorCode.UnknownLeaderEpoch or ErrorCode.BrokerNotAvailable;
}
