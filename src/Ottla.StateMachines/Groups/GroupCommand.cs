using System.Collections.Immutable;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Groups.Consumer;

namespace Ottla.StateMachines.Groups;

/// <summary>A request to the group coordinator. Each type documents its reply.</summary>
/// <remarks>A request about several groups is split into one command per group, because groups may have different coordinators.</remarks>
public abstract record GroupCommand;

/// <summary>The sender of a request.</summary>
/// <param name="ClientId">The client id of the request's header; empty when it has none.</param>
/// <param name="ClientHost">The client's address in the form that groups show: "/127.0.0.1".</param>
/// <param name="ApiVersion">The version of the request.</param>
public readonly record struct RequestOrigin(string ClientId, string ClientHost, short ApiVersion);

/// <summary>JoinGroup. Reply: a <see cref="JoinGroupResponse"/>, possibly much later.</summary>
public sealed record JoinGroupCommand(RequestOrigin Origin, JoinGroupRequest Request) : GroupCommand;

/// <summary>SyncGroup. Reply: a <see cref="SyncGroupResponse"/>, possibly later.</summary>
public sealed record SyncGroupCommand(RequestOrigin Origin, SyncGroupRequest Request) : GroupCommand;

/// <summary>Heartbeat of a classic member. Reply: a <see cref="HeartbeatResponse"/>.</summary>
public sealed record HeartbeatCommand(RequestOrigin Origin, HeartbeatRequest Request) : GroupCommand;

/// <summary>LeaveGroup. Reply: a <see cref="LeaveGroupResponse"/>.</summary>
public sealed record LeaveGroupCommand(RequestOrigin Origin, LeaveGroupRequest Request) : GroupCommand;

/// <summary>ConsumerGroupHeartbeat (KIP-848). Reply: a <see cref="ConsumerGroupHeartbeatResponse"/>.</summary>
public sealed record ConsumerGroupHeartbeatCommand(RequestOrigin Origin, ConsumerGroupHeartbeatRequest Request) : GroupCommand;

/// <summary>ConsumerGroupDescribe of one group. Reply: a <see cref="ConsumerGroupDescribeResponse.DescribedGroup"/>.</summary>
public sealed record ConsumerGroupDescribeCommand(string GroupId) : GroupCommand;

/// <summary>
/// OffsetCommit. Topics have names in every version, because the handler resolves ids. Reply: an <see cref="OffsetCommitResponse"/>.
/// </summary>
public sealed record OffsetCommitCommand(RequestOrigin Origin, OffsetCommitRequest Request) : GroupCommand;

/// <summary>TxnOffsetCommit. Topics have names in every version. Reply: a <see cref="TxnOffsetCommitResponse"/>.</summary>
public sealed record TxnOffsetCommitCommand(RequestOrigin Origin, TxnOffsetCommitRequest Request) : GroupCommand;

/// <summary>
/// OffsetFetch of one group. Topics have names in every version; null asks for all topics. Reply: an
/// <see cref="OffsetFetchResponse.OffsetFetchResponseGroup"/>.
/// </summary>
public sealed record OffsetFetchCommand(OffsetFetchRequest.OffsetFetchRequestGroup Group, bool RequireStable) : GroupCommand;

/// <summary>OffsetDelete. Reply: an <see cref="OffsetDeleteResponse"/>.</summary>
public sealed record OffsetDeleteCommand(OffsetDeleteRequest Request) : GroupCommand;

/// <summary>
/// ListGroups, for the groups of one partition. An empty filter matches all groups. Reply: a list of
/// <see cref="ListGroupsResponse.ListedGroup"/>.
/// </summary>
public sealed record ListGroupsCommand(IReadOnlyList<string> StatesFilter, IReadOnlyList<string> TypesFilter) : GroupCommand;

/// <summary>The result of a <see cref="ResolveExpressionsOutput"/>. Reply: the command itself.</summary>
/// <param name="Output">The request.</param>
/// <param name="Topics">The topics that each regular expression matches; null when the look-up failed.</param>
public sealed record ExpressionsResolvedCommand(
    ResolveExpressionsOutput Output, IReadOnlyDictionary<string, ImmutableSortedSet<string>>? Topics) : GroupCommand;

/// <summary>DescribeGroups of one classic group. Reply: a <see cref="DescribeGroupsResponse.DescribedGroup"/>.</summary>
public sealed record DescribeGroupCommand(string GroupId) : GroupCommand;

/// <summary>DeleteGroups of one group of any type. Reply: a <see cref="DeleteGroupsResponse.DeletableGroupResult"/>.</summary>
public sealed record DeleteGroupCommand(string GroupId) : GroupCommand;
