//! Kafka's error codes: the `i16` in a broker's response that identifies the error.

use std::fmt;

/// Declares the enum and its lookups from one table. Each row has Kafka's name of the error, the variant, the code, the
/// class (what the client may do about the error), and the message.
///
/// The class is one of: `no` (not retriable), `retry` (retriable), `refresh` (retriable after a metadata refresh:
/// Kafka's `InvalidMetadataException`).
macro_rules! error_codes {
    ($($name:ident $variant:ident $code:literal $class:ident $message:literal;)*) => {
        /// An error code in a broker's response.
        ///
        /// A code that this version of the library does not know is decoded as
        /// [`UnknownServerError`](Self::UnknownServerError).
        ///
        /// # Kafka
        /// `org.apache.kafka.common.protocol.Errors`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        #[repr(i16)]
        pub enum ErrorCode {
            $(#[doc = $message] $variant = $code,)*
        }

        impl ErrorCode {
            /// All codes in ascending order.
            #[cfg(test)]
            pub(crate) const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The error of a code; `None` for an unknown code.
            pub(crate) const fn known(code: i16) -> Option<Self> {
                match code {
                    $($code => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// Kafka's name of the error, as in its documentation and in broker logs.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($name),)*
                }
            }

            /// The description of the error, as a sentence.
            pub const fn message(self) -> &'static str {
                match self {
                    $(Self::$variant => $message,)*
                }
            }

            const fn class(self) -> Class {
                match self {
                    $(Self::$variant => Class::$class,)*
                }
            }
        }
    };
}

/// What the client may do about an error: the class column of the table.
#[derive(Clone, Copy)]
#[allow(
    non_camel_case_types,
    reason = "they are the words of the table's class column"
)]
enum Class {
    no,
    retry,
    refresh,
}

impl ErrorCode {
    /// The error of a code; [`UnknownServerError`](Self::UnknownServerError) for an unknown code.
    pub const fn from_code(code: i16) -> Self {
        match Self::known(code) {
            Some(error) => error,
            None => Self::UnknownServerError,
        }
    }

    /// The code as it is encoded on the wire.
    pub const fn code(self) -> i16 {
        self as i16
    }

    /// Whether the same request may succeed when it is retried unchanged.
    pub const fn is_retriable(self) -> bool {
        matches!(self.class(), Class::retry | Class::refresh)
    }

    /// True if the client's metadata is out of date (stale), for instance after a leader election, and must be
    /// refreshed before a retry.
    pub const fn is_invalid_metadata(self) -> bool {
        matches!(self.class(), Class::refresh)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.name(), self.code(), self.message())
    }
}

