using Ottla.Kernel;

namespace Ottla.StateMachines.Groups;

/// <summary>A group whose members send heartbeats and whose coordinator assigns partitions: a consumer group or a share group.</summary>
/// <remarks>
/// Epochs only grow: the group's when subscriptions or topics change, the assignment's when a target for that epoch is computed.
/// </remarks>
public abstract class ModernGroup(string groupId) : Group(groupId)
{
    /// <summary>The epoch of a group before its first member.</summary>
    private const int FirstEpoch = 1;

    private Instant _nextMetadataCheck;
    private int _epochOfMetadataCheck;

    /// <summary>Grows when subscriptions or topics change.</summary>
    public int GroupEpoch { get; protected set; } = FirstEpoch;

    /// <summary>The hash of the topics' metadata in this epoch.</summary>
    public long MetadataHash { get; protected set; }

    /// <summary>The group epoch of the target assignment; -1 while it is being deleted.</summary>
    public int AssignmentEpoch { get; protected set; } = FirstEpoch;

    /// <summary>When the target assignment was computed; 0 when there is none or the time is unknown.</summary>
    public Instant AssignmentTimestamp { get; protected set; }

    /// <summary>
    /// Whether the topics must be compared with <see cref="MetadataHash"/>: they may have changed, or the records of the last check were
    /// not written.
    /// </summary>
    public bool IsMetadataCheckDue(Instant now) => now >= _nextMetadataCheck || GroupEpoch < _epochOfMetadataCheck;

    /// <summary>Marks the topics as possibly changed.</summary>
    public void RequestMetadataCheck() => (_nextMetadataCheck, _epochOfMetadataCheck) = (default, 0);

    /// <summary>
    /// Records that the topics were checked and led to <paramref name="groupEpoch"/>. The next check comes only when topics change.
    /// </summary>
    public void RecordMetadataCheck(Instant now, int groupEpoch) =>
        (_nextMetadataCheck, _epochOfMetadataCheck) = (now.AddMilliseconds(int.MaxValue), groupEpoch);

    /// <summary>Whether a target assignment may be computed: the last one is not too recent.</summary>
    /// <param name="intervalMs">The shortest time between two assignments; 0 for none.</param>
    /// <param name="now">The time.</param>
    public bool MayAssign(int intervalMs, Instant now) =>
        AssignmentTimestamp == default || intervalMs == 0 || now >= AssignmentTimestamp.AddMilliseconds(intervalMs);
}
