using Ottla.Broker.Hosts.Coordinators;
using Ottla.Broker.Metadata;
using Ottla.Broker.Peers;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Requests;
using Ottla.StateMachines.Metadata;
using Ottla.StateMachines.Share;
using Ottla.StateMachines.Share.Coordinator;

namespace Ottla.Broker.Hosts.Share;

/// <summary>
/// The share coordinators of the cluster. Calls those of this broker directly, and the others by requests. What may work later is tried
/// again, with longer and longer pauses, up to about half a minute.
/// </summary>
/// <remarks>Thread-safe; lives as long as the broker.</remarks>
/// <param name="nodeId">This broker.</param>
/// <param name="local">The coordinators of this broker.</param>
/// <param name="peers">The channels to other brokers.</param>
/// <param name="image">The metadata, with the leaders of <c>__share_group_state</c>.</param>
/// <param name="topicCreation">Creates that topic.</param>
/// <param name="time">The clock.</param>
/// <param name="stopping">Cancelled when the node stops.</param>
internal sealed class ClusterShareCoordinators(
    int nodeId, CoordinatorHost<ShareCoordinatorCommand> local, BrokerChannels peers, Func<MetadataImage> image,
    TopicAutoCreation topicCreation, TimeProvider time, CancellationToken stopping) : IShareStateStore
{
    private const int AttemptsMax = 9;
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(100);

    /// <inheritdoc/>
    public Task InitializeAsync(InitializeShareStateCommand command) => AskAsync(command.Key, command, async channel =>
    {
        var answer = await SendAsync<InitializeShareGroupStateRequest, InitializeShareGroupStateResponse>(
            channel, ShareStateMessages.RequestOf(command));
        return ShareStateMessages.Check(command.Key, answer);
    });

    /// <inheritdoc/>
    public Task<ShareState> ReadAsync(ReadShareStateCommand command) => AskAsync(command.Key, command, async channel =>
        ShareStateMessages.StateOf(await SendAsync<ReadShareGroupStateRequest, ReadShareGroupStateResponse>(
            channel, ShareStateMessages.RequestOf(command))));

    /// <inheritdoc/>
    public Task WriteAsync(WriteShareStateCommand command) => AskAsync(command.Key, command, async channel =>
    {
        var answer = await SendAsync<WriteShareGroupStateRequest, WriteShareGroupStateResponse>(
            channel, ShareStateMessages.RequestOf(command));
        return ShareStateMessages.Check(command.Key, answer);
    });

    /// <inheritdoc/>
    public Task DeleteAsync(DeleteShareStateCommand command) => AskAsync(command.Key, command, async channel =>
    {
        var answer = await SendAsync<DeleteShareGroupStateRequest, DeleteShareGroupStateResponse>(
            channel, ShareStateMessages.RequestOf(command));
        return ShareStateMessages.Check(command.Key, answer);
    });

    /// <inheritdoc/>
    public Task<ShareState> ReadSummaryAsync(ReadShareStateSummaryCommand command) => AskAsync(command.Key, command, async channel =>
        ShareStateMessages.StateOf(await SendAsync<ReadShareGroupStateSummaryRequest, ReadShareGroupStateSummaryResponse>(
            channel, ShareStateMessages.RequestOf(command, LeaderEpochOf(command.Key)))));

    private async Task<TReply> AskAsync<TReply>(
        SharePartitionKey key, ShareCoordinatorCommand<TReply> command, Func<RequestChannel, Task<TReply>> askPeerAsync)
    {
        var pause = FirstPause;
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                var coordinator = await FindAsync(key);
                return coordinator == nodeId
                    ? await local.SubmitAsync(key.ToString(), command)
                    : await askPeerAsync(ChannelTo(coordinator));
            }
            catch (ApiException e) when (attempt < AttemptsMax && MayWorkLater(e.Error.Code, key))
            {
                await Task.Delay(pause, time, stopping); // the coordinator moves or loads; AttemptsMax bounds the tries
                pause *= 2;
            }
        }
    }

    /// <exception cref="ApiException">COORDINATOR_NOT_AVAILABLE: there is no coordinator now.</exception>
    private async ValueTask<int> FindAsync(SharePartitionKey key)
    {
        if (image().Topics.Find(TopicNames.ShareGroupState) is null)
            await topicCreation.CreateInternalAsync([TopicNames.ShareGroupState]); // a failure shows below: there is no leader
        var partitions = image().Topics.Find(TopicNames.ShareGroupState)?.Partitions ?? [];
        return !partitions.IsDefaultOrEmpty
            && partitions[CoordinatorKeys.PartitionOf(key.ToString(), partitions.Length)].Leader is >= 0 and var leader
            ? leader
            : throw new ApiException(ErrorCode.CoordinatorNotAvailable, "There is no share coordinator now.");
    }

    private RequestChannel ChannelTo(int coordinator) => peers.Find(coordinator)
        ?? throw new ApiException(
            ErrorCode.CoordinatorNotAvailable, $"This broker has no address of the share coordinator, broker {coordinator}.");

    private static async Task<TResponse> SendAsync<TRequest, TResponse>(RequestChannel channel, TRequest request)
        where TRequest : IRequestMessage<TRequest>
        where TResponse : class, IResponseMessage<TResponse>
    {
        try
        {
            return await channel.SendAsync<TRequest, TResponse>(request);
        }
        catch (RequestFailedException e)
        {
            throw new ApiException(
                e.Kind == RequestFailureKind.UnsupportedVersion ? ErrorCode.UnsupportedVersion : ErrorCode.NetworkException,
                $"The share coordinator, broker {channel.Address.Id}, did not answer: {e.Message}");
        }
    }

    private int LeaderEpochOf(SharePartitionKey key) =>
        image().Topics.Find(key.TopicId)?.Partition(key.Partition)?.LeaderEpoch ?? 0;

    /// <summary>Whether an error passes: a coordinator moves, loads, or does not know of a new topic yet.</summary>
    private bool MayWorkLater(ErrorCode error, SharePartitionKey key) => error switch
    {
        ErrorCode.CoordinatorNotAvailable or ErrorCode.CoordinatorLoadInProgress or ErrorCode.NotCoordinator
            or ErrorCode.NetworkException or ErrorCode.RequestTimedOut => true,
        ErrorCode.UnknownTopicOrPartition => image().Topics.Find(key.TopicId)?.Partition(key.Partition) is not null,
        _ => false,
    };
}
