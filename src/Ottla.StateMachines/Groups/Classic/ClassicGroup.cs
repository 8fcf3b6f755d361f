using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Coordinators;

namespace Ottla.StateMachines.Groups.Classic;

/// <summary>A group whose members join and whose leader assigns partitions; or only an id with offsets (a "simple" group).</summary>
/// <remarks>
/// Owned by <see cref="ClassicDecisions"/>. Its record is written when the leader has assigned, when a static member is replaced, and when
/// the last member leaves. In between, a rebalance is soft state: after a failover the coordinator knows the last complete generation.
/// </remarks>
public sealed partial class ClassicGroup(string groupId) : Group(groupId)
{
    private readonly Dictionary<string, ClassicGroupMember> _members = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _staticMemberIds = new(StringComparer.Ordinal);
    private readonly Dictionary<string, int> _membersByProtocol = new(StringComparer.Ordinal);
    private readonly HashSet<string> _pendingJoins = new(StringComparer.Ordinal);
    private readonly HashSet<string> _pendingSyncs = new(StringComparer.Ordinal);
    private HashSet<string>? _subscribedTopics;

    /// <inheritdoc/>
    public override GroupType Type => GroupType.Classic;

    /// <inheritdoc/>
    public override string StateName => State.ToString();

    /// <inheritdoc/>
    public override string ProtocolType => MemberProtocolType ?? "";

    /// <inheritdoc/>
    public override int MemberCount => _members.Count;

    /// <inheritdoc/>
    public override bool IsEmpty => State == ClassicGroupState.Empty;

    /// <summary>The state.</summary>
    public ClassicGroupState State { get; private set; }

    /// <summary>Whether the current rebalance started without members. It waits for more members, however many have joined.</summary>
    public bool IsInitialRebalance { get; private set; }

    /// <summary>Whether a member joined since the initial rebalance was last extended.</summary>
    public bool HasNewMembers { get; set; }

    /// <summary>How much longer the initial rebalance may be extended after its current delay, in milliseconds.</summary>
    public int InitialRebalanceLeftMs { get; set; }

    /// <summary>The time of the last change of state, as in the record; null when an old record does not have it.</summary>
    public Instant? StateSince { get; private set; }

    /// <summary>The number of completed rebalances.</summary>
    public int GenerationId { get; private set; }

    /// <summary>The protocol type of the members, for example "consumer" or "connect"; null for a simple group.</summary>
    public string? MemberProtocolType { get; private set; }

    /// <summary>The protocol that the members agreed on; null before that.</summary>
    public string? ProtocolName { get; private set; }

    /// <summary>The member that assigns partitions; null without members.</summary>
    public string? LeaderId { get; private set; }

    /// <summary>The members.</summary>
    public IReadOnlyCollection<ClassicGroupMember> Members => _members.Values;

    /// <summary>The number of members whose JoinGroup waits for its answer.</summary>
    public int AwaitingJoinCount { get; private set; }

    /// <summary>Member ids that clients were given but have not joined with yet.</summary>
    public IReadOnlyCollection<string> PendingJoins => _pendingJoins;

    /// <summary>Members that have not requested the assignment of this generation yet.</summary>
    public IReadOnlyCollection<string> PendingSyncs => _pendingSyncs;

    /// <summary>Whether all expected members have joined.</summary>
    public bool HaveAllJoined => AwaitingJoinCount == _members.Count && _pendingJoins.Count == 0;

    /// <summary>Whether the protocol type of the members is "consumer".</summary>
    public bool UsesConsumerProtocol => MemberProtocolType == ConsumerProtocol.ProtocolType;

    /// <summary>The longest rebalance timeout of the members, in milliseconds.</summary>
    public int RebalanceTimeoutMs => _members.Count == 0 ? 0 : Math.Max(0, _members.Values.Max(member => member.RebalanceTimeoutMs));

    /// <summary>Makes a group without members, for offsets of clients that do not join.</summary>
    public static ClassicGroup CreateSimple(string groupId) => new(groupId);

    /// <summary>Makes an empty group at the given time.</summary>
    public static ClassicGroup Create(string groupId, Instant now) => new(groupId) { StateSince = now };

