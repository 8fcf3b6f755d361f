using Ottla.Protocol;

namespace Ottla.Broker.Replicas;

/// <content>Whom this replica serves when it does not lead.</content>
public sealed partial class PartitionReplica
{
    /// <summary>Whether a client that believes in <paramref name="currentLeaderEpoch"/> may read here.</summary>
    /// <param name="currentLeaderEpoch">The leader epoch that the client knows; -1 when it does not say.</param>
    /// <param name="needsLeader">Whether it must not be served by a follower (KIP-392).</param>
    /// <returns><see cref="ErrorCode.None"/>, or the error for the client.</returns>
    public ErrorCode CheckReader(int currentLeaderEpoch, bool needsLeader)
    {
        var error = CheckLeader(currentLeaderEpoch);
        return error == ErrorCode.NotLeaderOrFollower && !needsLeader ? ErrorCode.None : error;
    }

    /// <summary>
    /// Whether the high watermark still is where the leader before had told it: it may lie behind what was committed, and to name it as the
    /// end of the partition would send consumers back (KIP-207).
    /// </summary>
    public bool IsHighWatermarkBehindEpoch
    {
        get
        {
            var leadership = Leadership;
            return leadership.IsLeaderHere && Log.StartOffsetOfEpoch(leadership.LeaderEpoch) > Log.HighWatermark;
        }
    }
}
