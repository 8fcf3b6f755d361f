using System.Collections.Immutable;
using Ottla.Kernel;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Groups.Classic;

namespace Ottla.StateMachines.Groups.Consumer;

/// <summary>How far a member is on the way to its target assignment.</summary>
public enum MemberState
{
    /// <summary>The member has all partitions of its last assignment.</summary>
    Stable = 0,

    /// <summary>The member must give up partitions.</summary>
    UnrevokedPartitions = 1,

    /// <summary>The member waits for partitions that others must give up.</summary>
    UnreleasedPartitions = 2,

    /// <summary>A state of a newer version: the member must join again.</summary>
    Unknown = 127,
}

/// <summary>The data of a consumer group member that uses the classic protocol.</summary>
/// <param name="SessionTimeoutMs">How long it may go without a heartbeat.</param>
/// <param name="SupportedProtocols">The protocols that it supports, in order of preference.</param>
public sealed record ClassicMemberMetadata(int SessionTimeoutMs, ImmutableArray<ClassicProtocol> SupportedProtocols)
{
    /// <inheritdoc/>
    public bool Equals(ClassicMemberMetadata? other) =>
        other is not null
        && SessionTimeoutMs == other.SessionTimeoutMs
        && SupportedProtocols.Length == other.SupportedProtocols.Length
        && SupportedProtocols.Zip(other.SupportedProtocols)
            .All(pair => pair.First.Name == pair.Second.Name && pair.First.Metadata.AsSpan().SequenceEqual(pair.Second.Metadata));

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(SessionTimeoutMs, SupportedProtocols.Length);
}

/// <summary>A member of a <see cref="ConsumerGroup"/>. Immutable: a change makes a new instance.</summary>
public sealed record ConsumerGroupMember(string MemberId)
{
    /// <summary>The empty set of partitions.</summary>
    public static readonly ImmutableSortedDictionary<TopicIdPartition, int> NoPartitions =
        ImmutableSortedDictionary<TopicIdPartition, int>.Empty;

    /// <summary>The epoch of its assignment; 0 before the first, -2 while a static member is away, -1 after it left.</summary>
    public int MemberEpoch { get; init; }

    /// <summary>The previous epoch. A request with it is accepted, because the response with the newer epoch may have been lost.</summary>
    public int PreviousMemberEpoch { get; init; }

    public MemberState State { get; init; }

    /// <summary>The instance id of a static member; null for a dynamic one.</summary>
    public string? InstanceId { get; init; }

    public string? RackId { get; init; }

    /// <summary>How long it may take to give up partitions; -1 until the member reports it.</summary>
    public int RebalanceTimeoutMs { get; init; } = -1;

    public string ClientId { get; init; } = "";

    public string ClientHost { get; init; } = "";

    public ImmutableSortedSet<string> SubscribedTopicNames { get; init; } = GroupSubscription.NoTopics;

    /// <summary>The regular expression that it subscribes to; empty for none.</summary>
    public string SubscribedTopicRegex { get; init; } = "";

    /// <summary>The assignor that it chooses; null for none.</summary>
    public string? ServerAssignor { get; init; }

    /// <summary>The partitions that it may consume, with the epoch in which it got each.</summary>
    public ImmutableSortedDictionary<TopicIdPartition, int> AssignedPartitions { get; init; } = NoPartitions;

    /// <summary>The partitions that it must give up, with the epoch in which it got each.</summary>
    public ImmutableSortedDictionary<TopicIdPartition, int> PartitionsPendingRevocation { get; init; } = NoPartitions;

    /// <summary>Set when it uses the classic protocol.</summary>
    public ClassicMemberMetadata? Classic { get; init; }

    /// <summary>Whether it has all partitions of the target assignment of <paramref name="targetEpoch"/>.</summary>
    public bool IsReconciledTo(int targetEpoch) => State == MemberState.Stable && MemberEpoch == targetEpoch;

    /// <summary>The member with a new epoch; its current one becomes the previous one.</summary>
    public ConsumerGroupMember InEpoch(int memberEpoch) => this with { MemberEpoch = memberEpoch, PreviousMemberEpoch = MemberEpoch };

    /// <summary>Whether the subscription and all other reported values are equal.</summary>
    public bool HasSameMetadata(ConsumerGroupMember other) =>
        InstanceId == other.InstanceId
        && RackId == other.RackId
        && RebalanceTimeoutMs == other.RebalanceTimeoutMs
        && ClientId == other.ClientId
        && ClientHost == other.ClientHost
        && SubscribesToSame(other)
        && ServerAssignor == other.ServerAssignor
        && Equals(Classic, other.Classic);

    /// <summary>Whether topic names and regular expression are equal.</summary>
    public bool SubscribesToSame(ConsumerGroupMember other) =>
        SubscribesToSameNames(other) && SubscribedTopicRegex == other.SubscribedTopicRegex;

    /// <summary>Whether the subscribed topic names are equal.</summary>
    public bool SubscribesToSameNames(ConsumerGroupMember other) =>
        ReferenceEquals(SubscribedTopicNames, other.SubscribedTopicNames)
        || (SubscribedTopicNames.Count == other.SubscribedTopicNames.Count
            && SubscribedTopicNames.SequenceEqual(other.SubscribedTopicNames));

    /// <summary>Whether epochs, state and partitions are equal.</summary>
    public bool HasSameAssignment(ConsumerGroupMember other) =>
        MemberEpoch == other.MemberEpoch
        && PreviousMemberEpoch == other.PreviousMemberEpoch
        && State == other.State
        && SamePartitions(AssignedPartitions, other.AssignedPartitions)
        && SamePartitions(PartitionsPendingRevocation, other.PartitionsPendingRevocation);

    /// <summary>Whether two sets of partitions and their epochs are equal.</summary>
    public static bool SamePartitions(
        ImmutableSortedDictionary<TopicIdPartition, int> left, ImmutableSortedDictionary<TopicIdPartition, int> right) =>
        ReferenceEquals(left, right) || (left.Count == right.Count && left.SequenceEqual(right));

    /// <summary>The member with the values of a metadata record.</summary>
    public ConsumerGroupMember With(ConsumerGroupMemberMetadataValue value) => this with
    {
        InstanceId = value.InstanceId,
        RackId = value.RackId,
        ClientId = value.ClientId,
        ClientHost = value.ClientHost,
        SubscribedTopicNames = GroupSubscription.NoTopics.Union(value.SubscribedTopicNames),
        SubscribedTopicRegex = value.SubscribedTopicRegex ?? "",
        RebalanceTimeoutMs = value.RebalanceTimeoutMs,
        ServerAssignor = value.ServerAssignor,
        Classic = value.ClassicMemberMetadata is { } classic
            ? new ClassicMemberMetadata(
                classic.SessionTimeoutMs,
                [.. classic.SupportedProtocols.Select(protocol => new ClassicProtocol(protocol.Name, protocol.Metadata))])
            : null,
    };

    /// <summary>The member with the assignment of a record.</summary>
    public ConsumerGroupMember With(ConsumerGroupCurrentMemberAssignmentValue value) => this with
    {
        MemberEpoch = value.MemberEpoch,
        PreviousMemberEpoch = value.PreviousMemberEpoch,
        State = Enum.IsDefined((MemberState)value.State) ? (MemberState)value.State : MemberState.Unknown,
        AssignedPartitions = ConsumerGroupRecords.WithEpochs(value.AssignedPartitions, value.MemberEpoch),
        PartitionsPendingRevocation = ConsumerGroupRecords.WithEpochs(value.PartitionsPendingRevocation, value.MemberEpoch),
    };
}
