using Microsoft.Extensions.Logging;
using Ottla.Broker.Hosts.Coordinators;
using Ottla.Broker.Replicas;
using Ottla.Broker.Server;
using Ottla.Configuration;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.StateMachines.Coordinators;
using Ottla.StateMachines.Share.Coordinator;

namespace Ottla.Broker.Hosts.Share;

/// <summary>
/// The share coordinators of this node: one machine for each partition of <c>__share_group_state</c> that it leads. Also prunes these logs.
/// </summary>
/// <remarks>Lives as long as the node; all connections use it.</remarks>
public sealed partial class ShareCoordinatorHost : IDisposable
{
    private readonly HostedTopics _topics;
    private readonly BackgroundWork _background;
    private readonly LimitedLogger _logger;

    /// <summary>Coordinators that follow the metadata once they are registered.</summary>
    /// <param name="nodeId">This node.</param>
    /// <param name="topics">The replicas of this node.</param>
    /// <param name="config">The configuration in force.</param>
    /// <param name="background">Watches the tasks that prune logs.</param>
    /// <param name="time">The clock.</param>
    /// <param name="logger">The logger.</param>
    public ShareCoordinatorHost(
        int nodeId, HostedTopics topics, Func<BrokerConfig> config, BackgroundWork background, TimeProvider time, ILogger logger)
    {
        _topics = topics;
        _background = background;
        _logger = new LimitedLogger(logger, time);
        var definition = new CoordinatorDefinition<ShareCoordinatorCommand>
        {
            Name = "share coordinator",
            TopicName = TopicNames.ShareGroupState,
            BaseSequence = 0,
            OutlivesLeaderEpoch = true,
            Serde = CoordinatorRecordSerde.Shares,
            CreateMachine = static _ => new ShareCoordinatorMachine(),
            Settings = SettingsOf,
            OnOutput = OnOutput,
        };
        Coordinators = new CoordinatorHost<ShareCoordinatorCommand>(definition, nodeId, topics, config, time, logger);
    }

    /// <summary>The machines: commands go here.</summary>
    public CoordinatorHost<ShareCoordinatorCommand> Coordinators { get; }

    /// <summary>Stops all coordinators.</summary>
    public void Dispose()
    {
        Coordinators.Close();
        _logger.Dispose();
    }

    private static CoordinatorSettings SettingsOf(BrokerConfig config) => new(
        (CompressionType)config.ShareCoordinatorStateTopicCompressionCodec,
        config.ShareCoordinatorAppendLingerMs,
        config.ShareCoordinatorWriteTimeoutMs,
        config.ShareCoordinatorLoadBufferSize,
        config.ShareCoordinatorCachedBufferMaxBytes);

    private void OnOutput(CoordinatorPartition partition, CoordinatorOutput output)
    {
        if (output is not PruneShareLogOutput prune)
            throw new InvalidOperationException($"{output.GetType().Name} is no output of share coordinators.");
        _background.Watch("pruning the log of a share coordinator", PruneAsync(partition, prune));
    }

    private async Task PruneAsync(CoordinatorPartition partition, PruneShareLogOutput prune)
    {
        await Task.Yield(); // files may be deleted, and this may be a network thread
        var outcome = _topics.Find(TopicNames.ShareGroupState)?.Find(partition.Partition)?.DeleteRecordsBefore(prune.BeforeOffset);
        if (outcome is { ErrorCode: not ErrorCode.None } failed)
            LogNotPruned(TopicNames.ShareGroupState, partition.Partition, prune.BeforeOffset, failed.ErrorCode);
    }

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "The records of {Topic}-{Partition} below {Offset} were not deleted; trying again later: {Error}")]
    private partial void LogNotPruned(string topic, int partition, long offset, ErrorCode error);
}
