using Microsoft.Extensions.Logging.Abstractions;
using Ottla.Kernel;
using Ottla.Network.Buffers;
using Ottla.Network.Transport;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Requests;

namespace Ottla.Chaos.Machines;

/// <summary>Where a topic is to be.</summary>
/// <param name="Partitions">How many partitions.</param>
/// <param name="Replication">How many replicas of each.</param>
/// <param name="Replicas">The replicas of each partition; null lets the controller choose.</param>
internal sealed record TopicPlacement(int Partitions, int Replication, IReadOnlyList<int>? Replicas = null);

/// <summary>What has configs.</summary>
internal enum ConfigTarget
{
    Topic = 2,
    Broker = 4,
}

/// <summary>Asks the cluster, and changes it, from the clients' side. Used by one task; lives as long as the run.</summary>
internal sealed class ClusterAdmin(IReadOnlyList<Machine> machines) : IAsyncDisposable
{
    private const long Latest = -1;
    private const int Consumer = -1;

    private static readonly TimeSpan AttemptLimit = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan CallLimit = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(200);

    private readonly BufferPool _buffers = new();
    private readonly SocketTransport _transport = new(TimeProvider.System);
    private readonly Dictionary<int, RequestChannel> _channels = [];

    /// <summary>A machine that is asked nothing, because it is cut off and knows what was; 0 for none.</summary>
    public int Avoided { get; set; }

    /// <summary>What the first broker says that answers; null when none does.</summary>
    public async Task<ClusterState?> TryDescribeAsync()
    {
        foreach (var machine in machines.Where(machine => machine.IsRunning && machine.Id != Avoided))
        {
            if (await TryDescribeAsync(machine) is { } state)
                return state;
        }

        return null;
    }

    /// <summary>What a broker says of the cluster; null when it does not answer.</summary>
    public async Task<ClusterState?> TryDescribeAsync(Machine machine)
    {
        try
        {
            var answer = await ChannelTo(machine).SendAsync<MetadataRequest, MetadataResponse>(
                _ => new MetadataRequest { Topics = null, AllowAutoTopicCreation = false }, AttemptLimit);
            return new ClusterState(
                [.. answer.Brokers.Select(broker => broker.NodeId).Order()],
                [.. answer.Topics.SelectMany(topic => topic.Partitions.Select(partition => new PartitionPlace(
                    topic.Name!, partition.PartitionIndex, partition.LeaderId, [.. partition.ReplicaNodes], [.. partition.IsrNodes])))]);
        }
        catch (RequestFailedException)
        {
            return null;
        }
    }

    /// <summary>Creates a topic.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="placement">The replicas of each partition; or how many partitions of how many replicas.</param>
    /// <param name="configs">Its configs.</param>
    public async Task CreateTopicAsync(string name, TopicPlacement placement, IReadOnlyDictionary<string, string> configs)
    {
        var request = new CreateTopicsRequest
        {
            TimeoutMs = (int)AttemptLimit.TotalMilliseconds,
            Topics =
            [
                new CreateTopicsRequest.CreatableTopic
                {
                    Name = name,
                    NumPartitions = placement.Replicas is null ? placement.Partitions : -1,
                    ReplicationFactor = (short)(placement.Replicas is null ? placement.Replication : -1),
                    Assignments = placement.Replicas is not { } replicas
                        ? []
                        : [.. Enumerable.Range(0, placement.Partitions).Select(partition =>
                            new CreateTopicsRequest.CreatableReplicaAssignment { PartitionIndex = partition, BrokerIds = [.. replicas] })],
                    Configs = [.. configs.Select(each =>
                        new CreateTopicsRequest.CreatableTopicConfig { Name = each.Key, Value = each.Value })],
                },
            ],
        };
        await AskAsync<CreateTopicsRequest, CreateTopicsResponse>($"create {name}", request, response =>
            (ErrorCode)response.Topics[0].ErrorCode is ErrorCode.TopicAlreadyExists ? 0 : (ErrorCode)response.Topics[0].ErrorCode);
    }

    /// <summary>Sets configs of a topic or of brokers.</summary>
    public Task ConfigureAsync(ConfigTarget target, string name, IReadOnlyDictionary<string, string> configs)
    {
        const sbyte set = 0;
        var request = new IncrementalAlterConfigsRequest
        {
            Resources =
            [
                new IncrementalAlterConfigsRequest.AlterConfigsResource
                {
                    ResourceType = (sbyte)target,
                    ResourceName = name,
                    Configs = [.. configs.Select(each => new IncrementalAlterConfigsRequest.AlterableConfig
                    {
                        Name = each.Key, ConfigOperation = set, Value = each.Value,
                    })],
                },
            ],
        };
        return AskAsync<IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse>(
            $"configure {target} {name}", request, response => (ErrorCode)response.Responses[0].ErrorCode);
    }