    /// <inheritdoc/>
    public override bool HasMember(string memberId) => _members.ContainsKey(memberId);

    /// <summary>The member with an id; null when there is none.</summary>
    public ClassicGroupMember? Member(string memberId) => _members.GetValueOrDefault(memberId);

    /// <summary>The member id of the static member with an instance id; null when there is none.</summary>
    public string? StaticMemberId(string groupInstanceId) => _staticMemberIds.GetValueOrDefault(groupInstanceId);

    /// <summary>Whether a client was given the id but has not joined with it yet.</summary>
    public bool IsPendingJoin(string memberId) => _pendingJoins.Contains(memberId);

    /// <summary>Expects a client to join with the id.</summary>
    public void AddPendingJoin(string memberId) => _pendingJoins.Add(memberId);

    /// <summary>The member has requested its assignment.</summary>
    public void RemovePendingSync(string memberId) => _pendingSyncs.Remove(memberId);

    /// <summary>Adds a member. The first one is the leader.</summary>
    public void Add(ClassicGroupMember member, string protocolType)
    {
        Invariant.Check(!_members.ContainsKey(member.MemberId), "a member id is unique in its group");
        if (_members.Count == 0)
            MemberProtocolType = protocolType;
        Invariant.Check(MemberProtocolType == protocolType, "all members have the group's protocol type");
        if (member.GroupInstanceId is { } instance)
            Invariant.Check(_staticMemberIds.TryAdd(instance, member.MemberId), "an instance id is unique in its group");
        LeaderId ??= member.MemberId;
        _members.Add(member.MemberId, member);
        CountProtocols(member, 1);
        if (member.AwaitingJoin is not null)
            AwaitingJoinCount++;
        _pendingJoins.Remove(member.MemberId);
    }

    /// <summary>Removes a member or an expected id, and stops waiting for it.</summary>
    public void Remove(string memberId)
    {
        if (_members.Remove(memberId, out var member))
        {
            Invariant.Check(member.AwaitingJoin is null && member.AwaitingSync is null, "a removed member has no open request");
            CountProtocols(member, -1);
            if (member.GroupInstanceId is { } instance)
                _staticMemberIds.Remove(instance);
        }

        if (LeaderId == memberId)
            LeaderId = _members.Values.FirstOrDefault()?.MemberId;
        _pendingJoins.Remove(memberId);
        _pendingSyncs.Remove(memberId);
    }

    /// <summary>Replaces a static member by its successor, which keeps the assignment.</summary>
    public ClassicGroupMember ReplaceStatic(ClassicGroupMember old, string newMemberId)
    {
        Invariant.Check(old.AwaitingJoin is null && old.AwaitingSync is null, "a replaced member has no open request");
        var successor = new ClassicGroupMember
        {
            MemberId = newMemberId,
            GroupInstanceId = old.GroupInstanceId,
            ClientId = old.ClientId,
            ClientHost = old.ClientHost,
            RebalanceTimeoutMs = old.RebalanceTimeoutMs,
            SessionTimeoutMs = old.SessionTimeoutMs,
            Protocols = old.Protocols,
            Assignment = old.Assignment,
        };
        _members.Remove(old.MemberId);
        _members.Add(newMemberId, successor);
        _staticMemberIds[old.GroupInstanceId!] = newMemberId;
        _pendingSyncs.Remove(old.MemberId);
        if (LeaderId == old.MemberId)
            LeaderId = newMemberId;
        return successor;
    }

    /// <summary>Restores a static member after the record with its successor could not be written.</summary>
    /// <param name="old">The member before <see cref="ReplaceStatic"/>.</param>
    /// <param name="successor">The member that was to replace it.</param>
    /// <param name="wasPendingSync">Whether the group waited for its SyncGroup.</param>
    public void RestoreStatic(ClassicGroupMember old, ClassicGroupMember successor, bool wasPendingSync)
    {
        SetAwaitingJoin(successor, null);
        CountProtocols(successor, -1);
        _members.Remove(successor.MemberId);
        _members.Add(old.MemberId, old);
        CountProtocols(old, 1);
        _staticMemberIds[old.GroupInstanceId!] = old.MemberId;
        if (wasPendingSync)
            _pendingSyncs.Add(old.MemberId);
        if (LeaderId == successor.MemberId)
            LeaderId = old.MemberId;
    }

