//! The error codes of Kafka's protocol: one table of code, name, what to do about it, and text.

use std::fmt;

/// The code of a broker's answer.
///
/// A newtype with constants and not an enum, so that the codes of tomorrow's brokers keep their number.
///
/// ```
/// use kafka_blocking::ErrorCode;
///
/// let code = ErrorCode(6);
/// assert_eq!(code, ErrorCode::NOT_LEADER_OR_FOLLOWER);
/// assert!(code.retriable() && code.invalidates_metadata());
/// assert_eq!(code.name(), "NOT_LEADER_OR_FOLLOWER");
/// assert_eq!(ErrorCode(9999).to_string(), "UNKNOWN_CODE (9999)");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ErrorCode(pub i16);

impl ErrorCode {
    /// Whether the code says that there was no error.
    #[must_use]
    pub const fn is_ok(self) -> bool {
        self.0 == 0
    }

    /// Kafka's name of the code, `UNKNOWN_CODE` where this crate knows none.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().map_or("UNKNOWN_CODE", |row| row.name)
    }

    /// Whether the request may succeed when it is sent again. Codes that this crate does not know are not retriable.
    #[must_use]
    pub fn retriable(self) -> bool {
        self.row().is_some_and(|row| row.flags & flag::retriable != 0)
    }

    /// Whether the code is a sign that what the client knows about leaders and topics is out of date.
    /// kafka-python: `invalid_metadata`.
    #[must_use]
    pub fn invalidates_metadata(self) -> bool {
        self.row().is_some_and(|row| row.flags & flag::stale != 0)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name(), self.0)?;
        self.row().map_or(Ok(()), |row| write!(f, ": {}", row.text))
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name(), self.0)
    }
}

/// What the table says about one code.
struct Row {
    name: &'static str,
    flags: u8,
    text: &'static str,
}

/// The flags as the table spells them.
#[expect(non_upper_case_globals, reason = "they are written in the table as words")]
mod flag {
    pub(super) const retriable: u8 = 1;
    pub(super) const stale: u8 = 2;
}

/// Makes a constant of each row, and the look-up by number.
macro_rules! codes {
    ($($code:literal $name:ident $($flag:ident)* $text:literal)*) => {
        impl ErrorCode {
            $(
                #[doc = concat!("`", stringify!($code), "`: ", $text, ".")]
                pub const $name: Self = Self($code);
            )*

            /// Every code that this crate knows, in their order.
            pub const KNOWN: &[Self] = &[$(Self::$name),*];

            fn row(self) -> Option<&'static Row> {
                match self.0 {
                    $($code => Some(&Row {
                        name: stringify!($name),
                        flags: 0 $(| flag::$flag)*,
                        text: $text,
                    }),)*
                    _ => None,
                }
            }
        }
    };
}

