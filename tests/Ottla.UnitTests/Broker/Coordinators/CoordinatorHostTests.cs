using Ottla.Broker.Hosts.Coordinators;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Coordinators;
using Ottla.Storage.Files;
using Ottla.Storage.Log;

namespace Ottla.UnitTests.Broker.Coordinators;

/// <summary>
/// What any coordinator can rely on: records are written before they are answered for, and a log makes the same machine again.
/// </summary>
public sealed class CoordinatorHostTests
{
    [Fact]
    public async Task What_is_answered_is_written_and_makes_the_same_machine_after_the_next_election()
    {
        using var bed = new CoordinatorBed();
        await bed.LeadAsync(epoch: 1);
        Assert.Equal(1, bed.Machine.LoadedTopics);
        Assert.Equal(3, await bed.WriteAsync("a", "bb"));
        await bed.WriteAsync("c");
        await bed.SubmitAsync(new EraseNote("bb"));
        Assert.Equal("a,c", await bed.ReadAsync());
        Assert.Equal([(0L, 2), (2, 1), (3, 1)], bed.Batches().Select(batch => (batch.BaseOffset, batch.Records)));

        var before = bed.Machine;
        await bed.LeadAsync(epoch: 2);
        Assert.NotSame(before, bed.Machine);
        Assert.True(before.IsUnloaded);
        Assert.Equal(before.Notes, bed.Machine.Notes); // with the offsets
        Assert.Equal("a,c", await bed.ReadAsync());
    }

    /// <summary>As Kafka's coordinators of groups: their members need not notice.</summary>
    [Fact]
    public async Task A_machine_may_go_on_in_the_next_epoch_of_the_same_leader()
    {
        using var bed = new CoordinatorBed(outlivesLeaderEpoch: true);
        await bed.LeadAsync(epoch: 1);
        await bed.WriteAsync("a");
        var machine = bed.Machine;
        var waiting = bed.SubmitAsync(new NoteAt(bed.Now.AddMilliseconds(1000)));
        bed.Elect(CoordinatorBed.NodeId, epoch: 2);
        Assert.Equal(1, await bed.WriteAsync("b")); // in the new epoch
        Assert.Same(machine, bed.Machine);
        Assert.False(machine.IsUnloaded);
        Assert.Equal(2, bed.Log.FollowerPosition().LatestEpoch);
        bed.Clock.AdvanceMs(1000);
        await waiting;

        // After another leader it begins anew, and so it does after a failure.
        bed.Elect(leader: 5, epoch: 3);
        await bed.LeadAsync(epoch: 4);
        Assert.NotSame(machine, bed.Machine);
        Assert.True(machine.IsUnloaded);
        Assert.Equal(machine.Notes, bed.Machine.Notes);
        bed.BeforeLoad = _ => throw new InvalidOperationException("a bug");
        bed.Elect(leader: 5, epoch: 5);
        bed.Elect(CoordinatorBed.NodeId, epoch: 6);
        Assert.Equal(ErrorCode.NotCoordinator, await UntilLoadedOrFailed(bed));
        bed.BeforeLoad = _ => { };
        await bed.LeadAsync(epoch: 7);
        Assert.Equal(machine.Notes, bed.Machine.Notes);
    }

    [Fact]
    public async Task Only_the_coordinator_answers()
    {
        using var bed = new CoordinatorBed();
        Assert.Null(bed.Host.PartitionOf("key"));
        Assert.Equal(ErrorCode.NotCoordinator, await bed.ErrorOf(new ReadNotes()));
        bed.Elect(leader: 5, epoch: 1);
        Assert.Equal(0, bed.Host.PartitionOf("key"));
        Assert.Empty(bed.Host.Partitions);
        Assert.Equal(ErrorCode.NotCoordinator, await bed.ErrorOf(new ReadNotes()));

        await bed.LeadAsync(epoch: 2);
        Assert.Equal([0], bed.Host.Partitions);
        var waiting = bed.SubmitAsync(new NoteAt(bed.Now.AddMilliseconds(1000)));
        Assert.False(waiting.IsCompleted);
        bed.Elect(leader: 5, epoch: 3);
        Assert.Equal(ErrorCode.NotCoordinator, (await Assert.ThrowsAsync<ApiException>(() => waiting)).Error.Code);
        Assert.Equal(ErrorCode.NotCoordinator, await bed.ErrorOf(new ReadNotes()));

        bed.Host.Close();
        Assert.Equal(ErrorCode.CoordinatorNotAvailable, await bed.ErrorOf(new ReadNotes()));
    }

