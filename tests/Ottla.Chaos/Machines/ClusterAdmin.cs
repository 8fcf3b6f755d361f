using Microsoft.Extensions.Logging.Abstractions;
using Ottla.Kernel;
using Ottla.Network.Buffers;
using Ottla.Network.Transport;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Requests;

namespace Ottla.Chaos.Machines;

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

    /// <summary>What the first broker says that answers; null when none does.</summary>
    public async Task<ClusterState?> TryDescribeAsync()
    {
        foreach (var machine in machines.Where(machine => machine.IsRunning))
        {
            try
            {
                var answer = await ChannelTo(machine).SendAsync<MetadataRequest, MetadataResponse>(
                    version => new MetadataRequest { Topics = null, AllowAutoTopicCreation = false }, AttemptLimit);
                return new ClusterState(
                    [.. answer.Brokers.Select(broker => broker.NodeId).Order()],
                    [.. answer.Topics.SelectMany(topic => topic.Partitions.Select(partition => new PartitionPlace(
                        topic.Name!, partition.PartitionIndex, partition.LeaderId, [.. partition.ReplicaNodes], [.. partition.IsrNodes])))]);
            }
            catch (RequestFailedException)
            {
                // Another one may answer.
            }
        }

        return null;
    }

    public async Task CreateTopicAsync(string name, int partitions, int replication, IReadOnlyDictionary<string, string> configs)
    {
        var request = new CreateTopicsRequest
        {
            TimeoutMs = (int)AttemptLimit.TotalMilliseconds,
            Topics =
            [
                new CreateTopicsRequest.CreatableTopic
                {
                    Name = name,
                    NumPartitions = partitions,
                    ReplicationFactor = (short)replication,
                    Configs = [.. configs.Select(each =>
                        new CreateTopicsRequest.CreatableTopicConfig { Name = each.Key, Value = each.Value })],
                },
            ],
        };
        await AskAsync<CreateTopicsRequest, CreateTopicsResponse>($"create {name}", request, response =>
            (ErrorCode)response.Topics[0].ErrorCode is ErrorCode.TopicAlreadyExists ? 0 : (ErrorCode)response.Topics[0].ErrorCode);
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
