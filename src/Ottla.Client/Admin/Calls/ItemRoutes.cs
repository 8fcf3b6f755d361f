using Ottla.Client.Calls;
using Ottla.Client.Cluster;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Requests;

namespace Ottla.Client.Admins;

/// <summary>Where the request about an item goes.</summary>
/// <param name="Node">The node; null while it is not known.</param>
/// <param name="Error">Why there is none and will be none; without an error the node is looked for again.</param>
internal readonly record struct Destination(NodeAddress? Node, ApiError Error)
{
    /// <summary>A node that is known, or will be looked for again.</summary>
    public static implicit operator Destination(NodeAddress? node) => new(node, ApiError.None);
}

/// <summary>Finds the nodes that can answer a call about items. Used and disposed by one call.</summary>
internal interface IItemRoute<in TKey> : IDisposable
{
    /// <summary>The node for an item, as far as it is known.</summary>
    Destination Find(TKey item);

    /// <summary>Asks the cluster for the nodes of some items anew.</summary>
    /// <exception cref="KafkaException">The cluster refuses this client.</exception>
    Task LookUpAsync(IReadOnlyCollection<TKey> items, CancellationToken cancellation);

    /// <summary>Learns that an item failed: with an error of the answer, or null without an answer.</summary>
    void OnFailure(TKey item, ErrorCode? error);
}

/// <summary>A named node for some items; for the others the node that the metadata names as controller, or any node.</summary>
/// <param name="client">The client.</param>
/// <param name="nodeOf">The node's id; null for the others.</param>
/// <param name="othersToController">Whether the others need the controller.</param>
internal sealed class NodeRoute<TKey>(OttlaClient client, Func<TKey, int?> nodeOf, bool othersToController) : IItemRoute<TKey>
{
    private NodeAddress? _any;

    /// <inheritdoc/>
    public Destination Find(TKey item)
    {
        var image = client.Metadata.Current;
        return nodeOf(item) is { } id ? image.AddressOf(id)
            : othersToController ? image.AddressOf(image.ControllerId) : _any ??= client.Calls.AnyNodeAddress();
    }

    /// <inheritdoc/>
    public Task LookUpAsync(IReadOnlyCollection<TKey> items, CancellationToken cancellation) => client.Metadata.RefreshAsync(cancellation);

    /// <inheritdoc/>
    public void OnFailure(TKey item, ErrorCode? error)
    {
        _any = null;
        if (error is null or ErrorCode.NotController)
            client.Metadata.RequestUpdate();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
    }
}

/// <summary>The leaders of partitions.</summary>
internal sealed class LeaderRoute : IItemRoute<TopicPartition>
{
    private readonly ClusterMetadata _metadata;
    private readonly MetadataInterest _interest;

    /// <param name="client">The client.</param>
    /// <param name="partitions">The partitions of the call.</param>
    public LeaderRoute(OttlaClient client, IEnumerable<TopicPartition> partitions)
    {
        _metadata = client.Metadata;
        _interest = _metadata.OpenInterest();
        _interest.Set(partitions.Select(partition => partition.Topic));
    }

    /// <inheritdoc/>
    public Destination Find(TopicPartition item)
    {
        var image = _metadata.Current;
        return image.Topic(item.Topic)?.Error is { } error and (ErrorCode.InvalidTopicException or ErrorCode.TopicAuthorizationFailed)
            ? new Destination(null, new ApiError(error, $"Topic {item.Topic} cannot be used"))
            : image.LeaderOf(item);
    }

    /// <inheritdoc/>
    public Task LookUpAsync(IReadOnlyCollection<TopicPartition> items, CancellationToken cancellation) =>
        _metadata.RefreshAsync(cancellation);

    /// <inheritdoc/>
    public void OnFailure(TopicPartition item, ErrorCode? error)
    {
        if (error is null || ErrorKinds.InvalidatesMetadata(error.Value))
            _metadata.RequestUpdate();
    }

    /// <inheritdoc/>
    public void Dispose() => _interest.Dispose();
}

/// <summary>The coordinators of groups or transactional ids.</summary>
internal sealed class CoordinatorRoute(OttlaClient client, CoordinatorType type) : IItemRoute<string>
{
    private readonly Dictionary<string, Destination> _found = [];

    /// <inheritdoc/>
    public Destination Find(string item) => _found.GetValueOrDefault(item);

    /// <inheritdoc/>
    public async Task LookUpAsync(IReadOnlyCollection<string> items, CancellationToken cancellation)
    {
        foreach (var (key, found) in await client.Calls.Coordinators.FindAllAsync(type, items, CallOptions.Default, cancellation))
            _found[key] = new Destination(found.Node, found.Error);
    }

    /// <inheritdoc/>
    public void OnFailure(string item, ErrorCode? error)
    {
        if (error is not null && !ErrorKinds.InvalidatesCoordinator(error.Value))
            return;
        client.Calls.Coordinators.Forget(type, item);
        _found.Remove(item);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
    }
}

/// <summary>The coordinator of one group, for items that belong to it.</summary>
internal sealed class GroupRoute<TKey>(OttlaClient client, string groupId) : IItemRoute<TKey>
{
    private readonly CoordinatorRoute _coordinator = new(client, CoordinatorType.Group);

    /// <inheritdoc/>
    public Destination Find(TKey item) => _coordinator.Find(groupId);

    /// <inheritdoc/>
    public Task LookUpAsync(IReadOnlyCollection<TKey> items, CancellationToken cancellation) =>
        _coordinator.LookUpAsync([groupId], cancellation);

    /// <inheritdoc/>
    public void OnFailure(TKey item, ErrorCode? error) => _coordinator.OnFailure(groupId, error);

    /// <inheritdoc/>
    public void Dispose() => _coordinator.Dispose();
}
