using Microsoft.Extensions.Logging;
using Ottla.Broker.Hosts.Coordinators;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.StateMachines.Groups;
using Ottla.StateMachines.Groups.Share;
using Ottla.StateMachines.Share;
using Ottla.StateMachines.Share.Coordinator;

namespace Ottla.Broker.Hosts.Share;

/// <summary>
/// What group coordinators want of share coordinators: the state of a group's partitions begins, and is deleted. Each tells the group's
/// machine what came of it.
/// </summary>
/// <remarks>Thread-safe; lives as long as the broker.</remarks>
internal sealed partial class ShareGroupState(IShareStateStore store, ILogger logger)
{
    /// <summary>Begins with partitions.</summary>
    /// <returns>The error of each that was not initialised.</returns>
    public async Task<IReadOnlyDictionary<TopicIdPartition, ApiError>> InitializeAsync(InitializeShareStateOutput output)
    {
        var failed = await ForEachAsync(output.Partitions, each => each.Partition, each => store.InitializeAsync(
            new InitializeShareStateCommand(KeyOf(output.GroupId, each.Partition), output.StateEpoch, each.StartOffset)));
        foreach (var (partition, error) in failed)
            LogNotInitialized(partition, output.GroupId, error.Code, error.Message);
        return failed;
    }

    /// <summary>Begins with partitions for a group's machine, and tells it.</summary>
    /// <param name="groups">The group coordinators.</param>
    /// <param name="partition">The partition of the machine.</param>
    /// <param name="output">What it wants.</param>
    public async Task InitializeAsync(
        CoordinatorHost<GroupCommand> groups, CoordinatorPartition partition, InitializeShareStateOutput output)
    {
        await Task.Yield(); // this may be a network thread
        var failed = await InitializeAsync(output);
        try
        {
            await groups.NotifyAsync(
                partition.Partition, new ShareStateInitializedCommand(output, failed.Values.FirstOrDefault(ApiError.None)));
        }
        catch (ApiException e) // the machine is gone, and its successor will ask again
        {
            LogMachineGone(output.GroupId, e.Error.Code);
        }
    }

    /// <summary>Deletes the state of partitions.</summary>
    /// <returns>The error of each whose state was not deleted.</returns>
    public Task<IReadOnlyDictionary<TopicIdPartition, ApiError>> DeleteAsync(
        string groupId, IReadOnlyList<TopicIdPartition> partitions) => ForEachAsync(
        partitions, each => each, each => store.DeleteAsync(new DeleteShareStateCommand(KeyOf(groupId, each))));

    /// <summary>The key of a group's partition.</summary>
    public static SharePartitionKey KeyOf(string groupId, TopicIdPartition partition) =>
        new(groupId, partition.TopicId, partition.Partition);

    private static async Task<IReadOnlyDictionary<TopicIdPartition, ApiError>> ForEachAsync<T>(
        IReadOnlyList<T> items, Func<T, TopicIdPartition> partitionOf, Func<T, Task> askAsync)
    {
        var asked = items.Select(item => (Partition: partitionOf(item), Answer: askAsync(item))).ToArray();
        var failed = new Dictionary<TopicIdPartition, ApiError>();
        foreach (var (partition, answer) in asked)
        {
            try
            {
                await answer;
            }
            catch (ApiException e)
            {
                failed[partition] = e.Error;
            }
        }

        return failed;
    }

    [LoggerMessage(Level = LogLevel.Warning,
        Message = "Partition {Partition} was not initialised for share group {GroupId}; trying again with a later heartbeat: "
            + "{Error} {Reason}")]
    private partial void LogNotInitialized(TopicIdPartition partition, string groupId, ErrorCode error, string? reason);

    [LoggerMessage(Level = LogLevel.Information,
        Message = "The coordinator of share group {GroupId} refused the initialisation that it has asked for: {Error}")]
    private partial void LogMachineGone(string groupId, ErrorCode error);
}
