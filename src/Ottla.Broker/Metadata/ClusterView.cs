using Ottla.Protocol;
using Ottla.StateMachines.Metadata;

namespace Ottla.Broker.Metadata;

/// <summary>A live broker, as reached over one listener.</summary>
public sealed record BrokerAddress(int Id, string Host, int Port, string? Rack, bool IsFenced);

/// <summary>The cluster as clients are told of it, from the committed metadata.</summary>
/// <param name="clusterId">The cluster's id.</param>
/// <param name="image">The newest committed image.</param>
public sealed class ClusterView(string clusterId, Func<MetadataImage> image)
{
    private uint _named = uint.MaxValue;

    /// <summary>The cluster's id.</summary>
    public string ClusterId => clusterId;

    /// <summary>The newest committed image.</summary>
    public MetadataImage Image => image();

    /// <summary>
    /// The broker that clients are told to be the controller: any live one, as in Kafka; it forwards what is for the controller. Each time
    /// the next one, so that not all clients go to the same. -1 when none lives.
    /// </summary>
    public int NextBrokerForController()
    {
        var live = Image.Cluster.Brokers.Values.Where(broker => !broker.Fenced).Select(broker => broker.Id).ToList();
        return live.Count == 0 ? -1 : live[(int)(Interlocked.Increment(ref _named) % (uint)live.Count)];
    }

    /// <summary>The brokers that serve clients over a listener, by id.</summary>
    public static IReadOnlyList<BrokerAddress> ActiveBrokers(MetadataImage current, string listener) =>
        [.. Brokers(current, listener).Where(broker => !broker.IsFenced)];

    /// <summary>
    /// The same for an answer from one of them. When it is the last one, and fenced since it shuts down, it names itself all the same: an
    /// answer without brokers has librdkafka (since 2.10) forget all that it knows, also its bootstrap servers, and it never comes back.
    /// </summary>
    /// <param name="current">The metadata.</param>
    /// <param name="listener">The listener.</param>
    /// <param name="answering">The id of the broker that answers.</param>
    public static IReadOnlyList<BrokerAddress> BrokersToName(MetadataImage current, string listener, int answering) =>
        ActiveBrokers(current, listener) is { Count: > 0 } active
            ? active
            : [.. Brokers(current, listener).Where(broker => broker.Id == answering)];

    /// <summary>All registered brokers with a listener, by id.</summary>
    public static IEnumerable<BrokerAddress> Brokers(MetadataImage current, string listener) =>
        from broker in current.Cluster.Brokers.Values
        orderby broker.Id
        let endpoint = broker.EndpointAt(listener)
        where endpoint is not null
        select new BrokerAddress(broker.Id, endpoint.Host, endpoint.Port, broker.Rack, broker.Fenced);

    /// <summary>The leader of a partition, as clients of a listener are told of it; -1 when there is none that they reach.</summary>
    public static int LeaderOf(MetadataImage current, PartitionRegistration partition, string listener) =>
        current.Cluster.Broker(partition.Leader)?.EndpointAt(listener) is null ? PartitionRegistration.NoLeader : partition.Leader;

    /// <summary>Why a partition cannot be used just now; <see cref="ErrorCode.None"/> when it can.</summary>
    public static ErrorCode ErrorOf(MetadataImage current, PartitionRegistration partition, string listener, bool knowsListenerNotFound)
    {
        if (LeaderOf(current, partition, listener) != PartitionRegistration.NoLeader)
            return ErrorCode.None;
        return current.Cluster.Broker(partition.Leader) is not null && knowsListenerNotFound
            ? ErrorCode.ListenerNotFound
            : ErrorCode.LeaderNotAvailable;
    }

    /// <summary>The replicas on brokers that are gone or cannot be reached over a listener, or in log directories that are gone.</summary>
    public static int[] OfflineReplicas(MetadataImage current, PartitionRegistration partition, string listener)
    {
        List<int>? offline = null;
        foreach (var replica in partition.Replicas)
        {
            if (!IsReachable(current, replica, listener)
                || !DirectoryIds.IsOnline(partition.DirectoryOf(replica), current.Cluster.Broker(replica)!.LogDirs))
                (offline ??= []).Add(replica);
        }

        return offline is null ? [] : [.. offline];
    }

    /// <summary>Those of some brokers that clients of a listener can reach.</summary>
    public static int[] Reachable(MetadataImage current, IEnumerable<int> brokers, string listener) =>
        [.. brokers.Where(broker => IsReachable(current, broker, listener))];

    private static bool IsReachable(MetadataImage current, int broker, string listener) =>
        current.Cluster.Broker(broker) is { Fenced: false } registration && registration.EndpointAt(listener) is not null;
}
