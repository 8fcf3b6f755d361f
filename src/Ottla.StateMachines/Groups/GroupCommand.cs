using System.Collections.Immutable;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Coordinators;
using Ottla.StateMachines.Groups.Consumer;

namespace Ottla.StateMachines.Groups;

/// <summary>A request to the group coordinator.</summary>
/// <remarks>A request about several groups is split into one command per group, because groups may have different coordinators.</remarks>
public abstract record GroupCommand;

/// <inheritdoc/>
/// <typeparam name="TReply">The type of the reply.</typeparam>
public abstract record GroupCommand<TReply> : GroupCommand, ICoordinatorCommand<GroupCommand, TReply>
{
    GroupCommand ICoordinatorCommand<GroupCommand, TReply>.Command => this;
}

/// <summary>The sender of a request.</summary>
/// <param name="ClientId">The client id of the request's header; empty when it has none.</param>
/// <param name="ClientHost">The client's address in the form that groups show: "/127.0.0.1".</param>
/// <param name="ApiVersion">The version of the request.</param>
public readonly record struct RequestOrigin(string ClientId, string ClientHost, short ApiVersion);

/// <summary>JoinGroup. The reply may come much later.</summary>
public sealed record JoinGroupCommand(RequestOrigin Origin, JoinGroupRequest Request) : GroupCommand<JoinGroupResponse>;

/// <summary>SyncGroup. The reply may come later.</summary>
public sealed record SyncGroupCommand(RequestOrigin Origin, SyncGroupRequest Request) : GroupCommand<SyncGroupResponse>;

/// <summary>Heartbeat of a classic member.</summary>
public sealed record HeartbeatCommand(RequestOrigin Origin, HeartbeatRequest Request) : GroupCommand<HeartbeatResponse>;

/// <summary>LeaveGroup.</summary>
public sealed record LeaveGroupCommand(RequestOrigin Origin, LeaveGroupRequest Request) : GroupCommand<LeaveGroupResponse>;

/// <summary>ConsumerGroupHeartbeat (KIP-848).</summary>
public sealed record ConsumerGroupHeartbeatCommand(RequestOrigin Origin, ConsumerGroupHeartbeatRequest Request)
    : GroupCommand<ConsumerGroupHeartbeatResponse>
{
    /// <summary>
    /// Whether the sender may describe a topic; null when it may describe all. Regular expressions match no others while its heartbeat is
    /// the one that has them looked up.
    /// </summary>
    public Func<string, bool>? MayDescribe { get; init; }
}

/// <summary>ConsumerGroupDescribe of one group.</summary>
public sealed record ConsumerGroupDescribeCommand(string GroupId) : GroupCommand<ConsumerGroupDescribeResponse.DescribedGroup>;

/// <summary>
/// OffsetCommit. Topics have names in every version, because the handler resolves ids. The reply has the error of each partition, in the
/// order of the request.
/// </summary>
public sealed record OffsetCommitCommand(RequestOrigin Origin, OffsetCommitRequest Request) : GroupCommand<IReadOnlyList<ErrorCode>>;

/// <summary>TxnOffsetCommit. Topics and reply are as those of <see cref="OffsetCommitCommand"/>.</summary>
public sealed record TxnOffsetCommitCommand(RequestOrigin Origin, TxnOffsetCommitRequest Request) : GroupCommand<IReadOnlyList<ErrorCode>>;

/// <summary>OffsetFetch of one group. Topics have names in every version; null asks for all topics.</summary>
public sealed record OffsetFetchCommand(OffsetFetchRequest.OffsetFetchRequestGroup Group, bool RequireStable)
    : GroupCommand<OffsetFetchResponse.OffsetFetchResponseGroup>;

/// <summary>OffsetDelete. The reply has the error of each partition, in the order of the request.</summary>
public sealed record OffsetDeleteCommand(OffsetDeleteRequest Request) : GroupCommand<IReadOnlyList<ErrorCode>>;

/// <summary>ListGroups, for the groups of one partition. An empty filter matches all groups.</summary>
public sealed record ListGroupsCommand(IReadOnlyList<string> StatesFilter, IReadOnlyList<string> TypesFilter)
    : GroupCommand<IReadOnlyList<ListGroupsResponse.ListedGroup>>;

/// <summary>How many members the groups of one partition have, by their ids.</summary>
public sealed record CountMembersCommand : GroupCommand<IReadOnlyList<(string GroupId, int Members)>>;

/// <summary>The result of a <see cref="ResolveExpressionsOutput"/>. The reply is the command itself.</summary>
/// <param name="Output">The request.</param>
/// <param name="Topics">The topics that each regular expression matches; null when the look-up failed.</param>
public sealed record ExpressionsResolvedCommand(
    ResolveExpressionsOutput Output, IReadOnlyDictionary<string, ImmutableSortedSet<string>>? Topics)
        : GroupCommand<ExpressionsResolvedCommand>;

/// <summary>DescribeGroups of one classic group.</summary>
public sealed record DescribeGroupCommand(string GroupId) : GroupCommand<DescribeGroupsResponse.DescribedGroup>;

/// <summary>
/// A group of any type is to be deleted. The reply names the partitions of a share group whose state the share coordinators have to delete
/// first.
/// </summary>
public sealed record PrepareDeleteGroupCommand(string GroupId) : GroupCommand<IReadOnlyList<TopicIdPartition>>;

/// <summary>DeleteGroups of one group of any type.</summary>
public sealed record DeleteGroupCommand(string GroupId) : GroupCommand<DeleteGroupsResponse.DeletableGroupResult>;
