using System.Globalization;
using Ottla.Client;
using Ottla.HistoryChecker.History;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Simulator.Workloads;
using Ottla.Simulator.Worlds;

namespace Ottla.Simulator.Library;

/// <summary>
/// Two groups of consumers of the library that read one topic, one by each protocol: members come, die and leave, commit by themselves or
/// when they are told to, and go on where the group has committed.
/// </summary>
/// <remarks>
/// A group reads every record at least once. Who has a partition reads it in order and leaves nothing out, as long as it has it. Lives as
/// long as its session.
/// </remarks>
internal sealed class LibraryGroups(LibrarySession session, string topic, int partitions)
{
    private const int MembersPerGroup = 2;
    private const int KillPercent = 40;
    private const int LifeMsMax = 20_000;
    private static readonly (string Name, GroupProtocol Protocol)[] Groups =
        [("classic", GroupProtocol.Classic), ("modern", GroupProtocol.Consumer)];

    private readonly Dictionary<string, HashSet<long>> _consumed = Groups.ToDictionary(group => group.Name, _ => new HashSet<long>());
    private readonly Dictionary<(string Group, TopicPartition Partition), long> _committed = [];
    private readonly List<Task> _clients = [];

    /// <summary>Begins to run members of both groups.</summary>
    public void Start(SimProcess director)
    {
        foreach (var (group, protocol) in Groups)
        {
            for (var i = 0; i < MembersPerGroup; i++)
            {
                var instanceId = session.World.Random.NextChance(session.Conditions.StaticPercent)
                    ? string.Create(CultureInfo.InvariantCulture, $"{group}-{i}") : null;
                _clients.Add(session.KeepRunningAsync(
                    director, $"{group}.{i}", KillPercent, LifeMsMax, (process, _) => ConsumeAsync(process, group, protocol, instanceId)));
            }
        }
    }

    /// <summary>Waits until both groups have committed the end of every partition.</summary>
    /// <exception cref="SimulationException">They do not come to it.</exception>
    public Task DrainAsync(SimProcess director) =>
        GroupProgress.DrainAsync(session, director, Groups.Select(group => group.Name), [.. ClientSession.PartitionsOf(topic, partitions)]);

    /// <summary>Waits for the end of all members, which the session has declared.</summary>
    public async Task EndAsync()
    {
        foreach (var client in _clients)
            await client;
    }

    /// <summary>Whether both groups have read all that there is.</summary>
    /// <exception cref="SimulationException">One has not.</exception>
    public void CheckConsumed(IReadOnlyList<PolledRecord> records) => GroupProgress.CheckConsumed(_consumed, records);

    /// <summary>A member's life: until it leaves, or all is over.</summary>
    private async Task ConsumeAsync(SimProcess process, string group, GroupProtocol protocol, string? instanceId)
    {
        var random = session.World.Random;
        var client = session.NewLibraryClient(process);
        var options = OptionsFor(group, protocol, instanceId, random.NextChance(50));
        var consumer = new Consumer<byte[], long>(client, options);
        var readings = new Readings(session, process, group, _committed, session.Conditions.HasLateRequests);
        consumer.Subscribe([topic], readings);
        var leavesAfter = random.NextInt(5, 60);
        while (!session.IsOver && leavesAfter-- > 0)
        {
            try
            {
                var records = await LibraryReaders.PollAsync(session, process, consumer, options.MaxPollInterval);
                readings.Take(records);
                _consumed[group].UnionWith(records.Select(record => record.Value));
                if (!options.EnableAutoCommit && random.NextChance(40))
                    await CommitAsync(process, group, consumer);
            }
            catch (KafkaException e)
            {
                process.Tell?.Invoke($"{e.Message}"); // the next poll goes on
                if (!IsExpected(e, instanceId))
                    throw new SimulationException($"{process.Name} was told: {e.Message}", e);
            }

            await process.Delay(TimeSpan.FromMilliseconds(random.NextChance(2) ? random.NextInt(1, 12_000) : random.NextInt(1, 300)));
        }

        await session.EndsAsync(process, "closing a consumer", options.CloseTimeout, consumer.CloseAsync());
        readings.End();
        await session.EndsAsync(process, "closing a client", TimeSpan.Zero, client.DisposeAsync().AsTask());
        session.Forget(process);
    }

