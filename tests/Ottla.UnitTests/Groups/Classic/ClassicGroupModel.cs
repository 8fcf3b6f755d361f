using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Groups.Classic;
using static Ottla.UnitTests.Groups.CoordinatorTestBed;
using static Ottla.UnitTests.Groups.GroupTestBed;

namespace Ottla.UnitTests.Groups.Classic;

/// <summary>
/// A classic group whose members and coordinator do at random what they do in the wild, and what must be true of all that they are told.
/// </summary>
/// <remarks>
/// It knows the answers alone: who leads which generation, what a leader has assigned, when each member was heard of last. Everything
/// follows from the seed.
/// </remarks>
internal sealed class ClassicGroupModel(ulong seed)
{
    private const int ClientsMax = 8;
    private const int InstanceCount = 3;

    private readonly Prng _random = new(seed);
    private readonly GroupTestBed _bed = new();
    private readonly List<Client> _clients = [];
    private readonly Dictionary<int, (string? Leader, string? Protocol)> _generations = [];
    private readonly Dictionary<(int Generation, string Name), byte[]> _assigned = [];
    private string _lastWritten = Text(null);
    private int _failovers;

    private Instant Now => _bed.Coordinator.Now;

    /// <summary>Anything may happen, some hundred times.</summary>
    public void RunWild(int steps)
    {
        for (var step = 0; step < steps; step++)
        {
            var before = Now;
            Step();
            TakeAnswers(before);
            Check();
        }
    }

    /// <summary>Nothing happens any more but what clients do anyway: soon all are in one generation, and whoever is gone is not.</summary>
    public void Settle()
    {
        for (var second = 0; second < 90; second++)
        {
            foreach (var client in _clients.ToArray())
            {
                Act(client, mayRejoin: false);
                TakeAnswers(Now);
                Check();
            }

            var before = Now;
            _bed.Advance(1_000);
            TakeAnswers(before);
            Check();
        }

        Require(_clients.All(client => client.Phase == Phase.Stable),
            $"{_clients.FirstOrDefault(client => client.Phase != Phase.Stable)} has not settled");
        Require(_bed.Coordinator.WaitingCount == 0, "somebody waits");
        Require(
            (_bed.Group?.Members.Select(member => member.MemberId) ?? []).Order(StringComparer.Ordinal)
            .SequenceEqual(_clients.Select(client => client.Id).Order(StringComparer.Ordinal)),
            $"the group is {Text(_bed.Group)}, and there are {string.Join(' ', _clients)}");
        Require(_clients.All(client => client.Generation == _bed.Group!.GenerationId), "members are in several generations");
        Require(_clients.Count == 0 || _bed.Group!.State == ClassicGroupState.Stable, $"the group is {_bed.Group?.State}");
    }

    private void Step()
    {
        var client = _clients.Count > 0 ? _clients[_random.NextInt(_clients.Count)] : null;
        switch (_random.NextInt(100))
        {
            case < 8 when _clients.Count < ClientsMax:
                Start();
                break;
            case < 10 when client is not null:
                Leave(client);
                break;
            case < 12 when client is not null:
                _clients.Remove(client);
                break;
            case < 14:
                FailOver();
                break;
            case < 20:
                AskAsStranger();
                break;
            case < 35:
                _bed.Advance(_random.NextInt(1, 3_000));
                break;
            case < 37:
                _bed.Advance(_random.NextInt(3_000, 80_000));
                break;
            default:
                if (client is not null)
                    Act(client, mayRejoin: true);
                break;
        }
    }

    private void Start()
    {
        var instance = _random.NextChance(30) ? $"instance-{_random.NextInt(InstanceCount)}" : null;

        // Who comes with the name of another takes its place, whether that one has gone or not.
        if (instance is not null)
            _clients.RemoveAll(other => other.Instance == instance);
        _clients.Add(new Client(instance, instance is null ? (short)_random.NextInt(4, 10) : (short)9));
    }

    private void Leave(Client client)
    {
        _clients.Remove(client);
        if (client.Id.Length == 0)
            return;
        var error = (ErrorCode)_bed.Leave((client.Id, client.Instance)).Members[0].ErrorCode;
        if (error != ErrorCode.None)
            Forget(client, error, "leave");
    }

    // What was not written is gone, and its generations come again.
    private void FailOver()
    {
        _failovers++;
        _bed.Coordinator.Compact();
        _bed.Coordinator.Restart();
        var last = _bed.Group?.GenerationId ?? 0;
        foreach (var generation in _generations.Keys.Where(generation => generation > last).ToArray())
            _generations.Remove(generation);
        foreach (var key in _assigned.Keys.Where(key => key.Generation > last).ToArray())
            _assigned.Remove(key);
    }

