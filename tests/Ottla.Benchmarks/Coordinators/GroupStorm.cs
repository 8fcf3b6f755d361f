using System.Collections.Concurrent;
using System.Globalization;
using Ottla.Benchmarks.Load;
using Ottla.Benchmarks.Measure;
using Ottla.Benchmarks.Targets;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.Benchmarks.Coordinators;

/// <summary>
/// <c>bench group-storm</c>: 200 members over 60 partitions join and leave at random, for real; then it is looked at who owns what, and
/// what is committed.
/// </summary>
/// <remarks>
/// The simulation of the same name does this in simulated time with many seeds; this is once, with the network, the log and the clock.
/// </remarks>
internal sealed class GroupStorm(BenchOptions options)
{
    private const int Members = 200;
    private const int Partitions = 60;
    private const int SettleSecondsMax = 60;
    private const int SettledChecks = 10;
    private const int PollMs = 200;
    private const string Topic = "storm";
    private static readonly TimeSpan Duration = TimeSpan.FromSeconds(120);

    /// <summary>Runs.</summary>
    /// <returns>0 when nothing was owned twice, everything is owned in the end, and no acknowledged commit is lost.</returns>
    public int Execute()
    {
        var workDirectory = Directory.CreateDirectory(Path.Combine(options.Directory, $"ottla-bench-{Guid.NewGuid():N}")).FullName;
        try
        {
            var settings = options with
            {
                Settings =
                [
                    .. options.Settings, "group.initial.rebalance.delay.ms=100", "group.consumer.min.heartbeat.interval.ms=100",
                        "group.consumer.heartbeat.interval.ms=200",
                    "group.consumer.min.session.timeout.ms=6000", "group.consumer.session.timeout.ms=10000",
                ],
            };
            using var broker = TargetLauncher.ForBroker(settings, workDirectory).Start(out _);
            broker.Admin.CreateTopic(Topic, Partitions);
            CoordinatorBench.AwaitCoordinators(broker);
            var isGood = true;
            foreach (var isConsumer in new[] { false, true })
                isGood &= Run(broker, isConsumer);
            return isGood ? 0 : 1;
        }
        finally
        {
            Directory.Delete(workDirectory, recursive: true);
        }
    }

    private static bool Run(StartedTarget broker, bool isConsumer)
    {
        var state = new StormState(Partitions);
        using var connection = new LoadConnection(broker.Host, broker.Port);
        var topicId = connection.Ask<MetadataRequest, MetadataResponse>(
            new MetadataRequest { Topics = [new() { Name = Topic }] }, version: 10).Topics[0].TopicId;
        var group = isConsumer ? "storm-consumer" : "storm-classic";
        var residentBefore = ProcessUsage.ResidentBytes(broker.ProcessId);
        var isSettled = false;
        var bodies = Enumerable.Range(1, Members).Select(number => (Action)(() =>
        {
            using var member = new StormMember(broker, group, Topic, topicId, number, state);
            while (!state.IsOver)
            {
                if (isConsumer)
                    member.LiveAsConsumer();
                else
                    member.LiveAsClassic();
            }
        }));
        Worker.RunThreads([.. bodies, Watch]);

        var committed = connection.Ask<OffsetFetchRequest, OffsetFetchResponse>(
            new OffsetFetchRequest
            {
                GroupId = group,
                Topics = [new() { Name = Topic, PartitionIndexes = [.. Enumerable.Range(0, Partitions)] }]
            }, version: 5);
        var lost = committed.Topics[0]
            .Partitions.Count(partition => partition.CommittedOffset < state.Acknowledged(partition.PartitionIndex));
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{group}: {state.Joins} joins, {state.Leaves} leaves, {state.Commits} commits in {Duration.TotalSeconds:0} s; owned twice "
                + $"{state.OwnedTwice}, settled {isSettled}, commits lost {lost}, UNKNOWN_MEMBER_ID {state.UnknownMembers}, RSS "
                    + $"{residentBefore / 1e6:0} -> {ProcessUsage.ResidentBytes(broker.ProcessId) / 1e6:0} MB"));
        return isSettled && lost == 0 && state.OwnedTwice == 0;

        void Watch()
        {
            Thread.Sleep(Duration);
            state.IsCalm = true;
            for (int i = 0, inARow = 0; i < SettleSecondsMax * 1000 / PollMs && !isSettled; i++)
            {
                Thread.Sleep(PollMs);
                inARow = state.IsAllOwned ? inARow + 1 : 0;
                isSettled = inARow >= SettledChecks;
            }

            state.IsOver = true;
        }
    }
}

