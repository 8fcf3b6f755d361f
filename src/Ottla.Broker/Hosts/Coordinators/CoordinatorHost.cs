using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Ottla.Broker.Metadata;
using Ottla.Broker.Replicas;
using Ottla.Broker.Server;
using Ottla.Configuration;
using Ottla.Protocol;
using Ottla.StateMachines.Coordinators;
using Ottla.StateMachines.Metadata;
using Ottla.Storage.Producers;

namespace Ottla.Broker.Hosts.Coordinators;

/// <summary>The coordinators of one kind on this node: one for each partition of their internal topic that is led here.</summary>
/// <remarks>
/// Lives as long as the node; any thread may call it. A metadata publisher, registered after the replica manager: it loads each partition
/// that this node starts to lead, and drops each partition that it stops leading.
/// </remarks>
/// <typeparam name="TCommand">The base of the machines' commands.</typeparam>
public sealed partial class CoordinatorHost<TCommand>(
    CoordinatorDefinition<TCommand> definition, int nodeId, HostedTopics topics, Func<BrokerConfig> config, TimeProvider time,
    ILogger logger) : IMetadataPublisher, IDisposable
{
    /// <summary>A full disk fails every write, and each failure has a line.</summary>
    private readonly LimitedLogger _logger = new(logger, time);
    private readonly ConcurrentDictionary<int, CoordinatorShard<TCommand>> _shards = new();
    private volatile int _partitionCount;
    private volatile bool _isClosed;

    /// <inheritdoc/>
    public string Name => definition.Name;

    /// <summary>The internal topic.</summary>
    public string TopicName => definition.TopicName;

    /// <summary>The partitions whose coordinator is here, or is being loaded here.</summary>
    public IReadOnlyCollection<int> Partitions => [.. _shards.Keys.Order()];

    /// <summary>The partitions whose coordinator is here, with its leader epoch, and whether it has loaded its log.</summary>
    internal IReadOnlyList<CoordinatorStatus> Statuses =>
        [.. _shards.OrderBy(shard => shard.Key).Select(shard => new CoordinatorStatus(
            definition.TopicName, shard.Key, shard.Value.LeaderEpoch, shard.Value.IsLoaded)
        { QueueLength = shard.Value.QueueLength })];

    /// <summary>The partition that a key (a group id, a transactional id) belongs to; null while there is no internal topic.</summary>
    public int? PartitionOf(string key) => _partitionCount is var count and > 0 ? CoordinatorKeys.PartitionOf(key, count) : null;

    /// <summary>
    /// Submits a command to the coordinator of <paramref name="key"/>. Completes when the reply is committed; await it once.
    /// </summary>
    /// <typeparam name="TReply">The command's type of reply.</typeparam>
    /// <exception cref="ApiException">
    /// The command fails. NOT_COORDINATOR: another node is the coordinator; COORDINATOR_LOAD_IN_PROGRESS: the log is still being read;
    /// COORDINATOR_NOT_AVAILABLE: the node is stopping, or the log cannot be written now.
    /// </exception>
    /// <param name="key">The key.</param>
    /// <param name="command">The command.</param>
    /// <param name="guard">The guard from the verification of the transaction, if the command writes in one.</param>
    public ValueTask<TReply> SubmitAsync<TReply>(
        string key, ICoordinatorCommand<TCommand, TReply> command, VerificationGuard guard = default) =>
        SubmitAsync(PartitionOf(key) ?? -1, command, guard);

    /// <summary>Submits a command to the coordinator of a partition.</summary>
    /// <inheritdoc cref="SubmitAsync{TReply}(string, ICoordinatorCommand{TCommand, TReply}, VerificationGuard)"/>
    public ValueTask<TReply> SubmitAsync<TReply>(
        int partition, ICoordinatorCommand<TCommand, TReply> command, VerificationGuard guard = default) =>
        _shards.TryGetValue(partition, out var shard)
            ? shard.SubmitAsync(command, guard)
            : ValueTask.FromException<TReply>(NotHere());

    /// <summary>
    /// Submits a command to every coordinator of this node. Leaves out those that move to another node meanwhile.
    /// </summary>
    /// <exception cref="ApiException">One of the commands fails.</exception>
    public async ValueTask<IReadOnlyList<TReply>> SubmitToAllAsync<TReply>(ICoordinatorCommand<TCommand, TReply> command)
    {
        ValueTask<TReply>[] asked = [.. Partitions.Select(partition => SubmitAsync(partition, command))];
        var replies = new List<TReply>(asked.Length);
        foreach (var reply in asked)
        {
            try
            {
                replies.Add(await reply);
            }
            catch (ApiException e) when (e.Error.Code == ErrorCode.NotCoordinator)
            {
                // The partition has another leader now.
            }
        }

        return replies;
    }

    /// <summary>
    /// Submits a command whose reply is not used, such as the result of an output of the machine. The awaiting code must be short.
    /// </summary>
    /// <param name="partition">The partition.</param>
    /// <param name="command">The command.</param>
    /// <exception cref="ApiException">The command fails.</exception>
    public ValueTask<TReply> NotifyAsync<TReply>(int partition, ICoordinatorCommand<TCommand, TReply> command) =>
        _shards.TryGetValue(partition, out var shard) ? shard.NotifyAsync(command) : ValueTask.FromException<TReply>(NotHere());

    /// <summary>Ends a transaction in a partition of the internal topic: writes the marker, and applies it to the machine.</summary>
    /// <param name="partition">The partition.</param>
    /// <param name="producer">The producer of the transaction.</param>
    /// <param name="coordinatorEpoch">The epoch of the transaction coordinator that decided.</param>
    /// <param name="isCommit">True to commit, false to abort.</param>
    /// <param name="transactionVersion">The transaction version of the producer.</param>
    /// <exception cref="ApiException">The log refuses the marker, or another node is the coordinator.</exception>
    public ValueTask<ProducerIdAndEpoch> CompleteTransactionAsync(
        int partition, ProducerIdAndEpoch producer, int coordinatorEpoch, bool isCommit, short transactionVersion) =>
        _shards.TryGetValue(partition, out var shard)
            ? shard.CompleteTransactionAsync(producer, coordinatorEpoch, isCommit, transactionVersion)
            : ValueTask.FromException<ProducerIdAndEpoch>(NotHere());

    /// <inheritdoc/>
    public void Publish(MetadataDelta delta)
    {
        _partitionCount = delta.New.Topics.Find(TopicName)?.Partitions.Length ?? 0;
        List<Action>? starts = null;
        // deletions first
        foreach (var topic in delta.Topics.Where(topic => topic.Name == TopicName).OrderBy(topic => topic.New is not null))
        {
            foreach (var partition in topic.Partitions())
            {
                if (Follow(partition) is { } start)
                    (starts ??= []).Add(start);
            }
        }

        foreach (var shard in _shards.Values)
            shard.Publish(delta);
        if (starts is null)
            return;
        LogBegins(Name, starts.Count, TopicName);
        starts.ForEach(static start => start()); // started last: loading uses the metadata
    }

    /// <summary>Stops all coordinators: waiting requests fail, and nothing more is written.</summary>
    public void Close()
    {
        _isClosed = true;
        foreach (var partition in Partitions)
            Stop(partition);
        _logger.Dispose();
    }

    void IDisposable.Dispose() => Close();

    /// <summary>Stops and starts the coordinator of a partition as the metadata says.</summary>
    /// <returns>An action that starts the load; null when there is nothing to load.</returns>
    private Action? Follow(in PartitionDelta change)
    {
        var index = change.Partition.Partition;
        var known = _shards.GetValueOrDefault(index);
        var isLedHere = change.New is { } partition && partition.Leader == nodeId;
        if (known is not null && isLedHere && known.TopicId == change.TopicId
            && (known.LeaderEpoch == change.New!.LeaderEpoch || known.OutlivesLeaderEpoch(topics.Find(change.TopicId)?.Find(index))))
            return null;
        if (known is not null && (isLedHere || known.TopicId == change.TopicId))
            Stop(index);
        if (!isLedHere || _isClosed || topics.Find(change.TopicId)?.Find(index) is not { } replica)
            return null;
        var shard = new CoordinatorShard<TCommand>(
            definition, new CoordinatorPartition(index, change.New!.LeaderEpoch), replica, config, time, _logger);
        _shards[index] = shard;
        var predecessor = known?.Ended ?? Task.CompletedTask;
        return () => shard.Start(predecessor);
    }

    private void Stop(int partition)
    {
        if (_shards.TryRemove(partition, out var shard))
            shard.Close();
    }

    private ApiException NotHere() => new(_isClosed ? ErrorCode.CoordinatorNotAvailable : ErrorCode.NotCoordinator);

    [LoggerMessage(Level = LogLevel.Information, Message = "This node begins to be the {Name} of {Count} partitions of {Topic}")]
    private partial void LogBegins(string name, int count, string topic);
}

/// <summary>The coordinator of a partition, as it stands on a node.</summary>
/// <param name="Topic">The internal topic.</param>
/// <param name="Partition">The partition's index.</param>
/// <param name="LeaderEpoch">The leader epoch in which it began.</param>
/// <param name="IsLoaded">Whether it has loaded the log, and serves requests.</param>
internal readonly record struct CoordinatorStatus(string Topic, int Partition, int LeaderEpoch, bool IsLoaded)
{
    /// <summary>How much work waits for its turn.</summary>
    public int QueueLength { get; init; }
}
