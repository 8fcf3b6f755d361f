using Ottla.Kernel;
using Ottla.Protocol;

namespace Ottla.Client;

/// <summary>Administers a cluster. Made by <see cref="OttlaClient.CreateAdmin"/>, with whose connections it works.</summary>
/// <remarks>
/// <para>
/// Thread-safe. Disposed like producers and consumers, by its user or with the client; calls under way go on to their end. The calls are
/// those of Kafka's Java client. A call goes to the node that can answer it: any broker, the
/// one that the metadata names as controller (which forwards changes to the active controller), leaders, coordinators, or the
/// broker that is named.
/// </para>
/// <para>
/// A call about many items answers with an <see cref="AdminResults{TKey}"/>: an error of one item is a value there, also the end of the
/// time (<see cref="ErrorCode.RequestTimedOut"/>). Calls about the cluster as a whole throw <see cref="KafkaException"/>, and
/// <see cref="KafkaTimeoutException"/> at the end of the time. All throw <see cref="OperationCanceledException"/> when the token is
/// cancelled, and <see cref="ArgumentException"/> for arguments that cannot be right.
/// </para>
/// <para>
/// What may succeed later is tried again until <see cref="OttlaClientOptions.ApiTimeout"/> is over: broken connections, a moved
/// controller, leader or coordinator, a quota of changes. If the connection breaks after a change was made and before it was answered,
/// the second attempt may say that it is made already (<see cref="ErrorCode.TopicAlreadyExists"/>).
/// </para>
/// </remarks>
public partial interface IAdmin : IAsyncDisposable
{
    /// <summary>Creates topics (CreateTopics).</summary>
    /// <param name="topics">The topics.</param>
    /// <param name="validateOnly">Whether it is only checked whether they could be created.</param>
    /// <param name="cancellation">Ends the call.</param>
    /// <returns>By name. Errors: TOPIC_ALREADY_EXISTS, INVALID_TOPIC_EXCEPTION, INVALID_PARTITIONS, INVALID_REPLICATION_FACTOR,
    /// INVALID_REPLICA_ASSIGNMENT, INVALID_CONFIG, POLICY_VIOLATION, TOPIC_AUTHORIZATION_FAILED.</returns>
    Task<AdminResults<string, CreatedTopic>> CreateTopicsAsync(
        IEnumerable<NewTopic> topics, bool validateOnly = false, CancellationToken cancellation = default);

    /// <summary>Deletes topics by name (DeleteTopics).</summary>
    /// <returns>By name. Errors: UNKNOWN_TOPIC_OR_PARTITION, TOPIC_DELETION_DISABLED, TOPIC_AUTHORIZATION_FAILED.</returns>
    Task<AdminResults<string>> DeleteTopicsAsync(IEnumerable<string> topics, CancellationToken cancellation = default);

    /// <summary>Deletes topics by id (DeleteTopics 6, KIP-516).</summary>
    /// <returns>By id. Errors: UNKNOWN_TOPIC_ID, TOPIC_DELETION_DISABLED, TOPIC_AUTHORIZATION_FAILED.</returns>
    Task<AdminResults<Uuid>> DeleteTopicsAsync(IEnumerable<Uuid> topicIds, CancellationToken cancellation = default);

    /// <summary>Lists the topics that the caller may see (Metadata), by name.</summary>
    /// <param name="includeInternal">Whether those of the cluster itself are named too.</param>
    /// <param name="cancellation">Ends the call.</param>
    /// <exception cref="KafkaException">The cluster refuses, or does not answer in time.</exception>
    Task<IReadOnlyList<ListedTopic>> ListTopicsAsync(bool includeInternal = false, CancellationToken cancellation = default);

    /// <summary>Describes topics by name, page by page (DescribeTopicPartitions, KIP-966; Metadata where that is not known).</summary>
    /// <param name="topics">The topics.</param>
    /// <param name="includeAuthorizedOperations">Whether to tell what the caller may do with them (KIP-430).</param>
    /// <param name="cancellation">Ends the call.</param>
    /// <returns>By name. Errors: UNKNOWN_TOPIC_OR_PARTITION, INVALID_TOPIC_EXCEPTION, TOPIC_AUTHORIZATION_FAILED.</returns>
    Task<AdminResults<string, TopicDescription>> DescribeTopicsAsync(
        IEnumerable<string> topics, bool includeAuthorizedOperations = false, CancellationToken cancellation = default);

    /// <summary>Describes topics by id (Metadata 12, KIP-516).</summary>
    /// <param name="topicIds">The ids.</param>
    /// <param name="includeAuthorizedOperations">Whether to tell what the caller may do with them (KIP-430).</param>
    /// <param name="cancellation">Ends the call.</param>
    /// <returns>By id. Errors: UNKNOWN_TOPIC_ID, TOPIC_AUTHORIZATION_FAILED.</returns>
    Task<AdminResults<Uuid, TopicDescription>> DescribeTopicsAsync(
        IEnumerable<Uuid> topicIds, bool includeAuthorizedOperations = false, CancellationToken cancellation = default);

