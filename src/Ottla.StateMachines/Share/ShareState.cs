using Ottla.Protocol.Messages;

namespace Ottla.StateMachines.Share;

/// <summary>The persisted state of a share partition. Immutable.</summary>
public sealed record ShareState
{
    /// <summary>The start offset before the first fetch: the group's <c>share.auto.offset.reset</c> will say it.</summary>
    public const long UnsetStartOffset = -1;

    /// <summary>The complete count of a partition without a start offset.</summary>
    public const int UnsetCompleteCount = -1;

    /// <summary>What is told of a partition that has no state.</summary>
    public static readonly ShareState None = new() { StartOffset = UnsetStartOffset, DeliveryCompleteCount = UnsetCompleteCount };

    /// <summary>Counts the snapshots.</summary>
    public int SnapshotEpoch { get; init; }

    /// <summary>Counts the initialisations: it is the group's epoch at the last one.</summary>
    public int StateEpoch { get; init; }

    /// <summary>The leader epoch of the last reader.</summary>
    public int LeaderEpoch { get; init; }

    /// <summary>The first offset that is not done with; <see cref="UnsetStartOffset"/> before the first fetch.</summary>
    public long StartOffset { get; init; }

    /// <summary>How many offsets from the start offset on are done with; <see cref="UnsetCompleteCount"/> if that is not known.</summary>
    public int DeliveryCompleteCount { get; init; }

    /// <summary>When the last snapshot of an active partition was taken.</summary>
    public long CreateTimestampMs { get; init; }

    /// <summary>When the last snapshot was written.</summary>
    public long WriteTimestampMs { get; init; }

    /// <summary>What has become of the offsets from the start offset on, in order. Those in no batch were never acknowledged.</summary>
    public IReadOnlyList<DeliveryBatch> Batches { get; init; } = [];

    /// <summary>Reads a snapshot.</summary>
    internal static ShareState From(ShareSnapshotValue value) => new()
    {
        SnapshotEpoch = value.SnapshotEpoch,
        StateEpoch = value.StateEpoch,
        LeaderEpoch = value.LeaderEpoch,
        StartOffset = value.StartOffset,
        DeliveryCompleteCount = value.DeliveryCompleteCount,
        CreateTimestampMs = value.CreateTimestamp,
        WriteTimestampMs = value.WriteTimestamp,
        Batches =
        [
            .. value.StateBatches.Select(batch => new DeliveryBatch(
                batch.FirstOffset, batch.LastOffset, (DeliveryState)batch.DeliveryState, batch.DeliveryCount)),
        ],
    };

    /// <summary>Lays an update over this state.</summary>
    internal ShareState With(ShareUpdateValue update)
    {
        var startOffset = update.StartOffset == UnsetStartOffset ? StartOffset : update.StartOffset;
        return this with
        {
            LeaderEpoch = update.LeaderEpoch == -1 ? LeaderEpoch : update.LeaderEpoch,
            StartOffset = startOffset,
            DeliveryCompleteCount = update.DeliveryCompleteCount,
            Batches = DeliveryBatch.Combine(
                Batches,
                [
                    .. update.StateBatches.Select(batch => new DeliveryBatch(
                        batch.FirstOffset, batch.LastOffset, (DeliveryState)batch.DeliveryState, batch.DeliveryCount)),
                ],
                startOffset),
        };
    }

    /// <summary>The whole state as a record's value.</summary>
    internal ShareSnapshotValue ToSnapshot() => new()
    {
        SnapshotEpoch = SnapshotEpoch,
        StateEpoch = StateEpoch,
        LeaderEpoch = LeaderEpoch,
        StartOffset = StartOffset,
        DeliveryCompleteCount = DeliveryCompleteCount,
        CreateTimestamp = CreateTimestampMs,
        WriteTimestamp = WriteTimestampMs,
        StateBatches =
        [
            .. Batches.Select(batch => new ShareSnapshotValue.StateBatch
            {
                FirstOffset = batch.FirstOffset,
                LastOffset = batch.LastOffset,
                DeliveryState = (sbyte)batch.State,
                DeliveryCount = batch.DeliveryCount,
            }),
        ],
    };

    /// <summary>What of this state changes with a write, as a record's value: its batches are those of the write alone.</summary>
    internal ShareUpdateValue ToUpdate() => new()
    {
        SnapshotEpoch = SnapshotEpoch,
        LeaderEpoch = LeaderEpoch,
        StartOffset = StartOffset,
        DeliveryCompleteCount = DeliveryCompleteCount,
        StateBatches =
        [
            .. Batches.Select(batch => new ShareUpdateValue.StateBatch
            {
                FirstOffset = batch.FirstOffset,
                LastOffset = batch.LastOffset,
                DeliveryState = (sbyte)batch.State,
                DeliveryCount = batch.DeliveryCount,
            }),
        ],
    };
}
