using System.Collections.Immutable;
using Ottla.Kernel;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Groups.Consumer;

namespace Ottla.StateMachines.Groups.Share;

/// <summary>A member of a <see cref="ShareGroup"/>. Immutable: a change makes a new instance.</summary>
public sealed record ShareGroupMember(string MemberId)
{
    /// <summary>The longest id of a member, in characters.</summary>
    public const int IdLengthMax = 36;

    private const sbyte Stable = (sbyte)MemberState.Stable;

    /// <summary>The epoch of its assignment; 0 before the first, -1 after it left.</summary>
    public int MemberEpoch { get; init; }

    /// <summary>The previous epoch. A request with it is accepted, because the response with the newer epoch may have been lost.</summary>
    public int PreviousMemberEpoch { get; init; }

    /// <summary>
    /// The state in its record. A member has all of its target at once, so it is always the same; a newer version may know more.
    /// </summary>
    public sbyte State { get; init; } = Stable;

    public string? RackId { get; init; }

    public string ClientId { get; init; } = "";

    public string ClientHost { get; init; } = "";

    public ImmutableSortedSet<string> SubscribedTopicNames { get; init; } = GroupSubscription.NoTopics;

    /// <summary>The partitions that it may fetch from. Other members may have them too.</summary>
    public ImmutableSortedSet<TopicIdPartition> AssignedPartitions { get; init; } = [];

    /// <summary>Whether it has the target assignment of <paramref name="targetEpoch"/>.</summary>
    public bool IsReconciledTo(int targetEpoch) => State == Stable && MemberEpoch == targetEpoch;

    /// <summary>Whether the subscription and all other reported values are equal.</summary>
    public bool HasSameMetadata(ShareGroupMember other) =>
        RackId == other.RackId && ClientId == other.ClientId && ClientHost == other.ClientHost && SubscribesToSame(other);

    /// <summary>Whether the subscribed topics are equal.</summary>
    public bool SubscribesToSame(ShareGroupMember other) => SubscribedTopicNames.SequenceEqual(other.SubscribedTopicNames);

    /// <summary>The member with an assignment, in its epoch.</summary>
    public ShareGroupMember With(int epoch, ImmutableSortedSet<TopicIdPartition> assigned) => this with
    {
        MemberEpoch = epoch,
        PreviousMemberEpoch = epoch == MemberEpoch ? PreviousMemberEpoch : MemberEpoch,
        State = epoch == MemberEpoch ? State : Stable,
        AssignedPartitions = assigned,
    };

    /// <summary>The member with the values of a metadata record.</summary>
    public ShareGroupMember With(ShareGroupMemberMetadataValue value) => this with
    {
        RackId = value.RackId,
        ClientId = value.ClientId,
        ClientHost = value.ClientHost,
        SubscribedTopicNames = GroupSubscription.NoTopics.Union(value.SubscribedTopicNames),
    };

    /// <summary>The member with the assignment of a record.</summary>
    public ShareGroupMember With(ShareGroupCurrentMemberAssignmentValue value) => this with
    {
        MemberEpoch = value.MemberEpoch,
        PreviousMemberEpoch = value.PreviousMemberEpoch,
        State = value.State,
        AssignedPartitions =
        [
            .. value.AssignedPartitions
                .SelectMany(topic => topic.Partitions, (topic, partition) => new TopicIdPartition(topic.TopicId, partition)),
        ],
    };
}
