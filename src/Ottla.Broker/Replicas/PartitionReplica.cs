using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.StateMachines.Metadata;
using Ottla.Storage.Log;
using Ottla.Storage.Producers;

namespace Ottla.Broker.Replicas;

/// <summary>A replica on this broker: the log of the partition, its leader, and the requests that wait for its data.</summary>
/// <remarks>
/// All connections use it, and the followers of this broker. The log has its own lock, and the leader's state another, which is taken
/// first; the metadata publisher replaces leadership and configuration as a whole. A partition without other replicas needs the log's lock
/// only.
/// </remarks>
public sealed partial class PartitionReplica
{
    private readonly ReplicaSurroundings _surroundings;
    private volatile TopicSettings _settings;

    /// <summary>A replica of a partition whose log is open. It takes its role.</summary>
    /// <exception cref="LogException">KAFKA_STORAGE_ERROR: the replica cannot lead.</exception>
    public PartitionReplica(
        Uuid topicId, PartitionLog log, PartitionRegistration registration, TopicSettings settings, ReplicaSurroundings surroundings)
    {
        TopicId = topicId;
        Log = log;
        _surroundings = surroundings;
        _settings = settings;
        _leadership = PartitionLeadership.Of(registration, surroundings.NodeId, before: null);
        TakeRole(registration, before: null);
        Conclude(mayExpand: false);
    }

    /// <summary>The topic's id.</summary>
    public Uuid TopicId { get; }

    /// <summary>The topic's id and the partition's index.</summary>
    public TopicIdPartition Id => new(TopicId, Partition.Partition);

    /// <summary>The topic's name and the partition's index.</summary>
    public TopicPartition Partition => Log.Partition;

    /// <summary>The records.</summary>
    public PartitionLog Log { get; }

    /// <summary>What went in and out here.</summary>
    internal PartitionTraffic Traffic { get; } = new();

    /// <summary>The topic's effective configuration.</summary>
    public TopicSettings Settings => _settings;

    /// <summary>Replaces the configuration.</summary>
    public void Update(TopicSettings settings)
    {
        Conclusion conclusion;
        using (_leaderLock.EnterScope())
        {
            _settings = settings;
            Log.Config = settings.Log;
            conclusion = Conclude(mayExpand: true); // min.insync.replicas may have been lowered
        }

        Carry(conclusion, ReplicaChange.HighWatermark);
    }

    /// <summary>Whether a client that believes in <paramref name="currentLeaderEpoch"/> may be served here (KIP-320).</summary>
    /// <returns><see cref="ErrorCode.None"/>, or the error for the client.</returns>
    public ErrorCode CheckLeader(int currentLeaderEpoch)
    {
        var leadership = _leadership;
        if (Log.IsOffline)
            return ErrorCode.KafkaStorageError; // checked before the leadership: the replica cannot be used in any role
        if (currentLeaderEpoch >= 0 && currentLeaderEpoch < leadership.LeaderEpoch)
            return ErrorCode.FencedLeaderEpoch;
        if (currentLeaderEpoch > leadership.LeaderEpoch)
            return ErrorCode.UnknownLeaderEpoch;
        return leadership.IsLeaderHere ? ErrorCode.None : ErrorCode.NotLeaderOrFollower;
    }

    /// <summary>Validates record batches of a producer and appends them.</summary>
    /// <param name="records">The batches, patched in place; not used after the call.</param>
    /// <param name="needsInSyncReplicas">acks=all: refuse when too few replicas are in sync.</param>
    /// <param name="allowZstd">Whether the version of the request may carry zstd.</param>
    /// <param name="now">The time.</param>
    /// <param name="guard">What the verification of a transactional producer gave; null when the producer has no transactional id.</param>
    public AppendOutcome Append(
        Memory<byte> records, bool needsInSyncReplicas, bool allowZstd, Instant now, VerificationGuard? guard = null)
    {
        var leadership = _leadership;
        var outcome = Log.IsOffline ? AppendOutcome.Failed(ErrorCode.KafkaStorageError)
            : !leadership.IsLeaderHere ? AppendOutcome.Failed(ErrorCode.NotLeaderOrFollower)
            : needsInSyncReplicas && !HasEnoughInSync(leadership) ? NotEnoughInSync(leadership)
            : Append(
                records, _settings.ClientRules with { Partition = Partition, ZstdAllowed = allowZstd }, leadership.LeaderEpoch,
                transactionVersion: 0, guard, now);
        Traffic.CountProduce(outcome, records.Length);
        return outcome;
    }

    /// <summary>
    /// Whether the coordinator that began with <paramref name="leaderEpoch"/> may write here; <see cref="ErrorCode.None"/> when it may.
    /// </summary>
    public AppendOutcome CheckCoordinatorAppend(int leaderEpoch)
    {
        var leadership = _leadership;
        return !leadership.IsLeaderHere || leadership.LeaderEpoch != leaderEpoch ? AppendOutcome.Failed(ErrorCode.NotLeaderOrFollower)
            : Log.IsOffline ? AppendOutcome.Failed(ErrorCode.KafkaStorageError)
            : HasEnoughInSync(leadership) ? default
            : NotEnoughInSync(leadership);
    }

