using System.Globalization;
using Ottla.HistoryChecker.History;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Simulator.Clients;
using Ottla.Simulator.Worlds;

namespace Ottla.Simulator.Workloads;

/// <summary>
/// Two groups of consumers that read one topic, one group by each protocol: members come, die and leave, commit what they have read, and go
/// on where the group has committed.
/// </summary>
/// <remarks>
/// A group reads every record at least once, and what it has committed does not go back: who begins to read a partition begins no earlier
/// than the last commit that was answered. Lives as long as its session.
/// </remarks>
internal sealed class GroupClients(ClientSession session, string topic, int partitions)
{
    private const int MembersPerGroup = 3;
    private const int KillPercent = 50;
    private const int LifeMsMax = 20_000;
    private const int LeavePercent = 50;
    private static readonly string[] Groups = ["classic", "modern"];
    private static readonly TimeSpan JoinTimeout = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan ParticipationInterval = TimeSpan.FromSeconds(1);

    private readonly Dictionary<(string Group, TopicPartition Partition), long> _committed = [];
    private readonly Dictionary<string, HashSet<long>> _consumed = Groups.ToDictionary(group => group, _ => new HashSet<long>());
    private readonly List<Task> _clients = [];

    /// <summary>What the groups may have committed.</summary>
    public static IReadOnlyList<(string Group, TopicPartition Partition)> CommittedBy(string topic, int partitions) =>
        [.. Groups.SelectMany(group => ClientSession.PartitionsOf(topic, partitions).Select(partition => (group, partition)))];

    /// <summary>Begins to run members of both groups.</summary>
    public void Start(SimProcess director)
    {
        foreach (var group in Groups)
        {
            for (var i = 0; i < MembersPerGroup; i++)
            {
                _clients.Add(session.KeepRunningAsync(
                    director, $"{group}.{i}", KillPercent, LifeMsMax, (process, number) => ConsumeAsync(process, number, group)));
            }
        }
    }

    /// <summary>Waits until both groups have committed the end of every partition.</summary>
    /// <exception cref="SimulationException">They do not come to it.</exception>
    public Task DrainAsync(SimProcess director) =>
        GroupProgress.DrainAsync(session, director, Groups, [.. ClientSession.PartitionsOf(topic, partitions)]);

    /// <summary>Waits for the end of all members, which the session has declared.</summary>
    public async Task EndAsync()
    {
        foreach (var client in _clients)
            await client;
    }

    /// <summary>Whether both groups have read all that there is.</summary>
    /// <exception cref="SimulationException">One has not.</exception>
    public void CheckConsumed(IReadOnlyList<PolledRecord> records) => GroupProgress.CheckConsumed(_consumed, records);

    /// <summary>A member's life, until it loses an answer, or leaves, or all is over.</summary>
    private async Task ConsumeAsync(SimProcess process, long number, string group)
    {
        var members = session.NewClient(
            process, JoinTimeout, (ApiKey.JoinGroup, 1, 9),
            (ApiKey.OffsetCommit, group == "modern" ? (short)9 : (short)2, 10)); // before 9, epochs of members do not count
        await members.LearnTopicIdAsync(topic);
        GroupMember member = group == "modern"
            ? new ModernMember(members, group, topic, NewId()) : new ClassicMember(members, group, topic, partitions);
        session.History.Add(new Operation { Process = number, Outcome = Outcome.Ok, Steps = [new Subscribe([topic])] });
        var fetching = session.NewClient(process, (ApiKey.OffsetFetch, 8, 9));
        var receiver = new RecordReceiver(fetching, [], isReadCommitted: true);
        var nextParticipation = process.Clock.GetUtcNow();
        var isLost = false;
        while (!session.IsOver && !isLost)
        {
            if (process.Clock.GetUtcNow() >= nextParticipation)
            {
                if (await member.ParticipateAsync(() => CommitAsync(receiver)))
                    receiver = await TakeOverAsync(process, fetching, member);
                nextParticipation = process.Clock.GetUtcNow() + ParticipationInterval;
            }

            if (member.Owned.Count > 0)
            {
                await PollAsync(number, group, receiver);
                if (session.World.Random.NextChance(50))
                    await CommitAsync(receiver);
            }

            await process.Delay(TimeSpan.FromMilliseconds(session.World.Random.NextInt(1, 200)));
        }

        if (!isLost && session.World.Random.NextChance(LeavePercent))
            await member.LeaveAsync();

        async Task CommitAsync(RecordReceiver reader)
        {
            if (isLost || reader.Positions.Count == 0)
                return;
            var offsets = reader.Positions.ToDictionary();
            var error = await member.CommitAsync(offsets);
            process.Tell?.Invoke($"commits {string.Join(", ", offsets)}: {error}");
            isLost = error is null; // it may come into force after a later one: there must be no later one
            if (error is { } refused && refused is not (ErrorCode.None or ErrorCode.UnknownMemberId or ErrorCode.IllegalGeneration
                or ErrorCode.RebalanceInProgress or ErrorCode.StaleMemberEpoch) && !SimClient.IsRetriable(refused))
                throw new SimulationException($"{group} refuses a commit: {refused}");
            foreach (var (partition, offset) in error == ErrorCode.None ? offsets : [])
                _committed[(group, partition)] = offset;
        }
    }

    /// <summary>Goes on where the group is.</summary>
    private async Task<RecordReceiver> TakeOverAsync(SimProcess process, SimClient client, GroupMember member)
    {
        var receiver = new RecordReceiver(client, member.Owned, isReadCommitted: true);
        foreach (var partition in member.Owned)
        {
            var atLeast = _committed.GetValueOrDefault((member.Group, partition), -1);
            var committed = await client.CommittedOffsetAsync(member.Group, partition);
            process.Tell?.Invoke($"takes {partition} over at {committed}");
            if (committed < atLeast)
                throw new SimulationException(
                    string.Create(
                        CultureInfo.InvariantCulture,
                        $"{member.Group} was told that {atLeast} of {partition} is committed, and finds {committed}"));
            receiver.Seek(partition, Math.Max(0, committed));
        }

        return receiver;
    }

    private async Task PollAsync(long number, string group, RecordReceiver receiver)
    {
        try
        {
            var result = await receiver.PollAsync();
            session.OnRead(receiver);
            if (result.Records.Count == 0)
                return;
            session.History.Add(new Operation { Process = number, Outcome = Outcome.Ok, Steps = [new Poll(result.Records)] });
            _consumed[group].UnionWith(result.Records.Select(record => record.Value));
        }
        catch (ConnectionLostException)
        {
            // Tried again.
        }
    }

    private Uuid NewId()
    {
        var random = session.World.Random;
        return new Uuid(random.NextUInt64() | 1, random.NextUInt64());
    }
}
