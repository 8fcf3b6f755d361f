using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Ottla.Broker.Hosts;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Metadata;
using Ottla.StateMachines.Raft;
using Ottla.Storage.Files;

namespace Ottla.UnitTests.Raft;

/// <summary>The metadata log on a simulated disk: appends, listeners, snapshots, restarts, and Kafka's own directories.</summary>
public sealed class RaftHostTests
{
    private const string Root = "/data";
    private const string LogDirectory = Root + "/__cluster_metadata-0";
    private static readonly ReplicaKey Local = new(1, Uuid.Parse("fQ6xrtJPS9uzrMpDtGCdHA"));
    private static readonly RaftEndpoint Endpoint = new("CONTROLLER", "127.0.0.1", 29093);
    private readonly FakeTimeProvider _clock = new(new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero));

    [Fact]
    public async Task NewLog_StartsAsKafkaStartsOne_AndKeepsWhatItAcknowledged()
    {
        var disk = Format();
        await using (var host = Open(disk))
        {
            Assert.Equal(new LeaderAndEpoch(1, 1), host.Leader);
            Assert.Equal(3, host.HighWatermark); // LeaderChange, KRaftVersion, KRaftVoters
            var (last, committed) = host.Append(1, [Topic("a"), Topic("b")]);
            Assert.Equal(4, last);
            await committed;
            Assert.Equal((5, 5), (host.HighWatermark, host.EndOffset));
        }

        await using var again = Open(disk);
        Assert.Equal(new LeaderAndEpoch(1, 2), again.Leader);
        Assert.Equal(6, again.HighWatermark); // the voters are in the log: only a LeaderChange
        var listener = new Listener();
        again.Register(listener);
        await listener.UntilLeader(2);
        Assert.Equal("0-2 e1 []; 3-4 e1 [a,b]; 5-5 e2 []; leader 1 e2", listener.Told);
        Assert.Equal(
            Uuid.One.ToString(), System.Text.Encoding.UTF8.GetString(disk.ReadAllBytes(LogDirectory + "/partition.metadata", 100))
            .Split("topic_id: ")[1].Trim());
        Assert.Equal(
            """{"leaderId":1,"leaderEpoch":2,"votedId":-1,"votedDirectoryId":"AAAAAAAAAAAAAAAAAAAAAA","data_version":1}""",
            System.Text.Encoding.UTF8.GetString(disk.ReadAllBytes(LogDirectory + "/quorum-state", 1000)));
    }

    [Fact]
    public async Task StaticVoter_NeedsNoFormat_AndWritesVersion0()
    {
        var disk = new InMemoryFileSystem(_clock);
        var options = Options() with { StaticVoters = new VoterSet([new Voter(new ReplicaKey(1, Uuid.Zero), [Endpoint])]) };
        await using var host = RaftHost.Open(disk, options, _clock, NullLogger.Instance);
        Assert.Equal((new LeaderAndEpoch(1, 1), 1L), (host.Leader, host.HighWatermark));
        await host.Append(1, [Topic("a")]).Committed;
        Assert.Equal(
            """{"clusterId":"","leaderId":1,"leaderEpoch":1,"votedId":-1,"appliedOffset":0,"currentVoters":[{"voterId":1}],"data_version":0}""",
            System.Text.Encoding.UTF8.GetString(disk.ReadAllBytes(LogDirectory + "/quorum-state", 1000)));
        var quorum = await host.DescribeAsync();
        Assert.Equal((RaftRole.Leader, 1, 2L, (short)0), (quorum.Role, quorum.LeaderId, quorum.HighWatermark, quorum.KRaftVersion));
        Assert.Equal(2, Assert.Single(quorum.Voters).LogEndOffset);
    }

    [Fact]
    public async Task Appends_WaitForOthers_AsLongAsTheyAreToldTo()
    {
        var disk = Format();
        await using var host = RaftHost.Open(disk, Options() with { AppendLingerMs = 25 }, _clock, NullLogger.Instance);
        var writes = 0;
        disk.Fault = (operation, path) =>
        {
            if (operation == FileOperation.Write && path.EndsWith(".log", StringComparison.Ordinal))
                Interlocked.Increment(ref writes);
            return null;
        };
        var appends = new[] { host.Append(1, [Topic("a")]).Committed, host.Append(1, [Topic("b")]).Committed };
        await host.DescribeAsync(); // whatever else is asked does not hurry them
        Assert.Equal(0, Volatile.Read(ref writes));
        while (!appends.All(append => append.IsCompleted))
        {
            _clock.Advance(TimeSpan.FromMilliseconds(5));
            await Task.Delay(1);
        }

        Assert.Equal(1, Volatile.Read(ref writes));
    }

    [Fact]
    public async Task ManyAppends_ShareFlushes_AndAreTakenInOrderWhileTheDiskIsBusy()
    {
        var disk = Format();
        await using var host = Open(disk);
        var listener = new Listener();
        host.Register(listener);
        await listener.UntilLeader(1);

        using var busy = new SemaphoreSlim(0);
        using var reached = new SemaphoreSlim(0);
        var flushes = 0;
        disk.Fault = (operation, path) =>
        {
            if (operation == FileOperation.Flush && path.EndsWith(".log", StringComparison.Ordinal)
                && Interlocked.Increment(ref flushes) == 1)
            {
                reached.Release();
                busy.Wait();
            }

            return null;
        };
        var commits = new List<Task> { host.Append(1, [Topic("first")]).Committed };
        await reached.WaitAsync(); // the loop is in its fsync: Append must not wait for it
        for (var i = 0; i < 1000; i++)
        {
            var (last, committed) = host.Append(1, [Topic($"t{i}")]);
            Assert.Equal(4 + i, last);
            commits.Add(committed);
        }

        Assert.DoesNotContain(commits, commit => commit.IsCompleted);
        busy.Release();
        await Task.WhenAll(commits);
        Assert.InRange(flushes, 2, 3);
        disk.Fault = null;
        Assert.Equal(Enumerable.Range(0, 1000).Select(i => $"t{i}").Prepend("first"), listener.Topics);
    }

    [Fact]
    public async Task Append_IsRefusedOutsideItsEpochAndAfterTheEnd()
    {
        var host = Open(Format());
        Assert.Equal(ErrorCode.NotController, Assert.Throws<MetadataLogException>(() => host.Append(2, [Topic("a")])).ErrorCode);
        Assert.Throws<ArgumentOutOfRangeException>(() => host.Append(1, []));
        var waiting = Enumerable.Range(0, 200).Select(i => host.Append(1, [Topic($"t{i}")]).Committed).ToArray();
        await host.DisposeAsync();
        await Task.WhenAll(waiting); // what was taken before the end is committed
        Assert.Throws<MetadataLogException>(() => host.Append(1, [Topic("b")]));
        await host.DisposeAsync();
        Assert.True(host.Completion.IsCompletedSuccessfully);
    }

    [Fact]
    public async Task FailedFlush_AcknowledgesNothing_AndEndsTheHost()
    {
        var disk = Format();
        var host = Open(disk);
        disk.Fault = (operation, path) => operation == FileOperation.Flush
            && path.EndsWith(".log", StringComparison.Ordinal) ? new IOException("no") : null;
        await Assert.ThrowsAnyAsync<Exception>(() => host.Append(1, [Topic("a")]).Committed);
        await Assert.ThrowsAnyAsync<Exception>(() => host.Completion);
        Assert.Equal(ErrorCode.KafkaStorageError, Assert.Throws<MetadataLogException>(() => host.Append(1, [Topic("b")])).ErrorCode);
        disk.Fault = null;
        await using var again = Open(disk);
        Assert.Equal(2, again.Leader.Epoch);
    }

    [Fact]
    public async Task Snapshot_ReplacesTheLogForNewListeners_AndOldOnesAreDeletedWithTheLogBeforeTheNext()
    {
        var disk = Format();
        // A new segment for each batch, and nothing may stay.
        var options = Options() with { RetentionBytesMax = 0, SegmentBytes = 200 };
        await using (var host = RaftHost.Open(disk, options, _clock, NullLogger.Instance))
        {
            for (var i = 0; i < 10; i++)
                await host.Append(1, [Topic($"t{i}")]).Committed;
            Assert.Throws<ArgumentException>(() => host.WriteSnapshot(new OffsetAndEpoch(14, 1), 5, []));
            Assert.Throws<ArgumentException>(() => host.WriteSnapshot(new OffsetAndEpoch(10, 2), 5, []));
            host.WriteSnapshot(new OffsetAndEpoch(10, 1), 5, [Topic("from-snapshot")]);
            host.WriteSnapshot(new OffsetAndEpoch(9, 1), 5, [Topic("too late")]);
            Assert.Equal(new OffsetAndEpoch(10, 1), host.LatestSnapshot);
            var listener = new Listener();
            host.Register(listener);
            await listener.UntilLeader(1);
            Assert.Equal("snapshot 10-1 [from-snapshot]; 10-10 e1 [t7]; 11-11 e1 [t8]; 12-12 e1 [t9]; leader 1 e1", listener.Told);
        }

        Assert.Equal(
            ["00000000000000000010-0000000001.checkpoint"],
            disk.ListFiles(LogDirectory).Where(name => name.EndsWith(".checkpoint", StringComparison.Ordinal)));
        await using var again = RaftHost.Open(disk, options, _clock, NullLogger.Instance);
        Assert.Equal((2, 14L), (again.Leader.Epoch, again.HighWatermark)); // the snapshot knows the voters
        Assert.Equal(29093, again.Quorum.VoterSet.Find(1)!.Endpoints[0].Port);
        var late = new Listener();
        again.Register(late);
        await late.UntilLeader(2);
        Assert.StartsWith("snapshot 10-1 [from-snapshot]; 10-10 e1 [t7]", late.Told, StringComparison.Ordinal);
    }

    [Fact]
    public async Task OldSnapshots_AreDeletedByAge_ButTheNewestStays()
    {
        var disk = Format();
        await using var host = Open(disk);
        for (var i = 0; i < 3; i++)
        {
            await host.Append(1, [Topic($"t{i}")]).Committed;
            host.WriteSnapshot(new OffsetAndEpoch(4 + i, 1), Instant.Now(_clock).UnixMilliseconds, []);
            if (i == 1)
                _clock.AdvanceMs(8L * 24 * 60 * 60 * 1000);
        }

        await host.Append(1, [Topic("behind the snapshots")]).Committed;
        Assert.Equal(
            ["00000000000000000006-0000000001.checkpoint"],
            disk.ListFiles(LogDirectory).Where(name => name.EndsWith(".checkpoint", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task BrokenNewestSnapshot_IsPassedOver_AndHalfWrittenOnesAreRemoved()
    {
        var disk = Format();
        await using (var host = Open(disk))
        {
            await host.Append(1, [Topic("a")]).Committed;
            host.WriteSnapshot(new OffsetAndEpoch(4, 1), 5, [Topic("a")]);
        }

        var path = LogDirectory + "/00000000000000000004-0000000001.checkpoint";
        using (var file = disk.Open(path, FileOpenMode.Existing))
            file.SetLength(file.Length - 1);
        disk.Open(LogDirectory + "/00000000000000000004-0000000001.checkpoint.part", FileOpenMode.OpenOrCreate).Dispose();
        await using var again = Open(disk);
        var listener = new Listener();
        again.Register(listener);
        await listener.UntilLeader(2);
        Assert.StartsWith("0-2 e1 []; 3-3 e1 [a]", listener.Told, StringComparison.Ordinal);
        Assert.DoesNotContain(disk.ListFiles(LogDirectory), name => name.EndsWith(".part", StringComparison.Ordinal));
    }

    [Fact]
    public async Task LogWithoutTheSnapshotBeforeIt_IsNotOpened()
    {
        var disk = Format();
        var options = Options() with { RetentionBytesMax = 0, SegmentBytes = 200 };
        await using (var host = RaftHost.Open(disk, options, _clock, NullLogger.Instance))
        {
            for (var i = 0; i < 10; i++)
                await host.Append(1, [Topic($"t{i}")]).Committed;
            host.WriteSnapshot(new OffsetAndEpoch(10, 1), 5, [Topic("from-snapshot")]);
            await host.Append(1, [Topic("behind the snapshot")]).Committed;
        }

        disk.Delete(LogDirectory + "/00000000000000000010-0000000001.checkpoint");
        var refusal = Assert.Throws<InvalidDataException>(() => RaftHost.Open(disk, options, _clock, NullLogger.Instance));
        Assert.Contains("has no whole snapshot", refusal.Message, StringComparison.Ordinal);
    }

    /// <summary>A snapshot that was fetched just before a crash, which the log could not give way to any more.</summary>
    [Fact]
    public async Task SnapshotBeyondTheLog_TakesItsPlace()
    {
        var (ahead, behind) = (Format(), Format());
        await using (var host = Open(ahead))
        {
            for (var i = 0; i < 10; i++)
                await host.Append(1, [Topic($"t{i}")]).Committed;
            host.WriteSnapshot(new OffsetAndEpoch(13, 1), 5, [Topic("from-snapshot")]);
        }

        await using (var host = Open(behind))
            await host.Append(1, [Topic("superfluous")]).Committed;
        const string snapshot = LogDirectory + "/00000000000000000013-0000000001.checkpoint";
        using (var file = behind.Open(snapshot, FileOpenMode.CreateOrTruncate))
            file.Write(0, ahead.ReadAllBytes(snapshot, int.MaxValue));
        await using var again = Open(behind);
        var listener = new Listener();
        again.Register(listener);
        await listener.UntilLeader(2);
        Assert.Equal("snapshot 13-1 [from-snapshot]; 13-13 e2 []; leader 1 e2", listener.Told);
    }

    [Fact]
    public async Task FailingListener_EndsTheHost()
    {
        var host = Open(Format());
        host.Register(new FailingListener());
        Assert.Equal("listener", (await Assert.ThrowsAsync<InvalidOperationException>(() => host.Completion)).Message);
        await host.DisposeAsync();
    }

    [Theory]
    [InlineData(false, 3, 179)]
    [InlineData(true, 2, -1)]
    public async Task KafkasDirectory_IsTakenOver_WithExactlyItsRecords(bool unclean, int epoch, long endOffset)
    {
        var disk = new InMemoryFileSystem(_clock);
        var source = Path.Combine(unclean ? GoldenData.UncleanCopy() : GoldenData.CleanDirectory, "__cluster_metadata-0");
        disk.CreateDirectory(LogDirectory);
        foreach (var path in Directory.GetFiles(source))
        {
            using var file = disk.Open($"{LogDirectory}/{Path.GetFileName(path)}", FileOpenMode.CreateOrTruncate);
            file.Write(0, File.ReadAllBytes(path));
        }

        var dumped = MetadataGoldenTests.Dumped("00000000000000000000.log");
        long ownOffset;
        await using (var host = Open(disk))
        {
            Assert.Equal(new LeaderAndEpoch(1, epoch), host.Leader);
            ownOffset = host.EndOffset - 1; // one LeaderChange, no voters: they are in the log
            if (endOffset >= 0)
                Assert.Equal(endOffset, ownOffset);
            await host.Append(epoch, [Topic("ours")]).Committed;
        }

        var bytes = disk.ReadAllBytes(LogDirectory + "/00000000000000000000.log", int.MaxValue);
        var batches = new List<MetadataBatch>();
        for (ReadOnlyMemory<byte> rest = bytes; !rest.IsEmpty; rest = rest[
            new Ottla.Protocol.Batches.RecordBatchView(rest.Span).SizeInBytes..])
            batches.Add(MetadataBatch.Decode(rest));
        Assert.Equal(
            dumped.Take((int)ownOffset), batches.Where(batch => batch.LastOffset < ownOffset).SelectMany(MetadataGoldenTests.Lines));
        Assert.True(ownOffset > 50);
        Assert.Equal("ours", ((TopicRecord)batches[^1].Records[0].Message).Name);
        Assert.Equal((epoch, ownOffset), (batches[^2].Epoch, batches[^2].BaseOffset));
        Assert.IsType<LeaderChangeMessage>(Assert.Single(batches[^2].ControlRecords).Message);

        await using var again = Open(disk);
        var listener = new Listener();
        again.Register(listener);
        await listener.UntilLeader(epoch + 1);
        Assert.StartsWith(unclean ? "snapshot 86-1 " : "snapshot 178-2 ", listener.Told, StringComparison.Ordinal);
        Assert.Equal("ours", listener.Topics[^1]);
    }

    [Fact]
    public async Task Listener_that_is_not_ready_holds_up_nobody_and_is_told_the_rest_later()
    {
        await using var host = Open(Format());
        var slow = new Listener();
        var other = new Listener();
        host.Register(slow);
        host.Register(other);
        await slow.UntilLeader(1);
        await other.UntilLeader(1);
        slow.GiveRoom(1);
        foreach (var name in (string[])["a", "b", "c"])
            await host.Append(1, [Topic(name)]).Committed;
        Assert.Equal(["a"], slow.Topics);
        Assert.Equal(["a", "b", "c"], other.Topics);

        slow.GiveRoom(10);
        host.Resume(slow);
        await host.Append(1, [Topic("d")]).Committed;
        Assert.Equal(["a", "b", "c", "d"], slow.Topics);
    }

    private static MetadataRecord Topic(string name) => new(new TopicRecord { Name = name, TopicId = new Uuid(1, 2) }, 0);

    private static RaftHostOptions Options() =>
        new() { LogDirectory = Root, Raft = new RaftOptions { Local = Local, Endpoints = [Endpoint] } };

    private InMemoryFileSystem Format()
    {
        var disk = new InMemoryFileSystem(_clock);
        disk.CreateDirectory(Root);
        RaftBootstrap.Write(disk, Root, 1, new VoterSet([new Voter(Local, [Endpoint])]), [], Instant.Now(_clock));
        return disk;
    }

    private RaftHost Open(InMemoryFileSystem disk) => RaftHost.Open(disk, Options(), _clock, NullLogger.Instance);

    /// <summary>Notes everything it is told.</summary>
    private sealed class Listener : IMetadataLogListener
    {
        private readonly List<string> _told = [];
        private readonly Dictionary<int, TaskCompletionSource> _leaders = [];
        private int _room = int.MaxValue;

        public string Told
        {
            get
            {
                lock (_told)
                    return string.Join("; ", _told);
            }
        }

        public List<string> Topics { get; } = [];

        public Task UntilLeader(int epoch) => Leader(epoch).Task.WaitAsync(TimeSpan.FromMinutes(1));

        public bool IsReady => Volatile.Read(ref _room) > 0;

        /// <summary>Takes no more than so many batches until there is room again.</summary>
        public void GiveRoom(int batches) => Volatile.Write(ref _room, batches);

        public void HandleSnapshot(OpenMetadataSnapshot snapshot)
        {
            using (snapshot)
                Tell($"snapshot {snapshot.Id.Offset}-{snapshot.Id.Epoch} [{Names(snapshot.Read().Records)}]");
        }

        public void HandleCommit(MetadataBatch batch)
        {
            Interlocked.Decrement(ref _room);
            Topics.AddRange(batch.Records.Select(record => record.Message).OfType<TopicRecord>().Select(topic => topic.Name));
            Tell($"{batch.BaseOffset}-{batch.LastOffset} e{batch.Epoch} [{Names(batch.Records)}]");
        }

        public void HandleCaughtUp()
        {
        }

        public void HandleLeaderChange(LeaderAndEpoch leader)
        {
            Tell($"leader {leader.LeaderId} e{leader.Epoch}");
            Leader(leader.Epoch).TrySetResult();
        }

        private static string Names(IReadOnlyList<MetadataRecord> records) =>
            string.Join(",", records.Select(record => record.Message is TopicRecord topic ? topic.Name : record.Message.GetType().Name));

        private void Tell(string what)
        {
            lock (_told)
                _told.Add(what);
        }

        private TaskCompletionSource Leader(int epoch)
        {
            lock (_leaders)
            {
                if (!_leaders.TryGetValue(epoch, out var source))
                    _leaders.Add(epoch, source = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
                return source;
            }
        }
    }

    private sealed class FailingListener : IMetadataLogListener
    {
        public bool IsReady => true;

        public void HandleSnapshot(OpenMetadataSnapshot snapshot) => throw new InvalidOperationException("listener");

        public void HandleCommit(MetadataBatch batch) => throw new InvalidOperationException("listener");

        public void HandleCaughtUp() => throw new InvalidOperationException("listener");

        public void HandleLeaderChange(LeaderAndEpoch leader) => throw new InvalidOperationException("listener");
    }
}
