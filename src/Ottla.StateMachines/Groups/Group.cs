using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.StateMachines.Coordinators;

namespace Ottla.StateMachines.Groups;

/// <summary>The kinds of groups (<c>group.type</c>).</summary>
public enum GroupType
{
    /// <summary>A group that uses JoinGroup and SyncGroup, or has only offsets.</summary>
    Classic,

    /// <summary>A consumer group (KIP-848).</summary>
    Consumer,

    /// <summary>A share group (KIP-932).</summary>
    Share,

    /// <summary>A streams group (KIP-1071), known only by its records.</summary>
    Streams,
}

/// <summary>A group of any kind, as offsets and administrators see it.</summary>
/// <remarks>Owned by its <c>GroupMachine</c>. Lives from its first record or member to its tombstones.</remarks>
public abstract class Group(string groupId)
{
    /// <summary>The group's id.</summary>
    public string GroupId { get; } = groupId;

    /// <summary>The kind of the group.</summary>
    public abstract GroupType Type { get; }

    /// <summary>The name of the kind in ListGroups.</summary>
    public string TypeName => Type switch
    {
        GroupType.Classic => "classic",
        GroupType.Consumer => "consumer",
        GroupType.Share => "share",
        GroupType.Streams => "streams",
        _ => throw new InvariantViolationException($"a kind of groups without a name: {Type}"),
    };

    /// <summary>The name of the state in ListGroups and descriptions.</summary>
    public abstract string StateName { get; }

    /// <summary>The protocol type in ListGroups: "consumer", "connect", or empty.</summary>
    public abstract string ProtocolType { get; }

    /// <summary>How many members it has.</summary>
    public abstract int MemberCount { get; }

    /// <summary>Whether it has no members.</summary>
    public abstract bool IsEmpty { get; }

    /// <summary>Whether the group, if it has no members, is deleted with its last offset.</summary>
    public virtual bool ExpiresWithItsOffsets => true;

    /// <summary>Whether a member with the id is in the group.</summary>
    public abstract bool HasMember(string memberId);

    /// <summary>Whether members consume <paramref name="topic"/>. If so, its offsets do not expire and cannot be deleted.</summary>
    public abstract bool IsSubscribedTo(string topic);

    /// <summary>Checks whether the requester may commit offsets.</summary>
    /// <exception cref="ApiException">
    /// GROUP_ID_NOT_FOUND (the group has no offsets), UNKNOWN_MEMBER_ID, ILLEGAL_GENERATION, FENCED_INSTANCE_ID, STALE_MEMBER_EPOCH,
    /// REBALANCE_IN_PROGRESS, ...
    /// </exception>
    public abstract void ValidateOffsetCommit(
        string memberId, string? groupInstanceId, int generationIdOrMemberEpoch, bool isTransactional, short apiVersion);

    /// <summary>
    /// Checks whether the requester may commit for one partition. Called for each partition after <see cref="ValidateOffsetCommit"/>.
    /// </summary>
    /// <exception cref="ApiException">
    /// STALE_MEMBER_EPOCH or ILLEGAL_GENERATION: the partition was assigned after the member's epoch.
    /// </exception>
    public virtual void ValidatePartitionCommit(string memberId, int generationIdOrMemberEpoch, string topic, Uuid topicId, int partition)
    {
    }

    /// <summary>Checks whether the requester may fetch offsets. Version 9 names the member.</summary>
    /// <exception cref="ApiException">GROUP_ID_NOT_FOUND (the group has no offsets), UNKNOWN_MEMBER_ID, STALE_MEMBER_EPOCH.</exception>
    public abstract void ValidateOffsetFetch(string? memberId, int memberEpoch);

    /// <summary>Checks whether offsets may be deleted.</summary>
    /// <exception cref="ApiException">NON_EMPTY_GROUP, GROUP_ID_NOT_FOUND.</exception>
    public abstract void ValidateOffsetDelete();

    /// <summary>Checks whether the group may be deleted.</summary>
    /// <exception cref="ApiException">NON_EMPTY_GROUP, GROUP_ID_NOT_FOUND.</exception>
    public abstract void ValidateDelete();

    /// <summary>Writes the tombstones of all records of the group, except for its offsets.</summary>
    public abstract void WriteTombstones(CoordinatorEffects effects);

    /// <summary>The start of an offset's retention; null while the offset cannot expire.</summary>
    /// <param name="topic">The topic of the offset.</param>
    /// <param name="committedAt">The time of the commit.</param>
    public abstract Instant? ExpirationBase(string topic, Instant committedAt);

    /// <summary>Makes an exception with <paramref name="error"/>.</summary>
    protected static ApiException Refuse(ErrorCode error, string message) => new(error, message);
}
