using Ottla.StateMachines.Coordinators;

namespace Ottla.StateMachines.Share.Coordinator;

/// <summary>A request to the share coordinator about one share partition. An error is that of the partition in the answer.</summary>
public abstract record ShareCoordinatorCommand;

/// <inheritdoc/>
/// <typeparam name="TReply">The type of the reply.</typeparam>
public abstract record ShareCoordinatorCommand<TReply> : ShareCoordinatorCommand, ICoordinatorCommand<ShareCoordinatorCommand, TReply>
{
    ShareCoordinatorCommand ICoordinatorCommand<ShareCoordinatorCommand, TReply>.Command => this;
}

/// <summary>InitializeShareGroupState: the partition begins anew. The reply is the key.</summary>
/// <param name="Key">The share partition.</param>
/// <param name="StateEpoch">The group's epoch.</param>
/// <param name="StartOffset">Where it begins; <see cref="ShareState.UnsetStartOffset"/> leaves that to the first fetch.</param>
public sealed record InitializeShareStateCommand(SharePartitionKey Key, int StateEpoch, long StartOffset)
    : ShareCoordinatorCommand<SharePartitionKey>;

/// <summary>
/// ReadShareGroupState: a leader takes the partition over. From then on writes of earlier leader epochs are refused. The reply is the
/// state.
/// </summary>
/// <param name="Key">The share partition.</param>
/// <param name="LeaderEpoch">The epoch of the reader's leadership.</param>
public sealed record ReadShareStateCommand(SharePartitionKey Key, int LeaderEpoch) : ShareCoordinatorCommand<ShareState>;

/// <summary>WriteShareGroupState. The reply is the key.</summary>
/// <param name="Key">The share partition.</param>
/// <param name="StateEpoch">The state epoch that the writer has read.</param>
/// <param name="LeaderEpoch">The epoch of the writer's leadership.</param>
/// <param name="StartOffset">The start offset; a lower one than is known changes nothing, and -1 says nothing about it.</param>
/// <param name="DeliveryCompleteCount">How many offsets are done with; -1 if the writer does not know.</param>
/// <param name="Batches">What has changed, in any order.</param>
public sealed record WriteShareStateCommand(
    SharePartitionKey Key, int StateEpoch, int LeaderEpoch, long StartOffset, int DeliveryCompleteCount,
        IReadOnlyList<DeliveryBatch> Batches)
    : ShareCoordinatorCommand<SharePartitionKey>;

/// <summary>DeleteShareGroupState; nothing to delete is no error. The reply is the key.</summary>
/// <param name="Key">The share partition.</param>
public sealed record DeleteShareStateCommand(SharePartitionKey Key) : ShareCoordinatorCommand<SharePartitionKey>;

/// <summary>
/// ReadShareGroupStateSummary: offsets and counts for lags. The reply is the state, or <see cref="ShareState.None"/>.
/// </summary>
/// <param name="Key">The share partition.</param>
public sealed record ReadShareStateSummaryCommand(SharePartitionKey Key) : ShareCoordinatorCommand<ShareState>;

/// <summary>
/// Asks the host to delete the records of the machine's partition below an offset: newer snapshots and tombstones have made them useless.
/// Nothing is answered; what fails is asked for again at the next turn.
/// </summary>
/// <param name="BeforeOffset">The first offset to keep.</param>
public sealed record PruneShareLogOutput(long BeforeOffset) : CoordinatorOutput;