    private ConsumerOptions OptionsFor(string group, GroupProtocol protocol, string? instanceId, bool commitsByItself) => new()
    {
        GroupId = group,
        GroupProtocol = protocol,
        GroupInstanceId = instanceId,
        Assignors = session.Conditions.Assignors,
        EnableAutoCommit = commitsByItself,
        AutoCommitInterval = TimeSpan.FromSeconds(1),
        SessionTimeout = TimeSpan.FromSeconds(6),
        HeartbeatInterval = TimeSpan.FromSeconds(1),
        MaxPollInterval = TimeSpan.FromSeconds(10),
        IsolationLevel = IsolationLevel.ReadCommitted,
        OffsetReset = OffsetReset.Earliest,
        CloseTimeout = TimeSpan.FromSeconds(10),
    };

    /// <summary>What a member may be told: its commit failed, and of static members two may be there at a time.</summary>
    private static bool IsExpected(KafkaException e, string? instanceId) =>
        e is CommitFailedException or KafkaTimeoutException
        || (instanceId is not null && e.ErrorCode is ErrorCode.FencedInstanceId or ErrorCode.UnreleasedInstanceId)
        || e.ErrorCode is ErrorCode.RebalanceInProgress; // a commit while the group rebalances

    private async Task CommitAsync(SimProcess process, string group, Consumer<byte[], long> consumer)
    {
        var positions = new Dictionary<TopicPartition, long>();
        foreach (var partition in consumer.Assignment)
        {
            if (consumer.Position(partition) is { } position)
                positions[partition] = position;
        }

        await session.EndsAsync(process, "a commit", session.Conditions.ApiTimeout, consumer.CommitAsync());
        foreach (var (partition, offset) in positions)
            _committed[(group, partition)] = offset;
    }

    /// <summary>What one member reads, beside what its group has committed.</summary>
    private sealed class Readings(
        LibrarySession session, SimProcess process, string group, Dictionary<(string Group, TopicPartition Partition), long> committed,
        bool hasLateRequests) : MemberReadings(session.History, process.Name)
    {
        private readonly Dictionary<TopicPartition, long> _atLeast = [];

        public override ValueTask OnAssignedAsync(IReadOnlyList<TopicPartition> partitions, CancellationToken cancellation)
        {
            process.Tell?.Invoke($"is assigned {string.Join(' ', partitions)}");
            foreach (var partition in partitions)
            {
                if (committed.TryGetValue((group, partition), out var offset) && !hasLateRequests)
                    _atLeast[partition] = offset;
            }

            return base.OnAssignedAsync(partitions, cancellation);
        }

        public override ValueTask OnRevokedAsync(IReadOnlyList<TopicPartition> partitions, CancellationToken cancellation)
        {
            Forget("revoked", partitions);
            return base.OnRevokedAsync(partitions, cancellation);
        }

        public override ValueTask OnLostAsync(IReadOnlyList<TopicPartition> partitions, CancellationToken cancellation)
        {
            Forget("lost", partitions);
            return base.OnLostAsync(partitions, cancellation);
        }

        /// <summary>Records came: only of what was given, and not from before what was committed.</summary>
        public void Take(IReadOnlyList<ConsumeResult<byte[], long>> records)
        {
            foreach (var record in records)
            {
                if (Take(record) && _atLeast.Remove(record.TopicPartition, out var atLeast) && record.Offset < atLeast)
                {
                    session.World.Fail(new SimulationException(
                        $"{process.Name} reads {record.TopicPartition} from {record.Offset}; the group has committed {atLeast}"));
                }
            }
        }

        /// <summary>The consumer is closed: nothing may be left.</summary>
        public void End()
        {
            if (Partitions.Count > 0)
                session.World.Fail(new SimulationException(
                    $"{process.Name} is closed, and was not told of the end of {string.Join(' ', Partitions)}"));
        }

        private void Forget(string how, IReadOnlyList<TopicPartition> partitions)
        {
            process.Tell?.Invoke($"{how} {string.Join(' ', partitions)}");
            foreach (var partition in partitions)
                _atLeast.Remove(partition);
        }
    }
}
