using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Coordinators;

namespace Ottla.StateMachines.Groups.Share;

/// <summary>ShareGroupHeartbeat (KIP-932).</summary>
public sealed record ShareGroupHeartbeatCommand(RequestOrigin Origin, ShareGroupHeartbeatRequest Request)
    : GroupCommand<ShareGroupHeartbeatResponse>;

/// <summary>ShareGroupDescribe of one group.</summary>
public sealed record ShareGroupDescribeCommand(string GroupId) : GroupCommand<ShareGroupDescribeResponse.DescribedGroup>;

/// <summary>Asks which partitions of a group have state at share coordinators. A group that does not exist has none.</summary>
public sealed record ListShareStateCommand(string GroupId) : GroupCommand<IReadOnlyList<TopicIdPartition>>;

/// <summary>AlterShareGroupOffsets: partitions of a group without members begin anew. Makes the group if it does not exist.</summary>
/// <param name="GroupId">The group.</param>
/// <param name="Offsets">Where each partition begins. All of them exist.</param>
public sealed record AlterShareGroupOffsetsCommand(string GroupId, IReadOnlyList<InitialShareState> Offsets)
    : GroupCommand<InitializeShareStateOutput>;

/// <summary>
/// DeleteShareGroupOffsets: a group without members forgets topics. The reply names the partitions whose state the share coordinators have
/// to delete.
/// </summary>
public sealed record DeleteShareGroupStateCommand(string GroupId, IReadOnlyList<Uuid> TopicIds)
    : GroupCommand<IReadOnlyList<TopicIdPartition>>;

/// <summary>The share coordinators have deleted the state of topics. The reply is the command itself.</summary>
public sealed record ShareStateDeletedCommand(string GroupId, IReadOnlyList<Uuid> TopicIds) : GroupCommand<ShareStateDeletedCommand>;

/// <summary>What came of an <see cref="InitializeShareStateOutput"/>. The reply is the command itself.</summary>
/// <param name="Output">What was asked.</param>
/// <param name="Error">The error of any partition: all are asked for again then.</param>
public sealed record ShareStateInitializedCommand(InitializeShareStateOutput Output, ApiError Error)
    : GroupCommand<ShareStateInitializedCommand>;

/// <summary>Where a share partition begins.</summary>
/// <param name="Partition">The partition.</param>
/// <param name="StartOffset">Its first offset; -1 leaves that to <c>share.auto.offset.reset</c> and the first fetch.</param>
public readonly record struct InitialShareState(TopicIdPartition Partition, long StartOffset);

/// <summary>
/// Asks the host to have share coordinators begin with partitions, and to return the result as a
/// <see cref="ShareStateInitializedCommand"/>.
/// </summary>
/// <param name="GroupId">The group.</param>
/// <param name="StateEpoch">The group's epoch.</param>
/// <param name="Partitions">The partitions.</param>
public sealed record InitializeShareStateOutput(string GroupId, int StateEpoch, IReadOnlyList<InitialShareState> Partitions)
    : CoordinatorOutput;