    [Fact]
    public async Task A_deadline_is_kept_by_the_clock_alone()
    {
        using var bed = new CoordinatorBed();
        await bed.LeadAsync(epoch: 1);
        var later = bed.SubmitAsync(new NoteAt(bed.Now.AddMilliseconds(2000)));
        var sooner = bed.SubmitAsync(new NoteAt(bed.Now.AddMilliseconds(1000)));
        bed.Clock.AdvanceMs(999);
        Assert.Empty(bed.Batches());
        bed.Clock.AdvanceMs(1);
        Assert.Equal("due", await sooner);
        Assert.Single(bed.Batches());
        Assert.False(later.IsCompleted);
        bed.Clock.AdvanceMs(1000);
        Assert.Equal("due", await later);
    }

    [Fact]
    public async Task A_change_of_the_metadata_is_a_step()
    {
        using var bed = new CoordinatorBed();
        await bed.LeadAsync(epoch: 1);
        bed.Apply(new TopicRecord { Name = "new", TopicId = new Uuid(1, 1) });
        Assert.Equal("topic new", await bed.ReadAsync());
        Assert.Single(bed.Batches());
    }

    [Fact]
    public async Task A_step_that_fails_writes_nothing_and_fails_alone()
    {
        using var bed = new CoordinatorBed();
        await bed.LeadAsync(epoch: 1);
        Assert.Equal(ErrorCode.IllegalGeneration, await bed.ErrorOf(new FailNote(new ApiException(ErrorCode.IllegalGeneration))));
        Assert.Equal(ErrorCode.UnknownServerError, await bed.ErrorOf(new FailNote(new InvalidOperationException("a bug"))));
        Assert.Equal(ErrorCode.UnknownServerError, await bed.ErrorOf(new WriteNonsense()));
        Assert.Empty(bed.Batches());
        await bed.WriteAsync("a");
        Assert.Equal("a", await bed.ReadAsync());
    }

    [Fact]
    public async Task A_record_that_the_machine_cannot_take_over_is_not_written()
    {
        using var bed = new CoordinatorBed();
        await bed.LeadAsync(epoch: 1);
        await bed.WriteAsync("a");
        Assert.Equal(ErrorCode.NotCoordinator, await bed.ErrorOf(new WritePoison()));
        await bed.LoadedAsync();
        Assert.Equal("a", await bed.ReadAsync());
        Assert.Single(bed.Batches());
    }

    [Fact]
    public async Task Records_that_do_not_fit_a_batch_fail_alone_unless_they_may_be_split()
    {
        using var bed = new CoordinatorBed(new Dictionary<string, string> { ["max.message.bytes"] = "1000" });
        await bed.LeadAsync(epoch: 1);
        string[] many = [.. Enumerable.Range(0, 40).Select(i => $"a note of some length, number {i:d3}")];
        Assert.Equal(ErrorCode.UnknownServerError, await bed.ErrorOf(new WriteNotes(many)));
        Assert.Empty(bed.Batches());
        await bed.SubmitAsync(new WriteNotes(many) { IsAtomic = false });
        Assert.Equal(many, bed.Machine.Notes.Keys);
        Assert.InRange(bed.Batches().Count, 2, 10);
        Assert.Equal(ErrorCode.UnknownServerError, await bed.ErrorOf(new WriteNotes("b", new string('x', 1000)) { IsAtomic = false }));
        await bed.LeadAsync(epoch: 2);
        Assert.Equal([.. many, "b"], bed.Machine.Notes.Keys);
    }

