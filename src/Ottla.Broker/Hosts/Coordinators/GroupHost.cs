using Microsoft.Extensions.Logging;
using Ottla.Broker.Hosts.Share;
using Ottla.Broker.Replicas;
using Ottla.Configuration;
using Ottla.Protocol;
using Ottla.StateMachines.Coordinators;
using Ottla.StateMachines.Groups;
using Ottla.StateMachines.Groups.Consumer;
using Ottla.StateMachines.Groups.Share;

namespace Ottla.Broker.Hosts.Coordinators;

/// <summary>
/// The group coordinators of this node: one machine for each partition of <c>__consumer_offsets</c> that it leads. Also carries out the
/// outputs of these machines.
/// </summary>
/// <remarks>Lives as long as the node. Used by all connections.</remarks>
internal sealed partial class GroupHost
{
    private readonly ShareGroupState _shareState;
    private readonly BackgroundWork _background;
    private readonly ILogger _logger;

    /// <summary>Coordinators that follow the metadata once they are registered.</summary>
    /// <param name="seed">The seed of member ids; different in every process.</param>
    /// <param name="nodeId">This node.</param>
    /// <param name="topics">The replicas of this node.</param>
    /// <param name="shareState">Asks share coordinators for share groups.</param>
    /// <param name="config">The configuration in force.</param>
    /// <param name="background">Watches the tasks that carry out outputs.</param>
    /// <param name="time">The clock.</param>
    /// <param name="logger">The logger.</param>
    public GroupHost(
        ulong seed,
        int nodeId,
        HostedTopics topics,
        ShareGroupState shareState,
        Func<BrokerConfig> config,
        BackgroundWork background,
        TimeProvider time,
        ILogger logger)
    {
        _shareState = shareState;
        _background = background;
        _logger = logger;
        var definition = GroupCoordinator.Define(seed) with { OnOutput = OnOutput };
        Coordinators = new CoordinatorHost<GroupCommand>(definition, nodeId, topics, config, time, logger);
    }

    /// <summary>The machines: commands go here.</summary>
    public CoordinatorHost<GroupCommand> Coordinators { get; }

    private void OnOutput(CoordinatorPartition partition, CoordinatorOutput output)
    {
        switch (output)
        {
            case ResolveExpressionsOutput resolve:
                _background.Watch("resolving the regular expressions of a group", ResolveAsync(partition, resolve));
                break;
            case InitializeShareStateOutput initialize:
                _background.Watch(
                    "initialising the partitions of a share group", _shareState.InitializeAsync(Coordinators, partition, initialize));
                break;
            default:
                throw new InvalidOperationException($"{output.GetType().Name} is no output of groups.");
        }
    }

    private async Task ResolveAsync(CoordinatorPartition partition, ResolveExpressionsOutput output)
    {
        await Task.Yield(); // many topics and expressions take long, and this may be a network thread
        var resolved = new ExpressionsResolvedCommand(output, Topics: null);
        try
        {
            resolved = resolved with { Topics = output.Resolve() };
        }
        catch (Exception e) // a bug: the machine asks again with the next heartbeat
        {
            LogNotResolved(output.GroupId, e);
        }

        try
        {
            await Coordinators.NotifyAsync(partition.Partition, resolved);
        }
        catch (ApiException e) // the machine is gone, and its successor will ask again
        {
            LogMachineGone(TopicNames.ConsumerOffsets, partition.Partition, e.Error.Code);
        }
    }

    [LoggerMessage(Level = LogLevel.Error,
        Message = "Failed to resolve the regular expressions of group {GroupId}; trying again with the next heartbeat")]
    private partial void LogNotResolved(string groupId, Exception e);

    [LoggerMessage(Level = LogLevel.Information,
        Message = "The coordinator of {Topic}-{Partition} refused the topics that a regular expression matches: {Error}")]
    private partial void LogMachineGone(string topic, int partition, ErrorCode error);
}
