using Ottla.Client.Admins;
using Ottla.Client.Calls;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.Client;

public sealed partial class Admin
{
    /// <inheritdoc/>
    public async Task<ClusterListing<ListedGroup>> ListGroupsAsync(
        IReadOnlyCollection<string>? states = null, IReadOnlyCollection<string>? types = null, CancellationToken cancellation = default) =>
        new(await AtAllBrokersAsync(
            new ItemCall<int, IReadOnlyList<ListedGroup>, ListGroupsRequest, ListGroupsResponse>
            {
                IsRetriable = error => error is ErrorCode.CoordinatorLoadInProgress or ErrorCode.CoordinatorNotAvailable,
                Request = (_, _, _) => new ListGroupsRequest { StatesFilter = [.. states ?? []], TypesFilter = [.. types ?? []] },
                Read = (answer, answers) => answers.Take(answers.Asked[0], answer.ErrorCode, null, () =>
                    [.. answer.Groups.Select(group =>
                        new ListedGroup(group.GroupId, group.GroupType, group.ProtocolType, group.GroupState))]),
            },
            cancellation));

    /// <inheritdoc/>
    public async Task<AdminResults<string, ClassicGroupDescription>> DescribeClassicGroupsAsync(
        IEnumerable<string> groupIds, bool includeAuthorizedOperations = false, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(groupIds);
        return Results(await Items.RunAsync(
            new ItemCall<string, ClassicGroupDescription, DescribeGroupsRequest, DescribeGroupsResponse>
            {
                IsRetriable = AdminErrors.OfCoordinator,
                Request = (_, asked, _) => new DescribeGroupsRequest
                {
                    Groups = [.. asked],
                    IncludeAuthorizedOperations = includeAuthorizedOperations,
                },
                Read = (answer, answers) =>
                {
                    foreach (var group in answer.Groups)
                        answers.Take(group.GroupId, group.ErrorCode, group.ErrorMessage, () => ToDescription(group));
                },
            },
            groupIds, new CoordinatorRoute(_client, CoordinatorType.Group), cancellation));
    }

    /// <inheritdoc/>
    public async Task<AdminResults<string, ConsumerGroupDescription>> DescribeConsumerGroupsAsync(
        IEnumerable<string> groupIds, bool includeAuthorizedOperations = false, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(groupIds);
        var results = await Items.RunAsync(
            new ItemCall<string, ConsumerGroupDescription, ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse>
            {
                IsRetriable = AdminErrors.OfCoordinator,
                Request = (_, asked, _) => new ConsumerGroupDescribeRequest
                {
                    GroupIds = [.. asked],
                    IncludeAuthorizedOperations = includeAuthorizedOperations,
                },
                Read = (answer, answers) =>
                {
                    foreach (var group in answer.Groups)
                        answers.Take(group.GroupId, group.ErrorCode, group.ErrorMessage, () => ToDescription(group));
                },
            },
            groupIds, new CoordinatorRoute(_client, CoordinatorType.Group), cancellation);
        string[] classic =
        [
            .. results.Where(each => each.Value.Error is ErrorCode.GroupIdNotFound or ErrorCode.UnsupportedVersion)
                .Select(each => each.Key),
        ];
        if (classic.Length > 0)
        {
            foreach (var (groupId, group) in await DescribeClassicGroupsAsync(classic, includeAuthorizedOperations, cancellation))
                results[groupId] = ToConsumerGroup(group);
        }

        foreach (var (groupId, group) in results.ToList().Where(each => each.Value.IsSuccess))
        {
            if (_client.Calls.Coordinators.Known(CoordinatorType.Group, groupId) is not { } node)
                continue;
            results[groupId] = new AdminResult<ConsumerGroupDescription>(group.Value with
            {
                Coordinator = new BrokerDescription(node.Id, node.Host, node.Port, Rack: null, IsFenced: false),
            });
        }

        return Results(results);
    }

    /// <inheritdoc/>
    public async Task<AdminResults<string>> DeleteConsumerGroupsAsync(
        IEnumerable<string> groupIds, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(groupIds);
        return Outcomes(await Items.RunAsync(
            new ItemCall<string, Done, DeleteGroupsRequest, DeleteGroupsResponse>
            {
                IsRetriable = AdminErrors.OfCoordinator,
                Request = (_, asked, _) => new DeleteGroupsRequest { GroupsNames = [.. asked] },
                Read = (answer, answers) =>
                {
                    foreach (var group in answer.Results)
                        answers.Take(group.GroupId, group.ErrorCode, group.ErrorMessage, () => default);
                },
            },
            groupIds, new CoordinatorRoute(_client, CoordinatorType.Group), cancellation));
    }

