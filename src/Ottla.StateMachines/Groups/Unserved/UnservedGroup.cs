using Ottla.Protocol;
using Ottla.StateMachines.Coordinators;

namespace Ottla.StateMachines.Groups.Unserved;

/// <summary>A group of a type that this version does not serve. Its records are in the log, so no other group may use its id.</summary>
/// <remarks>
/// Owned by <see cref="UnservedDecisions"/>. All state comes from the log. Its members cannot send heartbeats, so they are removed when
/// their sessions end; then an administrator can delete the group.
/// </remarks>
public abstract class UnservedGroup(string groupId) : Group(groupId)
{
    private const int DepartedMemberEpoch = -1;

    private readonly SortedDictionary<string, UnservedMember> _members = new(StringComparer.Ordinal);
    private readonly SortedSet<string> _targets = new(StringComparer.Ordinal);

    /// <inheritdoc/>
    public override bool IsEmpty => _members.Count == 0;

    /// <inheritdoc/>
    public override string ProtocolType => TypeName;

    /// <summary>The epoch of the target assignment; -1 while the group is being deleted.</summary>
    public int AssignmentEpoch { get; protected set; }

    /// <summary>The ids of the members.</summary>
    public IReadOnlyCollection<string> MemberIds => _members.Keys;

    /// <summary>The members.</summary>
    private protected IReadOnlyDictionary<string, UnservedMember> Members => _members;

    /// <summary>The ids of the members with a target assignment.</summary>
    private protected IReadOnlyCollection<string> Targets => _targets;

    /// <inheritdoc/>
    public override bool HasMember(string memberId) => _members.ContainsKey(memberId);

    /// <inheritdoc/>
    public override void ValidateDelete()
    {
        if (!IsEmpty)
            throw Refuse(ErrorCode.NonEmptyGroup, "The group is not empty.");
    }

    /// <summary>Applies a record of the group.</summary>
    /// <returns>False when the record deletes the group.</returns>
    public abstract bool Apply(in CoordinatorRecord record);

    /// <summary>Writes the records that remove a member.</summary>
    public abstract void RemoveMember(string memberId, CoordinatorEffects effects);

    /// <summary>Applies the metadata record of a member.</summary>
    private protected void ApplyMember(string memberId, bool isThere)
    {
        if (isThere)
            _members.TryAdd(memberId, default);
        else
            _members.Remove(memberId);
    }

    /// <summary>Applies the assignment record of a member.</summary>
    private protected void ApplyAssignment(string memberId, UnservedMember? member)
    {
        if (member is { } assigned)
            _members[memberId] = assigned;
        else if (_members.ContainsKey(memberId))
            _members[memberId] = new UnservedMember(DepartedMemberEpoch, default);
    }

    /// <summary>Applies the target assignment record of a member.</summary>
    private protected void ApplyTarget(string memberId, bool isThere)
    {
        if (isThere)
            _targets.Add(memberId);
        else
            _targets.Remove(memberId);
    }
}

/// <summary>A member of an <see cref="UnservedGroup"/>.</summary>
/// <param name="MemberEpoch">The epoch of its assignment; 0 before the first.</param>
/// <param name="State">Its state in the record.</param>
internal readonly record struct UnservedMember(int MemberEpoch, sbyte State);
