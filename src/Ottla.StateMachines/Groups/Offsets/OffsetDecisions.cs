using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.StateMachines.Controller;
using Ottla.StateMachines.Coordinators;
using Ottla.StateMachines.Metadata;

namespace Ottla.StateMachines.Groups.Offsets;

/// <summary>Decides about the offsets that groups commit.</summary>
/// <remarks>
/// Part of a <see cref="GroupMachine"/>; lives as long. A group that nobody knows gets a simple classic group with its first offset
/// (<see cref="Classic.ClassicGroup.CreateSimple"/>), also while the log is loaded: its group record may come later, and takes its place.
/// When the last offset of an empty group expires, the group goes too (<see cref="Group.WriteTombstones"/>), with or without offsets before.
/// </remarks>
public sealed class OffsetDecisions(GroupContext context)
{
    /// <summary>What the parts of the machine share.</summary>
    internal GroupContext Context => context;

    /// <summary>OffsetCommit.</summary>
    public void Commit(OffsetCommitCommand command, ReplyTo replyTo, Instant now, CoordinatorEffects effects) =>
        throw new ApiException(ErrorCode.UnsupportedVersion);

    /// <summary>TxnOffsetCommit.</summary>
    public void CommitInTransaction(TxnOffsetCommitCommand command, ReplyTo replyTo, Instant now, CoordinatorEffects effects) =>
        throw new ApiException(ErrorCode.UnsupportedVersion);

    /// <summary>OffsetFetch.</summary>
    public void Fetch(OffsetFetchCommand command, ReplyTo replyTo, Instant now, CoordinatorEffects effects) =>
        throw new ApiException(ErrorCode.UnsupportedVersion);

    /// <summary>OffsetDelete.</summary>
    public void Delete(OffsetDeleteCommand command, ReplyTo replyTo, Instant now, CoordinatorEffects effects) =>
        throw new ApiException(ErrorCode.UnsupportedVersion);

    /// <summary>Writes the tombstones of all offsets of a group, pending ones too.</summary>
    public void WriteTombstones(string groupId, CoordinatorEffects effects)
    {
    }

    /// <summary>Takes over a record of an offset.</summary>
    public void Apply(long offset, in CoordinatorRecord record, ProducerIdAndEpoch transaction)
    {
    }

    /// <summary>Takes over the end of a transaction.</summary>
    public void ApplyMarker(ProducerIdAndEpoch transaction, bool isCommit)
    {
    }

    /// <summary>Looks for expired offsets.</summary>
    public void OnDeadline(GroupDeadline due, Instant now, CoordinatorEffects effects)
    {
    }

    /// <summary>The log has been read to its end.</summary>
    public void OnLoaded(Instant now, CoordinatorEffects effects)
    {
    }

    /// <summary>Takes over a change of the metadata (deleted topics lose their offsets); the context has it already.</summary>
    public void OnMetadata(MetadataDelta delta, Instant now, CoordinatorEffects effects)
    {
    }
}