    /// <inheritdoc/>
    public async Task<AdminResults<GroupMemberIdentity>> RemoveMembersFromConsumerGroupAsync(
        string groupId, IReadOnlyCollection<GroupMemberIdentity>? members = null, string? reason = null,
        CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(groupId);
        if (members is null)
        {
            var group = (await DescribeConsumerGroupsAsync([groupId], cancellation: cancellation))[groupId].Value;
            members = [.. group.Members.Select(member => new GroupMemberIdentity(member.MemberId, member.GroupInstanceId))];
        }

        return Outcomes(await Items.RunAsync(
            new ItemCall<GroupMemberIdentity, Done, LeaveGroupRequest, LeaveGroupResponse>
            {
                IsRetriable = AdminErrors.OfCoordinator,
                Request = (version, asked, _) => version >= FirstLeaveWithMembers
                    ? new LeaveGroupRequest
                    {
                        GroupId = groupId,
                        Members = [.. asked.Select(member => new LeaveGroupRequest.MemberIdentity
                        {
                            MemberId = member.MemberId,
                            GroupInstanceId = member.GroupInstanceId,
                            Reason = reason ?? "member was removed by an admin client",
                        })],
                    }
                    : throw new UnsupportedVersionException("The cluster is too old to remove members: LeaveGroup 3 is needed."),
                Read = (answer, answers) =>
                {
                    if (answer.ErrorCode != 0)
                    {
                        answers.FailAll((ErrorCode)answer.ErrorCode);
                        return;
                    }

                    // Members are answered in the order of the request, and by the coordinator's names for them.
                    foreach (var (asked, member) in answers.Asked.Zip(answer.Members))
                        answers.Take(asked, member.ErrorCode, null, () => default);
                },
            },
            members, new GroupRoute<GroupMemberIdentity>(_client, groupId), cancellation));
    }

    /// <summary>Asks every broker of the cluster, as it is now.</summary>
    private async Task<Dictionary<int, AdminResult<TValue>>> AtAllBrokersAsync<TValue, TRequest, TResponse>(
        ItemCall<int, TValue, TRequest, TResponse> call, CancellationToken cancellation)
        where TRequest : IRequestMessage<TRequest>
        where TResponse : IResponseMessage<TResponse>
    {
        var cluster = await DescribeClusterAsync(cancellation: cancellation);
        return await Items.RunAsync(
            call, cluster.Brokers.Select(broker => broker.Id), new NodeRoute<int>(_client, id => id, othersToController: false),
            cancellation);
    }

    private static ClassicGroupDescription ToDescription(DescribeGroupsResponse.DescribedGroup group)
    {
        var areConsumers = group.ProtocolType == ConsumerProtocol.ProtocolType;
        return new ClassicGroupDescription(
            group.GroupId, group.ProtocolType, group.ProtocolData, group.GroupState,
            [
                .. group.Members.Select(member => new ClassicMemberDescription(
                    member.MemberId, member.GroupInstanceId, member.ClientId, member.ClientHost, member.MemberMetadata,
                    member.MemberAssignment, areConsumers ? AssignedPartitions(member.MemberAssignment) : [])),
            ],
            Operations(group.AuthorizedOperations));
    }

    /// <summary>The partitions of a classic consumer; none while nothing is assigned, or a program wrote something else there.</summary>
    private static TopicPartition[] AssignedPartitions(byte[] assignment)
    {
        if (assignment.Length == 0)
            return [];
        try
        {
            return [.. ConsumerProtocol.ReadAssignment(assignment).AssignedPartitions
                .SelectMany(topic => topic.Partitions.Select(partition => new TopicPartition(topic.Topic, partition)))];
        }
        catch (ProtocolException)
        {
            return [];
        }
    }

    private static ConsumerGroupDescription ToDescription(ConsumerGroupDescribeResponse.DescribedGroup group) => new(
        group.GroupId, GroupProtocol.Consumer, group.GroupState, group.GroupEpoch, group.AssignmentEpoch, group.AssignorName,
        [
            .. group.Members.Select(member => new ConsumerMemberDescription(
                member.MemberId, member.InstanceId, member.ClientId, member.ClientHost, ToPartitions(member.Assignment))
            {
                Rack = member.RackId,
                Epoch = member.MemberEpoch,
                TargetAssignment = ToPartitions(member.TargetAssignment),
                SubscribedTopics = member.SubscribedTopicNames,
                SubscribedPattern = string.IsNullOrEmpty(member.SubscribedTopicRegex) ? null : member.SubscribedTopicRegex,
                IsClassic = member.MemberType < 0 ? null : member.MemberType == 0,
            }),
        ],
        Operations(group.AuthorizedOperations));

    private static TopicPartition[] ToPartitions(ConsumerGroupDescribeResponse.AssignmentData assignment) =>
    [
        .. assignment.TopicPartitions.SelectMany(topic =>
            topic.Partitions.Select(partition => new TopicPartition(topic.TopicName, partition))),
    ];

    private static AdminResult<ConsumerGroupDescription> ToConsumerGroup(AdminResult<ClassicGroupDescription> result)
    {
        if (!result.IsSuccess)
            return new AdminResult<ConsumerGroupDescription>(result.Error, result.Message);
        var group = result.Value;
        if (group.ProtocolType.Length > 0 && group.ProtocolType != ConsumerProtocol.ProtocolType)
        {
            return new AdminResult<ConsumerGroupDescription>(
                ErrorCode.InconsistentGroupProtocol, $"The members of the group are no consumers: {group.ProtocolType}");
        }

        return new AdminResult<ConsumerGroupDescription>(new ConsumerGroupDescription(
            group.GroupId, GroupProtocol.Classic, group.State, null, null, group.Protocol,
            [
                .. group.Members.Select(member => new ConsumerMemberDescription(
                    member.MemberId, member.GroupInstanceId, member.ClientId, member.Host, member.AssignedPartitions)),
            ],
            group.AuthorizedOperations));
    }

    private const short FirstLeaveWithMembers = 3;
}