    // Whoever is refused has changed nothing.
    private void AskAsStranger()
    {
        if (_bed.Group is not { Members.Count: > 0 } group)
            return;
        var before = Text(group) + group.State;
        var known = group.Members.First();
        var stale = new JoinGroupResponse { MemberId = known.MemberId, GenerationId = group.GenerationId };
        Require(_bed.Heartbeat("stranger", group.GenerationId) == ErrorCode.UnknownMemberId, "a stranger has a heartbeat");
        Require(_bed.Heartbeat(known.MemberId, group.GenerationId + 1) == ErrorCode.IllegalGeneration,
            "a generation that is not there has a heartbeat");
        Require(_bed.Heartbeat("stranger", group.GenerationId, known.GroupInstanceId ?? "nobody") == (
            known.IsStatic ? ErrorCode.FencedInstanceId : ErrorCode.UnknownMemberId), "a name can be stolen");
        Require(_bed.Sync(stale, instance: known.GroupInstanceId, generation: group.GenerationId - 1, name: group.ProtocolName ?? "")
            .Value.ErrorCode == (short)ErrorCode.IllegalGeneration, "an old generation is assigned");
        Require(_bed.Sync(stale, memberId: "stranger", name: group.ProtocolName ?? "").Value.ErrorCode == (short)ErrorCode.UnknownMemberId,
            "a stranger is assigned something");
        Require(_bed.Join("stranger", protocols: ["range", "sticky"]).Value.ErrorCode == (short)ErrorCode.UnknownMemberId,
            "a stranger makes up its id");
        Require(_bed.Join(type: "connect").Value.ErrorCode == (short)ErrorCode.InconsistentGroupProtocol, "a group has two protocol types");
        Require(_bed.Join(protocols: ["other"]).Value.ErrorCode == (short)ErrorCode.InconsistentGroupProtocol,
            "members have no protocol in common");
        Require(_bed.Leave(("stranger", null)).Members[0].ErrorCode == (short)ErrorCode.UnknownMemberId, "a stranger leaves");
        Require(before == Text(group) + group.State, "who was refused has changed the group");
    }

    private void Act(Client client, bool mayRejoin)
    {
        switch (client.Phase)
        {
            case Phase.Out:
                Join(client);
                break;
            case Phase.Joining when mayRejoin && client.Id.Length > 0 && client.Join is { IsThere: false } first && _random.NextChance(20):
                Join(client);
                Require(first.Value.ErrorCode == (short)ErrorCode.RebalanceInProgress, "a join that was sent again is still waited for");
                break;
            case Phase.Joined:
                Sync(client);
                break;
            case Phase.Stable when mayRejoin && _random.NextChance(15):
                Join(client);
                break;
            case Phase.Stable:
                Heartbeat(client);
                break;
            default:
                break;
        }
    }

    private void Join(Client client)
    {
        string[] protocols = _random.NextChance(50) ? ["range", "sticky"] : ["sticky", "range"];
        client.LastJoinAt = Now;
        client.Phase = Phase.Joining;
        client.Join = _bed.Join(
            client.Id, client.Instance, client.JoinVersion, protocols: protocols,
            metadata: Subscription(_random.NextChance(20) ? "other" : "topic"));
        client.HasToWait = !client.Join.IsThere;
    }

    private void Sync(Client client)
    {
        var joined = client.Joined!;
        var leads = joined is { Members.Length: > 0, SkipAssignment: false };
        var mayAssign = leads && _bed.Group is { State: ClassicGroupState.CompletingRebalance } group
            && group.GenerationId == joined.GenerationId;
        (string Name, string Id, byte[] Bytes)[] assignments = leads
            ? [.. joined.Members.Where(_ => !_random.NextChance(10))
                .Select(member => (member.GroupInstanceId ?? member.MemberId, member.MemberId, Bytes($"{_random.NextUInt64()}")))]
            : [];
        client.Phase = Phase.Syncing;
        client.Sync = _bed.Sync(
            joined, instance: client.Instance, name: joined.ProtocolName,
            assignments: [.. assignments.Select(assignment => (assignment.Id, assignment.Bytes))]);
        client.HasToWait = !client.Sync.IsThere;
        if (!mayAssign || !client.Sync.IsThere || client.Sync.Value.ErrorCode != 0)
            return;
        foreach (var member in joined.Members)
            _assigned[(joined.GenerationId, member.GroupInstanceId ?? member.MemberId)] = [];
        foreach (var (name, _, bytes) in assignments)
            _assigned[(joined.GenerationId, name)] = bytes;
    }