    /// <summary>Asks for other replicas of partitions; null cancels what is under way.</summary>
    public async Task ReassignAsync(string topic, IReadOnlyList<(int Partition, IReadOnlyList<int>? Replicas)> partitions)
    {
        var request = new AlterPartitionReassignmentsRequest
        {
            TimeoutMs = (int)AttemptLimit.TotalMilliseconds,
            Topics =
            [
                new AlterPartitionReassignmentsRequest.ReassignableTopic
                {
                    Name = topic,
                    Partitions = [.. partitions.Select(each => new AlterPartitionReassignmentsRequest.ReassignablePartition
                    {
                        PartitionIndex = each.Partition,
                        Replicas = each.Replicas is { } replicas ? [.. replicas] : null,
                    })],
                },
            ],
        };
        await AskAsync<AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse>("reassign partitions", request, response =>
            response.ErrorCode != 0
                ? (ErrorCode)response.ErrorCode
                : response.Responses.SelectMany(each => each.Partitions).Select(each => (ErrorCode)each.ErrorCode)
                    .FirstOrDefault(error => error is not ErrorCode.None and not ErrorCode.NoReassignmentInProgress));
    }

    /// <summary>The end of each partition that consumers see: the high watermark.</summary>
    public async Task<long[]> EndOffsetsAsync(string topic, int partitions)
    {
        var ends = new long[partitions];
        for (var partition = 0; partition < partitions; partition++)
            ends[partition] = await EndOffsetAsync(topic, partition);
        return ends;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var channel in _channels.Values)
            await channel.DisposeAsync();
    }

    private async Task<long> EndOffsetAsync(string topic, int partition)
    {
        var offset = -1L;
        await UntilAsync($"ask for the end of {topic}-{partition}", async () =>
        {
            var place = (await TryDescribeAsync())?.Partitions.FirstOrDefault(each => each.Topic == topic && each.Partition == partition);
            if (machines.FirstOrDefault(machine => machine.Id == place?.Leader) is not { } leader)
                return "it has no leader";
            var answer = await ChannelTo(leader).SendAsync<ListOffsetsRequest, ListOffsetsResponse>(
                new ListOffsetsRequest
                {
                    ReplicaId = Consumer,
                    Topics =
                    [
                        new ListOffsetsRequest.ListOffsetsTopic
                        {
                            Name = topic,
                            Partitions =
                            [
                                new ListOffsetsRequest.ListOffsetsPartition { PartitionIndex = partition, Timestamp = Latest },
                            ],
                        },
                    ],
                },
                AttemptLimit);
            var found = answer.Topics[0].Partitions[0];
            offset = found.Offset;
            return found.ErrorCode == 0 ? null : ((ErrorCode)found.ErrorCode).ToString();
        });
        return offset;
    }

    /// <summary>Sends a request to a broker after another, until one answers without an error.</summary>
    private Task AskAsync<TRequest, TResponse>(string what, TRequest request, Func<TResponse, ErrorCode> errorOf)
        where TRequest : IRequestMessage<TRequest>
        where TResponse : IResponseMessage<TResponse>
    {
        var next = 0;
        return UntilAsync(what, async () =>
        {
            var running = machines.Where(machine => machine.IsRunning).ToList();
            if (running.Count == 0)
                return "no node runs";
            var answer = await ChannelTo(running[next++ % running.Count]).SendAsync<TRequest, TResponse>(request, AttemptLimit);
            return errorOf(answer) is var error and not ErrorCode.None ? error.ToString() : null;
        });
    }

    private static async Task UntilAsync(string what, Func<Task<string?>> attempt)
    {
        var deadline = DateTime.UtcNow + CallLimit;
        while (true)
        {
            string? failure;
            try
            {
                failure = await attempt();
            }
            catch (RequestFailedException e)
            {
                failure = e.Message;
            }

            if (failure is null)
                return;
            if (DateTime.UtcNow > deadline)
                throw new ToolException($"It was not possible to {what} within {CallLimit.TotalSeconds} s: {failure}");
            await Task.Delay(Pause);
        }
    }

    private RequestChannel ChannelTo(Machine machine)
    {
        if (_channels.TryGetValue(machine.Id, out var channel))
            return channel;
        var options = new RequestChannelOptions
        {
            ClientId = "chaos",
            ConnectTimeout = AttemptLimit,
            RequestTimeout = AttemptLimit,
            FailsWhileDisconnected = true,
        };
        return _channels[machine.Id] = new RequestChannel(
            _transport, _buffers, new NodeAddress(machine.Id, machine.Address, Machine.ClientPort), options, new Prng((ulong)machine.Id),
            TimeProvider.System, NullLogger.Instance);
    }
}
