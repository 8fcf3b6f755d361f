using System.Collections.Concurrent;
using Ottla.Client;
using static Ottla.UnitTests.Client.Consumer.ConsumerBed;

namespace Ottla.UnitTests.Client.Consumer;

/// <summary>Records that are processed side by side.</summary>
public sealed class ProcessingTests
{
    [Fact]
    public async Task Keeps_the_order_of_each_partition_and_commits_all()
    {
        await using var bed = await ConsumerBed.StartAsync(partitions: 3);
        for (var partition = 0; partition < 3; partition++)
            await bed.WriteNumbersAsync(0, 20, partition);
        var consumer = bed.Open("g");
        consumer.Subscribe(["t"]);
        var seen = new ConcurrentQueue<(int Partition, long Offset)>();
        using var stop = new CancellationTokenSource();
        var processing = consumer.ProcessAsync(
            async (record, _) =>
            {
                await Task.Yield();
                seen.Enqueue((record.Partition, record.Offset));
                if (seen.Count == 60)
                    await stop.CancelAsync();
            },
            new ProcessingOptions { BufferedRecordsMax = 4 }, stop.Token);
        await bed.RunAsync(Assert.ThrowsAnyAsync<OperationCanceledException>(() => processing));
        foreach (var partition in seen.GroupBy(each => each.Partition))
            Assert.Equal(Enumerable.Range(0, 20).Select(i => (long)i), partition.Select(each => each.Offset));
        await bed.RunAsync(consumer.CloseAsync());
        var committed = await bed.RunAsync(bed.Open("g").CommittedAsync([Partition(0), Partition(1), Partition(2)]));
        Assert.All(committed.Values, each => Assert.Equal(20, each!.Value.Offset));
    }

    [Fact]
    public async Task Commits_up_to_the_first_record_that_is_not_processed()
    {
        await using var bed = await ConsumerBed.StartAsync();
        await bed.WriteNumbersAsync(0, 6);
        var consumer = bed.Open("g");
        consumer.Subscribe(["t"]);
        var third = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var others = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var done = 0;
        using var stop = new CancellationTokenSource();
        var processing = consumer.ProcessAsync(
            async (record, _) =>
            {
                if (record.Offset == 2)
                    await third.Task;
                else if (Interlocked.Increment(ref done) == 5)
                    others.SetResult();
            },
            new ProcessingOptions { Order = ProcessingOrder.None }, stop.Token);
        await bed.RunAsync(others.Task);
        var reader = bed.Open("g");
        await bed.RunAsync(UntilCommittedAsync(2));
        third.SetResult();
        await bed.RunAsync(UntilCommittedAsync(6));
        await stop.CancelAsync();
        await bed.RunAsync(Assert.ThrowsAnyAsync<OperationCanceledException>(() => processing));

        async Task UntilCommittedAsync(long offset)
        {
            while ((await reader.CommittedAsync([Partition()]))[Partition()]?.Offset != offset)
                await Task.Yield();
        }
    }

    [Fact]
    public async Task Processes_records_with_the_same_key_one_after_another()
    {
        await using var bed = await ConsumerBed.StartAsync();
        for (var i = 0; i < 10; i++)
            await bed.WriteAsync([$"a{i}", $"b{i}"]); // with the keys k0 and k1
        var consumer = bed.Open("g");
        consumer.Subscribe(["t"]);
        var seen = new ConcurrentQueue<string>();
        using var stop = new CancellationTokenSource();
        var processing = consumer.ProcessAsync(
            async (record, _) =>
            {
                await Task.Yield();
                seen.Enqueue(record.Value!);
                if (seen.Count == 20)
                    await stop.CancelAsync();
            },
            new ProcessingOptions { Order = ProcessingOrder.Key }, stop.Token);
        await bed.RunAsync(Assert.ThrowsAnyAsync<OperationCanceledException>(() => processing));
        Assert.Equal(Enumerable.Range(0, 10).Select(i => $"a{i}"), seen.Where(value => value[0] == 'a'));
        Assert.Equal(Enumerable.Range(0, 10).Select(i => $"b{i}"), seen.Where(value => value[0] == 'b'));
    }

    [Fact]
    public async Task Ends_with_what_a_handler_throws_and_reads_its_record_again()
    {
        await using var bed = await ConsumerBed.StartAsync();
        await bed.WriteNumbersAsync(0, 5);
        var consumer = bed.Open("g");
        consumer.Subscribe(["t"]);
        var processing = consumer.ProcessAsync(
            (record, _) => record.Offset == 3 ? throw new InvalidDataException("broken") : ValueTask.CompletedTask);
        var error = await bed.RunAsync(Assert.ThrowsAsync<InvalidDataException>(() => processing));
        Assert.Equal("broken", error.Message);
        Assert.Equal("3 4", Values(await bed.ReadAsync(consumer, 2)));
    }

    [Fact]
    public async Task Gives_partitions_up_when_what_is_processed_of_them_has_ended()
    {
        await using var bed = await ConsumerBed.StartAsync(partitions: 2);
        await bed.WriteNumbersAsync(0, 1, partition: 0);
        await bed.WriteNumbersAsync(0, 1, partition: 1);
        var first = bed.Open("g");
        first.Subscribe(["t"]);
        var begun = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var goOn = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var count = 0;
        using var stop = new CancellationTokenSource();
        var processing = first.ProcessAsync(
            async (_, _) =>
            {
                if (Interlocked.Increment(ref count) == 2)
                    begun.SetResult();
                await goOn.Task;
            },
            cancellation: stop.Token);
        await bed.RunAsync(begun.Task);
        var second = bed.Open("g");
        second.Subscribe(["t"]);
        for (var i = 0; i < 50; i++)
            Assert.Null(await bed.RunAsync(second.ConsumeOneAsync(TimeSpan.FromMilliseconds(20)).AsTask()));
        Assert.Empty(second.Assignment);
        goOn.SetResult();
        await bed.PollUntilAsync(() => second.Assignment.Count == 1, second);
        Assert.Null(await bed.RunAsync(second.ConsumeOneAsync(TimeSpan.FromSeconds(1)).AsTask())); // all of it was committed
        await stop.CancelAsync();
        await bed.RunAsync(Assert.ThrowsAnyAsync<OperationCanceledException>(() => processing));
    }

    [Fact]
    public async Task A_record_that_takes_too_long_loses_the_partitions()
    {
        await using var bed = await ConsumerBed.StartAsync();
        await bed.WriteNumbersAsync(0, 1);
        var listener = new NotingListener();
        var consumer = bed.Open("g", change: options => options with { MaxPollInterval = TimeSpan.FromSeconds(4) });
        consumer.Subscribe(["t"], listener);
        using var stop = new CancellationTokenSource();
        var runs = 0;
        var again = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var processing = consumer.ProcessAsync(
            async (_, lost) =>
            {
                if (Interlocked.Increment(ref runs) > 1)
                {
                    again.TrySetResult();
                    return;
                }

                await Task.Delay(Timeout.Infinite, lost); // told when the partition is lost
            },
            cancellation: stop.Token);
        await bed.RunAsync(again.Task); // the group gives the record to this consumer again
        Assert.Contains("lost t-0", listener.Notes);
        await stop.CancelAsync();
        await bed.RunAsync(Assert.ThrowsAnyAsync<OperationCanceledException>(() => processing));
    }
}
