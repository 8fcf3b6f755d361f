using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Groups.Assignors;

namespace Ottla.StateMachines.Groups.Consumer;

/// <summary>The member epochs with a special meaning.</summary>
public static class MemberEpochs
{
    /// <summary>The member joins, or joins again.</summary>
    public const int Join = 0;

    /// <summary>The member leaves.</summary>
    public const int Leave = -1;

    /// <summary>The static member leaves temporarily.</summary>
    public const int StaticLeave = -2;
}

/// <summary>Checks a ConsumerGroupHeartbeat independently of the group.</summary>
internal static class ConsumerHeartbeatRules
{
    private const short FirstVersionWithClientMadeMemberIds = 1;

    /// <summary>Checks a request.</summary>
    /// <exception cref="ApiException">INVALID_REQUEST, UNSUPPORTED_ASSIGNOR.</exception>
    public static void Check(ConsumerGroupHeartbeatRequest request, short version, PartitionAssignors assignors)
    {
        if (version >= FirstVersionWithClientMadeMemberIds || request.MemberEpoch is > MemberEpochs.Join or MemberEpochs.Leave)
            RefuseBlank(request.MemberId, nameof(request.MemberId));
        RefuseBlank(request.GroupId, nameof(request.GroupId));
        RefuseBlank(request.InstanceId, nameof(request.InstanceId));
        RefuseBlank(request.RackId, nameof(request.RackId));
        if (request.MemberEpoch == MemberEpochs.Join)
            CheckJoin(request);
        else if (request.MemberEpoch == MemberEpochs.StaticLeave && request.InstanceId is null)
            throw Invalid("InstanceId can't be null.");
        else if (request.MemberEpoch < MemberEpochs.StaticLeave)
            throw Invalid("MemberEpoch is invalid.");

        if (request.ServerAssignor is { } assignor && !assignors.Contains(assignor))
        {
            throw new ApiException(
                ErrorCode.UnsupportedAssignor,
                $"ServerAssignor {assignor} is not supported. Supported assignors: {string.Join(", ", assignors.Names)}.");
        }
    }

    /// <summary>Whether the request has all fields: the member joins, or does not know the coordinator's state of it.</summary>
    public static bool IsFull(ConsumerGroupHeartbeatRequest request) =>
        request.RebalanceTimeoutMs != -1 && (request.SubscribedTopicNames ?? (object?)request.SubscribedTopicRegex) is not null
            && request.TopicPartitions is not null;

    private static void CheckJoin(ConsumerGroupHeartbeatRequest request)
    {
        if (request.RebalanceTimeoutMs == -1)
            throw Invalid("RebalanceTimeoutMs must be provided in first request.");
        if (request.TopicPartitions is not { Length: 0 })
            throw Invalid("TopicPartitions must be empty when (re-)joining.");
        if (request.SubscribedTopicNames is null && request.SubscribedTopicRegex is null)
            throw Invalid("Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.");
    }

    private static void RefuseBlank(string? value, string field)
    {
        if (value is not null && string.IsNullOrWhiteSpace(value))
            throw Invalid($"{field} can't be empty.");
    }

    private static ApiException Invalid(string message) => new(ErrorCode.InvalidRequest, message);
}