    /// <summary>Updates a member that joins again.</summary>
    public void Update(ClassicGroupMember member, IReadOnlyList<ClassicProtocol> protocols, int rebalanceTimeoutMs, int sessionTimeoutMs)
    {
        CountProtocols(member, -1);
        member.Protocols = protocols;
        CountProtocols(member, 1);
        (member.RebalanceTimeoutMs, member.SessionTimeoutMs) = (rebalanceTimeoutMs, sessionTimeoutMs);
    }

    /// <summary>Sets or clears the JoinGroup of a member that waits for its answer.</summary>
    public void SetAwaitingJoin(ClassicGroupMember member, AwaitingReply<JoinGroupResponse>? awaiting)
    {
        AwaitingJoinCount += (awaiting is null ? 0 : 1) - (member.AwaitingJoin is null ? 0 : 1);
        member.AwaitingJoin = awaiting;
    }

    /// <summary>Whether a member with these protocols can join the group.</summary>
    public bool Supports(string protocolType, IReadOnlyList<ClassicProtocol> protocols) =>
        State == ClassicGroupState.Empty
            ? protocolType.Length > 0 && protocols.Count > 0
            : MemberProtocolType == protocolType
                && protocols.Any(protocol => _membersByProtocol.GetValueOrDefault(protocol.Name) == _members.Count);

    /// <summary>The protocol that all members support and most of them prefer.</summary>
    public string SelectProtocol()
    {
        var votes = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (var member in _members.Values)
        {
            var favourite = member.Protocols.First(protocol => _membersByProtocol[protocol.Name] == _members.Count).Name;
            votes[favourite] = votes.GetValueOrDefault(favourite) + 1;
        }

        return votes.MaxBy(vote => vote.Value).Key;
    }

    /// <summary>Ensures that the leader is one of the joined members; false when none has joined.</summary>
    public bool TryElectJoinedLeader()
    {
        if (LeaderId is null)
            return false;
        if (_members[LeaderId].AwaitingJoin is not null)
            return true;
        if (_members.Values.FirstOrDefault(member => member.AwaitingJoin is not null) is not { } joined)
            return false;
        LeaderId = joined.MemberId;
        return true;
    }

    /// <summary>Starts a rebalance: waits for members to join.</summary>
    public void PrepareRebalance(Instant now)
    {
        Invariant.Check(State != ClassicGroupState.PreparingRebalance, "a rebalance is not prepared while one is under way");
        IsInitialRebalance = State == ClassicGroupState.Empty;
        HasNewMembers = false;
        _pendingSyncs.Clear();
        EnterState(ClassicGroupState.PreparingRebalance, now);
    }

    /// <summary>Starts the next generation with the members that have joined.</summary>
    public void BeginGeneration(Instant now)
    {
        Invariant.Check(State == ClassicGroupState.PreparingRebalance, "a generation begins at the end of a rebalance");
        GenerationId = GenerationId == int.MaxValue ? 1 : GenerationId + 1;
        IsInitialRebalance = false;
        ProtocolName = _members.Count == 0 ? null : SelectProtocol();
        _subscribedTopics = ComputeSubscribedTopics();
        _pendingSyncs.Clear();
        _pendingSyncs.UnionWith(_members.Keys);
        EnterState(_members.Count == 0 ? ClassicGroupState.Empty : ClassicGroupState.CompletingRebalance, now);
    }

    /// <inheritdoc/>
    public override bool IsSubscribedTo(string topic) => _subscribedTopics?.Contains(topic) ?? UsesConsumerProtocol;