/// <summary>Who owns what, and what was acknowledged. Used by all members.</summary>
internal sealed class StormState(int partitions)
{
    private readonly int[] _owners = new int[partitions];
    private readonly ConcurrentDictionary<int, long> _acknowledged = new();
    private readonly long[] _next = new long[partitions];
    private int _ownedTwice, _joins, _leaves, _unknownMembers, _commits;

    public volatile bool IsCalm;

    public volatile bool IsOver;

    public int OwnedTwice => _ownedTwice;

    public int Joins => _joins;

    public int Leaves => _leaves;

    public int Commits => _commits;

    public int UnknownMembers => _unknownMembers;

    public bool IsAllOwned => _owners.All(owner => owner != 0);

    public void Claim(int partition, int member)
    {
        if (Interlocked.CompareExchange(ref _owners[partition], member, 0) is var other and not 0 && other != member)
            Interlocked.Increment(ref _ownedTwice);
    }

    public void Release(int partition, int member) => Interlocked.CompareExchange(ref _owners[partition], 0, member);

    public long NextOffset(int partition) => Interlocked.Increment(ref _next[partition]);

    public long Acknowledged(int partition) => _acknowledged.GetValueOrDefault(partition, -1);

    public void NoteCommit(int partition, long offset)
    {
        Interlocked.Increment(ref _commits);
        _acknowledged.AddOrUpdate(partition, offset, (_, before) => Math.Max(before, offset));
    }

    public void NoteJoin() => Interlocked.Increment(ref _joins);

    public void NoteLeave() => Interlocked.Increment(ref _leaves);

    public void NoteUnknownMember() => Interlocked.Increment(ref _unknownMembers);
}

