namespace Ottla.StateMachines.Replication;

/// <summary>What a follower does whose offset lies outside of the leader's log.</summary>
public enum OutOfRangeStep
{
    /// <summary>Its log is longer than the leader's, after an unclean election: cut it there.</summary>
    TruncateToLeaderEnd,

    /// <summary>The leader's log may begin after its end: ask where it begins.</summary>
    AskForLeaderStart,

    /// <summary>The leader has deleted what would come next: drop everything, and begin where the leader begins.</summary>
    RestartAtLeaderStart,

    /// <summary>The leader has the follower's end by now: fetch from there.</summary>
    Resume,
}

/// <summary>Where followers cut their logs. Pure functions.</summary>
public static class FollowerDecisions
{
    /// <summary>Where a log is cut when the leader says that it diverges (KIP-101, KIP-279, KIP-595).</summary>
    /// <remarks>
    /// A follower that does not know the leader's epoch is cut at the end of the next older epoch that it knows. The next fetch then tells
    /// whether that was enough.
    /// </remarks>
    /// <param name="leaderEpoch">The leader's largest epoch that is not after the follower's last one.</param>
    /// <param name="leaderEndOffset">Where it ends at the leader.</param>
    /// <param name="ownEpoch">The follower's largest epoch that is not after <paramref name="leaderEpoch"/>; -1 for none.</param>
    /// <param name="ownEndOffset">Where that ends at the follower.</param>
    /// <param name="logEndOffset">The end of the follower's log.</param>
    public static long TruncationOffset(int leaderEpoch, long leaderEndOffset, int ownEpoch, long ownEndOffset, long logEndOffset) =>
        Math.Min(
            logEndOffset,
            ownEpoch < 0 ? leaderEndOffset : ownEpoch == leaderEpoch ? Math.Min(ownEndOffset, leaderEndOffset) : ownEndOffset);

    /// <summary>What follows from the end of the leader's log, after OFFSET_OUT_OF_RANGE.</summary>
    public static OutOfRangeStep AfterLeaderEnd(long leaderEndOffset, long logEndOffset) =>
        leaderEndOffset < logEndOffset ? OutOfRangeStep.TruncateToLeaderEnd : OutOfRangeStep.AskForLeaderStart;

    /// <summary>What follows from the start of the leader's log.</summary>
    public static OutOfRangeStep AfterLeaderStart(long leaderStartOffset, long logEndOffset) =>
        leaderStartOffset > logEndOffset ? OutOfRangeStep.RestartAtLeaderStart : OutOfRangeStep.Resume;
}
