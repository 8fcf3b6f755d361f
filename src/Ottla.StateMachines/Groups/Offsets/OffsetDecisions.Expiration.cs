using Ottla.Kernel;
using Ottla.StateMachines.Coordinators;
using Ottla.StateMachines.Metadata;

namespace Ottla.StateMachines.Groups.Offsets;

// What takes offsets away without anybody asking: time, and the deletion of topics.
public sealed partial class OffsetDecisions
{
    private const long MillisecondsPerMinute = 60_000;

    /// <summary>The log has been read to its end.</summary>
    public void OnLoaded(Instant now) => ScheduleExpiration(now);

    /// <summary>Looks for expired offsets, and for groups that nothing is left of.</summary>
    public void OnDeadline(GroupDeadline due, Instant now, CoordinatorEffects effects)
    {
        Invariant.Check(due.Purpose == DeadlinePurpose.OffsetExpiration, "offsets have this deadline only");
        ScheduleExpiration(now);
        effects.IsAtomic = false;
        foreach (var group in context.Groups)
        {
            if (Expire(group, now, effects) && group is { IsEmpty: true, ExpiresWithItsOffsets: true })
                group.WriteTombstones(effects);
        }
    }

    /// <summary>Takes over a change of the metadata: deleted topics lose their offsets.</summary>
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
        context.Deadlines.Schedule(DeadlinePurpose.OffsetExpiration, "", "", now.AddMilliseconds(context.Config.OffsetsRetentionCheckIntervalMs));

    /// <summary>Writes the tombstones of a group's offsets that have expired.</summary>
    /// <returns>Whether it has no others, and none that are pending.</returns>
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

    private static readonly IReadOnlyDictionary<string, Dictionary<int, CommittedOffset>> NoOffsets = new Dictionary<string, Dictionary<int, CommittedOffset>>();
}
