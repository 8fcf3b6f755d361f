using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.StateMachines.Replication;

/// <summary>What an answer means for a partition.</summary>
public enum FetchVerdict
{
    /// <summary>Nothing: the partition is gone, or has moved on since the request (P2).</summary>
    Ignore,

    /// <summary>
    /// Append the records, if there are any, and take the high watermark and the log start over; then
    /// <see cref="FetcherMachine{TReplica}.OnAppended"/>.
    /// </summary>
    Append,

    /// <summary>
    /// Cut the log where it diverges, and take nothing else over (P3); then <see cref="FetcherMachine{TReplica}.Resume"/>.
    /// </summary>
    Truncate,

    /// <summary>Ask the leader where its log ends and begins, and truncate by that; then resume or retry.</summary>
    AskOffsets,

    /// <summary>It is fetched again after a delay.</summary>
    Retry,

    /// <summary>The leader has a newer epoch: it is fetched again when the metadata tells of it.</summary>
    Fenced,
}

/// <summary>The answers for single partitions, and what came of them.</summary>
public sealed partial class FetcherMachine<TReplica>
{
    /// <summary>Judges the answer for one partition.</summary>
    /// <param name="topicId">The topic.</param>
    /// <param name="data">The answer.</param>
    /// <param name="now">The time.</param>
    /// <param name="partition">The partition; null when it is gone.</param>
    public FetchVerdict Judge(Uuid topicId, FetchResponse.PartitionData data, Instant now, out FetcherPartition<TReplica>? partition)
    {
        partition = Find(new TopicIdPartition(topicId, data.PartitionIndex));
        if (partition is not { IsInSession: true, Stage: FetchStage.Fetching }
            || partition.Told.FetchOffset != partition.Next.FetchOffset || partition.Told.LeaderEpoch != partition.LeaderEpoch)
            return FetchVerdict.Ignore;
        switch ((ErrorCode)data.ErrorCode)
        {
            case ErrorCode.None when data.DivergingEpoch is not { Epoch: >= 0 }:
                return FetchVerdict.Append;
            case ErrorCode.None when data.DivergingEpoch.EndOffset >= 0:
                return FetchVerdict.Truncate;
            case ErrorCode.OffsetOutOfRange:
                partition.Stage = FetchStage.OutOfRange;
                List(partition);
                return FetchVerdict.AskOffsets;
            case ErrorCode.FencedLeaderEpoch:
                Remove(partition);
                return FetchVerdict.Fenced;
            case ErrorCode.UnknownTopicId or ErrorCode.UnknownTopicOrPartition or ErrorCode.UnknownLeaderEpoch
                or ErrorCode.NotLeaderOrFollower:
                DelayBriefly(partition, now);
                return FetchVerdict.Retry;
            default:
                Delay(partition, now);
                return FetchVerdict.Retry;
        }
    }

    /// <summary>Notes that an answer was taken over.</summary>
    /// <param name="partition">The partition.</param>
    /// <param name="position">Where the log stands.</param>
    /// <param name="leaderHighWatermark">The high watermark of the answer.</param>
    public void OnAppended(FetcherPartition<TReplica> partition, in FetcherPosition position, long leaderHighWatermark)
    {
        if (partition.Stage == FetchStage.Gone)
            return;
        partition.BriefDelays = 0;
        partition.Lag = Math.Max(0, leaderHighWatermark - position.EndOffset);
        if (position.EndOffset != partition.FetchOffset)
        {
            _order.Remove(partition.Place);
            _order.AddLast(partition.Place);
        }

        MoveTo(partition, position);
    }

    /// <summary>Fetches on from where the log stands, after it was truncated or someone else moved its end.</summary>
    public void Resume(FetcherPartition<TReplica> partition, in FetcherPosition position)
    {
        if (partition.Stage == FetchStage.Gone)
            return;
        partition.Stage = FetchStage.Fetching;
        MoveTo(partition, position);
    }

    /// <summary>Fetches a partition again after a delay.</summary>
    public void Retry(FetcherPartition<TReplica> partition, Instant now)
    {
        if (partition.Stage is FetchStage.Fetching or FetchStage.OutOfRange)
            Delay(partition, now);
    }

    private void MoveTo(FetcherPartition<TReplica> partition, in FetcherPosition position)
    {
        partition.Next = partition.Next with
        {
            FetchOffset = position.EndOffset,
            LastFetchedEpoch = position.LatestEpoch,
            LogStartOffset = position.LogStartOffset,
        };
        if (partition.Next != partition.Told)
            List(partition);
    }
}
