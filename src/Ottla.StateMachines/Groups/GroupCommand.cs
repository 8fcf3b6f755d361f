using System.Collections.Immutable;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Groups.Consumer;

namespace Ottla.StateMachines.Groups;

/// <summary>What is asked of the coordinator of groups. Each says what it is answered with.</summary>
/// <remarks>A request about several groups is split: one command for each group, since each may have another coordinator.</remarks>
public abstract record GroupCommand;

/// <summary>Who sends a request.</summary>
/// <param name="ClientId">The client id of the request's header; empty when it has none.</param>
/// <param name="ClientHost">The address it comes from, as groups show it: "/127.0.0.1".</param>
/// <param name="ApiVersion">The version of the request.</param>
public readonly record struct RequestOrigin(string ClientId, string ClientHost, short ApiVersion);

/// <summary>JoinGroup. Answered with a <see cref="JoinGroupResponse"/>, perhaps much later.</summary>
public sealed record JoinGroupCommand(RequestOrigin Origin, JoinGroupRequest Request) : GroupCommand;

/// <summary>SyncGroup. Answered with a <see cref="SyncGroupResponse"/>, perhaps later.</summary>
public sealed record SyncGroupCommand(RequestOrigin Origin, SyncGroupRequest Request) : GroupCommand;

/// <summary>Heartbeat of a classic member. Answered with a <see cref="HeartbeatResponse"/>.</summary>
public sealed record HeartbeatCommand(RequestOrigin Origin, HeartbeatRequest Request) : GroupCommand;

/// <summary>LeaveGroup. Answered with a <see cref="LeaveGroupResponse"/>.</summary>
public sealed record LeaveGroupCommand(RequestOrigin Origin, LeaveGroupRequest Request) : GroupCommand;

/// <summary>ConsumerGroupHeartbeat (KIP-848). Answered with a <see cref="ConsumerGroupHeartbeatResponse"/>.</summary>
public sealed record ConsumerGroupHeartbeatCommand(RequestOrigin Origin, ConsumerGroupHeartbeatRequest Request) : GroupCommand;

/// <summary>ConsumerGroupDescribe of one group. Answered with a <see cref="ConsumerGroupDescribeResponse.DescribedGroup"/>.</summary>
public sealed record ConsumerGroupDescribeCommand(string GroupId) : GroupCommand;

/// <summary>OffsetCommit. Topics have names in every version: the handler looks up ids. Answered with an <see cref="OffsetCommitResponse"/>.</summary>
public sealed record OffsetCommitCommand(RequestOrigin Origin, OffsetCommitRequest Request) : GroupCommand;

/// <summary>TxnOffsetCommit. Topics have names in every version. Answered with a <see cref="TxnOffsetCommitResponse"/>.</summary>
public sealed record TxnOffsetCommitCommand(RequestOrigin Origin, TxnOffsetCommitRequest Request) : GroupCommand;

/// <summary>OffsetFetch of one group. Topics have names in every version; null asks for all. Answered with an <see cref="OffsetFetchResponse.OffsetFetchResponseGroup"/>.</summary>
public sealed record OffsetFetchCommand(OffsetFetchRequest.OffsetFetchRequestGroup Group, bool RequireStable) : GroupCommand;

/// <summary>OffsetDelete. Answered with an <see cref="OffsetDeleteResponse"/>.</summary>
public sealed record OffsetDeleteCommand(OffsetDeleteRequest Request) : GroupCommand;

/// <summary>ListGroups, of the groups of one partition. Empty filters let everything through. Answered with a list of <see cref="ListGroupsResponse.ListedGroup"/>.</summary>
public sealed record ListGroupsCommand(IReadOnlyList<string> StatesFilter, IReadOnlyList<string> TypesFilter) : GroupCommand;

/// <summary>What a <see cref="ResolveExpressionsOutput"/> has found. Answered with itself.</summary>
/// <param name="Output">What was asked.</param>
/// <param name="Topics">The topics that each expression matches; null when that could not be found out.</param>
public sealed record ExpressionsResolvedCommand(
    ResolveExpressionsOutput Output, IReadOnlyDictionary<string, ImmutableSortedSet<string>>? Topics) : GroupCommand;

/// <summary>DescribeGroups of one (classic) group. Answered with a <see cref="DescribeGroupsResponse.DescribedGroup"/>.</summary>
public sealed record DescribeGroupCommand(string GroupId) : GroupCommand;

/// <summary>DeleteGroups of one group of any type. Answered with a <see cref="DeleteGroupsResponse.DeletableGroupResult"/>.</summary>
public sealed record DeleteGroupCommand(string GroupId) : GroupCommand;