    private void Heartbeat(Client client)
    {
        var state = _bed.Group?.State;
        var isCurrent = _bed.Group?.GenerationId == client.Generation;
        var error = _bed.Heartbeat(client.Id, client.Generation, client.Instance);
        switch (error)
        {
            case ErrorCode.None when isCurrent && state != ClassicGroupState.PreparingRebalance:
                client.Hear(Now, _failovers);
                break;
            case ErrorCode.RebalanceInProgress when isCurrent && state == ClassicGroupState.PreparingRebalance:
                client.Hear(Now, _failovers);
                client.Phase = Phase.Out;
                break;
            case ErrorCode.IllegalGeneration when !isCurrent:
                client.Phase = Phase.Out;
                break;
            default:
                Forget(client, error, "heartbeat");
                break;
        }
    }

    private void TakeAnswers(Instant before)
    {
        foreach (var client in _clients.ToArray())
        {
            if (client is { Phase: Phase.Joining, Join: { IsThere: true } join })
                TakeJoin(client, join, before);
            else if (client is { Phase: Phase.Syncing, Sync: { IsThere: true } sync })
                TakeSync(client, sync, before);
        }
    }

    private void TakeJoin(Client client, Answer<JoinGroupResponse> answer, Instant before)
    {
        client.Phase = Phase.Out;
        if (answer.Error != ErrorCode.None)
        {
            Require(answer.Error == ErrorCode.NotCoordinator, $"{client} joins and fails with {answer.Error}");
            return;
        }

        var joined = answer.Value;
        switch ((ErrorCode)joined.ErrorCode)
        {
            case ErrorCode.None:
                // An answer that tells what a member knew is no more than that: its session goes on as before.
                if (joined.GenerationId != client.Generation || joined.MemberId != client.Id)
                    client.Hear(before, _failovers);
                TakeGeneration(client, joined);
                break;
            case ErrorCode.MemberIdRequired when client is { Id.Length: 0, Instance: null }:
                client.Id = joined.MemberId;
                client.Hear(before, _failovers);
                break;
            default:
                Forget(client, (ErrorCode)joined.ErrorCode, "join", client.HasToWait);
                break;
        }
    }

    private void TakeGeneration(Client client, JoinGroupResponse joined)
    {
        Require(client.Id.Length == 0 || client.Id == joined.MemberId, $"{client} is called {joined.MemberId}");
        Require(joined.Members.Length > 0 == (joined.Leader == joined.MemberId),
            $"{client} is told {joined.Members.Length} members, and that {joined.Leader} leads");
        Require(joined.Members.Length == 0
            || joined.Members.Any(member => member.MemberId == joined.MemberId), "a leader is not among its members");
        Require(joined.Members.DistinctBy(member => member.MemberId).Count() == joined.Members.Length, "a leader is told a member twice");
        var told = (joined.Leader, joined.ProtocolName);

        // A static leader may have been replaced by one with another id.
        if (client.Instance is not null || !_generations.TryGetValue(joined.GenerationId, out var known)
            || known.Leader!.StartsWith("instance", StringComparison.Ordinal))
            _generations[joined.GenerationId] = told;
        else
            Require(known == told, $"{client} is told {told} of generation {joined.GenerationId}, and others {known}");
        (client.Id, client.Generation, client.Joined, client.Phase) = (joined.MemberId, joined.GenerationId, joined, Phase.Joined);
    }

    private void TakeSync(Client client, Answer<SyncGroupResponse> answer, Instant before)
    {
        client.Phase = Phase.Out;
        if (answer.Error != ErrorCode.None)
        {
            Require(answer.Error == ErrorCode.NotCoordinator, $"{client} syncs and fails with {answer.Error}");
            return;
        }

        switch ((ErrorCode)answer.Value.ErrorCode)
        {
            case ErrorCode.None:
                var expected = _assigned.GetValueOrDefault((client.Generation, client.Instance ?? client.Id));
                Require(expected is not null
                    && expected.AsSpan().SequenceEqual(answer.Value.Assignment), $"{client} is not given what its leader assigned");
                client.Phase = Phase.Stable;

                // A session begins anew with an answer that was waited for, and not with that of a stable group.
                if (client.HasToWait)
                    client.Hear(before, _failovers);
                break;
            case ErrorCode.RebalanceInProgress:
                break;
            case ErrorCode.IllegalGeneration:
                Require(_bed.Group?.GenerationId != client.Generation || before != Now, $"the generation of {client} is the group's");
                break;
            case var error:
                Forget(client, error, "sync", client.HasToWait);
                break;
        }
    }

