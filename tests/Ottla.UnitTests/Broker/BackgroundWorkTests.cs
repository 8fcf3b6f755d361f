using Ottla.Broker;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Storage.Files;
using static Ottla.UnitTests.Broker.Requests;

namespace Ottla.UnitTests.Broker;

public sealed class BackgroundWorkTests
{
    private readonly WarningLogger _logger = new();
    private readonly TaskCompletionSource<Exception> _failure = new(TaskCreationOptions.RunContinuationsAsynchronously);

    [Fact]
    public async Task A_loop_that_fails_is_logged_and_the_node_is_told()
    {
        using var work = NewWork();
        var fails = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        work.StartLoop("the failing loop", _ => fails.Task);
        var failure = new InvalidOperationException("a bug");
        fails.SetException(failure);

        Assert.Same(failure, await _failure.Task.WaitAsync(TestNode.Patience));
        Assert.Contains(_logger.Warnings, warning => warning.Contains("the failing loop", StringComparison.Ordinal));
        await work.StopAsync().WaitAsync(TestNode.Patience);
    }

    [Fact]
    public async Task A_loop_that_ends_before_the_stop_has_failed()
    {
        using var work = NewWork();
        work.StartLoop("the short loop", _ => Task.CompletedTask);
        Assert.Contains("ended", (await _failure.Task.WaitAsync(TestNode.Patience)).Message, StringComparison.Ordinal);
        await work.StopAsync().WaitAsync(TestNode.Patience);
    }

    [Fact]
    public async Task A_stop_ends_the_loops_and_does_not_fail_with_them()
    {
        using var work = NewWork();
        work.StartLoop("a loop that stops", async stopping => await new TaskCompletionSource().Task.UntilCanceled(stopping));
        work.StartLoop("a loop that fails at the stop", async stopping =>
        {
            try
            {
                await new TaskCompletionSource().Task.UntilCanceled(stopping);
            }
            catch (OperationCanceledException)
            {
                throw new InvalidOperationException("a bug at the end");
            }
        });

        await work.StopAsync().WaitAsync(TestNode.Patience);
        Assert.False(_failure.Task.IsCompleted);
        Assert.Contains(_logger.Warnings, warning => warning.Contains("fails at the stop", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_task_that_nobody_awaits_is_watched()
    {
        using var work = NewWork();
        work.Watch("a task that is done", Task.CompletedTask);
        work.Watch("a task that fails", Task.FromException(new InvalidOperationException("a bug")));
        Assert.Equal("a bug", (await _failure.Task.WaitAsync(TestNode.Patience)).Message);
        Assert.Single(_logger.Warnings);
    }

    /// <summary>An exception that the cleaner does not know reaches the node; and the stop closes the logs in order all the same.</summary>
    [Fact]
    public async Task A_loop_that_dies_ends_the_node_and_not_its_orderly_stop()
    {
        await using var node = await TestNode.StartAsync(("log.cleaner.backoff.ms", "1000"));
        var client = await node.ConnectAsync();
        await client.CreateTopicAsync("topic", 1, ("cleanup.policy", "compact,delete"), ("retention.ms", "1"));
        Assert.Equal((short)ErrorCode.None, (await client.ProduceAsync("topic", Batch())).ErrorCode);
        node.Disk.Fault = static (operation, path) => operation == FileOperation.Rename
            && path.Contains("topic-0", StringComparison.Ordinal)
            ? throw new NotSupportedException("a failure that nobody expects")
            : null;
        await node.Clock.AdvanceUntilAsync(node.Node.Failure, stepMs: 1_000);
        Assert.Contains("nobody expects", (await node.Node.Failure).Message, StringComparison.Ordinal);
        node.Disk.Fault = null;
        await node.StopAsync();
        Assert.True(node.Disk.FileExists("/data/.kafka_cleanshutdown"));
    }

    private BackgroundWork NewWork() => new(failure => _failure.TrySetResult(failure), _logger);
}