    [Fact]
    public async Task Nobody_is_answered_before_the_records_are_committed()
    {
        using var bed = new CoordinatorBed();
        await bed.LeadAsync(epoch: 1);
        await bed.WriteAsync("committed");
        bed.Elect(CoordinatorBed.NodeId, epoch: 1, inSyncReplicas: 2); // a follower that does not fetch: the high watermark stands still
        var write = bed.SubmitAsync(new WriteNotes("a") { WantsOutput = true });
        var read = bed.ReadAsync(); // rests on it
        Assert.False(write.IsCompleted || read.IsCompleted);
        Assert.Equal(2, bed.Log.LogEndOffset);
        Assert.Empty(bed.Outputs);
        bed.Elect(CoordinatorBed.NodeId, epoch: 1); // the follower is out of sync now
        Assert.Equal(1, await write);
        Assert.Equal("a,committed", await read);
        Assert.Equal(new NoteOutput("a"), Assert.Single(bed.Outputs));
    }

    [Fact]
    public async Task Who_has_waited_long_enough_for_a_commit_is_told_so_and_what_is_to_be_done_is_done_later()
    {
        using var bed = new CoordinatorBed();
        await bed.LeadAsync(epoch: 1, inSyncReplicas: 1);
        bed.Elect(CoordinatorBed.NodeId, epoch: 1, inSyncReplicas: 2);
        var write = bed.ErrorOf(new WriteNotes("a") { WantsOutput = true });
        bed.Clock.AdvanceMs(bed.Settings.WriteTimeoutMs - 1);
        Assert.False(write.IsCompleted);
        bed.Clock.AdvanceMs(1);
        Assert.Equal(ErrorCode.CoordinatorNotAvailable, await write);
        bed.Elect(CoordinatorBed.NodeId, epoch: 1);
        Assert.Equal("a", await bed.ReadAsync()); // it was written all the same
        Assert.Single(bed.Outputs);
    }

    [Fact]
    public async Task Too_few_replicas_refuse_the_write_and_leave_the_machine_as_it_was()
    {
        using var bed = new CoordinatorBed(new Dictionary<string, string> { ["min.insync.replicas"] = "2" });
        await bed.LeadAsync(epoch: 1, inSyncReplicas: 1);
        bed.Elect(CoordinatorBed.NodeId, epoch: 1, inSyncReplicas: 1, replicas: 2);
        var machine = bed.Machine;
        Assert.Equal(ErrorCode.CoordinatorNotAvailable, await bed.ErrorOf(new WriteNotes("a")));
        Assert.Equal("", await bed.ReadAsync());
        Assert.Same(machine, bed.Machine);
    }

    [Fact]
    public async Task A_commit_between_the_look_and_the_watch_is_not_missed()
    {
        using var bed = new CoordinatorBed();
        await bed.LeadAsync(epoch: 1);
        bed.Elect(CoordinatorBed.NodeId, epoch: 1, inSyncReplicas: 2);
        var first = bed.SubmitAsync(new WriteNotes("a") { WantsOutput = true });
        var second = bed.WriteAsync("b");
        // after the replies were looked through, before what is left of them is watched
        bed.OnOutput = output => bed.Log.AdvanceHighWatermark(2, leaderEpoch: 1);
        bed.Log.AdvanceHighWatermark(1, leaderEpoch: 1);
        bed.WakeWaiters();
        await first;
        await second;
    }

    [Fact]
    public async Task Replies_time_out_while_an_output_waits_for_longer()
    {
        using var bed = new CoordinatorBed();
        await bed.LeadAsync(epoch: 1);
        bed.Elect(CoordinatorBed.NodeId, epoch: 1, inSyncReplicas: 2);
        var first = bed.ErrorOf(new WriteNotes("a") { WantsOutput = true });
        bed.Clock.AdvanceMs(bed.Settings.WriteTimeoutMs);
        Assert.Equal(ErrorCode.CoordinatorNotAvailable, await first); // its output waits on
        Assert.Empty(bed.Outputs);
        var second = bed.ErrorOf(new WriteNotes("b"));
        var deadline = Environment.TickCount64 + (long)TestNode.Patience.TotalMilliseconds;
        while (!second.IsCompleted)
        {
            Assert.True(Environment.TickCount64 < deadline, "the second reply never times out");
            bed.Clock.AdvanceMs(bed.Settings.WriteTimeoutMs);
            await Task.Delay(1); // the coordinator has to keep up with the clock
        }

        Assert.Equal(ErrorCode.CoordinatorNotAvailable, await second);
    }

