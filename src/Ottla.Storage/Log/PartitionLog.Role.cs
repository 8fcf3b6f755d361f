using Ottla.Protocol;

namespace Ottla.Storage.Log;

/// <content>
/// The role of the replica that the log belongs to. What a replica does to its log names the leader epoch in which it does so. The log
/// refuses it when the replica has another role or a newer epoch by then: a request or a fetcher that is late changes nothing.
/// </content>
/// <remarks>
/// A log outside of a replica has no role, and refuses nothing for it: the metadata log, copies, and the logs of tools. Their owners use
/// the operations that name no epoch, which a log with a role does not offer.
/// </remarks>
public sealed partial class PartitionLog
{
    private ReplicaRole _role;

    /// <summary>The leader epoch in which the role began, or was confirmed last.</summary>
    private int _roleEpoch = -1;

    private enum ReplicaRole : byte
    {
        None,
        Leader,
        Follower,
    }

    /// <summary>
    /// Whether appends are committed as they are made, because no other replica has to have them. In the same step as the append: who leads
    /// alone needs nobody else to move the high watermark.
    /// </summary>
    private bool _commitsAlone;

    /// <summary>
    /// The replica leads from now on: only appends of this epoch are taken. Notes that the epoch starts at the log's end.
    /// </summary>
    /// <param name="leaderEpoch">The epoch. The same again only changes what follows.</param>
    /// <param name="commitsAlone">Whether there is no other replica: what is appended, and what is there, is committed.</param>
    /// <returns>The log's end: while nobody appends in a new epoch, its start offset.</returns>
    /// <exception cref="LogException">KAFKA_STORAGE_ERROR.</exception>
    public long BeginLeading(int leaderEpoch, bool commitsAlone = false)
    {
        using (_lock.EnterScope())
        {
            ThrowIfOffline();
            _epochs.Begin(leaderEpoch, _logEndOffset);
            (_role, _roleEpoch, _commitsAlone) = (ReplicaRole.Leader, leaderEpoch, commitsAlone);
            if (commitsAlone)
                RaiseHighWatermark(_logEndOffset);
            return _logEndOffset;
        }
    }

    /// <summary>
    /// The replica follows from now on, or waits for a leader: only what a fetcher of this epoch brings is taken.
    /// </summary>
    public void BeginFollowing(int leaderEpoch)
    {
        using (_lock.EnterScope())
            (_role, _roleEpoch, _commitsAlone) = (ReplicaRole.Follower, leaderEpoch, false);
    }

    /// <summary>Raises the high watermark of a log without a role; never above the log's end, never back.</summary>
    /// <returns>Whether it moved.</returns>
    public bool AdvanceHighWatermark(long offset)
    {
        using (_lock.EnterScope())
        {
            ThrowIfReplica();
            return RaiseHighWatermark(offset);
        }
    }

    /// <summary>Raises the high watermark; never above the log's end, never back.</summary>
    /// <param name="offset">The high watermark.</param>
    /// <param name="leaderEpoch">The epoch of the leader that says so: this replica, or the one that it follows.</param>
    /// <returns>Whether it moved. It does not when the replica has a newer epoch by now.</returns>
    public bool AdvanceHighWatermark(long offset, int leaderEpoch)
    {
        using (_lock.EnterScope())
            return (_role == ReplicaRole.None || _roleEpoch == leaderEpoch) && RaiseHighWatermark(offset);
    }

    private bool RaiseHighWatermark(long offset)
    {
        offset = Math.Min(offset, _logEndOffset);
        if (offset <= _highWatermark)
            return false;
        Volatile.Write(ref _highWatermark, offset);
        _producers.OnHighWatermark(offset);
        UpdateFirstUnstableOffset();
        return true;
    }

    private bool MayLead(int leaderEpoch) => _role == ReplicaRole.None || (_role == ReplicaRole.Leader && _roleEpoch == leaderEpoch);

    private bool MayFollow(int leaderEpoch) => _role == ReplicaRole.None || (_role == ReplicaRole.Follower && _roleEpoch == leaderEpoch);

    private void ThrowUnlessLeading(int leaderEpoch)
    {
        if (!MayLead(leaderEpoch))
            throw new LogException(
                ErrorCode.NotLeaderOrFollower,
                $"The replica of {Partition} does not lead in epoch {leaderEpoch}: it is a {_role} of epoch {_roleEpoch}.");
    }

    private void ThrowIfReplica()
    {
        if (_role != ReplicaRole.None)
            throw new InvalidOperationException($"The log of {Partition} belongs to a replica: its changes name their leader epoch.");
    }
}
