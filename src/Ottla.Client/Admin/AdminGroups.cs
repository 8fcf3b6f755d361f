using Ottla.Kernel;
using Ottla.Protocol;

namespace Ottla.Client;

/// <summary>A group in a list.</summary>
/// <param name="GroupId">Its id.</param>
/// <param name="Type">Its type: <c>Classic</c>, <c>Consumer</c>, <c>Share</c>, <c>Streams</c>; empty from an old broker.</param>
/// <param name="ProtocolType">What its members do: <c>consumer</c>, or empty for a group that has only offsets.</param>
/// <param name="State">Its state: <c>Stable</c>, <c>Empty</c>; empty when the broker is too old to say.</param>
public sealed record ListedGroup(string GroupId, string Type, string ProtocolType, string State);

/// <summary>A group of the classic protocol (DescribeGroups).</summary>
/// <param name="GroupId">Its id.</param>
/// <param name="ProtocolType">What its members do: <c>consumer</c>, <c>connect</c>, or empty for a group that has only offsets.</param>
/// <param name="Protocol">What they agreed on: a consumer's assignor.</param>
/// <param name="State">Its state: <c>PreparingRebalance</c>, <c>CompletingRebalance</c>, <c>Stable</c>, <c>Empty</c>, <c>Dead</c>.</param>
/// <param name="Members">Its members.</param>
/// <param name="AuthorizedOperations">What the caller may do with it; null when that was not asked for.</param>
public sealed record ClassicGroupDescription(
    string GroupId, string ProtocolType, string Protocol, string State, IReadOnlyList<ClassicMemberDescription> Members,
    IReadOnlySet<AclOperation>? AuthorizedOperations);

/// <summary>A member of a group of the classic protocol.</summary>
/// <param name="MemberId">Its id.</param>
/// <param name="GroupInstanceId">The instance id of a static member; null for a dynamic one.</param>
/// <param name="ClientId">The name of its client.</param>
/// <param name="Host">Where it connected from.</param>
/// <param name="Metadata">What it told the group, in the form of the protocol type.</param>
/// <param name="Assignment">What was assigned to it, in that form.</param>
/// <param name="AssignedPartitions">A consumer's partitions; empty for other members.</param>
public sealed record ClassicMemberDescription(
    string MemberId, string? GroupInstanceId, string ClientId, string Host, ReadOnlyMemory<byte> Metadata, ReadOnlyMemory<byte> Assignment,
    IReadOnlyList<TopicPartition> AssignedPartitions);

/// <summary>A group of consumers, of either protocol.</summary>
/// <param name="GroupId">Its id.</param>
/// <param name="Protocol"><see cref="GroupProtocol.Classic"/>, or <see cref="GroupProtocol.Consumer"/> (KIP-848).</param>
/// <param name="State">Its state: <c>Stable</c>, <c>Empty</c>, <c>Assigning</c>, <c>Reconciling</c>, or a classic one.</param>
/// <param name="GroupEpoch">Counts the changes of members and subscriptions; null in the classic protocol.</param>
/// <param name="AssignmentEpoch">The epoch of the assignment; null in the classic protocol.</param>
/// <param name="Assignor">Who assigns.</param>
/// <param name="Members">Its members.</param>
/// <param name="AuthorizedOperations">What the caller may do with it; null when that was not asked for.</param>
public sealed record ConsumerGroupDescription(
    string GroupId, GroupProtocol Protocol, string State, int? GroupEpoch, int? AssignmentEpoch, string Assignor,
    IReadOnlyList<ConsumerMemberDescription> Members, IReadOnlySet<AclOperation>? AuthorizedOperations)
{
    /// <summary>The broker that coordinates it; null when it has just moved.</summary>
    public BrokerDescription? Coordinator { get; init; }
}

/// <summary>A member of a group of consumers.</summary>
/// <param name="MemberId">Its id.</param>
/// <param name="GroupInstanceId">The instance id of a static member; null for a dynamic one.</param>
/// <param name="ClientId">The name of its client.</param>
/// <param name="Host">Where it connected from.</param>
/// <param name="Assignment">Its partitions.</param>
public sealed record ConsumerMemberDescription(
    string MemberId, string? GroupInstanceId, string ClientId, string Host, IReadOnlyList<TopicPartition> Assignment)
{
    /// <summary>Its rack; null when it has none, and in the classic protocol.</summary>
    public string? Rack { get; init; }

    /// <summary>Its epoch; null in the classic protocol.</summary>
    public int? Epoch { get; init; }

    /// <summary>The partitions that it is to have; null in the classic protocol.</summary>
    public IReadOnlyList<TopicPartition>? TargetAssignment { get; init; }

    /// <summary>The topics that it subscribes to by name; null in the classic protocol.</summary>
    public IReadOnlyList<string>? SubscribedTopics { get; init; }

    /// <summary>The expression that it subscribes to; null when there is none.</summary>
    public string? SubscribedPattern { get; init; }

    /// <summary>Whether it speaks the classic protocol in a group of the newer one; null when the broker does not say (KIP-1099).</summary>
    public bool? IsClassic { get; init; }
}

/// <summary>How a group knows a member.</summary>
/// <param name="MemberId">Its id; empty when it is named by its instance id.</param>
/// <param name="GroupInstanceId">The instance id of a static member; null for a dynamic one.</param>
public readonly record struct GroupMemberIdentity(string MemberId, string? GroupInstanceId)
{
    /// <summary>A static member.</summary>
    public static GroupMemberIdentity Static(string groupInstanceId) => new("", groupInstanceId);

    /// <inheritdoc/>
    public override string ToString() => GroupInstanceId ?? MemberId;
}