codes! {
    -1 UNKNOWN_SERVER_ERROR "the broker failed in a way it did not expect, see its log"
    0 NONE "no error"
    1 OFFSET_OUT_OF_RANGE "the offset is not in the partition's log"
    2 CORRUPT_MESSAGE retriable "a record is damaged, too large, or lacks the key that a compacted topic needs"
    3 UNKNOWN_TOPIC_OR_PARTITION retriable stale "the broker does not know the topic or partition"
    4 INVALID_FETCH_SIZE "the size asked for in the fetch is not allowed"
    5 LEADER_NOT_AVAILABLE retriable stale "the partition has no leader at the moment"
    6 NOT_LEADER_OR_FOLLOWER retriable stale "the broker is not a replica of the partition that may answer this"
    7 REQUEST_TIMED_OUT retriable "the broker could not answer in time"
    8 BROKER_NOT_AVAILABLE "the broker is not available"
    9 REPLICA_NOT_AVAILABLE retriable stale "the broker has no usable replica of the partition"
    10 MESSAGE_TOO_LARGE "a record is larger than the broker takes"
    11 STALE_CONTROLLER_EPOCH "the controller has moved to another broker"
    12 OFFSET_METADATA_TOO_LARGE "the text committed with an offset is too long"
    13 NETWORK_EXCEPTION retriable stale "a broker went away before it had answered"
    14 COORDINATOR_LOAD_IN_PROGRESS retriable "the coordinator is still loading its state"
    15 COORDINATOR_NOT_AVAILABLE retriable "there is no coordinator at the moment"
    16 NOT_COORDINATOR retriable "the broker is not the coordinator of this group or transaction"
    17 INVALID_TOPIC_EXCEPTION "the topic's name is not allowed, or the topic cannot be used so"
    18 RECORD_LIST_TOO_LARGE "a batch is larger than a segment of the log"
    19 NOT_ENOUGH_REPLICAS retriable "too few replicas are in sync to accept the write"
    20 NOT_ENOUGH_REPLICAS_AFTER_APPEND retriable "the write reached too few replicas in sync"
    21 INVALID_REQUIRED_ACKS "the number of acknowledgements asked for is not allowed"
    22 ILLEGAL_GENERATION "the group has moved on to another generation"
    23 INCONSISTENT_GROUP_PROTOCOL "the member has no assignment strategy or protocol in common with its group"
    24 INVALID_GROUP_ID "the group id is not allowed"
    25 UNKNOWN_MEMBER_ID "the coordinator does not know this member of the group"
    26 INVALID_SESSION_TIMEOUT "the session time-out is outside the range that the broker allows"
    27 REBALANCE_IN_PROGRESS "the group is rebalancing, join it again"
    28 INVALID_COMMIT_OFFSET_SIZE "the commit is too large"
    29 TOPIC_AUTHORIZATION_FAILED "the right to access the topic is missing"
    30 GROUP_AUTHORIZATION_FAILED "the right to access the group is missing"
    31 CLUSTER_AUTHORIZATION_FAILED "the right to do this on the cluster is missing"
    32 INVALID_TIMESTAMP "a record's timestamp is outside the range that the topic allows"
    33 UNSUPPORTED_SASL_MECHANISM "the broker does not offer this SASL mechanism"
    34 ILLEGAL_SASL_STATE "the request does not fit the state of the SASL exchange"
    35 UNSUPPORTED_VERSION "the broker does not speak this version of the request"
    36 TOPIC_ALREADY_EXISTS "there is a topic of this name already"
    37 INVALID_PARTITIONS "the number of partitions is not allowed"
    38 INVALID_REPLICATION_FACTOR "there are not that many brokers to replicate to, or the factor is below 1"
    39 INVALID_REPLICA_ASSIGNMENT "the assignment of replicas is not allowed"
    40 INVALID_CONFIG "a configuration value is not allowed"
    41 NOT_CONTROLLER retriable "the broker is not the controller"
    42 INVALID_REQUEST "the broker takes the request for malformed, see its log"
    43 UNSUPPORTED_FOR_MESSAGE_FORMAT "the log's record format is too old for this request"
    44 POLICY_VIOLATION "a policy of the broker forbids it"
    45 OUT_OF_ORDER_SEQUENCE_NUMBER "the producer's sequence numbers have a gap"
    46 DUPLICATE_SEQUENCE_NUMBER "the producer's sequence number was used before"
    47 INVALID_PRODUCER_EPOCH "the producer's epoch is out of date"
    48 INVALID_TXN_STATE "the transaction is not in a state that allows this"
    49 INVALID_PRODUCER_ID_MAPPING "the producer id does not belong to this transactional id"
    50 INVALID_TRANSACTION_TIMEOUT "the transaction's time-out is longer than the broker allows"
    51 CONCURRENT_TRANSACTIONS retriable "the transaction's last step is still being carried out"
    52 TRANSACTION_COORDINATOR_FENCED "another broker has become the transaction's coordinator"
    53 TRANSACTIONAL_ID_AUTHORIZATION_FAILED "the right to use the transactional id is missing"
    54 SECURITY_DISABLED "the broker has its security features switched off"
    55 OPERATION_NOT_ATTEMPTED "another part of the request failed before this one's turn"
    56 KAFKA_STORAGE_ERROR retriable stale "the broker cannot read or write its disk"
    57 LOG_DIR_NOT_FOUND "the broker has no such log directory"
    58 SASL_AUTHENTICATION_FAILED "the broker did not accept the credentials"
    59 UNKNOWN_PRODUCER_ID "the broker has forgotten this producer, perhaps with its last record"
    60 REASSIGNMENT_IN_PROGRESS "the partition's replicas are being moved"
    61 DELEGATION_TOKEN_AUTH_DISABLED "the broker has delegation tokens switched off"
    62 DELEGATION_TOKEN_NOT_FOUND "the broker does not know this delegation token"
    63 DELEGATION_TOKEN_OWNER_MISMATCH "the delegation token belongs to somebody else"
    64 DELEGATION_TOKEN_REQUEST_NOT_ALLOWED "delegation tokens cannot be asked for over this connection"
    65 DELEGATION_TOKEN_AUTHORIZATION_FAILED "the right to use the delegation token is missing"
    66 DELEGATION_TOKEN_EXPIRED "the delegation token has expired"
    67 INVALID_PRINCIPAL_TYPE "the broker does not know this type of principal"
    68 NON_EMPTY_GROUP "the group still has members"
    69 GROUP_ID_NOT_FOUND "there is no such group"
    70 FETCH_SESSION_ID_NOT_FOUND retriable "the broker has dropped the fetch session"
    71 INVALID_FETCH_SESSION_EPOCH retriable "the fetch session's requests came out of order"
    72 LISTENER_NOT_FOUND retriable stale "the partition's leader has no listener of the kind that was asked"
    73 TOPIC_DELETION_DISABLED "the broker does not allow topics to be deleted"
    74 FENCED_LEADER_EPOCH retriable stale "the partition has a newer leader than the client knows"
    75 UNKNOWN_LEADER_EPOCH retriable "the client knows a newer leader than this broker"
    76 UNSUPPORTED_COMPRESSION_TYPE "the request's version does not allow the records' compression"
    77 STALE_BROKER_EPOCH "the broker was registered again in the meantime"
    78 OFFSET_NOT_AVAILABLE retriable "the new leader does not know yet how far its log is committed"
    79 MEMBER_ID_REQUIRED "join the group again with the member id of this answer"
    80 PREFERRED_LEADER_NOT_AVAILABLE retriable stale "the preferred leader is not available"
    81 GROUP_MAX_SIZE_REACHED "the group has as many members as the broker allows"
    82 FENCED_INSTANCE_ID "another member has registered with the same group instance id"
    83 ELIGIBLE_LEADERS_NOT_AVAILABLE retriable stale "no replica that may lead the partition is available"
    84 ELECTION_NOT_NEEDED retriable stale "the partition has the leader already that was asked for"
    85 NO_REASSIGNMENT_IN_PROGRESS "the partition's replicas are not being moved"
    86 GROUP_SUBSCRIBED_TO_TOPIC "the group is subscribed to the topic, so its offsets cannot be deleted"
    87 INVALID_RECORD "the broker does not accept a record"
    88 UNSTABLE_OFFSET_COMMIT retriable "a transaction that commits offsets is still open"
    89 THROTTLING_QUOTA_EXCEEDED retriable "the client has used up its quota"
    90 PRODUCER_FENCED "a newer producer uses the same transactional id"
    91 RESOURCE_NOT_FOUND "the request names something that does not exist"
    92 DUPLICATE_RESOURCE "the request names the same thing twice"
    93 UNACCEPTABLE_CREDENTIAL "the new credential does not meet the broker's requirements"
    94 INCONSISTENT_VOTER_SET "sender or receiver is not one of the controllers that vote"
    95 INVALID_UPDATE_VERSION "the version of the update is not allowed"
    96 FEATURE_UPDATE_FAILED "the cluster's features could not be updated"
    97 PRINCIPAL_DESERIALIZATION_FAILURE "a forwarded request's principal cannot be read"
    98 SNAPSHOT_NOT_FOUND "there is no such snapshot"
    99 POSITION_OUT_OF_RANGE "the position is not in the snapshot"
    100 UNKNOWN_TOPIC_ID retriable stale "the broker does not know the topic's id"
    101 DUPLICATE_BROKER_REGISTRATION "another broker uses this id"
    102 BROKER_ID_NOT_REGISTERED "no broker of this id is registered"
    103 INCONSISTENT_TOPIC_ID retriable stale "the topic has another id by now"
    104 INCONSISTENT_CLUSTER_ID "the request was meant for another cluster"
    105 TRANSACTIONAL_ID_NOT_FOUND "there is no such transactional id"
    106 FETCH_SESSION_TOPIC_ID_ERROR retriable "the fetch session mixes topics with and without ids"
    107 INELIGIBLE_REPLICA "a replica that may not be in sync was proposed as such"
    108 NEW_LEADER_ELECTED "the change was made, and the partition has another leader now"
    109 OFFSET_MOVED_TO_TIERED_STORAGE "the offset has been moved to tiered storage"
    110 FENCED_MEMBER_EPOCH "the coordinator has put the member out: give up its partitions and join again"
    111 UNRELEASED_INSTANCE_ID "another member of the group still holds this group instance id"
    112 UNSUPPORTED_ASSIGNOR "the group's coordinator does not offer this assignor"
    113 STALE_MEMBER_EPOCH "the member's epoch is out of date, the next heartbeat brings the new one"
    114 MISMATCHED_ENDPOINT_TYPE "the request went to a broker's port and not a controller's, or the other way round"
    115 UNSUPPORTED_ENDPOINT_TYPE "this type of endpoint is not supported"
    116 UNKNOWN_CONTROLLER_ID "there is no controller of this id"
    117 UNKNOWN_SUBSCRIPTION_ID "the telemetry subscription is out of date"
    118 TELEMETRY_TOO_LARGE "the telemetry is larger than the broker takes"
    119 INVALID_REGISTRATION "the controller does not accept the broker's registration"
    120 TRANSACTION_ABORTABLE "the transaction failed and has to be aborted, the producer can go on"
    121 INVALID_RECORD_STATE "the record is not in a state that allows this acknowledgement"
    122 SHARE_SESSION_NOT_FOUND retriable "the broker has dropped the share session"
    123 INVALID_SHARE_SESSION_EPOCH retriable "the share session's requests came out of order"
    124 FENCED_STATE_EPOCH "the state's epoch is not the coordinator's"
    125 INVALID_VOTER_KEY "the key of the voter is not the receiver's"
    126 DUPLICATE_VOTER "the controller votes already"
    127 VOTER_NOT_FOUND "the controller is not one of those that vote"
    128 INVALID_REGULAR_EXPRESSION "the broker cannot read the regular expression"
    129 REBOOTSTRAP_REQUIRED "the client has to start again from its bootstrap servers"
    130 STREAMS_INVALID_TOPOLOGY "the streams topology is not allowed"
    131 STREAMS_INVALID_TOPOLOGY_EPOCH "the epoch of the streams topology is not allowed"
    132 STREAMS_TOPOLOGY_FENCED "the streams group has moved on to another topology"
    133 SHARE_SESSION_LIMIT_REACHED retriable "the broker holds as many share sessions as it may"
    134 GROUP_DELETION_FAILED "a group could not be deleted, see its own message"
    135 STREAMS_TOPOLOGY_DESCRIPTION_UPDATE_FAILED "the description of the streams topology could not be updated"
    136 CONTROLLER_ID_NOT_REGISTERED "no controller of this id is registered"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_of_kafka_4_4_are_known_without_a_gap() {
        let numbers: Vec<i16> = ErrorCode::KNOWN.iter().map(|code| code.0).collect();
        assert_eq!(numbers, (-1..=136).collect::<Vec<i16>>());
    }

    // The two lists are what the classes of kafka-clients 4.4.0 say of themselves.
    #[test]
    fn a_code_is_retriable_where_the_java_client_retries_it() {
        let retriable: Vec<i16> =
            ErrorCode::KNOWN.iter().filter(|code| code.retriable()).map(|code| code.0).collect();
        let java = [
            2, 3, 5, 6, 7, 9, 13, 14, 15, 16, 19, 20, 41, 51, 56, 70, 71, 72, 74, 75, 78, 80, 83,
            84, 88, 89, 100, 103, 106, 122, 123, 133,
        ];
        assert_eq!(retriable, java);
    }

    #[test]
    fn a_code_invalidates_metadata_where_the_java_client_refreshes_it() {
        let stale: Vec<i16> = ErrorCode::KNOWN
            .iter()
            .filter(|code| code.invalidates_metadata())
            .map(|code| code.0)
            .collect();
        assert_eq!(stale, [3, 5, 6, 9, 13, 56, 72, 74, 80, 83, 84, 100, 103]);
    }

    #[test]
    fn a_known_code_displays_name_number_and_text() {
        assert_eq!(
            ErrorCode(1).to_string(),
            "OFFSET_OUT_OF_RANGE (1): the offset is not in the partition's log"
        );
        assert_eq!(format!("{:?}", ErrorCode(-1)), "UNKNOWN_SERVER_ERROR (-1)");
    }

    #[test]
    fn an_unknown_code_keeps_its_number_and_is_not_retried() {
        let code = ErrorCode(9999);
        assert_eq!(code.to_string(), "UNKNOWN_CODE (9999)");
        assert!(!code.retriable() && !code.invalidates_metadata() && !code.is_ok());
    }

    #[test]
    fn only_zero_is_ok() {
        let fine: Vec<_> = ErrorCode::KNOWN.iter().filter(|code| code.is_ok()).collect();
        assert_eq!(fine, [&ErrorCode::NONE]);
    }

    #[test]
    fn names_and_texts_are_there_once() {
        let mut texts: Vec<_> =
            ErrorCode::KNOWN.iter().filter_map(|code| code.row()).map(|row| row.text).collect();
        texts.sort_unstable();
        texts.dedup();
        assert_eq!(texts.len(), ErrorCode::KNOWN.len());
    }
}
