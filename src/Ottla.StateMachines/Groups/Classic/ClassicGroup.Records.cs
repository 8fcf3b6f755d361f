using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Coordinators;

namespace Ottla.StateMachines.Groups.Classic;

// The record of a group, which holds its last complete generation.
public sealed partial class ClassicGroup
{
    // The version that Kafka writes, although the schema has newer ones.
    private const short ValueVersion = 3;

    private GroupMetadataValue? _lastWritten;

    /// <summary>
    /// The record of the group with the given assignments. Members without an entry in <paramref name="assignments"/> get an empty one.
    /// </summary>
    public CoordinatorRecord ToRecord(IReadOnlyDictionary<string, byte[]> assignments) => Record(new GroupMetadataValue
    {
        ProtocolType = ProtocolType,
        Generation = GenerationId,
        Protocol = ProtocolName,
        Leader = LeaderId,
        CurrentStateTimestamp = StateSince?.UnixMilliseconds ?? -1,
        Members = [.. _members.Values.Select(member => new GroupMetadataValue.MemberMetadata
        {
            MemberId = member.MemberId,
            GroupInstanceId = member.GroupInstanceId,
            ClientId = member.ClientId,
            ClientHost = member.ClientHost,
            RebalanceTimeout = member.RebalanceTimeoutMs,
            SessionTimeout = member.SessionTimeoutMs,
            Subscription = member.Metadata(ProtocolName!),
            Assignment = assignments.GetValueOrDefault(member.MemberId, []),
        })],
    });

    /// <summary>The record of the group with its current assignments.</summary>
    public CoordinatorRecord ToRecord() => ToRecord(_members.Values.ToDictionary(member => member.MemberId, member => member.Assignment));

    /// <summary>The record of a new group. It has no members until their first generation is complete.</summary>
    public CoordinatorRecord ToNewRecord() => Record(new GroupMetadataValue
    {
        ProtocolType = "",
        Protocol = null,
        Leader = null,
        CurrentStateTimestamp = StateSince?.UnixMilliseconds ?? -1,
    });

    /// <summary>Makes a stable classic group of consumers that used another protocol before. The first member is the leader.</summary>
    public static ClassicGroup FromConsumers(string groupId, int generationId, IEnumerable<ClassicGroupMember> members, Instant now)
    {
        var group = new ClassicGroup(groupId) { GenerationId = generationId };
        foreach (var member in members)
            group.Add(member, ConsumerProtocol.ProtocolType);
        group.ProtocolName = group.SelectProtocol();
        group._subscribedTopics = group.ComputeSubscribedTopics();
        group.EnterState(ClassicGroupState.Stable, now);
        return group;
    }

    /// <summary>Reads a group from its record.</summary>
    public static ClassicGroup FromRecord(string groupId, GroupMetadataValue value)
    {
        var group = new ClassicGroup(groupId);
        foreach (var member in value.Members)
        {
            var loaded = new ClassicGroupMember
            {
                MemberId = member.MemberId,
                GroupInstanceId = member.GroupInstanceId,
                ClientId = member.ClientId,
                ClientHost = member.ClientHost,
                RebalanceTimeoutMs = member.RebalanceTimeout == -1 ? member.SessionTimeout : member.RebalanceTimeout,
                SessionTimeoutMs = member.SessionTimeout,
                Protocols = [new ClassicProtocol(value.Protocol ?? "", member.Subscription)],
                Assignment = member.Assignment,
            };
            group.Add(loaded, value.ProtocolType);
        }

        group.MemberProtocolType = value.ProtocolType.Length == 0 ? null : value.ProtocolType;
        group.GenerationId = value.Generation;
        group.ProtocolName = value.Protocol;
        if (value.Leader is not null && group.HasMember(value.Leader))
            group.LeaderId = value.Leader;
        group.TakeOverState(value);
        return group;
    }

    /// <summary>Applies a record if this group wrote it last: its members now have their assignments.</summary>
    /// <returns>False when the record is another one; it then describes another group.</returns>
    public bool TryTakeOver(GroupMetadataValue value)
    {
        if (!ReferenceEquals(value, _lastWritten))
            return false;
        foreach (var member in value.Members)
            _members[member.MemberId].Assignment = member.Assignment;
        TakeOverState(value);
        return true;
    }

    private void TakeOverState(GroupMetadataValue value)
    {
        State = value.Members.Length == 0 ? ClassicGroupState.Empty : ClassicGroupState.Stable;
        StateSince = value.CurrentStateTimestamp == -1 ? null : new Instant(value.CurrentStateTimestamp);
        _subscribedTopics = ComputeSubscribedTopics();
    }

    private CoordinatorRecord Record(GroupMetadataValue value)
    {
        _lastWritten = value;
        return new CoordinatorRecord(new GroupMetadataKey { Group = GroupId }, value, ValueVersion);
    }
}
