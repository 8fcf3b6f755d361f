using Ottla.Client;
using Ottla.Kernel;

namespace Ottla.Cli.Nouns;

/// <summary>Reads batches until an end that was there at the beginning, a number of records, a pause, or a signal. Used by one
/// command.</summary>
/// <param name="consumer">The consumer, with its partitions or its subscription.</param>
/// <param name="printer">Prints what is read.</param>
/// <param name="output">Is flushed when nothing is at hand.</param>
/// <param name="time">The clock.</param>
/// <param name="isMember">Whether the consumer is a member of a group, and commits what is printed.</param>
internal sealed class RecordReader(
    Consumer<Ignored, Ignored> consumer, RecordPrinter printer, Stream output, TimeProvider time, bool isMember)
{
    /// <summary>How often it is looked whether what is left are markers of transactions, which no batch shows.</summary>
    private static readonly TimeSpan LookInterval = TimeSpan.FromMilliseconds(20);

    /// <summary>Reads.</summary>
    /// <param name="ends">The ends of the partitions that have records to read; null to go on for ever.</param>
    /// <param name="idle">Ends it when nothing came for so long; null for never.</param>
    /// <param name="stopped">Ends it.</param>
    public async Task RunAsync(Dictionary<TopicPartition, long>? ends, TimeSpan? idle, CancellationToken stopped)
    {
        using var cancellation = CancellationTokenSource.CreateLinkedTokenSource(stopped);
        await using var batches = consumer.ConsumeRawBatchesAsync(cancellation.Token).GetAsyncEnumerator(CancellationToken.None);
        while (!printer.IsDone && ends is not { Count: 0 })
        {
            var moving = batches.MoveNextAsync().AsTask(); // of what is at hand a task that is there already
            if (!moving.IsCompleted)
            {
                await output.FlushAsync(CancellationToken.None);
                if (!await ArrivesAsync(moving, ends, idle))
                {
                    await cancellation.CancelAndAwaitAsync(moving);
                    return;
                }
            }

            try
            {
                if (!await moving)
                    return;
            }
            catch (OperationCanceledException) when (stopped.IsCancellationRequested)
            {
                return;
            }

            Take(batches.Current, ends);
        }

        // A batch counts as processed when the next one is asked for, which nobody does any more.
        if (printer.Unfinished is { } next && isMember)
            consumer.StoreOffset(next);
    }

    private void Take(RawBatch batch, Dictionary<TopicPartition, long>? ends)
    {
        var end = ends is null ? long.MaxValue : ends.GetValueOrDefault(batch.TopicPartition, -1);
        printer.Print(batch, end);
        if (batch.Next.Offset.Offset >= end)
            ends?.Remove(batch.TopicPartition);
    }

    /// <summary>Waits for a batch.</summary>
    /// <returns>Whether it came; false when there is none to wait for any more.</returns>
    private async Task<bool> ArrivesAsync(Task arriving, Dictionary<TopicPartition, long>? ends, TimeSpan? idle)
    {
        var since = time.GetTimestamp();
        while (!arriving.IsCompleted)
        {
            if (ends is null && idle is null)
                return true; // it is awaited, however long it takes
            await Task.WhenAny(arriving, Task.Delay(LookInterval, time));
            if (arriving.IsCompleted)
                break;
            foreach (var (partition, end) in ends ?? [])
            {
                if (consumer.Position(partition) >= end)
                    ends!.Remove(partition);
            }

            if (ends is { Count: 0 } || (idle is { } limit && time.GetElapsedTime(since) >= limit))
                return false;
        }

        return true;
    }
}

/// <summary>Ends what somebody waits for.</summary>
internal static class CancellationExtensions
{
    /// <summary>Cancels, and waits until what was cancelled has ended.</summary>
    public static async Task CancelAndAwaitAsync(this CancellationTokenSource cancellation, Task task)
    {
        cancellation.Cancel();
        try
        {
            await task;
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            // as it should
        }
    }
}