    /// <summary>Gives topics more partitions (CreatePartitions, KIP-195).</summary>
    /// <param name="partitions">The new partitions by topic.</param>
    /// <param name="validateOnly">Whether it is only checked whether they could be created.</param>
    /// <param name="cancellation">Ends the call.</param>
    /// <returns>By topic. Errors: UNKNOWN_TOPIC_OR_PARTITION, INVALID_PARTITIONS, INVALID_REPLICA_ASSIGNMENT, REASSIGNMENT_IN_PROGRESS,
    /// TOPIC_AUTHORIZATION_FAILED.</returns>
    Task<AdminResults<string>> CreatePartitionsAsync(
        IReadOnlyDictionary<string, NewPartitions> partitions, bool validateOnly = false, CancellationToken cancellation = default);

    /// <summary>Deletes the records before offsets, at the leaders (DeleteRecords, KIP-107).</summary>
    /// <param name="offsets">The first offset that stays, by partition; -1 deletes all that are committed.</param>
    /// <param name="cancellation">Ends the call.</param>
    /// <returns>The first offset that is left, by partition. Errors: OFFSET_OUT_OF_RANGE, POLICY_VIOLATION,
    /// TOPIC_AUTHORIZATION_FAILED. A topic that is not there is waited for.</returns>
    Task<AdminResults<TopicPartition, long>> DeleteRecordsAsync(
        IReadOnlyDictionary<TopicPartition, long> offsets, CancellationToken cancellation = default);

    /// <summary>Looks offsets up, at the leaders (ListOffsets).</summary>
    /// <param name="offsets">What is looked for, by partition.</param>
    /// <param name="isolation">Whether the end is that of all records or of decided transactions.</param>
    /// <param name="cancellation">Ends the call.</param>
    /// <returns>The offset by partition; -1 when no record has such a timestamp. Errors: UNSUPPORTED_VERSION,
    /// TOPIC_AUTHORIZATION_FAILED. A topic that is not there is waited for.</returns>
    Task<AdminResults<TopicPartition, TimestampedOffset>> ListOffsetsAsync(
        IReadOnlyDictionary<TopicPartition, OffsetSpec> offsets, IsolationLevel isolation = IsolationLevel.ReadUncommitted,
        CancellationToken cancellation = default);

    /// <summary>Describes the cluster (DescribeCluster).</summary>
    /// <param name="includeFencedBrokers">Whether brokers that have fallen silent are named too (KIP-1073).</param>
    /// <param name="includeAuthorizedOperations">Whether to tell what the caller may do with the cluster.</param>
    /// <param name="cancellation">Ends the call.</param>
    /// <exception cref="KafkaException">The cluster refuses, or does not answer in time.</exception>
    Task<ClusterDescription> DescribeClusterAsync(
        bool includeFencedBrokers = false, bool includeAuthorizedOperations = false, CancellationToken cancellation = default);

    /// <summary>Tells which features the cluster has (ApiVersions 3, KIP-584).</summary>
    /// <exception cref="KafkaException">The cluster refuses, or does not answer in time.</exception>
    Task<FeatureMetadata> DescribeFeaturesAsync(CancellationToken cancellation = default);

    /// <summary>Tells which features a node has (ApiVersions 3, KIP-584).</summary>
    /// <param name="nodeId">The node.</param>
    /// <param name="cancellation">Ends the call.</param>
    /// <exception cref="KafkaException">The node refuses, or does not answer in time.</exception>
    Task<FeatureMetadata> DescribeFeaturesAsync(int nodeId, CancellationToken cancellation = default);

    /// <summary>Tells which versions of the APIs a node has (ApiVersions, KIP-35).</summary>
    /// <param name="nodeId">The node.</param>
    /// <param name="cancellation">Ends the call.</param>
    /// <exception cref="KafkaException">The node refuses, or does not answer in time.</exception>
    Task<IReadOnlyList<ApiVersion>> ListApiVersionsAsync(int nodeId, CancellationToken cancellation = default);

    /// <summary>Changes the levels of features (UpdateFeatures): all, or with an error none of them.</summary>
    /// <param name="updates">The levels by feature.</param>
    /// <param name="validateOnly">Whether it is only checked whether they could be changed.</param>
    /// <param name="cancellation">Ends the call.</param>
    /// <returns>By feature. Errors: FEATURE_UPDATE_FAILED, INVALID_UPDATE_VERSION, CLUSTER_AUTHORIZATION_FAILED.</returns>
    Task<AdminResults<string>> UpdateFeaturesAsync(
        IReadOnlyDictionary<string, FeatureUpdate> updates, bool validateOnly = false, CancellationToken cancellation = default);

    /// <summary>Describes the quorum of controllers (DescribeQuorum, KIP-836).</summary>
    /// <exception cref="KafkaException">The cluster refuses, or does not answer in time.</exception>
    Task<QuorumDescription> DescribeMetadataQuorumAsync(CancellationToken cancellation = default);

