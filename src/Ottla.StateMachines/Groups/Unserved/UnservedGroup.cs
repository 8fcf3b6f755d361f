using Ottla.Protocol;
using Ottla.Protocol.Messages;
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
    public override int MemberCount => _members.Count;

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
    public void RemoveMember(string memberId, CoordinatorEffects effects)
    {
        Delete(AssignmentKeyOf(memberId), effects);
        Delete(TargetKeyOf(memberId), effects);
        Delete(MemberKeyOf(memberId), effects);
        effects.Write(ToNextEpoch());
    }

    /// <inheritdoc/>
    public override void WriteTombstones(CoordinatorEffects effects)
    {
        foreach (var memberId in MemberIds)
            Delete(AssignmentKeyOf(memberId), effects);
        foreach (var memberId in _targets)
            Delete(TargetKeyOf(memberId), effects);
        Delete(TargetMetadataKey, effects);
        foreach (var memberId in MemberIds)
            Delete(MemberKeyOf(memberId), effects);
        foreach (var key in LastKeys)
            Delete(key, effects);
    }

    /// <summary>The key of a member's metadata.</summary>
    private protected abstract IRecordMessage MemberKeyOf(string memberId);

    /// <summary>The key of a member's assignment.</summary>
    private protected abstract IRecordMessage AssignmentKeyOf(string memberId);

    /// <summary>The key of a member's target assignment.</summary>
    private protected abstract IRecordMessage TargetKeyOf(string memberId);

    /// <summary>The key of the target assignment's epoch.</summary>
    private protected abstract IRecordMessage TargetMetadataKey { get; }

    /// <summary>The keys that are deleted last, in order.</summary>
    private protected abstract IEnumerable<IRecordMessage> LastKeys { get; }

    /// <summary>The group's record, with the next epoch.</summary>
    private protected abstract CoordinatorRecord ToNextEpoch();

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

    private static void Delete(IRecordMessage key, CoordinatorEffects effects) => effects.Write(CoordinatorRecord.Tombstone(key));
}

/// <summary>A member of an <see cref="UnservedGroup"/>.</summary>
/// <param name="MemberEpoch">The epoch of its assignment; 0 before the first.</param>
/// <param name="State">Its state in the record.</param>
internal readonly record struct UnservedMember(int MemberEpoch, sbyte State);
