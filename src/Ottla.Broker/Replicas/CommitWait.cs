using Ottla.Kernel;
using Ottla.Protocol;

namespace Ottla.Broker.Replicas;

/// <summary>Appended records that are acknowledged once all in-sync replicas hold them.</summary>
/// <remarks>
/// Created after the append of a producer, a transaction marker or a coordinator. A value without resources: it can be dropped at any time.
/// </remarks>
/// <param name="Replica">Their partition.</param>
/// <param name="Offset">The offset after the last record.</param>
/// <param name="LeaderEpoch">The epoch in which they were appended.</param>
public readonly record struct CommitWait(PartitionReplica Replica, long Offset, int LeaderEpoch)
{
    /// <summary>The records of an append; of the original one, if this was a producer's retry.</summary>
    public static CommitWait For(PartitionReplica replica, in AppendOutcome appended) =>
        new(replica, appended.Result.LastOffset + 1, appended.LeaderEpoch);

    /// <summary>Whether they are committed.</summary>
    public bool IsCommitted => Look() is ErrorCode.None or ErrorCode.NotEnoughReplicasAfterAppend;

    /// <summary>
    /// What became of the records: NONE when they are committed; NOT_ENOUGH_REPLICAS_AFTER_APPEND when they are, but by now the ISR is
    /// smaller than <c>min.insync.replicas</c>; NOT_LEADER_OR_FOLLOWER when this broker has ceased to lead since. Null while that is open.
    /// </summary>
    public ErrorCode? Look()
    {
        // In this order. As soon as a log follows another leader, its high watermark says nothing about these records; but before it does,
        // the leadership has changed.
        var isCommitted = Replica.Log.HighWatermark >= Offset;
        var leadership = Replica.Leadership;
        return !leadership.HasLedSince(LeaderEpoch) ? ErrorCode.NotLeaderOrFollower
            : !isCommitted ? null
            : leadership.MaximalIsrCount >= Replica.MinInSync(leadership) ? ErrorCode.None
            : ErrorCode.NotEnoughReplicasAfterAppend;
    }

    /// <summary>Waits until they are committed. At once, when they are.</summary>
    /// <param name="deadline">When the wait ends at the latest.</param>
    /// <param name="time">The clock.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>What <see cref="Look"/> says; REQUEST_TIMED_OUT after the deadline. To be awaited once.</returns>
    /// <exception cref="OperationCanceledException">The connection is closed.</exception>
    public ValueTask<ErrorCode> WaitAsync(Instant deadline, TimeProvider time, CancellationToken cancellationToken) =>
        Look() is { } outcome
            ? ValueTask.FromResult(outcome)
            : new SingleCommitWaiter().WaitAsync(this, deadline, time, cancellationToken);

    /// <summary>Waits for one commit, and is used once.</summary>
    private sealed class SingleCommitWaiter : CommitWaiter<ErrorCode>
    {
        private ErrorCode _outcome;

        protected override ErrorCode Result => _outcome;

        public ValueTask<ErrorCode> WaitAsync(in CommitWait commit, Instant deadline, TimeProvider time, CancellationToken closing)
        {
            Add(commit);
            return WaitAsync(deadline, time, closing);
        }

        protected override void OnOutcome(int index, ErrorCode outcome) => _outcome = outcome;

        protected override void OnTaken()
        {
            // It is garbage now.
        }
    }
}
