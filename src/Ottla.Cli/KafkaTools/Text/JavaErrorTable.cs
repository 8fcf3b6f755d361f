using System.Collections.Frozen;
using Ottla.Protocol;

namespace Ottla.Cli.KafkaTools.Text;

/// <summary>
/// What Kafka's Java client makes of each error code: the class of the exception, and the message when the broker sends none.
/// </summary>
internal static class JavaErrorTable
{
    /// <summary>The names by code. Classes without a package are those of <c>org.apache.kafka.common.errors</c>.</summary>
    public static readonly FrozenDictionary<ErrorCode, (string Class, string Message)> ByCode =
        new Dictionary<ErrorCode, (string Class, string Message)>
        {
            [ErrorCode.UnknownServerError] = (
                "UnknownServerException",
                "The server experienced an unexpected error when processing the request."),
            [ErrorCode.OffsetOutOfRange] = (
                "OffsetOutOfRangeException",
                "The requested offset is not within the range of offsets maintained by the server."),
            [ErrorCode.CorruptMessage] = (
                "CorruptRecordException",
                "This message has failed its CRC checksum, exceeds the valid size, has a null key for a compacted topic, or is otherwise "
                + "corrupt."),
            [ErrorCode.UnknownTopicOrPartition] = ("UnknownTopicOrPartitionException", "This server does not host this topic-partition."),
            [ErrorCode.InvalidFetchSize] = ("InvalidFetchSizeException", "The requested fetch size is invalid."),
            [ErrorCode.LeaderNotAvailable] = (
                "LeaderNotAvailableException",
                "There is no leader for this topic-partition as we are in the middle of a leadership election."),
            [ErrorCode.NotLeaderOrFollower] = (
                "NotLeaderOrFollowerException",
                "For requests intended only for the leader, this error indicates that the broker is not the current "
                + "leader. For requests intended for any replica, this error indicates that the broker is not a replica of the topic "
                + "partition."),
            [ErrorCode.RequestTimedOut] = ("TimeoutException", "The request timed out."),
            [ErrorCode.BrokerNotAvailable] = ("BrokerNotAvailableException", "The broker is not available."),
            [ErrorCode.ReplicaNotAvailable] = (
                "ReplicaNotAvailableException",
                "The replica is not available for the requested topic-partition. Produce/Fetch requests and other "
                + "requests intended only for the leader or follower return NOT_LEADER_OR_FOLLOWER if the broker is not a "
                + "replica of the topic-partition."),
            [ErrorCode.MessageTooLarge] = (
                "RecordTooLargeException",
                "The request included a message larger than the max message size the server will accept."),
            [ErrorCode.StaleControllerEpoch] = ("ControllerMovedException", "The controller moved to another broker."),
            [ErrorCode.OffsetMetadataTooLarge] = ("OffsetMetadataTooLarge", "The metadata field of the offset request was too large."),
            [ErrorCode.NetworkException] = ("NetworkException", "The server disconnected before a response was received."),
            [ErrorCode.CoordinatorLoadInProgress] = (
                "CoordinatorLoadInProgressException",
                "The coordinator is loading and hence can't process requests."),
            [ErrorCode.CoordinatorNotAvailable] = ("CoordinatorNotAvailableException", "The coordinator is not available."),
            [ErrorCode.NotCoordinator] = ("NotCoordinatorException", "This is not the correct coordinator."),
            [ErrorCode.InvalidTopicException] = (
                "InvalidTopicException", "The request attempted to perform an operation on an invalid topic."),
            [ErrorCode.RecordListTooLarge] = (
                "RecordBatchTooLargeException",
                "The request included message batch larger than the configured segment size on the server."),
            [ErrorCode.NotEnoughReplicas] = (
                "NotEnoughReplicasException",
                "Messages are rejected since there are fewer in-sync replicas than required."),
            [ErrorCode.NotEnoughReplicasAfterAppend] = (
                "NotEnoughReplicasAfterAppendException",
                "Messages are written to the log, but to fewer in-sync replicas than required."),
            [ErrorCode.InvalidRequiredAcks] = (
                "InvalidRequiredAcksException", "Produce request specified an invalid value for required acks."),
            [ErrorCode.IllegalGeneration] = ("IllegalGenerationException", "Specified group generation id is not valid."),
            [ErrorCode.InvalidGroupId] = ("InvalidGroupIdException", "The group id is invalid."),
            [ErrorCode.UnknownMemberId] = ("UnknownMemberIdException", "The coordinator is not aware of this member."),
            [ErrorCode.RebalanceInProgress] = ("RebalanceInProgressException", "The group is rebalancing, so a rejoin is needed."),
            [ErrorCode.InvalidCommitOffsetSize] = ("InvalidCommitOffsetSizeException", "The committing offset data size is not valid."),
            [ErrorCode.TopicAuthorizationFailed] = ("TopicAuthorizationException", "Topic authorization failed."),
            [ErrorCode.GroupAuthorizationFailed] = ("GroupAuthorizationException", "Group authorization failed."),
            [ErrorCode.ClusterAuthorizationFailed] = ("ClusterAuthorizationException", "Cluster authorization failed."),
            [ErrorCode.InvalidTimestamp] = ("InvalidTimestampException", "The timestamp of the message is out of acceptable range."),
            [ErrorCode.UnsupportedSaslMechanism] = (
                "UnsupportedSaslMechanismException",
                "The broker does not support the requested SASL mechanism."),
            [ErrorCode.IllegalSaslState] = ("IllegalSaslStateException", "Request is not valid given the current SASL state."),
            [ErrorCode.UnsupportedVersion] = ("UnsupportedVersionException", "The version of API is not supported."),
            [ErrorCode.TopicAlreadyExists] = ("TopicExistsException", "Topic with this name already exists."),
            [ErrorCode.InvalidPartitions] = ("InvalidPartitionsException", "Number of partitions is below 1."),
            [ErrorCode.InvalidReplicationFactor] = (
                "InvalidReplicationFactorException",
                "Replication factor is below 1 or larger than the number of available brokers."),
            [ErrorCode.InvalidReplicaAssignment] = ("InvalidReplicaAssignmentException", "Replica assignment is invalid."),
            [ErrorCode.InvalidConfig] = ("InvalidConfigurationException", "Configuration is invalid."),
            [ErrorCode.NotController] = ("NotControllerException", "This is not the correct controller for this cluster."),
            [ErrorCode.InvalidRequest] = (
                "InvalidRequestException",
                "This most likely occurs because of a request being malformed by the client library or the message was "
                + "sent to an incompatible broker. See the broker logs for more details."),
            [ErrorCode.UnsupportedForMessageFormat] = (
                "UnsupportedForMessageFormatException",
                "The message format version on the broker does not support the request."),
            [ErrorCode.PolicyViolation] = ("PolicyViolationException", "Request parameters do not satisfy the configured policy."),
            [ErrorCode.OutOfOrderSequenceNumber] = ("OutOfOrderSequenceException", "The broker received an out of order sequence number."),
            [ErrorCode.DuplicateSequenceNumber] = ("DuplicateSequenceException", "The broker received a duplicate sequence number."),
            [ErrorCode.InvalidProducerEpoch] = ("InvalidProducerEpochException", "Producer attempted to produce with an old epoch."),
            [ErrorCode.InvalidTxnState] = (
                "InvalidTxnStateException", "The producer attempted a transactional operation in an invalid state."),
            [ErrorCode.InvalidProducerIdMapping] = (
                "InvalidPidMappingException",
                "The producer attempted to use a producer id which is not currently assigned to its transactional id."),
            [ErrorCode.InvalidTransactionTimeout] = (
                "InvalidTxnTimeoutException",
                "The transaction timeout is larger than the maximum value allowed by the broker (as configured by "
                + "transaction.max.timeout.ms)."),
            [ErrorCode.ConcurrentTransactions] = (
                "ConcurrentTransactionsException",
                "The producer attempted to update a transaction while another concurrent operation on the same transaction was ongoing."),
            [ErrorCode.TransactionCoordinatorFenced] = (
                "TransactionCoordinatorFencedException",
                "Indicates that the transaction coordinator sending a WriteTxnMarker is no longer the current coordinator for a given "
                + "producer."),
            [ErrorCode.TransactionalIdAuthorizationFailed] = (
                "TransactionalIdAuthorizationException",
                "Transactional Id authorization failed."),
            [ErrorCode.SecurityDisabled] = ("SecurityDisabledException", "Security features are disabled."),
            [ErrorCode.OperationNotAttempted] = (
                "OperationNotAttemptedException",
                "The broker did not attempt to execute this operation. This may happen for batched RPCs where some "
                + "operations in the batch failed, causing the broker to respond without trying the rest."),
            [ErrorCode.KafkaStorageError] = ("KafkaStorageException", "Disk error when trying to access log file on the disk."),
            [ErrorCode.LogDirNotFound] = ("LogDirNotFoundException", "The user-specified log directory is not found in the broker config."),
            [ErrorCode.SaslAuthenticationFailed] = ("SaslAuthenticationException", "SASL Authentication failed."),
            [ErrorCode.UnknownProducerId] = (
                "UnknownProducerIdException",
                "This exception is raised by the broker if it could not locate the producer metadata associated with the "
                + "producerId in question. This could happen if, for instance, the producer's records were deleted because "
                + "their retention time had elapsed. Once the last records of the producerId are removed, the producer's "
                + "metadata is removed from the broker, and future appends by the producer will return this exception."),
            [ErrorCode.ReassignmentInProgress] = ("ReassignmentInProgressException", "A partition reassignment is in progress."),
            [ErrorCode.DelegationTokenAuthDisabled] = ("DelegationTokenDisabledException", "Delegation Token feature is not enabled."),
            [ErrorCode.DelegationTokenNotFound] = ("DelegationTokenNotFoundException", "Delegation Token is not found on server."),
            [ErrorCode.DelegationTokenOwnerMismatch] = (
                "DelegationTokenOwnerMismatchException",
                "Specified Principal is not valid Owner/Renewer."),
            [ErrorCode.DelegationTokenRequestNotAllowed] = (
                "UnsupportedByAuthenticationException",
                "Delegation Token requests are not allowed on PLAINTEXT/1-way SSL channels and on delegation token authenticated "
                    + "channels."),
            [ErrorCode.DelegationTokenAuthorizationFailed] = (
                "DelegationTokenAuthorizationException",
                "Delegation Token authorization failed."),
            [ErrorCode.DelegationTokenExpired] = ("DelegationTokenExpiredException", "Delegation Token is expired."),
            [ErrorCode.InvalidPrincipalType] = ("InvalidPrincipalTypeException", "Supplied principalType is not supported."),
            [ErrorCode.NonEmptyGroup] = ("GroupNotEmptyException", "The group is not empty."),
            [ErrorCode.GroupIdNotFound] = ("GroupIdNotFoundException", "The group id does not exist."),
            [ErrorCode.FetchSessionIdNotFound] = ("FetchSessionIdNotFoundException", "The fetch session ID was not found."),
            [ErrorCode.InvalidFetchSessionEpoch] = ("InvalidFetchSessionEpochException", "The fetch session epoch is invalid."),
            [ErrorCode.ListenerNotFound] = (
                "ListenerNotFoundException",
                "There is no listener on the leader broker that matches the listener on which metadata request was processed."),
            [ErrorCode.TopicDeletionDisabled] = ("TopicDeletionDisabledException", "Topic deletion is disabled."),
            [ErrorCode.FencedLeaderEpoch] = (
                "FencedLeaderEpochException",
                "The leader epoch in the request is older than the epoch on the broker."),
            [ErrorCode.UnknownLeaderEpoch] = (
                "UnknownLeaderEpochException",
                "The leader epoch in the request is newer than the epoch on the broker."),
            [ErrorCode.UnsupportedCompressionType] = (
                "UnsupportedCompressionTypeException",
                "The requesting client does not support the compression type of given partition."),
            [ErrorCode.StaleBrokerEpoch] = ("StaleBrokerEpochException", "Broker epoch has changed."),
            [ErrorCode.OffsetNotAvailable] = (
                "OffsetNotAvailableException",
                "The leader high watermark has not caught up from a recent leader election so the offsets cannot be "
                + "guaranteed to be monotonically increasing."),
            [ErrorCode.MemberIdRequired] = (
                "MemberIdRequiredException",
                "The group member needs to have a valid member id before actually entering a consumer group."),
            [ErrorCode.PreferredLeaderNotAvailable] = ("PreferredLeaderNotAvailableException", "The preferred leader was not available."),
            [ErrorCode.GroupMaxSizeReached] = ("GroupMaxSizeReachedException", "The group has reached its maximum size."),
            [ErrorCode.FencedInstanceId] = (
                "FencedInstanceIdException",
                "The broker rejected this static consumer since another consumer with the same group.instance.id has "
                + "registered with a different member.id."),
            [ErrorCode.EligibleLeadersNotAvailable] = (
                "EligibleLeadersNotAvailableException",
                "Eligible topic partition leaders are not available."),
            [ErrorCode.ElectionNotNeeded] = ("ElectionNotNeededException", "Leader election not needed for topic partition."),
            [ErrorCode.NoReassignmentInProgress] = ("NoReassignmentInProgressException", "No partition reassignment is in progress."),
            [ErrorCode.GroupSubscribedToTopic] = (
                "GroupSubscribedToTopicException",
                "Deleting offsets of a topic is forbidden while the consumer group is actively subscribed to it."),
            [ErrorCode.InvalidRecord] = (
                "InvalidRecordException",
                "This record has failed the validation on broker and hence will be rejected."),
            [ErrorCode.UnstableOffsetCommit] = ("UnstableOffsetCommitException", "There are unstable offsets that need to be cleared."),
            [ErrorCode.ThrottlingQuotaExceeded] = ("ThrottlingQuotaExceededException", "The throttling quota has been exceeded."),
            [ErrorCode.ProducerFenced] = (
                "ProducerFencedException",
                "There is a newer producer with the same transactionalId which fences the current one."),
            [ErrorCode.ResourceNotFound] = ("ResourceNotFoundException", "A request illegally referred to a resource that does not exist."),
            [ErrorCode.DuplicateResource] = ("DuplicateResourceException", "A request illegally referred to the same resource twice."),
            [ErrorCode.UnacceptableCredential] = (
                "UnacceptableCredentialException",
                "Requested credential would not meet criteria for acceptability."),
            [ErrorCode.InconsistentVoterSet] = (
                "InconsistentVoterSetException",
                "Indicates that the either the sender or recipient of a voter-only request is not one of the expected voters."),
            [ErrorCode.InvalidUpdateVersion] = ("InvalidUpdateVersionException", "The given update version was invalid."),
            [ErrorCode.FeatureUpdateFailed] = (
                "FeatureUpdateFailedException",
                "Unable to update finalized features due to an unexpected server error."),
            [ErrorCode.PrincipalDeserializationFailure] = (
                "PrincipalDeserializationException",
                "Request principal deserialization failed during forwarding. This indicates an internal error on the "
                + "broker cluster security setup."),
            [ErrorCode.SnapshotNotFound] = ("SnapshotNotFoundException", "Requested snapshot was not found."),
            [ErrorCode.PositionOutOfRange] = (
                "PositionOutOfRangeException",
                "Requested position is not greater than or equal to zero, and less than the size of the snapshot."),
            [ErrorCode.UnknownTopicId] = ("UnknownTopicIdException", "This server does not host this topic ID."),
            [ErrorCode.DuplicateBrokerRegistration] = ("DuplicateBrokerRegistrationException", "This broker ID is already in use."),
            [ErrorCode.BrokerIdNotRegistered] = ("BrokerIdNotRegisteredException", "The given broker ID was not registered."),
            [ErrorCode.InconsistentTopicId] = (
                "InconsistentTopicIdException", "The log's topic ID did not match the topic ID in the request."),
            [ErrorCode.InconsistentClusterId] = (
                "InconsistentClusterIdException",
                "The clusterId in the request does not match that found on the server."),
            [ErrorCode.TransactionalIdNotFound] = ("TransactionalIdNotFoundException", "The transactionalId could not be found."),
            [ErrorCode.FetchSessionTopicIdError] = (
                "FetchSessionTopicIdException",
                "The fetch session encountered inconsistent topic ID usage."),
            [ErrorCode.IneligibleReplica] = ("IneligibleReplicaException", "The new ISR contains at least one ineligible replica."),
            [ErrorCode.NewLeaderElected] = (
                "NewLeaderElectedException",
                "The AlterPartition request successfully updated the partition state but the leader has changed."),
            [ErrorCode.OffsetMovedToTieredStorage] = (
                "OffsetMovedToTieredStorageException",
                "The requested offset is moved to tiered storage."),
            [ErrorCode.FencedMemberEpoch] = (
                "FencedMemberEpochException",
                "The member epoch is fenced by the group coordinator. The member must abandon all its partitions and rejoin."),
            [ErrorCode.UnreleasedInstanceId] = (
                "UnreleasedInstanceIdException",
                "The instance ID is still used by another member in the consumer group. That member must leave first."),
            [ErrorCode.UnsupportedAssignor] = (
                "UnsupportedAssignorException",
                "The assignor or its version range is not supported by the consumer group."),
            [ErrorCode.StaleMemberEpoch] = (
                "StaleMemberEpochException",
                "The member epoch is stale. The member must retry after receiving its updated member epoch via the "
                + "ConsumerGroupHeartbeat API."),
            [ErrorCode.MismatchedEndpointType] = (
                "MismatchedEndpointTypeException", "The request was sent to an endpoint of the wrong type."),
            [ErrorCode.UnsupportedEndpointType] = ("UnsupportedEndpointTypeException", "This endpoint type is not supported yet."),
            [ErrorCode.UnknownControllerId] = ("UnknownControllerIdException", "This controller ID is not known."),
            [ErrorCode.UnknownSubscriptionId] = (
                "UnknownSubscriptionIdException",
                "Client sent a push telemetry request with an invalid or outdated subscription ID."),
            [ErrorCode.TelemetryTooLarge] = (
                "TelemetryTooLargeException",
                "Client sent a push telemetry request larger than the maximum size the broker will accept."),
            [ErrorCode.InvalidRegistration] = (
                "InvalidRegistrationException",
                "The controller has considered the broker registration to be invalid."),
            [ErrorCode.TransactionAbortable] = (
                "TransactionAbortableException",
                "The server encountered an error with the transaction. The client can abort the transaction to continue "
                + "using this transactional ID."),
            [ErrorCode.InvalidRecordState] = (
                "InvalidRecordStateException",
                "The record state is invalid. The acknowledgement of delivery could not be completed."),
            [ErrorCode.ShareSessionNotFound] = ("ShareSessionNotFoundException", "The share session was not found."),
            [ErrorCode.InvalidShareSessionEpoch] = ("InvalidShareSessionEpochException", "The share session epoch is invalid."),
            [ErrorCode.FencedStateEpoch] = (
                "FencedStateEpochException",
                "The coordinator rejected the request because the state epoch did not match."),
            [ErrorCode.InvalidVoterKey] = ("InvalidVoterKeyException", "The voter key doesn't match the receiving replica's key."),
            [ErrorCode.DuplicateVoter] = ("DuplicateVoterException", "The voter is already part of the set of voters."),
            [ErrorCode.VoterNotFound] = ("VoterNotFoundException", "The voter is not part of the set of voters."),
            [ErrorCode.InvalidRegularExpression] = ("InvalidRegularExpression", "The regular expression is not valid."),
            [ErrorCode.RebootstrapRequired] = (
                "RebootstrapRequiredException",
                "Client metadata is stale. The client should rebootstrap to obtain new metadata."),
            [ErrorCode.StreamsInvalidTopology] = ("StreamsInvalidTopologyException", "The supplied topology is invalid."),
            [ErrorCode.StreamsInvalidTopologyEpoch] = ("StreamsInvalidTopologyEpochException", "The supplied topology epoch is invalid."),
            [ErrorCode.StreamsTopologyFenced] = ("StreamsTopologyFencedException", "The supplied topology epoch is outdated."),
            [ErrorCode.ShareSessionLimitReached] = ("ShareSessionLimitReachedException", "The limit of share sessions has been reached."),
            [ErrorCode.GroupDeletionFailed] = (
                "GroupDeletionFailedException",
                "DeleteGroups could not complete; see the error message on the per-group result for details."),
            [ErrorCode.StreamsTopologyDescriptionUpdateFailed] = (
                "StreamsTopologyDescriptionUpdateFailedException",
                "The broker could not process the topology description update; see the error message for details."),
            [ErrorCode.ControllerIdNotRegistered] = ("ControllerIdNotRegisteredException", "The given controller ID was not registered."),
        }.ToFrozenDictionary();
}