/// <summary>A member that comes and goes. Owned by its thread.</summary>
internal sealed class StormMember(StartedTarget broker, string group, string topic, Uuid topicId, int number, StormState state)
    : IDisposable
{
    private const int HeartbeatMs = 200;
    private const int RestMsMax = 3000;
    private const int LifeMsMax = 15_000;
    private const int CommitPercent = 20;
    private const int SessionTimeoutMs = 10_000;
    private const int RebalanceTimeoutMs = 20_000;

    private readonly LoadConnection _connection = new(broker.Host, broker.Port);
    private readonly Prng _random = new((ulong)number);
    private readonly HashSet<int> _owned = [];
    private string _memberId = "";
    private int _generation;

    /// <summary>Joins, and lives until it is to leave or is thrown out; under the classic protocol.</summary>
    public void LiveAsClassic()
    {
        for (var beats = _random.NextInt(LifeMsMax) / HeartbeatMs; Synced() is { } assigned;)
        {
            Own(assigned);
            var error = ErrorCode.None;
            while (error == ErrorCode.None && !state.IsOver && (state.IsCalm || beats-- > 0))
            {
                Thread.Sleep(HeartbeatMs);
                error = (ErrorCode)_connection.Ask<HeartbeatRequest, HeartbeatResponse>(
                    new HeartbeatRequest { GroupId = group, MemberId = _memberId, GenerationId = _generation }, version: 3).ErrorCode;
                if (error == ErrorCode.None)
                    CommitSometimes(version: 7);
            }

            Own([]); // eager: whatever comes next, nothing is owned meanwhile
            if (error == ErrorCode.None)
                break;
            if (error != ErrorCode.RebalanceInProgress)
                Forget(error);
        }

        Leave(() => _connection.Ask<LeaveGroupRequest, LeaveGroupResponse>(
            new LeaveGroupRequest { GroupId = group, MemberId = _memberId }, version: 2));
    }

    /// <summary>The same under the consumer protocol (KIP-848).</summary>
    public void LiveAsConsumer()
    {
        state.NoteJoin();
        var response = Beat(0, isFull: true);
        for (var beats = _random.NextInt(LifeMsMax) / HeartbeatMs; !state.IsOver && (state.IsCalm || beats-- > 0);)
        {
            if (response.ErrorCode != (short)ErrorCode.None)
            {
                Own([]);
                Forget((ErrorCode)response.ErrorCode);
                return;
            }

            (_memberId, _generation) = (response.MemberId!, response.MemberEpoch);
            if (response.Assignment is { } assignment)
                Own([.. assignment.TopicPartitions.SelectMany(assigned => assigned.Partitions)]);
            CommitSometimes(version: 9);
            Thread.Sleep(HeartbeatMs);
            response = Beat(_generation, isFull: false);
        }

        Own([]);
        Leave(() => Beat(-1, isFull: false));
    }

    public void Dispose() => _connection.Dispose();

    /// <summary>Joins and syncs until there is a generation; null when it is all over.</summary>
    private int[]? Synced()
    {
        while (!state.IsOver)
        {
            state.NoteJoin();
            var joined = _connection.Ask<JoinGroupRequest, JoinGroupResponse>(
                new JoinGroupRequest
                {
                    GroupId = group,
                    MemberId = _memberId,
                    SessionTimeoutMs = SessionTimeoutMs,
                    RebalanceTimeoutMs = RebalanceTimeoutMs,
                    ProtocolType = "storm",
                    Protocols = [new() { Name = "modulo", Metadata = [] }],
                },
                version: 3);
            if (joined.ErrorCode != (short)ErrorCode.None)
            {
                Forget((ErrorCode)joined.ErrorCode);
                continue;
            }

            (_memberId, _generation) = (joined.MemberId, joined.GenerationId);
            var synced = _connection.Ask<SyncGroupRequest, SyncGroupResponse>(
                new SyncGroupRequest
                {
                    GroupId = group,
                    MemberId = _memberId,
                    GenerationId = _generation,
                    Assignments = [
                        .. joined.Members.Select(
                            (member, i) =>
                            new SyncGroupRequest.SyncGroupRequestAssignment { MemberId = member.MemberId,
                                Assignment = Share(i, joined.Members.Length) })],
                },
                version: 2);
            if (synced.ErrorCode == (short)ErrorCode.None)
                return [.. synced.Assignment.Select(partition => (int)partition)];
            if (synced.ErrorCode != (short)ErrorCode.RebalanceInProgress)
                Forget((ErrorCode)synced.ErrorCode);
        }

        return null;
    }

    private static byte[] Share(int member, int members) =>
        [.. Enumerable.Range(0, 60).Where(partition => partition % members == member).Select(partition => (byte)partition)];

    private ConsumerGroupHeartbeatResponse Beat(int epoch, bool isFull) =>
        _connection.Ask<ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse>(
        new ConsumerGroupHeartbeatRequest
        {
            GroupId = group,
            MemberId = _memberId,
            MemberEpoch = epoch,
            RebalanceTimeoutMs = isFull ? RebalanceTimeoutMs : -1,
            SubscribedTopicNames = isFull ? [topic] : null,
            TopicPartitions = epoch < 0 ? null : _owned.Count == 0 ? [] : [new() { TopicId = topicId, Partitions = [.. _owned] }],
        },
        version: 0);

    /// <summary>Gives up what is not among <paramref name="partitions"/>, then takes what is.</summary>
    private void Own(int[] partitions)
    {
        foreach (var partition in _owned.Except(partitions).ToArray())
        {
            state.Release(partition, number);
            _owned.Remove(partition);
        }

        foreach (var partition in partitions.Where(_owned.Add))
            state.Claim(partition, number);
    }

    private void CommitSometimes(short version)
    {
        if (_owned.Count == 0 || !_random.NextChance(CommitPercent))
            return;
        var partition = _owned.First();
        var offset = state.NextOffset(partition);
        var response = _connection.Ask<OffsetCommitRequest, OffsetCommitResponse>(
            new OffsetCommitRequest
            {
                GroupId = group,
                MemberId = _memberId,
                GenerationIdOrMemberEpoch = _generation,
                Topics = [new() { Name = topic,
                    Partitions = [new() { PartitionIndex = partition, CommittedOffset = offset, CommittedMetadata = "" }] }],
            },
            version);
        if (response.Topics[0].Partitions[0].ErrorCode == (short)ErrorCode.None)
            state.NoteCommit(partition, offset);
    }

    private void Leave(Action leave)
    {
        if (_memberId.Length > 0)
        {
            leave();
            state.NoteLeave();
            _memberId = "";
        }

        if (!state.IsOver)
            Thread.Sleep(_random.NextInt(RestMsMax));
    }

    private void Forget(ErrorCode error)
    {
        if (error == ErrorCode.UnknownMemberId)
            state.NoteUnknownMember();
        _memberId = "";
    }
}
