using Microsoft.Extensions.Logging;
using Ottla.Broker.Metadata;
using Ottla.Broker.Peers;
using Ottla.Broker.Shared;
using Ottla.Kernel;
using Ottla.Protocol.Messages;
using Ottla.Protocol;
using Ottla.Requests;
using Ottla.StateMachines.Metadata;
using Ottla.Storage.Upkeep;

namespace Ottla.Broker.Directories;

/// <summary>
/// Keeps the metadata right about the log directories of this broker: which have failed, which are cordoned, and which each replica is in
/// (KIP-858).
/// </summary>
/// <remarks>
/// Two loops, as long as the broker lives, each waked when something may be news. What has failed or is cordoned goes with the heartbeats;
/// where replicas are is told in requests of its own, one at a time. What is to be told follows each time from the disk and the metadata: a
/// replica that is gone is not told any more.
/// </remarks>
/// <param name="nodeId">This broker.</param>
/// <param name="logs">The log directories.</param>
/// <param name="lifecycle">Sends the heartbeats.</param>
/// <param name="channel">The way to the active controller.</param>
/// <param name="metadata">The metadata as this broker knows it.</param>
/// <param name="storage">Says when the directories, or what is in them, have changed.</param>
/// <param name="platform">The clock and the seed of the waits.</param>
/// <param name="logger">Where refusals are logged.</param>
internal sealed partial class DirectoryReports(
    int nodeId, LogManager logs, BrokerLifecycle lifecycle, ControllerChannel channel, MetadataCache metadata, NodeStorage storage,
    NodePlatform platform, ILogger logger)
{
    /// <summary>Replicas that are told of at once, as in Kafka: what is left over follows.</summary>
    private const int ReplicasPerRequestMax = 2_250;

    /// <summary>How long what was told may take to come back in the metadata.</summary>
    private static readonly TimeSpan ReturnPatience = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan BackoffMin = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan BackoffMax = TimeSpan.FromSeconds(10);

    /// <summary>The random part of the waits, by which brokers that failed together do not ask again together.</summary>
    private const double BackoffJitter = 0.02;

    private (int PlacementVersion, TopicsImage? Topics) _told = (-1, null);

    /// <summary>Has the heartbeats tell of directories that have failed or are cordoned, at once.</summary>
    public Task ReportDirectoriesAsync(CancellationToken stopping) => WheneverSomethingChangesAsync(
        () =>
        {
            foreach (var failed in NodeIdentities.IdsOf(logs, directory => directory.IsOffline))
                lifecycle.OnDirectoryFailure(failed);
            lifecycle.SetCordonedDirectories([.. NodeIdentities.IdsOf(logs, logs.IsCordoned)]);
            return Task.CompletedTask;
        },
        stopping);

    /// <summary>Tells the controller of replicas that are elsewhere than it thinks.</summary>
    public Task AssignReplicasAsync(CancellationToken stopping)
    {
        var backoff = new ExponentialBackoff(BackoffMin, BackoffMax, BackoffJitter, new Prng(platform.Seed));
        return WheneverSomethingChangesAsync(TellAllAsync, stopping);

        async Task TellAllAsync()
        {
            var failures = 0;
            while (await AssignAsync(stopping) is { } isDone)
            {
                failures = isDone ? 0 : failures + 1;
                if (!isDone)
                    await Task.Delay(backoff.DelayAfter(failures), platform.Time, stopping);
            }
        }
    }

    /// <summary>Looks now, and after each change of the metadata, of the directories, and of what is in them.</summary>
    private async Task WheneverSomethingChangesAsync(Func<Task> look, CancellationToken stopping)
    {
        var news = new LoopSignal(platform.Time);
        using var subscription = metadata.Subscribe(_ => news.Set());
        storage.PlacementChanged += news.Set;
        try
        {
            while (true)
            {
                await look();
                await news.WaitAsync(null, stopping);
            }
        }
        finally
        {
            storage.PlacementChanged -= news.Set;
        }
    }

    /// <summary>Tells the controller in which directories replicas are that it takes to be elsewhere.</summary>
    /// <returns>Whether it took note; null when there is nothing to tell.</returns>
    private async Task<bool?> AssignAsync(CancellationToken stopping)
    {
        var current = metadata.Current;
        var placement = logs.PlacementVersion;
        if (placement == _told.PlacementVersion && ReferenceEquals(current.Topics, _told.Topics))
            return null;
        if (current.Features.MetadataVersion is not { SupportsDirectoryAssignment: true }
            || current.Cluster.Broker(nodeId) is not { } broker)
            return null;
        var replicas = Misplaced(current).Take(ReplicasPerRequestMax).ToList();
        if (replicas.Count == 0)
        {
            _told = (placement, current.Topics);
            return null;
        }

        try
        {
            var answer = await channel.SendAsync<AssignReplicasToDirsRequest, AssignReplicasToDirsResponse>(
                RequestOf(broker.Epoch, replicas), stopping);
            if (answer.ErrorCode == (short)ErrorCode.None)
                return await SeeAsync(current, stopping);
            LogRefused($"{(ErrorCode)answer.ErrorCode}");
        }
        catch (RequestFailedException e)
        {
            LogRefused(e.Message);
        }

        return false;
    }

    /// <summary>
    /// Waits for other topics in the metadata than those of a report, for a while: what was told is not told again before it could be seen.
    /// </summary>
    private async Task<bool> SeeAsync(MetadataImage told, CancellationToken stopping)
    {
        using var moment = new CancellationTokenSource(ReturnPatience, platform.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(moment.Token, stopping);
        try
        {
            await metadata.WhenAsync(image => !ReferenceEquals(image.Topics, told.Topics), either.Token);
        }
        catch (OperationCanceledException) when (!stopping.IsCancellationRequested)
        {
            return false; // the controller refused each of them, or the metadata is late: again, after a while
        }

        return true;
    }

    private AssignReplicasToDirsRequest RequestOf(long brokerEpoch, IEnumerable<(Uuid Directory, Uuid TopicId, int Partition)> replicas) =>
        new()
        {
            BrokerId = nodeId,
            BrokerEpoch = brokerEpoch,
            Directories = [
                .. replicas.GroupBy(replica => replica.Directory).Select(directory => new AssignReplicasToDirsRequest.DirectoryData
        {
            Id = directory.Key,
            Topics = [.. directory.GroupBy(replica => replica.TopicId).Select(topic => new AssignReplicasToDirsRequest.TopicData
            {
                TopicId = topic.Key,
                Partitions = [
                    .. topic.Select(replica => new AssignReplicasToDirsRequest.PartitionData { PartitionIndex = replica.Partition })],
            })],
        })],
        };

    /// <summary>The replicas of which the metadata says another directory than they are in.</summary>
    private IEnumerable<(Uuid Directory, Uuid TopicId, int Partition)> Misplaced(MetadataImage current)
    {
        foreach (var log in logs.Logs)
        {
            if (log.TopicId is { } topicId
                && logs.FindDirectory(log.Partition) is { IsOffline: false, Properties.DirectoryId: { } directory }
                && current.Topics.ById.TryGetValue(topicId, out var topic)
                && topic.Partition(log.Partition.Partition) is { } partition
                && partition.Replicas.Contains(nodeId)
                && partition.DirectoryOf(nodeId) != directory)
                yield return (directory, topicId, log.Partition.Partition);
        }
    }

    [LoggerMessage(
        Level = LogLevel.Warning, Message = "The controller did not accept the log directories of replicas: {Reason}; sending them again")]
    private partial void LogRefused(string reason);
}
