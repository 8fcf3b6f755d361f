using Ottla.Kernel;

namespace Ottla.Client;

public partial interface IAdmin
{
    /// <summary>Lists the groups of all brokers (ListGroups), all types unless they are named (KIP-518, KIP-848).</summary>
    /// <param name="states">The states that are looked for: <c>Stable</c>; null for all.</param>
    /// <param name="types">The types that are looked for: <c>classic</c>, <c>consumer</c>; null for all.</param>
    /// <param name="cancellation">Ends the call.</param>
    /// <exception cref="KafkaException">The cluster refuses this client, or its brokers are not known in time.</exception>
    Task<ClusterListing<ListedGroup>> ListGroupsAsync(
        IReadOnlyCollection<string>? states = null, IReadOnlyCollection<string>? types = null, CancellationToken cancellation = default);

    /// <summary>Describes groups of the classic protocol, at their coordinators (DescribeGroups).</summary>
    /// <param name="groupIds">The groups.</param>
    /// <param name="includeAuthorizedOperations">Whether to tell what the caller may do with them.</param>
    /// <param name="cancellation">Ends the call.</param>
    /// <returns>By group. Errors: GROUP_ID_NOT_FOUND (an older cluster says <c>Dead</c> instead), GROUP_AUTHORIZATION_FAILED.</returns>
    Task<AdminResults<string, ClassicGroupDescription>> DescribeClassicGroupsAsync(
        IEnumerable<string> groupIds, bool includeAuthorizedOperations = false, CancellationToken cancellation = default);

    /// <summary>
    /// Describes groups of consumers of either protocol, at their coordinators (ConsumerGroupDescribe, KIP-848; those that are none of the
    /// newer protocol by DescribeGroups).
    /// </summary>
    /// <param name="groupIds">The groups.</param>
    /// <param name="includeAuthorizedOperations">Whether to tell what the caller may do with them.</param>
    /// <param name="cancellation">Ends the call.</param>
    /// <returns>By group. Errors: GROUP_ID_NOT_FOUND, GROUP_AUTHORIZATION_FAILED, TOPIC_AUTHORIZATION_FAILED.</returns>
    Task<AdminResults<string, ConsumerGroupDescription>> DescribeConsumerGroupsAsync(
        IEnumerable<string> groupIds, bool includeAuthorizedOperations = false, CancellationToken cancellation = default);

    /// <summary>Deletes groups without members and their offsets (DeleteGroups).</summary>
    /// <returns>By group. Errors: GROUP_ID_NOT_FOUND, NON_EMPTY_GROUP, GROUP_AUTHORIZATION_FAILED.</returns>
    Task<AdminResults<string>> DeleteConsumerGroupsAsync(IEnumerable<string> groupIds, CancellationToken cancellation = default);

    /// <summary>Tells the offsets that groups have committed, at their coordinators (OffsetFetch).</summary>
    /// <param name="groups">The partitions by group; null for all that it has offsets of. More than one group needs Kafka 3.0.</param>
    /// <param name="requireStable">Whether to wait for open transactions that commit offsets (KIP-447).</param>
    /// <param name="cancellation">Ends the call.</param>
    /// <returns>By group, the offset of each partition; null where there is none. Errors: GROUP_ID_NOT_FOUND,
    /// GROUP_AUTHORIZATION_FAILED; of partitions: TOPIC_AUTHORIZATION_FAILED, UNKNOWN_TOPIC_OR_PARTITION.</returns>
    Task<AdminResults<string, AdminResults<TopicPartition, CommitOffset?>>> ListConsumerGroupOffsetsAsync(
        IReadOnlyDictionary<string, IReadOnlyCollection<TopicPartition>?> groups, bool requireStable = false,
        CancellationToken cancellation = default);

    /// <summary>Sets offsets of a group without members (OffsetCommit).</summary>
    /// <returns>By partition. Errors: UNKNOWN_MEMBER_ID (the group has members), GROUP_AUTHORIZATION_FAILED,
    /// TOPIC_AUTHORIZATION_FAILED, UNKNOWN_TOPIC_OR_PARTITION, OFFSET_METADATA_TOO_LARGE.</returns>
    Task<AdminResults<TopicPartition>> AlterConsumerGroupOffsetsAsync(
        string groupId, IReadOnlyCollection<PartitionOffset> offsets, CancellationToken cancellation = default);

    /// <summary>Deletes offsets of topics that nobody of the group subscribes to (OffsetDelete, KIP-496).</summary>
    /// <returns>By partition. Errors: GROUP_SUBSCRIBED_TO_TOPIC, GROUP_ID_NOT_FOUND, NON_EMPTY_GROUP (a group of something else than
    /// consumers), UNKNOWN_TOPIC_OR_PARTITION, GROUP_AUTHORIZATION_FAILED, TOPIC_AUTHORIZATION_FAILED.</returns>
    Task<AdminResults<TopicPartition>> DeleteConsumerGroupOffsetsAsync(
        string groupId, IEnumerable<TopicPartition> partitions, CancellationToken cancellation = default);

    /// <summary>Has members leave a group (LeaveGroup 3, KIP-345).</summary>
    /// <param name="groupId">The group.</param>
    /// <param name="members">The members; null for all that it has now.</param>
    /// <param name="reason">Why, for the broker's log; null for a default.</param>
    /// <param name="cancellation">Ends the call.</param>
    /// <returns>By member. Errors: UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID, GROUP_AUTHORIZATION_FAILED.</returns>
    /// <exception cref="KafkaException">All members are meant, and the group cannot be described.</exception>
    Task<AdminResults<GroupMemberIdentity>> RemoveMembersFromConsumerGroupAsync(
        string groupId, IReadOnlyCollection<GroupMemberIdentity>? members = null, string? reason = null,
        CancellationToken cancellation = default);
}