    /// <inheritdoc/>
    public override void ValidateOffsetCommit(
        string memberId, string? groupInstanceId, int generationIdOrMemberEpoch, bool isTransactional, short apiVersion)
    {
        if (generationIdOrMemberEpoch < 0 && State == ClassicGroupState.Empty)
            return;
        if (generationIdOrMemberEpoch >= 0 || memberId.Length > 0 || groupInstanceId is not null)
        {
            ValidateMember(memberId, groupInstanceId);
            if (generationIdOrMemberEpoch != GenerationId)
                throw Refuse(ErrorCode.IllegalGeneration,
                    $"The member's generation {generationIdOrMemberEpoch} is not the group's current generation {GenerationId}.");
        }
        else if (!isTransactional)
        {
            throw Refuse(ErrorCode.UnknownMemberId, "The group has members, so only members may commit offsets.");
        }

        if (!isTransactional && State == ClassicGroupState.CompletingRebalance)
            throw Refuse(ErrorCode.RebalanceInProgress, "The group is waiting for its leader to assign partitions.");
    }

    /// <inheritdoc/>
    public override void ValidateOffsetFetch(string? memberId, int memberEpoch)
    {
    }

    /// <inheritdoc/>
    public override void ValidateOffsetDelete()
    {
        if (!IsEmpty && !UsesConsumerProtocol)
            throw Refuse(ErrorCode.NonEmptyGroup, $"Group {GroupId} has members whose subscribed topics are unknown.");
    }

    /// <inheritdoc/>
    public override void ValidateDelete()
    {
        if (!IsEmpty)
            throw Refuse(ErrorCode.NonEmptyGroup, $"Group {GroupId} has members.");
    }

    /// <summary>Checks that the member is in the group and was not replaced.</summary>
    /// <exception cref="ApiException">UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID.</exception>
    public void ValidateMember(string memberId, string? groupInstanceId)
    {
        if (CheckMember(memberId, groupInstanceId) is var error and not ErrorCode.None)
            throw Refuse(error, $"Member {memberId} is not in group {GroupId}, or another member with its instance id replaced it.");
    }

    /// <summary>UNKNOWN_MEMBER_ID or FENCED_INSTANCE_ID; none when the member is valid.</summary>
    public ErrorCode CheckMember(string memberId, string? groupInstanceId)
    {
        if (groupInstanceId is not null)
        {
            if (!_staticMemberIds.TryGetValue(groupInstanceId, out var current))
                return ErrorCode.UnknownMemberId;
            if (current != memberId)
                return ErrorCode.FencedInstanceId;
        }

        return _members.ContainsKey(memberId) ? ErrorCode.None : ErrorCode.UnknownMemberId;
    }

    /// <inheritdoc/>
    public override void WriteTombstones(CoordinatorEffects effects) =>
        effects.Write(CoordinatorRecord.Tombstone(new GroupMetadataKey { Group = GroupId }));

    /// <inheritdoc/>
    public override Instant? ExpirationBase(string topic, Instant committedAt)
    {
        if (MemberProtocolType is null)
            return committedAt;
        if (IsSubscribedTo(topic))
            return null;
        if (State == ClassicGroupState.Empty)
            return StateSince ?? committedAt;
        return State == ClassicGroupState.Stable && UsesConsumerProtocol ? committedAt : null;
    }

    private void EnterState(ClassicGroupState state, Instant now) => (State, StateSince) = (state, now);

    private void CountProtocols(ClassicGroupMember member, int change)
    {
        foreach (var name in member.Protocols.Select(protocol => protocol.Name).Distinct(StringComparer.Ordinal))
        {
            var count = _membersByProtocol.GetValueOrDefault(name) + change;
            if (count == 0)
                _membersByProtocol.Remove(name);
            else
                _membersByProtocol[name] = count;
        }
    }

    // Null when the members are consumers and the subscription of one of them cannot be read.
    private HashSet<string>? ComputeSubscribedTopics()
    {
        if (!UsesConsumerProtocol)
            return null;
        var topics = new HashSet<string>(StringComparer.Ordinal);
        if (_members.Count == 0)
            return topics;
        if (ProtocolName is null)
            return null;
        try
        {
            foreach (var member in _members.Values)
                topics.UnionWith(ConsumerProtocol.ReadSubscribedTopics(member.Metadata(ProtocolName)));
            return topics;
        }
        catch (ProtocolException)
        {
            return null;
        }
    }
}
