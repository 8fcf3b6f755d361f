using System.Collections.Immutable;
using Ottla.Kernel;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Groups.Classic;

namespace Ottla.StateMachines.Groups.Consumer;

/// <summary>How far a member has come towards its target assignment.</summary>
public enum MemberState
{
    /// <summary>It has what it was last assigned.</summary>
    Stable = 0,

    /// <summary>It has yet to give up partitions.</summary>
    UnrevokedPartitions = 1,

    /// <summary>It waits for partitions that others have yet to give up.</summary>
    UnreleasedPartitions = 2,

    /// <summary>A state of a newer version: the member has to join anew.</summary>
    Unknown = 127,
}

/// <summary>What is known of a member that speaks the classic protocol in a consumer group.</summary>
/// <param name="SessionTimeoutMs">How long it may be silent.</param>
/// <param name="SupportedProtocols">Its protocols, the one it likes best first.</param>
public sealed record ClassicMemberMetadata(int SessionTimeoutMs, ImmutableArray<ClassicProtocol> SupportedProtocols)
{
    /// <inheritdoc/>
    public bool Equals(ClassicMemberMetadata? other) =>
        other is not null
        && SessionTimeoutMs == other.SessionTimeoutMs
        && SupportedProtocols.Length == other.SupportedProtocols.Length
        && SupportedProtocols.Zip(other.SupportedProtocols).All(pair => pair.First.Name == pair.Second.Name && pair.First.Metadata.AsSpan().SequenceEqual(pair.Second.Metadata));

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(SessionTimeoutMs, SupportedProtocols.Length);
}

/// <summary>A member of a <see cref="ConsumerGroup"/>. Immutable: a change is another instance.</summary>
public sealed record ConsumerGroupMember(string MemberId)
{
    /// <summary>No partitions, and the epochs of none.</summary>
    public static readonly ImmutableSortedDictionary<TopicIdPartition, int> NoPartitions = ImmutableSortedDictionary<TopicIdPartition, int>.Empty;

    /// <summary>The epoch of its assignment; 0 before the first, -2 while a static member is away, -1 once it is gone.</summary>
    public int MemberEpoch { get; init; }

    /// <summary>The epoch before: a request with it is taken as long as the answer with the newer one may have been lost.</summary>
    public int PreviousMemberEpoch { get; init; }

    public MemberState State { get; init; }

    /// <summary>The instance id of a static member.</summary>
    public string? InstanceId { get; init; }

    public string? RackId { get; init; }

    /// <summary>How long it may take to give up partitions; -1 until it has said.</summary>
    public int RebalanceTimeoutMs { get; init; } = -1;

    public string ClientId { get; init; } = "";

    public string ClientHost { get; init; } = "";

    public ImmutableSortedSet<string> SubscribedTopicNames { get; init; } = GroupSubscription.NoTopics;

    /// <summary>Empty when it subscribes to none.</summary>
    public string SubscribedTopicRegex { get; init; } = "";

    /// <summary>The assignor that it asks for; null when any will do.</summary>
    public string? ServerAssignor { get; init; }

    /// <summary>What it may consume, and the epoch in which it got each.</summary>
    public ImmutableSortedDictionary<TopicIdPartition, int> AssignedPartitions { get; init; } = NoPartitions;

    /// <summary>What it has to give up, and the epoch in which it got each.</summary>
    public ImmutableSortedDictionary<TopicIdPartition, int> PartitionsPendingRevocation { get; init; } = NoPartitions;

    /// <summary>Not null when it speaks the classic protocol.</summary>
    public ClassicMemberMetadata? Classic { get; init; }

    /// <summary>Whether it has everything that the assignment of <paramref name="targetEpoch"/> gives it.</summary>
    public bool IsReconciledTo(int targetEpoch) => State == MemberState.Stable && MemberEpoch == targetEpoch;

    /// <summary>The member in an epoch; the one it was in is the previous one.</summary>
    public ConsumerGroupMember InEpoch(int memberEpoch) => this with { MemberEpoch = memberEpoch, PreviousMemberEpoch = MemberEpoch };

    /// <summary>Whether its subscription and all that it says of itself is the same.</summary>
    public bool HasSameMetadata(ConsumerGroupMember other) =>
        InstanceId == other.InstanceId
        && RackId == other.RackId
        && RebalanceTimeoutMs == other.RebalanceTimeoutMs
        && ClientId == other.ClientId
        && ClientHost == other.ClientHost
        && SubscribesToSame(other)
        && ServerAssignor == other.ServerAssignor
        && Equals(Classic, other.Classic);

    /// <summary>Whether it subscribes to the same names and the same regular expression.</summary>
    public bool SubscribesToSame(ConsumerGroupMember other) => SubscribesToSameNames(other) && SubscribedTopicRegex == other.SubscribedTopicRegex;

    /// <summary>Whether it subscribes to the same names.</summary>
    public bool SubscribesToSameNames(ConsumerGroupMember other) =>
        ReferenceEquals(SubscribedTopicNames, other.SubscribedTopicNames)
        || (SubscribedTopicNames.Count == other.SubscribedTopicNames.Count && SubscribedTopicNames.SequenceEqual(other.SubscribedTopicNames));

    /// <summary>Whether its epochs, state and partitions are the same.</summary>
    public bool HasSameAssignment(ConsumerGroupMember other) =>
        MemberEpoch == other.MemberEpoch
        && PreviousMemberEpoch == other.PreviousMemberEpoch
        && State == other.State
        && SamePartitions(AssignedPartitions, other.AssignedPartitions)
        && SamePartitions(PartitionsPendingRevocation, other.PartitionsPendingRevocation);

    /// <summary>Whether two sets of partitions are the same, with their epochs.</summary>
    public static bool SamePartitions(ImmutableSortedDictionary<TopicIdPartition, int> left, ImmutableSortedDictionary<TopicIdPartition, int> right) =>
        ReferenceEquals(left, right) || (left.Count == right.Count && left.SequenceEqual(right));

    /// <summary>The member with what a record says of it.</summary>
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