    /// <summary>Adds a voter to the quorum of controllers (AddRaftVoter, KIP-853).</summary>
    /// <param name="voterId">The controller's node id.</param>
    /// <param name="directoryId">The id of its metadata directory.</param>
    /// <param name="endpoints">Where it listens.</param>
    /// <param name="clusterId">The cluster that is meant; null for whichever answers.</param>
    /// <param name="cancellation">Ends the call.</param>
    /// <exception cref="KafkaException">DUPLICATE_VOTER, INVALID_REQUEST, UNSUPPORTED_VERSION, REQUEST_TIMED_OUT,
    /// INCONSISTENT_CLUSTER_ID, CLUSTER_AUTHORIZATION_FAILED.</exception>
    Task AddRaftVoterAsync(
        int voterId, Uuid directoryId, IReadOnlyCollection<RaftVoterEndpoint> endpoints, string? clusterId = null,
        CancellationToken cancellation = default);

    /// <summary>Takes a voter out of the quorum of controllers (RemoveRaftVoter, KIP-853).</summary>
    /// <param name="voterId">The controller's node id.</param>
    /// <param name="directoryId">The id of its metadata directory.</param>
    /// <param name="clusterId">The cluster that is meant; null for whichever answers.</param>
    /// <param name="cancellation">Ends the call.</param>
    /// <exception cref="KafkaException">VOTER_NOT_FOUND, INVALID_REQUEST, UNSUPPORTED_VERSION, REQUEST_TIMED_OUT,
    /// INCONSISTENT_CLUSTER_ID, CLUSTER_AUTHORIZATION_FAILED.</exception>
    Task RemoveRaftVoterAsync(int voterId, Uuid directoryId, string? clusterId = null, CancellationToken cancellation = default);

    /// <summary>Removes the registration of a broker that is gone (UnregisterBroker, KIP-500).</summary>
    /// <exception cref="KafkaException">BROKER_ID_NOT_REGISTERED, CLUSTER_AUTHORIZATION_FAILED, or no answer in time.</exception>
    Task UnregisterBrokerAsync(int brokerId, CancellationToken cancellation = default);

    /// <summary>Removes the registration of a controller that is gone (UnregisterController).</summary>
    /// <exception cref="KafkaException">The cluster refuses, or does not answer in time.</exception>
    Task UnregisterControllerAsync(int controllerId, CancellationToken cancellation = default);

    /// <summary>Tells the configs of resources (DescribeConfigs); those of a broker are asked of it.</summary>
    /// <param name="resources">The resources.</param>
    /// <param name="includeSynonyms">Whether the values in all places are told.</param>
    /// <param name="includeDocumentation">Whether it is told what the configs do (KIP-569).</param>
    /// <param name="cancellation">Ends the call.</param>
    /// <returns>By resource. Errors: UNKNOWN_TOPIC_OR_PARTITION, INVALID_REQUEST, TOPIC_AUTHORIZATION_FAILED,
    /// CLUSTER_AUTHORIZATION_FAILED, GROUP_AUTHORIZATION_FAILED.</returns>
    Task<AdminResults<ConfigResource, IReadOnlyList<ConfigEntry>>> DescribeConfigsAsync(
        IEnumerable<ConfigResource> resources, bool includeSynonyms = false, bool includeDocumentation = false,
        CancellationToken cancellation = default);

    /// <summary>Changes some configs of resources, and leaves the others (IncrementalAlterConfigs, KIP-339).</summary>
    /// <param name="changes">The changes by resource.</param>
    /// <param name="validateOnly">Whether it is only checked whether they could be made.</param>
    /// <param name="cancellation">Ends the call.</param>
    /// <returns>By resource. Errors: INVALID_CONFIG, INVALID_REQUEST, UNKNOWN_TOPIC_OR_PARTITION, POLICY_VIOLATION,
    /// TOPIC_AUTHORIZATION_FAILED, CLUSTER_AUTHORIZATION_FAILED, GROUP_AUTHORIZATION_FAILED.</returns>
    Task<AdminResults<ConfigResource>> IncrementalAlterConfigsAsync(
        IReadOnlyDictionary<ConfigResource, IReadOnlyList<ConfigChange>> changes, bool validateOnly = false,
        CancellationToken cancellation = default);

    /// <summary>Lists what has configs (ListConfigResources, KIP-1142).</summary>
    /// <param name="types">What is looked for; null for all. Clusters before Kafka 4.1 know client metrics alone.</param>
    /// <param name="cancellation">Ends the call.</param>
    /// <exception cref="KafkaException">The cluster refuses, or does not answer in time.</exception>
    Task<IReadOnlyList<ConfigResource>> ListConfigResourcesAsync(
        IReadOnlyCollection<ConfigResourceType>? types = null, CancellationToken cancellation = default);
}
