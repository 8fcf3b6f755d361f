using Microsoft.Extensions.Logging;
using Ottla.Broker.Replicas;
using Ottla.Configuration;
using Ottla.Protocol;
using Ottla.StateMachines.Coordinators;
using Ottla.StateMachines.Groups;
using Ottla.StateMachines.Groups.Consumer;

namespace Ottla.Broker.Hosts.Coordinators;

/// <summary>
/// The group coordinators of this node: a machine for each partition of <c>__consumer_offsets</c> that is led here, and what they want
/// done outside.
/// </summary>
/// <remarks>Lives as long as the node. Used by all connections.</remarks>
public sealed partial class GroupHost
{
    private readonly BackgroundWork _background;
    private readonly ILogger _logger;

    /// <summary>Coordinators that follow the metadata once they are registered.</summary>
    /// <param name="seed">What the ids of members follow from: another one in every process.</param>
    /// <param name="nodeId">This node.</param>
    /// <param name="topics">The replicas of this node.</param>
    /// <param name="config">The configuration in force.</param>
    /// <param name="background">Watches what is done about outputs, which nobody awaits.</param>
    /// <param name="time">The clock.</param>
    /// <param name="logger">For what fails.</param>
    public GroupHost(
        ulong seed,
        int nodeId,
        HostedTopics topics,
        Func<BrokerConfig> config,
        BackgroundWork background,
        TimeProvider time,
        ILogger logger)
    {
        _background = background;
        _logger = logger;
        var definition = GroupCoordinator.Define(seed) with { OnOutput = OnOutput };
        Coordinators = new CoordinatorHost<GroupCommand>(definition, nodeId, topics, config, time, logger);
    }

    /// <summary>The machines: commands go here.</summary>
    public CoordinatorHost<GroupCommand> Coordinators { get; }

    private void OnOutput(CoordinatorPartition partition, CoordinatorOutput output)
    {
        if (output is not ResolveExpressionsOutput resolve)
            throw new InvalidOperationException($"{output.GetType().Name} is no output of groups.");
        _background.Watch("resolving the regular expressions of a group", ResolveAsync(partition, resolve));
    }

    private async Task ResolveAsync(CoordinatorPartition partition, ResolveExpressionsOutput output)
    {
        await Task.Yield(); // many topics and expressions take time, which the thread that has found the coordinator idle has not
        var resolved = new ExpressionsResolvedCommand(output, Topics: null);
        try
        {
            resolved = resolved with { Topics = output.Resolve() };
        }
        catch (Exception e) // a bug; the machine waits for an answer, and asks again with the next heartbeat
        {
            LogNotResolved(output.GroupId, e);
        }

        try
        {
            await Coordinators.TellAsync(partition.Partition, resolved);
        }
        catch (ApiException e) // a machine that is gone needs no answer: its successor asks anew
        {
            LogMachineGone(TopicNames.ConsumerOffsets, partition.Partition, e.Error.Code);
        }
    }

    [LoggerMessage(Level = LogLevel.Error,
        Message = "The regular expressions of group {GroupId} cannot be resolved. It is tried again with the next heartbeat")]
    private partial void LogNotResolved(string groupId, Exception e);

    [LoggerMessage(Level = LogLevel.Information,
        Message = "The coordinator of {Topic}-{Partition} did not take what regular expressions match: {Error}")]
    private partial void LogMachineGone(string topic, int partition, ErrorCode error);
}
