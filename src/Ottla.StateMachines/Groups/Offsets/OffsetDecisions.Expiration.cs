using Ottla.Kernel;
using Ottla.StateMachines.Coordinators;
using Ottla.StateMachines.Metadata;

namespace Ottla.StateMachines.Groups.Offsets;

// Offsets that are removed without a request: they expire, or their topics are deleted.
public sealed partial class OffsetDecisions
{
    private const long MillisecondsPerMinute = 60_000;

    /// <summary>The log is loaded completely.</summary>
    public void OnLoaded(Instant now) => ScheduleExpiration(now);

    /// <summary>Removes expired offsets, and groups that are empty then.</summary>
    public void OnDeadline(GroupDeadline due, Instant now, CoordinatorEffects effects)
    {
        Invariant.Check(due.Purpose == DeadlinePurpose.OffsetExpiration, "offset expiration is the only deadline of offsets");
        ScheduleExpiration(now);
        effects.IsAtomic = false;
        foreach (var group in context.Groups)
        {
            if (Expire(group, now, effects) && group is { IsEmpty: true, ExpiresWithItsOffsets: true })
                group.WriteTombstones(effects);
        }
    }

    /// <summary>Removes the offsets of deleted topics.</summary>
    public void OnMetadata(MetadataDelta delta, CoordinatorEffects effects)
    {
        foreach (var topic in delta.Topics)
        {
            if (topic.New is not null)
                continue;
            effects.IsAtomic = false;
            effects.Write(_offsets.NamesOf(topic.Name, topic.Id).Select(name => name.Tombstone()));
        }
    }

    private void ScheduleExpiration(Instant now) =>
        context.Deadlines
            .Schedule(DeadlinePurpose.OffsetExpiration, "", "", now.AddMilliseconds(context.Config.OffsetsRetentionCheckIntervalMs));

    /// <summary>Writes the tombstones of a group's expired offsets.</summary>
    /// <returns>Whether the group has no other offsets, pending ones included.</returns>
    private bool Expire(Group group, Instant now, CoordinatorEffects effects)
    {
        var haveAllExpired = !_offsets.HasPending(group.GroupId);
        foreach (var (topic, partitions) in _offsets.Of(group.GroupId) ?? NoOffsets)
        {
            foreach (var (partition, offset) in partitions)
            {
                var name = new OffsetName(group.GroupId, topic, partition);
                if (HasExpired(group, topic, offset, now) && !_offsets.IsPending(name))
                    effects.Write(name.Tombstone());
                else
                    haveAllExpired = false;
            }
        }

        return haveAllExpired;
    }

    private bool HasExpired(Group group, string topic, CommittedOffset offset, Instant now)
    {
        if (group.IsSubscribedTo(topic) || group.ExpirationBase(topic, offset.CommittedAt) is not { } since)
            return false;
        return offset.ExpiresAt is { } expiresAt
            ? now >= expiresAt
            : now.MillisecondsSince(since) >= context.Config.OffsetsRetentionMinutes * MillisecondsPerMinute;
    }

    private static readonly IReadOnlyDictionary<string, Dictionary<int, CommittedOffset>> NoOffsets =
        new Dictionary<string, Dictionary<int, CommittedOffset>>();
}
