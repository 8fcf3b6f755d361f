using Ottla.Broker.Replicas;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Metadata;
using static Ottla.UnitTests.Broker.Requests;

namespace Ottla.UnitTests.Broker;

/// <summary>
/// A topic of one partition with a replica on each of the nodes 1, 2 and 3, and a client that finds its leader and tries again, as real
/// ones do.
/// </summary>
internal sealed class ReplicatedTopic(TestCluster cluster, string name) : IAsyncDisposable
{
    private TestConnection? _connection;
    private int _connectedTo = -1;

    /// <summary>The offsets that were acknowledged, in the order of their batches.</summary>
    public List<long> Acknowledged { get; } = [];

    /// <summary>Creates the topic; the first of the replicas leads.</summary>
    public static async Task<ReplicatedTopic> CreateAsync(
        TestCluster cluster, string name, int[] replicas, params (string Name, string? Value)[] configs)
    {
        await using var client =
            await cluster.Nodes.Values.First(node => node.IsRunning && cluster.Brokers.Contains(node.Id)).ConnectAsync();
        var created = await client.CallAsync<CreateTopicsRequest, CreateTopicsResponse>(CreateTopics(new CreateTopicsRequest.CreatableTopic
        {
            Name = name,
            NumPartitions = -1,
            ReplicationFactor = -1,
            Assignments = [new() { PartitionIndex = 0, BrokerIds = replicas }],
            Configs =
                [.. configs.Select(config => new CreateTopicsRequest.CreatableTopicConfig { Name = config.Name, Value = config.Value })],
        }));
        AssertError(ErrorCode.None, created.Topics[0].ErrorCode, created.Topics[0].ErrorMessage);
        var topic = new ReplicatedTopic(cluster, name);
        await Waiting.UntilAsync(() =>
            cluster.Nodes.Values.Where(node => node.IsRunning).All(node => node.Image.Topics.Find(name) is not null));
        return topic;
    }

    /// <summary>The partition as a node that runs knows it.</summary>
    public PartitionRegistration Registration =>
        cluster.Nodes.Values.Where(node => node.IsRunning).Select(node => node.Image.Topics.Find(name)!.Partition(0)!)
            .MaxBy(partition => partition.PartitionEpoch)!;

    /// <summary>The replica on a node.</summary>
    public PartitionReplica Replica(int node) => cluster.Nodes[node].Node.Topics.Find(name)!.Find(0)!;

    /// <summary>The bytes of the log on a node.</summary>
    public byte[] BytesOf(int node)
    {
        using var slice = Replica(node).Log.Read(Replica(node).Log.LogStartOffset, int.MaxValue, minOneBatch: true, long.MaxValue).Slice;
        if (slice is null)
            return [];
        var bytes = new byte[slice.Length];
        slice.Read(0, bytes);
        return bytes;
    }

    /// <summary>Produces batches one after another with acks=all, each again until it is acknowledged.</summary>
    public async Task ProduceAsync(int count)
    {
        for (var i = 0; i < count; i++)
            await ProduceAsync();
    }

    /// <summary>Produces one batch with acks=all, again until it is acknowledged.</summary>
    /// <returns>The errors before that.</returns>
    public async Task<IReadOnlyList<ErrorCode>> ProduceAsync(short acks = -1)
    {
        var errors = new List<ErrorCode>();
        using var patience = new CancellationTokenSource(Waiting.Patience);
        while (true)
        {
            patience.Token.ThrowIfCancellationRequested();
            var answer = await TryProduceAsync(acks);
            if (answer is { ErrorCode: (short)ErrorCode.None })
            {
                Acknowledged.Add(answer.BaseOffset);
                return errors;
            }

            errors.Add(answer is null ? ErrorCode.NetworkException : (ErrorCode)answer.ErrorCode);
            await Task.Delay(1, CancellationToken.None);
        }
    }

    /// <summary>Asks the leader once; null when there is none that answers.</summary>
    public async Task<ProduceResponse.PartitionProduceResponse?> TryProduceAsync(short acks = -1)
    {
        var leader = Registration.Leader;
        if (leader < 0 || !cluster.Nodes[leader].IsRunning)
            return null;
        try
        {
            if (_connectedTo != leader)
            {
                await DisposeAsync();
                _connection = await cluster.Nodes[leader].ConnectAsync();
                _connectedTo = leader;
            }

            return await _connection!.ProduceAsync(name, Batch(), acks);
        }
        catch (Exception e) when (e is IOException or EndOfStreamException or OperationCanceledException or ObjectDisposedException)
        {
            _connectedTo = -1;
            return null;
        }
    }

    /// <summary>Waits until a number of replicas are in sync.</summary>
    public Task UntilInSyncAsync(int count) => Waiting.UntilAsync(() => Registration.Isr.Length == count);

    /// <summary>Waits until another than <paramref name="former"/> leads.</summary>
    public Task UntilLedByAnotherAsync(int former) =>
        Waiting.UntilAsync(() => Registration.Leader is >= 0 and var leader && leader != former);

    /// <summary>All that was acknowledged is below the high watermark of the leader, and on every node in sync the same bytes.</summary>
    public async Task AssertKeptAsync()
    {
        var leader = Registration.Leader;
        await Waiting.UntilAsync(() => Registration.Isr.All(node => Replica(node).Log.HighWatermark == Replica(leader).Log.LogEndOffset
            && Replica(node).Log.LogEndOffset == Replica(leader).Log.LogEndOffset));
        var bytes = BytesOf(leader);
        var offsets = new HashSet<long>();
        for (var rest = bytes.AsSpan(); rest.Length > 0;)
        {
            var batch = new RecordBatchView(rest);
            Assert.True(batch.IsCrcValid, "a batch is damaged");
            offsets.Add(batch.BaseOffset);
            rest = rest[batch.SizeInBytes..];
        }

        Assert.All(Acknowledged, offset => Assert.Contains(offset, offsets));
        Assert.Equal(Acknowledged.Count, Acknowledged.Distinct().Count());
        foreach (var node in Registration.Isr)
            Assert.Equal(bytes, BytesOf(node));
    }

    public async ValueTask DisposeAsync()
    {
        if (_connection is { } connection)
            await connection.DisposeAsync();
        _connection = null;
    }
}