    /// <summary>Appends a batch of the coordinator of this partition, with the checks of acks=all.</summary>
    /// <param name="batch">The batch, patched in place; not used after the call.</param>
    /// <param name="leaderEpoch">The epoch in which the coordinator began.</param>
    /// <param name="transactionVersion">For transaction markers: the transaction version that the transaction coordinator goes by.</param>
    /// <param name="now">The time.</param>
    /// <param name="guard">For transactional records: what their verification gave.</param>
    public AppendOutcome AppendAsCoordinator(
        Memory<byte> batch, int leaderEpoch, short transactionVersion, Instant now, VerificationGuard guard = default)
    {
        var refusal = CheckCoordinatorAppend(leaderEpoch);
        return refusal.ErrorCode != ErrorCode.None
            ? refusal
            : Append(batch, _settings.ClientRules with { Partition = Partition, Origin = AppendOrigin.Coordinator }, leaderEpoch,
                transactionVersion, guard, now);
    }

    /// <summary>Deletes the records before <paramref name="offset"/>; -1 means before the high watermark.</summary>
    public DeleteRecordsOutcome DeleteRecordsBefore(long offset)
    {
        var leaderEpoch = _leadership.LeaderEpoch;
        if (CheckLeader(leaderEpoch) is not ErrorCode.None and var error)
            return new DeleteRecordsOutcome(error, -1);
        if (Settings.Topic is { IsCompacted: true, IsDeleted: false }) // an empty policy allows it
            return new DeleteRecordsOutcome(ErrorCode.PolicyViolation, -1);
        try
        {
            var target = offset == -1 ? Log.HighWatermark : offset;
            if (target < 0 || target > Log.HighWatermark)
                return new DeleteRecordsOutcome(ErrorCode.OffsetOutOfRange, -1);
            if (Log.AdvanceLogStartOffset(target, leaderEpoch))
                Announce(ReplicaChange.LogStart);
            return new DeleteRecordsOutcome(ErrorCode.None, Log.LogStartOffset);
        }
        catch (LogException e)
        {
            return new DeleteRecordsOutcome(e.ErrorCode, -1);
        }
    }

    private AppendOutcome Append(
        Memory<byte> records, in RecordValidationRules rules, int leaderEpoch, short transactionVersion, VerificationGuard? guard,
        Instant now)
    {
        try
        {
            using var validated = RecordBatchValidator.Validate(records, rules, now);
            if (guard is null && new RecordBatchView(validated.Bytes.Span).IsTransactional)
                return AppendOutcome.Failed(
                    ErrorCode.TransactionalIdAuthorizationFailed, "A transactional batch came without a transactional id.");
            var result = Log.AppendAsLeader(
                validated.Bytes, leaderEpoch, rules.Origin, now, transactionVersion, guard ?? VerificationGuard.None);
            if (!result.IsDuplicate)
                OnAppended(result.FirstOffset, now);
            return AppendOutcome.Appended(result, leaderEpoch);
        }
        catch (RecordValidationException e)
        {
            _surroundings.RecordFaults.Count(e);
            return Refused(e.ErrorCode, e.Message, e.RecordErrors, isRefusedByLog: !e.IsOfRequest);
        }
        catch (LogException e) when (e.ErrorCode == ErrorCode.NotLeaderOrFollower)
        {
            return AppendOutcome.Failed(ErrorCode.NotLeaderOrFollower); // demoted since it was looked
        }
        catch (LogException e)
        {
            return Refused(e.ErrorCode, e.Message);
        }
    }

    /// <summary>
    /// As in Kafka, a refusal reports the log start offset, except for some errors and for requests that are refused before they reach the
    /// log.
    /// </summary>
    private AppendOutcome Refused(
        ErrorCode error, string message, IReadOnlyList<RecordError>? recordErrors = null, bool isRefusedByLog = true)
    {
        var saysWhereLogStarts = isRefusedByLog
            && error is not (
                ErrorCode.MessageTooLarge or ErrorCode.RecordListTooLarge or ErrorCode.CorruptMessage or ErrorCode.KafkaStorageError);
        return AppendOutcome.Failed(error, message, recordErrors) with { LogStartOffset = saysWhereLogStarts ? Log.LogStartOffset : -1 };
    }

    /// <summary>
    /// How many in-sync replicas a write needs: <c>min.insync.replicas</c>, or the number of replicas if that is lower, as in Kafka. It
    /// applies to producers with acks=all, to coordinators and to the high watermark.
    /// </summary>
    internal int MinInSync(PartitionLeadership leadership) => Math.Min(_settings.Topic.MinInsyncReplicas, leadership.Replicas.Length);

    private bool HasEnoughInSync(PartitionLeadership leadership) => leadership.InSyncReplicas.Length >= MinInSync(leadership);

    private AppendOutcome NotEnoughInSync(PartitionLeadership leadership) => AppendOutcome.Failed(
        ErrorCode.NotEnoughReplicas,
        $"The size of the current ISR of {Partition} is {leadership.InSyncReplicas.Length}, "
            + $"less than the min.insync.replicas of {MinInSync(leadership)}.") with
    { LogStartOffset = Log.LogStartOffset };
}