error_codes! {
    UNKNOWN_SERVER_ERROR UnknownServerError -1 no
        "The broker failed for a reason without an error code; its log may show the cause.";
    NONE NoError 0 no
        "No error.";
    OFFSET_OUT_OF_RANGE OffsetOutOfRange 1 no
        "The partition's log does not reach to the offset that was asked for.";
    CORRUPT_MESSAGE CorruptMessage 2 retry
        "The records arrived damaged, or are not valid for the topic (a compacted topic needs keys).";
    UNKNOWN_TOPIC_OR_PARTITION UnknownTopicOrPartition 3 refresh
        "The broker does not have this topic or partition.";
    INVALID_FETCH_SIZE InvalidFetchSize 4 no
        "The fetch asked for an impossible number of bytes.";
    LEADER_NOT_AVAILABLE LeaderNotAvailable 5 refresh
        "The partition has no leader at the moment; one is being elected.";
    NOT_LEADER_OR_FOLLOWER NotLeaderOrFollower 6 refresh
        "The broker no longer leads, or no longer holds, this partition.";
    REQUEST_TIMED_OUT RequestTimedOut 7 retry
        "The broker could not finish the request in the time it was given.";
    BROKER_NOT_AVAILABLE BrokerNotAvailable 8 no
        "The broker that is needed is not available.";
    REPLICA_NOT_AVAILABLE ReplicaNotAvailable 9 refresh
        "A replica of the partition is not available on the broker.";
    MESSAGE_TOO_LARGE MessageTooLarge 10 no
        "The batch is larger than the broker or the topic accepts (message.max.bytes, max.message.bytes).";
    STALE_CONTROLLER_EPOCH StaleControllerEpoch 11 no
        "Another controller has taken over since.";
    OFFSET_METADATA_TOO_LARGE OffsetMetadataTooLarge 12 no
        "The metadata of a committed offset is too large.";
    NETWORK_EXCEPTION NetworkException 13 refresh
        "The connection to the broker ended before it answered.";
    COORDINATOR_LOAD_IN_PROGRESS CoordinatorLoadInProgress 14 retry
        "The coordinator is still reading its state and cannot serve requests yet.";
    COORDINATOR_NOT_AVAILABLE CoordinatorNotAvailable 15 retry
        "There is no coordinator at the moment.";
    NOT_COORDINATOR NotCoordinator 16 retry
        "The broker is not, or no longer, the coordinator for this id.";
    INVALID_TOPIC_EXCEPTION InvalidTopicException 17 no
        "The topic's name is not allowed, or the topic may not be written to.";
    RECORD_LIST_TOO_LARGE RecordListTooLarge 18 no
        "The batch does not fit into one segment of the partition's log (segment.bytes).";
    NOT_ENOUGH_REPLICAS NotEnoughReplicas 19 retry
        "Fewer replicas are in sync than min.insync.replicas asks for; nothing was written.";
    NOT_ENOUGH_REPLICAS_AFTER_APPEND NotEnoughReplicasAfterAppend 20 retry
        "The leader wrote the records, but fewer replicas than min.insync.replicas were in sync by then.";
    INVALID_REQUIRED_ACKS InvalidRequiredAcks 21 no
        "The broker does not accept this value of acks.";
    ILLEGAL_GENERATION IllegalGeneration 22 no
        "The consumer group is at another generation.";
    INCONSISTENT_GROUP_PROTOCOL InconsistentGroupProtocol 23 no
        "The member shares no protocol with the rest of its group.";
    INVALID_GROUP_ID InvalidGroupId 24 no
        "The group id is not a valid one.";
    UNKNOWN_MEMBER_ID UnknownMemberId 25 no
        "The group has no member with this member id.";
    INVALID_SESSION_TIMEOUT InvalidSessionTimeout 26 no
        "The session timeout is outside the broker's bounds.";
    REBALANCE_IN_PROGRESS RebalanceInProgress 27 no
        "The group is rebalancing; its members have to join again.";
    INVALID_COMMIT_OFFSET_SIZE InvalidCommitOffsetSize 28 no
        "The offsets to commit are larger than the broker allows.";
    TOPIC_AUTHORIZATION_FAILED TopicAuthorizationFailed 29 no
        "The client is not permitted to do this with the topic.";
    GROUP_AUTHORIZATION_FAILED GroupAuthorizationFailed 30 no
        "The client is not permitted to do this with the group.";
    CLUSTER_AUTHORIZATION_FAILED ClusterAuthorizationFailed 31 no
        "The client is not permitted to do this in the cluster.";
    INVALID_TIMESTAMP InvalidTimestamp 32 no
        "A record's timestamp is further from the broker's time than the topic allows.";
    UNSUPPORTED_SASL_MECHANISM UnsupportedSaslMechanism 33 no
        "The broker does not offer this SASL mechanism.";
    ILLEGAL_SASL_STATE IllegalSaslState 34 no
        "The request does not fit the state of the SASL exchange.";
    UNSUPPORTED_VERSION UnsupportedVersion 35 no
        "The broker does not speak this version of the request.";
    TOPIC_ALREADY_EXISTS TopicAlreadyExists 36 no
        "There already is a topic of this name.";
    INVALID_PARTITIONS InvalidPartitions 37 no
        "The topic cannot have this number of partitions.";
    INVALID_REPLICATION_FACTOR InvalidReplicationFactor 38 no
        "There cannot be this many replicas: fewer than one, or more than there are brokers.";
    INVALID_REPLICA_ASSIGNMENT InvalidReplicaAssignment 39 no
        "The requested replica assignment is not possible.";
    INVALID_CONFIG InvalidConfig 40 no
        "A configuration value is not valid.";
    NOT_CONTROLLER NotController 41 retry
        "The broker is not the cluster's controller.";
    INVALID_REQUEST InvalidRequest 42 no
        "The broker could not parse or accept the request; client and broker may disagree on the protocol.";
    UNSUPPORTED_FOR_MESSAGE_FORMAT UnsupportedForMessageFormat 43 no
        "The topic's message format does not support this.";
    POLICY_VIOLATION PolicyViolation 44 no
        "A policy of the cluster's operators forbids it.";
    OUT_OF_ORDER_SEQUENCE_NUMBER OutOfOrderSequenceNumber 45 no
        "The batch's sequence does not follow the last one the broker has: a batch before it is missing.";
    DUPLICATE_SEQUENCE_NUMBER DuplicateSequenceNumber 46 no
        "The broker already has a batch with this sequence.";
    INVALID_PRODUCER_EPOCH InvalidProducerEpoch 47 no
        "The producer's epoch is older than the current one of its producer id.";
    INVALID_TXN_STATE InvalidTxnState 48 no
        "The transaction is not in a state that permits this.";
    INVALID_PRODUCER_ID_MAPPING InvalidProducerIdMapping 49 no
        "The transactional id now belongs to another producer id.";
    INVALID_TRANSACTION_TIMEOUT InvalidTransactionTimeout 50 no
        "The transaction timeout is longer than the broker allows (transaction.max.timeout.ms).";
    CONCURRENT_TRANSACTIONS ConcurrentTransactions 51 no
        "The coordinator is still finishing the previous transaction of this transactional id.";
    TRANSACTION_COORDINATOR_FENCED TransactionCoordinatorFenced 52 no
        "A newer transaction coordinator has taken over from the one that asked.";
    TRANSACTIONAL_ID_AUTHORIZATION_FAILED TransactionalIdAuthorizationFailed 53 no
        "The client is not permitted to use the transactional id.";
    SECURITY_DISABLED SecurityDisabled 54 no
        "The cluster runs without the security features this needs.";
    OPERATION_NOT_ATTEMPTED OperationNotAttempted 55 no
        "The broker did not attempt this part, because another part of the request failed.";
    KAFKA_STORAGE_ERROR KafkaStorageError 56 refresh
        "The broker cannot read or write the disk that holds the partition.";
    LOG_DIR_NOT_FOUND LogDirNotFound 57 no
        "The broker has no log directory of this name.";
    SASL_AUTHENTICATION_FAILED SaslAuthenticationFailed 58 no
        "The broker does not accept the client's credentials.";
    UNKNOWN_PRODUCER_ID UnknownProducerId 59 no
        "The broker remembers nothing of this producer, as happens once all of its records have expired.";
    REASSIGNMENT_IN_PROGRESS ReassignmentInProgress 60 no
        "A reassignment of the partition is in progress.";
    DELEGATION_TOKEN_AUTH_DISABLED DelegationTokenAuthDisabled 61 no
        "The cluster does not use delegation tokens.";
    DELEGATION_TOKEN_NOT_FOUND DelegationTokenNotFound 62 no
        "There is no such delegation token.";
    DELEGATION_TOKEN_OWNER_MISMATCH DelegationTokenOwnerMismatch 63 no
        "The delegation token belongs to someone else.";
    DELEGATION_TOKEN_REQUEST_NOT_ALLOWED DelegationTokenRequestNotAllowed 64 no
        "Delegation tokens cannot be asked for over a connection authenticated like this one.";
    DELEGATION_TOKEN_AUTHORIZATION_FAILED DelegationTokenAuthorizationFailed 65 no
        "The client is not permitted to do this with the delegation token.";
    DELEGATION_TOKEN_EXPIRED DelegationTokenExpired 66 no
        "The delegation token has expired.";
    INVALID_PRINCIPAL_TYPE InvalidPrincipalType 67 no
        "Principals of this type are not supported here.";
    NON_EMPTY_GROUP NonEmptyGroup 68 no
        "The group still has members.";
    GROUP_ID_NOT_FOUND GroupIdNotFound 69 no
        "There is no group of this id.";
    FETCH_SESSION_ID_NOT_FOUND FetchSessionIdNotFound 70 retry
        "The broker has no such fetch session.";
    INVALID_FETCH_SESSION_EPOCH InvalidFetchSessionEpoch 71 retry
        "The epoch is not that of the fetch session.";
    LISTENER_NOT_FOUND ListenerNotFound 72 refresh
        "The partition's leader has no listener of the kind the client connected to.";
    TOPIC_DELETION_DISABLED TopicDeletionDisabled 73 no
        "The cluster does not permit topics to be deleted.";
    FENCED_LEADER_EPOCH FencedLeaderEpoch 74 refresh
        "The client's leader epoch is behind the broker's.";
    UNKNOWN_LEADER_EPOCH UnknownLeaderEpoch 75 retry
        "The client's leader epoch is ahead of the broker's.";
    UNSUPPORTED_COMPRESSION_TYPE UnsupportedCompressionType 76 no
        "The broker cannot handle this compression in this version of the request.";
    STALE_BROKER_EPOCH StaleBrokerEpoch 77 no
        "The broker's epoch is stale: it has registered again since.";
    OFFSET_NOT_AVAILABLE OffsetNotAvailable 78 retry
        "A new leader does not yet know how far its log is replicated.";
    MEMBER_ID_REQUIRED MemberIdRequired 79 no
        "The member has to join again with the member id that it was given.";
    PREFERRED_LEADER_NOT_AVAILABLE PreferredLeaderNotAvailable 80 refresh
        "The partition's preferred leader is not available.";
    GROUP_MAX_SIZE_REACHED GroupMaxSizeReached 81 no
        "The group has as many members as it may have.";
    FENCED_INSTANCE_ID FencedInstanceId 82 no
        "Another member has registered with the same instance id.";
    ELIGIBLE_LEADERS_NOT_AVAILABLE EligibleLeadersNotAvailable 83 refresh
        "None of the replicas that could lead the partition is available.";
    ELECTION_NOT_NEEDED ElectionNotNeeded 84 refresh
        "The partition does not need to elect a leader.";
    NO_REASSIGNMENT_IN_PROGRESS NoReassignmentInProgress 85 no
        "The partition is not being moved.";
    GROUP_SUBSCRIBED_TO_TOPIC GroupSubscribedToTopic 86 no
        "A member of the group is subscribed to the topic, so its offsets cannot be deleted.";
    INVALID_RECORD InvalidRecord 87 no
        "The broker looked into the batch and refused a record.";
    UNSTABLE_OFFSET_COMMIT UnstableOffsetCommit 88 retry
        "Offsets of an unfinished transaction are pending.";
    THROTTLING_QUOTA_EXCEEDED ThrottlingQuotaExceeded 89 retry
        "The client has used up its quota for now.";
    PRODUCER_FENCED ProducerFenced 90 no
        "Another producer with the same transactional id has taken over.";
    RESOURCE_NOT_FOUND ResourceNotFound 91 no
        "The resource that the request names does not exist.";
    DUPLICATE_RESOURCE DuplicateResource 92 no
        "The resource that the request would create exists already.";
    UNACCEPTABLE_CREDENTIAL UnacceptableCredential 93 no
        "The credential does not meet the cluster's rules.";
    INCONSISTENT_VOTER_SET InconsistentVoterSet 94 no
        "Sender and receiver do not agree on who votes in the quorum.";
    INVALID_UPDATE_VERSION InvalidUpdateVersion 95 no
        "The update is based on a version that is not the current one.";
    FEATURE_UPDATE_FAILED FeatureUpdateFailed 96 no
        "The controller could not update the finalized features.";
    PRINCIPAL_DESERIALIZATION_FAILURE PrincipalDeserializationFailure 97 no
        "A forwarded request names its sender in a way the receiver cannot read.";
    SNAPSHOT_NOT_FOUND SnapshotNotFound 98 no
        "There is no such snapshot.";
    POSITION_OUT_OF_RANGE PositionOutOfRange 99 no
        "The snapshot does not reach to the position that was asked for.";
    UNKNOWN_TOPIC_ID UnknownTopicId 100 refresh
        "The broker has no topic with this id.";
    DUPLICATE_BROKER_REGISTRATION DuplicateBrokerRegistration 101 no
        "Another broker is registered under this id.";
    BROKER_ID_NOT_REGISTERED BrokerIdNotRegistered 102 no
        "No broker is registered under this id.";
    INCONSISTENT_TOPIC_ID InconsistentTopicId 103 refresh
        "The topic's id in the request is not the one in the broker's log.";
    INCONSISTENT_CLUSTER_ID InconsistentClusterId 104 no
        "The request is meant for another cluster.";
    TRANSACTIONAL_ID_NOT_FOUND TransactionalIdNotFound 105 no
        "The coordinator has no state for this transactional id.";
    TRANSACTION_ABORTABLE TransactionAbortable 120 no
        "The transaction cannot be committed any more; it is to be aborted.";
}

#[cfg(test)]
mod tests;
