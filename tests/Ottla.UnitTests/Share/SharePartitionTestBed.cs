using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.StateMachines.Share;

namespace Ottla.UnitTests.Share;

/// <summary>A share partition whose writes end when the test says so. Time stands still until it is moved.</summary>
internal sealed class SharePartitionTestBed
{
    public const string Alice = "alice";
    public const string Bob = "bob";

    private long _lastRequest;

    public SharePartitionTestBed(SharePartitionSettings? settings = null, ShareState? state = null, long startOffset = 0)
    {
        Partition = new SharePartition(
            settings ?? Defaults, state ?? new ShareState { StateEpoch = 7, StartOffset = ShareState.UnsetStartOffset }, startOffset,
            Effects);
        Take();
    }

    public static SharePartitionSettings Defaults { get; } = new(
        DeliveryCountLimit: 5, RecordLocksMax: 2_000, LockDurationMs: 30_000, IsRenewEnabled: true, HasDeadLetterTopic: false);

    public SharePartition Partition { get; }

    public SharePartitionEffects Effects { get; } = new();

    public Instant Now { get; set; } = new(1_000_000);

    /// <summary>The write that is under way.</summary>
    public ShareStateWrite? Write { get; private set; }

    /// <summary>The answers, oldest first.</summary>
    public List<AcknowledgementReply> Replies { get; } = [];

    public List<DeadLetters> DeadLetters { get; } = [];

    /// <summary>Whether a fetch that waits was told to look again.</summary>
    public bool WasWoken { get; private set; }

    public string State => string.Join(' ', Partition.InFlight.Select(
        batch => $"{batch.FirstOffset}-{batch.LastOffset}:{(int)batch.State}x{batch.DeliveryCount}"));

    /// <summary>Acquires from batches that are named as "0-9 10-19", with "!" before those that were aborted.</summary>
    /// <returns>What was acquired, as "0-9x1 10-19x1".</returns>
    public string Acquire(
        string batches, string member = Alice, int recordsMax = 500, ShareAcquireMode mode = ShareAcquireMode.BatchOptimized,
        int batchSize = 500, long? fetchOffset = null)
    {
        FetchedBatch[] fetched = [.. batches.Split(' ').Select(Batch)];
        var acquired = Partition.Acquire(
            new AcquireRequest(member, mode, recordsMax, batchSize, fetchOffset ?? Partition.NextFetchOffset), fetched, Now);
        return string.Join(' ', acquired.Select(range => $"{range.FirstOffset}-{range.LastOffset}x{range.DeliveryCount}"));
    }

    /// <summary>Acknowledges, and ends the writes that follow from it.</summary>
    public ErrorCode Acknowledge(long first, long last, AcknowledgeType type, string member = Alice)
    {
        var error = Begin(first, last, type, member);
        if (error != ErrorCode.None)
            return error;
        Settle();
        return Replies[^1].Error.Code;
    }

    /// <summary>Acknowledges; the answer may have to wait for a write.</summary>
    public ErrorCode Begin(long first, long last, AcknowledgeType type, string member = Alice) =>
        Begin(member, new AcknowledgementBatch(first, last, [(sbyte)type]));

    public ErrorCode Begin(string member, params AcknowledgementBatch[] batches)
    {
        try
        {
            Partition.Acknowledge(++_lastRequest, member, batches, Now, Effects);
        }
        catch (ApiException e)
        {
            return e.Error.Code;
        }

        Take();
        return ErrorCode.None;
    }

    public void Release(string member)
    {
        Partition.Release(member, Effects);
        Take();
    }

    public void Advance(long milliseconds)
    {
        Now = Now.AddMilliseconds(milliseconds);
        if (Partition.NextDeadline is { } next && next <= Now)
        {
            Partition.OnDeadline(Now, Effects);
            Take();
        }
    }

    public void EndWrite(ErrorCode error = ErrorCode.None)
    {
        var number = Write!.Number;
        Write = null;
        Partition.OnWritten(number, new ApiError(error), Now, Effects);
        Take();
    }

    public void Settle()
    {
        while (Write is not null)
            EndWrite();
    }

    public void EndDeadLetters()
    {
        DeadLetters[] written = [.. DeadLetters];
        DeadLetters.Clear();
        foreach (var letters in written)
        {
            Partition.OnDeadLettered(letters.FirstOffset, letters.LastOffset, Effects);
            Take();
        }
    }

    private void Take()
    {
        if (Effects.Write is { } write)
        {
            Assert.Null(Write);
            Write = write;
        }

        Replies.AddRange(Effects.Replies);
        DeadLetters.AddRange(Effects.DeadLetters);
        WasWoken = Effects.MayAcquireMore;
        Effects.Clear();
    }

    private static FetchedBatch Batch(string text)
    {
        var offsets = text.TrimStart('!').Split('-');
        return new FetchedBatch(
            long.Parse(offsets[0], System.Globalization.CultureInfo.InvariantCulture),
            long.Parse(offsets[^1], System.Globalization.CultureInfo.InvariantCulture), text[0] == '!');
    }
}
