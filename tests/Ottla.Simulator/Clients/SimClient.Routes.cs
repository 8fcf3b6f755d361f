using System.Net;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.Simulator.Clients;

/// <summary>
/// What a client knows of the cluster: who leads, who coordinates, where they listen. It learns that as Kafka's clients do.
/// </summary>
internal sealed partial class SimClient
{
    /// <summary>
    /// The first version with leader epochs. Without them a client goes back to a leader that was replaced and does not know that yet, and
    /// is told by it that its next record is out of order, or that what it has read is out of range: nobody can help such a client.
    /// </summary>
    private const short FirstMetadataVersionWithEpochs = 7;

    /// <summary>The leader epoch of a partition that the client has not heard of.</summary>
    private const int NoEpoch = -1;

    private readonly Dictionary<TopicPartition, (IPEndPoint EndPoint, int Epoch)> _leaders = [];
    private readonly Dictionary<TopicPartition, int> _leaderEpochs = [];
    private readonly Dictionary<(string Key, sbyte Type), IPEndPoint> _coordinators = [];
    private IPEndPoint? _anyBroker;

    /// <summary>With one broker there is nothing to find: it is everything.</summary>
    private bool HasOneBroker => _bootstrap.Count == 1;

    /// <summary>Where to go for a destination; asks the cluster if need be.</summary>
    /// <exception cref="ConnectionLostException">Nobody says.</exception>
    public async ValueTask<IPEndPoint> LocateAsync(Destination to)
    {
        if (HasOneBroker)
            return _bootstrap[0];
        if (to.Partition is { } partition)
        {
            if (!_leaders.ContainsKey(partition))
                await LearnLeadersAsync(partition.Topic);
            return _leaders.TryGetValue(partition, out var leader) ? leader.EndPoint
                : throw new ConnectionLostException($"{partition} has no leader");
        }

        if (to.Key is null)
            return _anyBroker ??= _bootstrap[_random.NextInt(_bootstrap.Count)];
        if (!_coordinators.ContainsKey((to.Key, to.KeyType)))
            await AskForCoordinatorAsync(to.Key, to.KeyType);
        return _coordinators.TryGetValue((to.Key, to.KeyType), out var coordinator) ? coordinator
            : throw new ConnectionLostException($"{to.Key} has no coordinator");
    }

    /// <summary>The leader epoch of a partition as this client knows it; -1 when it does not.</summary>
    public int LeaderEpochOf(TopicPartition partition) => _leaders.TryGetValue(partition, out var leader) ? leader.Epoch : -1;

    /// <summary>Whoever is there is not the one, or does not answer: the next time it is asked for anew.</summary>
    public void Forget(Destination to)
    {
        if (to.Partition is { } partition)
            _leaders.Remove(partition);
        else if (to.Key is not null)
            _coordinators.Remove((to.Key, to.KeyType));
        else
            _anyBroker = null;
    }

    /// <summary>Waits until the coordinator of a key is known and ready.</summary>
    /// <exception cref="SimulationException">It never is.</exception>
    public async Task FindCoordinatorAsync(string key, sbyte keyType)
    {
        var patience = TimeSpan.FromMinutes(2);
        var (request, isBatch) = CoordinatorRequest(key, keyType);
        var response = await CallUntilAnsweredAsync<FindCoordinatorRequest, FindCoordinatorResponse>(
            request, answer => ErrorOf(answer, isBatch), patience);
        if (response is null || ErrorOf(response, isBatch) != ErrorCode.None)
            throw new SimulationException(
                $"there is no coordinator of {key}: {(response is null ? null : ErrorOf(response, isBatch))}");
        Remember(key, keyType, response, isBatch);
    }

    private async Task AskForCoordinatorAsync(string key, sbyte keyType)
    {
        var (request, isBatch) = CoordinatorRequest(key, keyType);
        var response = await CallAsync<FindCoordinatorRequest, FindCoordinatorResponse>(request);
        var error = ErrorOf(response, isBatch);
        if (error == ErrorCode.None)
            Remember(key, keyType, response, isBatch);
        else if (!IsRetriable(error))
            throw new SimulationException($"there is no coordinator of {key}: {error}");
    }

    private (FindCoordinatorRequest Request, bool IsBatch) CoordinatorRequest(string key, sbyte keyType)
    {
        const short firstVersionWithBatches = 4;
        var isBatch = VersionOf(ApiKey.FindCoordinator) >= firstVersionWithBatches;
        var request = new FindCoordinatorRequest { Key = isBatch ? "" : key, KeyType = keyType, CoordinatorKeys = isBatch ? [key] : [] };
        return (request, isBatch);
    }

    private static ErrorCode ErrorOf(FindCoordinatorResponse answer, bool isBatch) =>
        (ErrorCode)(isBatch ? answer.Coordinators[0].ErrorCode : answer.ErrorCode);

    private void Remember(string key, sbyte keyType, FindCoordinatorResponse answer, bool isBatch)
    {
        if (HasOneBroker)
            return;
        _coordinators[(key, keyType)] = isBatch
            ? EndPointOf(answer.Coordinators[0].Host, answer.Coordinators[0].Port) : EndPointOf(answer.Host, answer.Port);
    }

    /// <summary>Asks anybody who leads the partitions of a topic.</summary>
    private async Task LearnLeadersAsync(string topic)
    {
        var request = new MetadataRequest { Topics = [new MetadataRequest.MetadataRequestTopic { Name = topic }] };
        var version = Math.Max(FirstMetadataVersionWithEpochs, VersionOf(ApiKey.Metadata));
        MetadataResponse response;
        try
        {
            response = await (await ConnectAsync()).CallAsync<MetadataRequest, MetadataResponse>(request, version, RequestTimeout);
        }
        catch (ConnectionLostException)
        {
            Forget(Destination.Any);
            throw;
        }

        var brokers = response.Brokers.ToDictionary(broker => broker.NodeId, broker => EndPointOf(broker.Host, broker.Port));
        var isBehind = false;
        foreach (var partition in response.Topics.Single().Partitions)
        {
            var key = new TopicPartition(topic, partition.PartitionIndex);
            if (partition.LeaderEpoch < _leaderEpochs.GetValueOrDefault(key, NoEpoch))
            {
                isBehind = true; // Kafka's clients do not go back to an earlier leader either (KIP-320)
                continue;
            }

            _leaderEpochs[key] = partition.LeaderEpoch;
            if (brokers.TryGetValue(partition.LeaderId, out var leader))
                _leaders[key] = (leader, partition.LeaderEpoch);
        }

        if (isBehind || _leaders.Keys.All(known => known.Topic != topic))
            Forget(Destination.Any); // it may lag behind: ask another
    }

    private static IPEndPoint EndPointOf(string host, int port) => new(IPAddress.Parse(host), port);
}
