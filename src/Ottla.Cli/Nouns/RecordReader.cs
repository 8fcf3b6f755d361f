using Ottla.Client;
using Ottla.Kernel;

namespace Ottla.Cli.Nouns;

/// <summary>
/// Reads batches until an end that was there at the beginning, a number of records, a pause, or a signal. Used by one command.
/// </summary>
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
    /// <param name="ends">The ends of the partitions that have records to read.</param>
    /// <param name="follows">Whether it goes on behind the ends.</param>
    /// <param name="idle">Ends it when nothing came for so long behind the ends; null for never.</param>
    /// <param name="stopped">Ends it.</param>
    public async Task RunAsync(Dictionary<TopicPartition, long> ends, bool follows, TimeSpan? idle, CancellationToken stopped)
    {
        using var cancellation = CancellationTokenSource.CreateLinkedTokenSource(stopped);
        await using var batches = consumer.ConsumeRawBatchesAsync(cancellation.Token).GetAsyncEnumerator(CancellationToken.None);
        while (!printer.IsDone && (follows || ends.Count > 0))
        {
            var moving = batches.MoveNextAsync().AsTask(); // of what is at hand a task that is there already
            if (!moving.IsCompleted)
            {
                await output.FlushAsync(CancellationToken.None);
                if (!await ArrivesAsync(moving, ends, follows, idle))
                {
                    cancellation.Cancel();
                    if (await CameAsync(moving, cancellation.Token)) // in the last moment
                    {
                        Take(batches.Current, ends, follows);
                        if (isMember && printer.Unfinished is null)
                            consumer.StoreOffset(batches.Current.Next);
                    }

                    break;
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

            Take(batches.Current, ends, follows);
        }

        // A batch counts as processed when the next one is asked for, which nobody does any more.
        if (printer.Unfinished is { } next && isMember)
            consumer.StoreOffset(next);
    }

    private void Take(RawBatch batch, Dictionary<TopicPartition, long> ends, bool follows)
    {
        var end = ends.GetValueOrDefault(batch.TopicPartition, -1);
        printer.Print(batch, follows ? long.MaxValue : end);
        if (batch.Next.Offset.Offset >= end)
            ends.Remove(batch.TopicPartition);
    }

    /// <summary>Waits for a batch.</summary>
    /// <returns>Whether it came; false when there is none to wait for any more.</returns>
    private async Task<bool> ArrivesAsync(Task arriving, Dictionary<TopicPartition, long> ends, bool follows, TimeSpan? idle)
    {
        if (follows && idle is null)
            return true; // it is awaited, however long it takes
        var since = time.GetTimestamp();
        while (!arriving.IsCompleted)
        {
            await Task.WhenAny(arriving, Task.Delay(LookInterval, time));
            if (arriving.IsCompleted)
                break;
            // The batch that moved a position to the end may be on its way still: its partition counts until it is taken.
            var isAtEnd = ends.All(each => consumer.Position(each.Key) >= each.Value);
            if (isAtEnd && !follows)
                return false;
            if (!isAtEnd || consumer.Assignment.Count == 0 || consumer.Assignment.Any(each => consumer.Position(each) is null))
                since = time.GetTimestamp(); // it has not got so far that nothing could come
            else if (idle is { } limit && time.GetElapsedTime(since) >= limit)
                return false;
        }

        return true;
    }

    /// <summary>Whether a batch came although nobody wanted to wait for it any more.</summary>
    private static async Task<bool> CameAsync(Task<bool> moving, CancellationToken cancelled)
    {
        try
        {
            return await moving;
        }
        catch (OperationCanceledException) when (cancelled.IsCancellationRequested)
        {
            return false;
        }
    }
}