    [Fact]
    public async Task A_disk_that_fails_makes_the_node_no_coordinator()
    {
        using var bed = new CoordinatorBed();
        await bed.LeadAsync(epoch: 1);
        await bed.WriteAsync("a");
        var waiting = bed.ErrorOf(new NoteAt(bed.Now.AddMilliseconds(1000)));
        bed.Disk.Fault = (operation, _) => operation == FileOperation.Write ? new IOException("broken") : null;
        Assert.Equal(ErrorCode.NotCoordinator, await bed.ErrorOf(new WriteNotes("b")));
        Assert.Equal(ErrorCode.NotCoordinator, await waiting);
        Assert.Equal(ErrorCode.NotCoordinator, await UntilLoadedOrFailed(bed));
    }

    [Fact]
    public async Task A_log_that_somebody_else_has_written_to_is_read_again()
    {
        using var bed = new CoordinatorBed();
        await bed.LeadAsync(epoch: 1);
        await bed.WriteAsync("a");
        var machine = bed.Machine;
        bed.Log.AppendAsLeader(CoordinatorBatchOf("other"), 1, AppendOrigin.Coordinator, bed.Now);
        Assert.Equal(1, await bed.WriteAsync("b")); // it is stored
        await bed.LoadedAsync();
        Assert.NotSame(machine, bed.Machine);
        Assert.Equal([("a", 0L), ("b", 2), ("other", 1)], bed.Machine.Notes.Select(note => (note.Key, note.Value)));

        var producer = new ProducerIdAndEpoch(7, 3);
        bed.Log.AppendAsLeader(CoordinatorBatchOf("third"), 1, AppendOrigin.Coordinator, bed.Now);
        Assert.Equal(1, await bed.SubmitAsync(new WriteNotes("c") { Transaction = producer }));
        await bed.LoadedAsync();
        bed.Log.AppendAsLeader(CoordinatorBatchOf("fourth"), 1, AppendOrigin.Coordinator, bed.Now);
        await bed.Host.CompleteTransactionAsync(0, producer, coordinatorEpoch: 0, isCommit: true, transactionVersion: 1);
        await bed.LoadedAsync();
        Assert.Equal("a,b,c,fourth,other,third", await bed.ReadAsync());
    }

    [Fact]
    public async Task What_goes_with_a_record_is_done_when_it_is_taken_and_set_right_when_it_is_refused()
    {
        using var bed = new CoordinatorBed(new Dictionary<string, string> { ["max.message.bytes"] = "1000" });
        await bed.LeadAsync(epoch: 1);
        await bed.SubmitAsync(new WriteCounted("a"));
        Assert.Equal((1, 0), bed.Machine.Counted);
        Assert.Equal(ErrorCode.UnknownServerError, await bed.ErrorOf(new WriteCounted(new string('x', 1000))));
        Assert.Equal((1, 1), bed.Machine.Counted);
        Assert.Equal("a,refused", await bed.ReadAsync());
    }

    [Fact]
    public async Task What_is_due_is_done_before_a_command_is_decided()
    {
        using var bed = new CoordinatorBed();
        await bed.LeadAsync(epoch: 1);
        var due = bed.SubmitAsync(new NoteAt(bed.Now.AddMilliseconds(1000)));
        bed.Clock.SkipMs(1004); // the timer is coarse
        Assert.StartsWith("due at", await bed.ReadAsync(), StringComparison.Ordinal);
        Assert.Equal("due", await due);
    }

    [Fact]
    public async Task After_a_stall_what_waits_outside_comes_before_what_is_due()
    {
        using var bed = new CoordinatorBed();
        await bed.LeadAsync(epoch: 1);
        var due = bed.SubmitAsync(new NoteAt(bed.Now.AddMilliseconds(1000)));
        bed.Clock.SkipMs(60_000); // the process stood still
        bed.Clock.AdvanceMs(0); // the timer comes first
        Assert.Equal("", await bed.ReadAsync());
        bed.Clock.AdvanceMs(999);
        Assert.Equal("", await bed.ReadAsync());
        Assert.False(due.IsCompleted);
        bed.Clock.AdvanceMs(1);
        Assert.Equal("due", await due);
    }