    private void Forget(Client client, ErrorCode error, string request, bool isAnswerAwaited = false)
    {
        // The coordinator that failed had called it otherwise than the log: it stops, as clients do.
        if (error == ErrorCode.FencedInstanceId && client.Instance is not null && client.FailoversWhenHeard < _failovers)
        {
            _clients.Remove(client);
            return;
        }

        Require(error == ErrorCode.UnknownMemberId, $"{client} is told {error} to its {request}");
        Require(MayBeForgotten(client, isAnswerAwaited),
            $"{client} was heard of at {client.LastHeardAt.UnixMilliseconds}, and is unknown to its {request}");
        (client.Id, client.Phase) = ("", Phase.Out);
    }

    // Whoever waits for an answer need not be heard of. A failover would have been the answer.
    private bool MayBeForgotten(Client client, bool isAnswerAwaited) =>
        !isAnswerAwaited
        && (client.FailoversWhenHeard < _failovers
            || Now.MillisecondsSince(client.LastHeardAt) >= SessionTimeoutMs
            || Now.MillisecondsSince(client.LastJoinAt) >= RebalanceTimeoutMs);

    private void Check()
    {
        var group = _bed.Group;
        if (group is null || group.State is ClassicGroupState.Stable or ClassicGroupState.Empty)
            _lastWritten = Text(group);
        else if (_lastWritten == Text(null))
            _lastWritten = Text(new ClassicGroup(GroupId)); // it came to be, and was not empty for long
        Require(Text(_bed.Replayed()) == _lastWritten, $"the log tells of {Text(_bed.Replayed())}, and it was {_lastWritten}");
        if (group is null)
            return;
        Require(group.AwaitingJoinCount == group.Members.Count(member => member.AwaitingJoin is not null),
            "those who wait are not counted right");
        Require(group.State == ClassicGroupState.PreparingRebalance
            || group.AwaitingJoinCount == 0, "somebody waits for a rebalance that is none");
        Require(group.State == ClassicGroupState.CompletingRebalance
            || group.Members.All(member => member.AwaitingSync is null), "somebody waits for an assignment that does not come");
        Require(group.IsEmpty || group.LeaderId is null || group.HasMember(group.LeaderId), "the leader is not a member");
        Require(_bed.Coordinator.Machine.Context.Deadlines.Count <= 3 + (2 * ClientsMax) + group.PendingJoins.Count + group.Members.Count,
            "deadlines pile up");
    }

    private static string Text(ClassicGroup? group) => group switch
    {
        null => "no group",
        { State: ClassicGroupState.Empty } => $"{group.ProtocolType} {group.GenerationId}",
        _ => $"{group.ProtocolType} {group.GenerationId} {group.ProtocolName} {group.LeaderId} "
            + string.Join(' ', group.Members.OrderBy(member => member.MemberId, StringComparer.Ordinal).Select(member =>
                $"{member.MemberId}/{member.GroupInstanceId}={Convert.ToHexString(member.Assignment)}")),
    };

    private void Require(bool holds, string what)
    {
        if (!holds)
            Assert.Fail($"seed {seed}, at {Now.UnixMilliseconds}: {what}");
    }

    private enum Phase
    {
        Out,
        Joining,
        Joined,
        Syncing,
        Stable,
    }

    private sealed class Client(string? instance, short joinVersion)
    {
        public string? Instance => instance;

        public short JoinVersion => joinVersion;

        public string Id { get; set; } = "";

        public int Generation { get; set; }

        public Phase Phase { get; set; }

        public Answer<JoinGroupResponse>? Join { get; set; }

        public Answer<SyncGroupResponse>? Sync { get; set; }

        public JoinGroupResponse? Joined { get; set; }

        /// <summary>Whether its last join or sync was not answered at once.</summary>
        public bool HasToWait { get; set; }

        public Instant LastJoinAt { get; set; }

        public Instant LastHeardAt { get; private set; }

        public int FailoversWhenHeard { get; private set; }

        public void Hear(Instant at, int failovers) => (LastHeardAt, FailoversWhenHeard) = (at, failovers);

        public override string ToString() => $"{instance ?? "member"} \"{Id}\" ({Phase}, generation {Generation})";
    }
}
