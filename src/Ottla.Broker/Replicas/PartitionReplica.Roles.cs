using Microsoft.Extensions.Logging;
using Ottla.Kernel;
using Ottla.StateMachines.Metadata;
using Ottla.StateMachines.Replication;
using Ottla.Storage.Log;

namespace Ottla.Broker.Replicas;

/// <content>How the replica takes over its role from the metadata.</content>
/// <remarks>
/// The order matters to those who look without a lock. A demotion is visible before the log follows anybody else, so nobody takes a high
/// watermark of the new leader for a commit of the old one. A promotion is visible after the log and the leader's state are ready.
/// </remarks>
public sealed partial class PartitionReplica
{
    private volatile PartitionLeadership _leadership;

    /// <summary>The leadership, as last published.</summary>
    public PartitionLeadership Leadership => _leadership;

    /// <summary>
    /// Takes over the partition from the metadata. What is older than what the controller has answered already is left alone.
    /// </summary>
    /// <returns>Whether the replica has another leader or leader epoch now: a follower then begins to fetch anew.</returns>
    /// <exception cref="LogException">KAFKA_STORAGE_ERROR: the replica cannot lead.</exception>
    public bool Update(PartitionRegistration registration)
    {
        PartitionLeadership before;
        Conclusion conclusion;
        using (_leaderLock.EnterScope())
        {
            before = _leadership;
            if (registration.PartitionEpoch < before.PartitionEpoch)
                return false;
            var highWatermark = Log.HighWatermark;
            TakeRole(registration, before);
            conclusion = Conclude(mayExpand: true);
            if (Log.HighWatermark != highWatermark)
                conclusion = conclusion with { HasMoved = true }; // who leads alone has committed everything
        }

        // Waiting fetches must learn of the new leader, but not of each change of the ISR; DeleteRecords waits for all replicas.
        var isNewEpoch = !_leadership.IsSameToReaders(before);
        Carry(conclusion, isNewEpoch ? ReplicaChange.Leadership
            : before.Replicas.SequenceEqual(registration.Replicas) ? ReplicaChange.None : ReplicaChange.LogStart);
        return isNewEpoch;
    }

    /// <summary>Marks the replica as unusable, because its log was deleted or its disk failed, and wakes all waiters.</summary>
    public void Retire()
    {
        using (_leaderLock.EnterScope())
        {
            _leadership = _leadership with { IsLeaderHere = false, IsRetired = true };
            _leader = null;
            Log.BeginFollowing(_leadership.LeaderEpoch); // nothing is appended any more, as nobody fetches
        }

        Announce(ReplicaChange.Leadership);
    }

    /// <summary>
    /// Begins the role that the metadata gives, or goes on in it. Under the lock, or before anybody else knows the replica.
    /// </summary>
    private void TakeRole(PartitionRegistration registration, PartitionLeadership? before)
    {
        var leadership = PartitionLeadership.Of(registration, _surroundings.NodeId, before);
        if (!leadership.IsLeaderHere)
        {
            _leadership = leadership;
            _leader = null;
            if (leadership.LeaderEpoch != before?.LeaderEpoch || before.IsLeaderHere)
                LogFollows(
                    _surroundings.Logger, Partition, leadership.LeaderId, leadership.LeaderEpoch, Log.LogEndOffset, Log.HighWatermark);
            Log.BeginFollowing(leadership.LeaderEpoch);
            return;
        }

        var leadsAlone = registration is { Replicas.Length: 1, Isr.Length: 1 };
        var endOffset = Log.BeginLeading(leadership.LeaderEpoch, commitsAlone: leadsAlone);
        if (leadership.LeaderEpoch != before?.LeaderEpoch || !before.IsLeaderHere)
            LogLeads(registration, endOffset);
        if (leadsAlone)
            _leader = null;
        else if (_leader is { } leader)
            leader.OnMetadata(registration, endOffset, Now);
        else
            _leader = new PartitionLeaderState(_surroundings.NodeId, registration, endOffset, Now);
        _leadership = leadership;
        ShowIsr();
    }

    private void LogLeads(PartitionRegistration registration, long endOffset)
    {
        LogLeads(
            _surroundings.Logger, Partition, registration.LeaderEpoch, endOffset, Log.HighWatermark, string.Join(',', registration.Isr),
            string.Join(',', registration.Replicas));
        // A single replica recovers after each kill of its broker, and nobody else has records that could be lost.
        if (registration.LeaderRecoveryState == LeaderRecoveryState.Recovering && registration.Replicas.Length > 1)
            LogUnclean(_surroundings.Logger, Partition, endOffset);
    }

    [LoggerMessage(
        Level = LogLevel.Debug,
        Message = "{Partition}: this broker leads in epoch {Epoch} from offset {Offset} on, with high watermark {HighWatermark}, "
            + "ISR [{Isr}] of replicas [{Replicas}]")]
    private static partial void LogLeads(
        ILogger logger, TopicPartition partition, int epoch, long offset, long highWatermark, string isr, string replicas);

    [LoggerMessage(
        Level = LogLevel.Debug,
        Message = "{Partition}: this broker follows {Leader} in epoch {Epoch}; its log ends at {Offset}, "
            + "its high watermark is {HighWatermark}")]
    private static partial void LogFollows(
        ILogger logger, TopicPartition partition, int leader, int epoch, long offset, long highWatermark);

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "{Partition}: this broker was elected although it was not known to be in sync: unclean elections are allowed, or it "
            + "led last and nobody else was left. The partition goes on from offset {Offset}; records that other replicas have from there "
            + "on are lost")]
    private static partial void LogUnclean(ILogger logger, TopicPartition partition, long offset);
}
