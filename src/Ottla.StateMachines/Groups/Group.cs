using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.StateMachines.Controller;
using Ottla.StateMachines.Coordinators;

namespace Ottla.StateMachines.Groups;

/// <summary>The kinds of groups (<c>group.type</c>).</summary>
public enum GroupType
{
    /// <summary>JoinGroup and SyncGroup, or nothing but offsets.</summary>
    Classic,

    /// <summary>KIP-848.</summary>
    Consumer,

    /// <summary>KIP-932. Known by its records only.</summary>
    Share,

    /// <summary>KIP-1071. Known by its records only.</summary>
    Streams,
}

/// <summary>A group, as all kinds of groups have to look to offsets and to administrators.</summary>
/// <remarks>Owned by its <c>GroupMachine</c>. Lives from its first record or member to its tombstones.</remarks>
public abstract class Group(string groupId)
{
    /// <summary>The group's id.</summary>
    public string GroupId { get; } = groupId;

    /// <summary>Its kind.</summary>
    public abstract GroupType Type { get; }

    /// <summary>Its kind as ListGroups names it.</summary>
    public string TypeName => Type switch
    {
        GroupType.Classic => "classic",
        GroupType.Consumer => "consumer",
        GroupType.Share => "share",
        GroupType.Streams => "streams",
        _ => throw new InvariantViolationException($"a kind of groups without a name: {Type}"),
    };

    /// <summary>Its state as ListGroups and descriptions name it.</summary>
    public abstract string StateName { get; }

    /// <summary>The protocol type as ListGroups shows it: "consumer", "connect", or empty.</summary>
    public abstract string ProtocolType { get; }

    /// <summary>Whether it has no members.</summary>
    public abstract bool IsEmpty { get; }

    /// <summary>Whether it goes, without members, with the last of its offsets.</summary>
    public virtual bool ExpiresWithItsOffsets => true;

    /// <summary>Whether a member of that id is in it.</summary>
    public abstract bool HasMember(string memberId);

    /// <summary>Whether its members consume <paramref name="topic"/>: offsets of it then neither expire nor may be deleted.</summary>
    public abstract bool IsSubscribedTo(string topic);

    /// <summary>Checks who commits.</summary>
    /// <exception cref="ApiException">
    /// GROUP_ID_NOT_FOUND (the group has no offsets), UNKNOWN_MEMBER_ID, ILLEGAL_GENERATION, FENCED_INSTANCE_ID, STALE_MEMBER_EPOCH,
    /// REBALANCE_IN_PROGRESS, ...
    /// </exception>
    public abstract void ValidateOffsetCommit(string memberId, string? groupInstanceId, int generationIdOrMemberEpoch, bool isTransactional, short apiVersion);

    /// <summary>Checks whether who commits may still commit for a partition. Asked of each, after <see cref="ValidateOffsetCommit"/>.</summary>
    /// <exception cref="ApiException">STALE_MEMBER_EPOCH, ILLEGAL_GENERATION: the partition was assigned after the epoch that the member knows.</exception>
    public virtual void ValidatePartitionCommit(string memberId, int generationIdOrMemberEpoch, string topic, Uuid topicId, int partition)
    {
    }

    /// <summary>Checks who fetches offsets: version 9 names the member.</summary>
    /// <exception cref="ApiException">GROUP_ID_NOT_FOUND (the group has no offsets), UNKNOWN_MEMBER_ID, STALE_MEMBER_EPOCH.</exception>
    public abstract void ValidateOffsetFetch(string? memberId, int memberEpoch);

    /// <summary>Checks whether offsets may be deleted.</summary>
    /// <exception cref="ApiException">NON_EMPTY_GROUP, GROUP_ID_NOT_FOUND.</exception>
    public abstract void ValidateOffsetDelete();

    /// <summary>Checks whether the group may be deleted.</summary>
    /// <exception cref="ApiException">NON_EMPTY_GROUP, GROUP_ID_NOT_FOUND.</exception>
    public abstract void ValidateDelete();

    /// <summary>Writes the tombstones of everything that the log has of the group, but for its offsets.</summary>
    public abstract void WriteTombstones(CoordinatorEffects effects);

    /// <summary>Since when the offset's retention counts: null while it may not expire at all.</summary>
    /// <param name="topic">The topic of the offset.</param>
    /// <param name="committedAt">When it was committed.</param>
    public abstract Instant? ExpirationBase(string topic, Instant committedAt);

    /// <summary>Refuses with <paramref name="error"/>.</summary>
    protected static ApiException Refuse(ErrorCode error, string message) => new(error, message);
}