    [Fact]
    public async Task One_load_at_a_time_and_the_last_one_counts()
    {
        using var bed = new CoordinatorBed();
        var secondHasBegun = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var mayGoOn = new ManualResetEventSlim();
        bed.BeforeLoad = number =>
        {
            if (number != 2)
                return;
            secondHasBegun.SetResult();
            Assert.True(mayGoOn.Wait(TestNode.Patience));
        };

        // The loop finds a bug before a load is under way, when there is nothing to load again, and while one is under way: then it
        // begins another.
        bed.SettingsFailures = (Environment.CurrentManagedThreadId, 2);
        bed.Elect(CoordinatorBed.NodeId, epoch: 1);
        await secondHasBegun.Task.WaitAsync(TestNode.Patience);
        var first = bed.Machine;
        for (var i = 0; i < 100; i++)
        {
            Assert.Equal(ErrorCode.CoordinatorLoadInProgress, await bed.ErrorOf(new ReadNotes()));
            await Task.Yield();
        }

        mayGoOn.Set();
        await bed.LoadedAsync();
        Assert.NotSame(first, bed.Machine);
        Assert.Equal((-1, 1), (first.LoadedTopics, bed.Machine.LoadedTopics));
        await bed.WriteAsync("a");
        Assert.Equal("a", await bed.ReadAsync());
    }

    [Fact]
    public async Task A_machine_that_fails_while_it_is_dropped_is_dropped_all_the_same()
    {
        using var bed = new CoordinatorBed();
        await bed.LeadAsync(epoch: 1);
        await bed.WriteAsync("a");
        bed.Machine.FailsUnloading = true;
        Assert.Equal(ErrorCode.NotCoordinator, await bed.ErrorOf(new WritePoison()));
        await bed.LoadedAsync();
        Assert.Equal("a", await bed.ReadAsync());
    }

