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
/// Reports the log directories of this broker to the controller: which have failed, which are cordoned, and where each replica is
/// (KIP-858).
/// </summary>
/// <remarks>
/// Two loops, as long as the broker lives; each wakes when something may have changed. Failed and cordoned directories go with the
/// heartbeats; the places of replicas go in AssignReplicasToDirs requests, one at a time. Each report is made anew from the disk and the
/// metadata, so it leaves out replicas that are gone.
/// </remarks>
/// <param name="nodeId">This broker.</param>
/// <param name="logs">The log directories.</param>
/// <param name="lifecycle">Sends the heartbeats.</param>
/// <param name="channel">The way to the active controller.</param>
/// <param name="metadata">The metadata as this broker knows it.</param>
/// <param name="storage">Signals changes of the directories and of the replicas in them.</param>
/// <param name="platform">The clock, and the seed of the random back-off.</param>
/// <param name="logger">The logger.</param>
internal sealed partial class DirectoryReports(
    int nodeId, LogManager logs, BrokerLifecycle lifecycle, ControllerChannel channel, MetadataCache metadata, NodeStorage storage,
    NodePlatform platform, ILogger logger)
{
    /// <summary>How many replicas one request names, as in Kafka. The next request names the rest.</summary>
    private const int ReplicasPerRequestMax = 2_250;

    /// <summary>How long a report may take to show in the metadata.</summary>
    private static readonly TimeSpan ReturnPatience = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan BackoffMin = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan BackoffMax = TimeSpan.FromSeconds(10);

    /// <summary>The random part of the back-off, so that brokers that failed together do not retry together.</summary>
    private const double BackoffJitter = 0.02;

    private (int PlacementVersion, TopicsImage? Topics) _reported = (-1, null);

    /// <summary>Gives failed and cordoned directories to the heartbeats, at each change.</summary>
    public Task ReportDirectoriesAsync(CancellationToken stopping) => WheneverSomethingChangesAsync(
        () =>
        {
            foreach (var failed in NodeIdentities.IdsOf(logs, directory => directory.IsOffline))
                lifecycle.OnDirectoryFailure(failed);
            lifecycle.SetCordonedDirectories([.. NodeIdentities.IdsOf(logs, logs.IsCordoned)]);
            return Task.CompletedTask;
        },
        stopping);

    /// <summary>Tells the controller where replicas are, whenever the metadata has some in another directory.</summary>
    public Task AssignReplicasAsync(CancellationToken stopping)
    {
        var backoff = new ExponentialBackoff(BackoffMin, BackoffMax, BackoffJitter, new Prng(platform.Seed));
        return WheneverSomethingChangesAsync(ReportAllAsync, stopping);

        async Task ReportAllAsync()
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

    /// <summary>Runs a look now, and after each change of the metadata, of the directories, and of the replicas in them.</summary>
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

    /// <summary>Tells the controller where the replicas are that the metadata has in another directory.</summary>
    /// <returns>Whether the controller accepted the report; null when there is nothing to report.</returns>
    private async Task<bool?> AssignAsync(CancellationToken stopping)
    {
        var current = metadata.Current;
        var placement = logs.PlacementVersion;
        if (placement == _reported.PlacementVersion && ReferenceEquals(current.Topics, _reported.Topics))
            return null;
        if (current.Features.MetadataVersion is not { SupportsDirectoryAssignment: true }
            || current.Cluster.Broker(nodeId) is not { } broker)
            return null;
        var replicas = Misplaced(current).Take(ReplicasPerRequestMax).ToList();
        if (replicas.Count == 0)
        {
            _reported = (placement, current.Topics);
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
    /// Waits a while for metadata with other topics than those of a report, so that this broker does not repeat a report that the metadata
    /// does not show yet.
    /// </summary>
    private async Task<bool> SeeAsync(MetadataImage reported, CancellationToken stopping)
    {
        using var moment = new CancellationTokenSource(ReturnPatience, platform.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(moment.Token, stopping);
        try
        {
            await metadata.WhenAsync(image => !ReferenceEquals(image.Topics, reported.Topics), either.Token);
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

    /// <summary>The replicas that are in another directory than the metadata says.</summary>
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
