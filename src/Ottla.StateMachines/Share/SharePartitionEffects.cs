using Ottla.Protocol;

namespace Ottla.StateMachines.Share;

/// <summary>A write of a share partition's state. The host sends it with the partition's leader epoch.</summary>
/// <param name="Number">Names it in <see cref="SharePartition.OnWritten"/>.</param>
/// <param name="StateEpoch">The state epoch that was read.</param>
/// <param name="StartOffset">The start offset.</param>
/// <param name="DeliveryCompleteCount">How many offsets from the start offset on are done with once it is written.</param>
/// <param name="Batches">What has changed, in order.</param>
public sealed record ShareStateWrite(
    long Number, int StateEpoch, long StartOffset, int DeliveryCompleteCount, IReadOnlyList<DeliveryBatch> Batches);

/// <summary>Why a record is given up.</summary>
public enum DeadLetterReason
{
    /// <summary>A member rejected it.</summary>
    Rejected,

    /// <summary>It was delivered as often as the group's limit allows.</summary>
    DeliveryCountExceeded,
}

/// <summary>Records to copy to the dead letter topic. The host answers with <see cref="SharePartition.OnDeadLettered"/>.</summary>
/// <param name="FirstOffset">The first offset.</param>
/// <param name="LastOffset">The last offset.</param>
/// <param name="DeliveryCount">How often they were delivered.</param>
/// <param name="Reason">Why they are given up.</param>
public readonly record struct DeadLetters(long FirstOffset, long LastOffset, short DeliveryCount, DeadLetterReason Reason);

/// <summary>The answer to an acknowledgement.</summary>
/// <param name="Request">Names the request.</param>
/// <param name="Error">Its error, or none.</param>
public readonly record struct AcknowledgementReply(long Request, ApiError Error);

/// <summary>The effects of one step of a <see cref="SharePartition"/>. The host owns the object and lends it for a step.</summary>
public sealed class SharePartitionEffects
{
    /// <summary>The write to send; null for none.</summary>
    public ShareStateWrite? Write { get; internal set; }

    /// <summary>The answers to send.</summary>
    public List<AcknowledgementReply> Replies { get; } = [];

    /// <summary>What to copy to the dead letter topic.</summary>
    public List<DeadLetters> DeadLetters { get; } = [];

    /// <summary>Whether a fetch that waits may find something now: records were released, or there is room for more.</summary>
    public bool MayAcquireMore { get; internal set; }

    /// <summary>Clears the object for the next step.</summary>
    public void Clear()
    {
        Write = null;
        Replies.Clear();
        DeadLetters.Clear();
        MayAcquireMore = false;
    }
}