    [Fact]
    public async Task Costly_and_endless_work_gives_the_threads_loop_away()
    {
        using var bed = new CoordinatorBed();
        await bed.LeadAsync(epoch: 1);
        var thread = new CountingThread();
        thread.Run(() => _ = bed.Host.NotifyAsync(0, new ReadNotes()).AsTask());
        Assert.Equal(0, thread.GivenAway);
        thread.Run(() => _ = bed.Host.NotifyAsync(0, new CostlyRead()).AsTask());
        Assert.Equal(1, thread.GivenAway);

        // While it works, there comes more.
        var left = 1000;
        bed.OnOutput = output =>
        {
            if (--left > 0)
                _ = bed.Host.NotifyAsync(0, new WriteNotes("a") { WantsOutput = true }).AsTask();
        };
        thread.Run(() => _ = bed.Host.NotifyAsync(0, new WriteNotes("a") { WantsOutput = true }).AsTask());
        Assert.Equal((0, 2), (left, thread.GivenAway));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_transaction_is_pending_until_its_marker_also_for_who_loads_the_log(bool isCommit)
    {
        using var bed = new CoordinatorBed();
        await bed.LeadAsync(epoch: 1);
        var producer = new ProducerIdAndEpoch(7, 3);
        await bed.WriteAsync("before");
        await bed.SubmitAsync(new WriteNotes("a") { Transaction = producer });
        await bed.SubmitAsync(new WriteNotes("b") { Transaction = producer });
        Assert.Equal("before", await bed.ReadAsync());
        await bed.LeadAsync(epoch: 2);
        Assert.Equal("before", await bed.ReadAsync());

        var fenced = await Assert.ThrowsAsync<ApiException>(
            () => bed.Host.CompleteTransactionAsync(0, producer with { Epoch = 2 }, 0, isCommit, 1).AsTask());
        Assert.Equal(ErrorCode.InvalidProducerEpoch, fenced.Error.Code);
        var machine = bed.Machine;
        Assert.Equal(
            ErrorCode.InvalidProducerEpoch, await bed.ErrorOf(new WriteNotes("fenced") { Transaction = producer with { Epoch = 2 } }));
        Assert.Same(machine, bed.Machine); // the others have nothing to do with it
        await bed.Host.CompleteTransactionAsync(0, producer, coordinatorEpoch: 0, isCommit, transactionVersion: 1);
        var expected = isCommit ? "a,b,before" : "before";
        Assert.Equal(expected, await bed.ReadAsync());
        Assert.Equal([(0L, 1, false, false, -1L), (1, 1, true, false, 7), (2, 1, true, false, 7), (3, 1, true, true, 7)], bed.Batches());
        await bed.LeadAsync(epoch: 3);
        Assert.Equal(expected, await bed.ReadAsync());
        await bed.WriteAsync("after");
    }

    [Fact]
    public async Task A_linger_gathers_steps_and_zero_writes_each_by_itself()
    {
        using var bed = new CoordinatorBed();
        bed.Settings = bed.Settings with { AppendLingerMs = 10 };
        await bed.LeadAsync(epoch: 1);
        Task[] writes = [bed.WriteAsync("a"), bed.WriteAsync("b")];
        Assert.Empty(bed.Batches());
        bed.Clock.AdvanceMs(10);
        await Task.WhenAll(writes).WaitAsync(TestNode.Patience);
        Assert.Equal([(0L, 2)], bed.Batches().Select(batch => (batch.BaseOffset, batch.Records)));
    }

    [Fact]
    public async Task A_damaged_or_foreign_record_stops_the_load_and_one_of_an_unknown_type_does_not()
    {
        using var bed = new CoordinatorBed();
        await bed.LeadAsync(epoch: 1);
        await bed.WriteAsync("a");
        bed.Elect(leader: 5, epoch: 2);
        Replicate(bed, BatchOf([0, 99, 1, 2, 3], [0, 0]), leaderEpoch: 2);
        await bed.LeadAsync(epoch: 3);
        Assert.Equal("a", await bed.ReadAsync());

        bed.Elect(leader: 5, epoch: 4);
        Replicate(bed, BatchOf([0, 1, 1], [0, 0]), leaderEpoch: 4);
        bed.Elect(CoordinatorBed.NodeId, epoch: 5);
        Assert.Equal(ErrorCode.NotCoordinator, await UntilLoadedOrFailed(bed));
    }

    /// <summary>Appends what another leader wrote.</summary>
    private static void Replicate(CoordinatorBed bed, byte[] batch, int leaderEpoch)
    {
        RecordBatchEditor.SetBaseOffset(batch, bed.Log.LogEndOffset);
        RecordBatchEditor.SetPartitionLeaderEpoch(batch, leaderEpoch);
        Assert.True(bed.Log.TryTakeFetched(new FetchedBatches(batch, leaderEpoch, bed.Log.LogEndOffset, 0, 0), bed.Now, out _));
    }

    private static async Task<ErrorCode> UntilLoadedOrFailed(CoordinatorBed bed)
    {
        while (true)
        {
            var error = await bed.ErrorOf(new ReadNotes());
            if (error != ErrorCode.CoordinatorLoadInProgress)
                return error;
            await Task.Yield();
        }
    }

    private static byte[] CoordinatorBatchOf(string text)
    {
        using var batch = new CoordinatorBatch(baseSequence: 0);
        batch.Encode([new CoordinatorRecord(NoteMachine.KeyOf(text), new OffsetCommitValue(), 4)], 1000);
        batch.Add(new Instant(0), CompressionType.None, ProducerIdAndEpoch.None);
        return batch.Take(1000);
    }

    private sealed class CountingThread : HandlerThread
    {
        public int GivenAway { get; private set; }

        public void Run(Action work)
        {
            Enter(this);
            try
            {
                work();
            }
            finally
            {
                Enter(null);
            }
        }

        public override void Defer(IThreadPoolWorkItem work) => ThreadPool.UnsafeQueueUserWorkItem(work, preferLocal: false);

        protected override void OnAboutToBlock() => GivenAway++;
    }

    private static byte[] BatchOf(byte[] key, byte[] value)
    {
        using var builder = new RecordBatchBuilder(new RecordBatchOptions());
        builder.Append(0, key, value);
        return builder.Build();
    }
}
