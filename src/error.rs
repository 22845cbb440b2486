//! What can go wrong, sorted by whose fault it is.

use std::{fmt, io, sync::Arc, time::Duration};

use crate::types::TopicPartition;

mod code;

pub use code::ErrorCode;

/// A [`Result`](std::result::Result) whose error is this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What code of the user may fail with: a deserializer, an assignor.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Everything that a call of this crate can fail with.
///
/// The variants stand in the order of whose fault it is: the caller's, the network's, the broker's, the data's.
/// [`Error::retriable`] says whether the same call may succeed later without a change by the caller.
///
/// ```
/// # let broker = scripted_broker::ScriptedBroker::start();
/// # broker.create_topic("t", 1);
/// # let servers = broker.address();
/// use kafka_blocking::{Error, KafkaConsumer};
///
/// // A program tries again where that may help, and gives up where it cannot.
/// match KafkaConsumer::builder().bootstrap_servers(servers).topics("t").build() {
///     Ok(consumer) => println!("{:?}", consumer.subscription()?),
///     Err(Error::Configuration(error)) => panic!("{} = {:?}: {}", error.option, error.value, error.allowed),
///     Err(error) if error.retriable() => eprintln!("later perhaps: {error}"),
///     Err(error) => return Err(error),
/// }
/// # Ok::<(), kafka_blocking::Error>(())
/// ```
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An option has a value that it cannot have, or options contradict each other.
    /// kafka-python: `KafkaConfigurationError`.
    #[error("invalid configuration: {0}")]
    Configuration(Box<ConfigError>),

    /// The call does not fit what was called before, such as `assign` after `subscribe`.
    /// kafka-python: `IllegalStateError`.
    #[error("{0}")]
    IllegalState(Box<str>),

    /// An argument is out of its range. kafka-python: `ValueError`, `TypeError`, `AssertionError`.
    #[error("{0}")]
    IllegalArgument(Box<str>),

    /// The consumer was closed. kafka-python: `IllegalStateError('KafkaConsumer is closed')`.
    #[error("the consumer is closed")]
    Closed,

    /// The call was ended by [`wakeup`](crate::ConsumerHandle::wakeup) or [`stop`](crate::ConsumerHandle::stop).
    #[error("woken up by the consumer's handle")]
    Wakeup,

    /// No bootstrap server gave metadata in time; the text names each address with its cause.
    /// kafka-python: `NoBrokersAvailable`, later `KafkaTimeoutError`.
    #[error("no brokers available: {0}")]
    NoBrokersAvailable(Box<str>),

    /// A call took longer than it may; the text says what was missing, and why where that is known.
    /// kafka-python: `KafkaTimeoutError`.
    #[error("{operation} took longer than {after:?}{}", Because(.cause))]
    Timeout {
        /// What was to be done.
        operation: &'static str,
        /// How long it was tried.
        after: Duration,
        /// What stood in the way, as far as it is known: a list of addresses with their causes, or a broker's error.
        cause: Box<str>,
    },

    /// A connection to a broker failed. kafka-python: `KafkaConnectionError`.
    #[error("{node}: {step}: {source}")]
    Connection {
        /// The broker, as `host:port`, with its id where that is known.
        node: Box<str>,
        /// What the connection was busy with.
        step: &'static str,
        /// What the operating system, or the protocol, said.
        #[source]
        source: Arc<io::Error>,
    },

    /// A broker does not accept who the client says it is, or how it speaks; or the client does not accept the broker: TLS, a
    /// certificate, a name and its password, a token. It is tried again by the calls that follow, with growing waits between the
    /// attempts, so what is put right at the broker, or in a file of tokens, is put right here as well.
    /// kafka-python: `SaslAuthenticationFailedError`, `UnsupportedSaslMechanismError`, `SSLError`.
    #[error("{node}: {step}: {reason}")]
    AuthenticationFailed {
        /// The broker, as `host:port`.
        node: Box<str>,
        /// What the connection was busy with: `TLS handshake`, `authenticating`.
        step: &'static str,
        /// What is wrong, in the words of whoever refused.
        reason: Box<str>,
    },

    /// A broker answered with an error code. kafka-python: a subclass of `BrokerResponseError`.
    // Boxed for its small number: a record is handed out as a `Result`, and moves faster without one in the error.
    #[error("{0}")]
    Broker(Box<BrokerError>),

    /// The broker speaks no version of a request that this client can use for the call.
    /// kafka-python: `IncompatibleBrokerVersion`, `UnsupportedVersionError`.
    #[error("{node} speaks versions {theirs} of {api}, this client {ours}")]
    UnsupportedVersion {
        /// The broker.
        node: Box<str>,
        /// The request.
        api: &'static str,
        /// The versions that the broker announced, `none` where it announced none.
        theirs: Box<str>,
        /// The versions that the call can be made with.
        ours: Box<str>,
    },

    /// A broker sent bytes that are not Kafka's protocol. kafka-python: `KafkaProtocolError`.
    #[error("malformed {what}: {reason}")]
    Protocol {
        /// The message in which it was found.
        what: &'static str,
        /// What is wrong with it.
        reason: Box<str>,
    },

    /// The right to read a topic is missing. kafka-python: `TopicAuthorizationFailedError`.
    #[error("not authorized to access topic {}", .topics.join(", "))]
    TopicAuthorizationFailed {
        /// The topics.
        topics: Vec<String>,
    },

    /// The right to use a group is missing. kafka-python: `GroupAuthorizationFailedError`.
    #[error("not authorized to access group {group}")]
    GroupAuthorizationFailed {
        /// The group.
        group: Box<str>,
    },

    /// Offsets were not committed, and committing the same again does not help: partitions are no longer assigned to this
    /// member, or the group has gone on without it. What was read of them, somebody else reads from the last offset that was
    /// committed. kafka-python: `CommitFailedError`.
    #[error("offsets were not committed: {reason}")]
    CommitFailed {
        /// Why not.
        reason: Box<str>,
    },

    /// Offsets were not committed, because the group is about to assign its partitions anew. Call `poll` or `next`, which
    /// take part in that, and commit again what is assigned still. kafka-python: `RebalanceInProgressError`.
    #[error("offsets were not committed: the group is rebalancing; poll, and commit again")]
    RebalanceInProgress,

    /// Another member with the same `group_instance_id` has taken this one's place in the group, for good: this consumer
    /// reads and commits nothing any more. kafka-python: `FencedInstanceIdError`.
    #[error(
        "another member of the group has the group_instance_id {group_instance_id:?}, and this one's place"
    )]
    FencedInstanceId {
        /// The id that both have.
        group_instance_id: Box<str>,
    },

    /// A [`ConsumerRebalanceListener`](crate::ConsumerRebalanceListener) failed. The rebalance went on nevertheless, and the
    /// next call reads. kafka-python: `KafkaError('User rebalance callback throws an error')`.
    #[error("the listener's {callback} failed: {source}")]
    RebalanceListener {
        /// The method that failed.
        callback: &'static str,
        /// What it said.
        source: Arc<dyn std::error::Error + Send + Sync>,
    },

    /// The assignor of the group's leader, this consumer, failed, or what it says cannot be. The group has no assignment, and
    /// is asked for one again by the next call that reads. kafka-python: what the assignor raised.
    #[error("dividing the partitions of the group: {source}")]
    Assignor {
        /// What is wrong.
        source: Arc<dyn std::error::Error + Send + Sync>,
    },

    /// A partition has no position, and `auto_offset_reset` is `none`. kafka-python: `NoOffsetForPartitionError`.
    #[error("{partition} has no position, and auto_offset_reset is none")]
    NoOffsetForPartition {
        /// The partition.
        partition: TopicPartition,
    },

    /// The position of a partition is not in its log, and `auto_offset_reset` is `none`.
    /// The position stays; seek to go on. kafka-python: `OffsetOutOfRangeError`.
    #[error("offset {offset} of {partition} is out of range, and auto_offset_reset is none")]
    OffsetOutOfRange {
        /// The partition.
        partition: TopicPartition,
        /// The position that the broker refused.
        offset: i64,
    },

    /// The log of a partition was truncated, in an election of a leader that did not have all of it, and what was read last is
    /// no longer there (KIP-320); `auto_offset_reset` is `none`. The position stays; seek to go on.
    /// kafka-python: `LogTruncationError`.
    #[error("the log of {partition} was truncated below offset {offset}{}, and auto_offset_reset is none", Divergence(.divergent))]
    LogTruncation {
        /// The partition.
        partition: TopicPartition,
        /// The position, behind what is no longer there.
        offset: i64,
        /// The offset from which on the log is another than the one that was read, if its leader can tell.
        divergent: Option<i64>,
    },

    /// A deserializer failed. The position stays; seek past the record to go on without it.
    /// kafka-python: what the deserializer raised.
    #[error("{0}")]
    Deserialization(Box<DeserializationError>),

    /// A batch of records is damaged. The position stays; seek past the batch to go on without it.
    /// kafka-python: `CorruptRecordError`.
    #[error("corrupt batch in {partition} at offset {offset}: {reason}")]
    CorruptRecord {
        /// The partition.
        partition: TopicPartition,
        /// The position of the partition, which stays.
        offset: i64,
        /// The offset after the batch: where to seek to go on without it.
        next_offset: i64,
        /// What is wrong with it.
        reason: Box<str>,
    },

    /// A batch is compressed in a way that this build cannot read. kafka-python: `UnsupportedCodecError`.
    #[error(
        "the batch in {partition} at offset {offset} is compressed with {codec}, which this build cannot read"
    )]
    UnsupportedCodec {
        /// The partition.
        partition: TopicPartition,
        /// The position of the partition, which stays.
        offset: i64,
        /// The offset after the batch: where to seek to go on without it.
        next_offset: i64,
        /// The codec's name, or its number where it has none.
        codec: Box<str>,
    },

    /// A batch is larger than an option allows: raise that, or seek past the batch. Where a broker cut the batch off, its end
    /// is not known, and the offset to seek to may lie in it still. kafka-python: `RecordTooLargeError`.
    #[error("the batch in {partition} at offset {offset} is larger than {limit} bytes ({option})")]
    RecordTooLarge {
        /// The partition.
        partition: TopicPartition,
        /// The position of the partition, which stays.
        offset: i64,
        /// The offset after the batch: where to seek to go on without it.
        next_offset: i64,
        /// The limit, in bytes.
        limit: u64,
        /// The option that sets the limit.
        option: &'static str,
    },
}

impl Error {
    /// Whether the same call may succeed later, as kafka-python's `retriable`.
    #[must_use]
    pub fn retriable(&self) -> bool {
        match self {
            Self::NoBrokersAvailable(_) | Self::Timeout { .. } | Self::Connection { .. } => true,
            Self::Broker(error) => error.code.retriable(),
            _ => false,
        }
    }

    /// The broker's code, where a broker gave one.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Broker(error) => Some(error.code),
            Self::TopicAuthorizationFailed { .. } => Some(ErrorCode::TOPIC_AUTHORIZATION_FAILED),
            Self::GroupAuthorizationFailed { .. } => Some(ErrorCode::GROUP_AUTHORIZATION_FAILED),
            Self::RebalanceInProgress => Some(ErrorCode::REBALANCE_IN_PROGRESS),
            Self::FencedInstanceId { .. } => Some(ErrorCode::FENCED_INSTANCE_ID),
            Self::OffsetOutOfRange { .. } => Some(ErrorCode::OFFSET_OUT_OF_RANGE),
            _ => None,
        }
    }

    /// The partition of an error about data, and where to [`seek`](crate::KafkaConsumer::seek) to go on without them.
    #[must_use]
    pub fn next_position(&self) -> Option<(TopicPartition, i64)> {
        match self {
            Self::CorruptRecord { partition, next_offset, .. }
            | Self::UnsupportedCodec { partition, next_offset, .. }
            | Self::RecordTooLarge { partition, next_offset, .. } => {
                Some((partition.clone(), *next_offset))
            }
            Self::Deserialization(error) => Some((error.partition.clone(), error.offset + 1)),
            Self::LogTruncation { partition, divergent: Some(divergent), .. } => {
                Some((partition.clone(), *divergent))
            }
            _ => None,
        }
    }

    /// The error that a broker answered with.
    pub(crate) fn broker(api: &'static str, code: ErrorCode, detail: impl Into<Box<str>>) -> Self {
        Self::Broker(Box::new(BrokerError { api, code, detail: detail.into() }))
    }

    /// The error of an option's value: which option, which value, and what is allowed.
    pub(crate) fn configuration(
        option: impl Into<String>,
        value: impl Into<String>,
        allowed: impl Into<String>,
    ) -> Self {
        Self::Configuration(Box::new(ConfigError {
            option: option.into(),
            value: value.into(),
            allowed: allowed.into(),
        }))
    }
}

/// What a broker answered with: inside [`Error::Broker`].
///
/// ```
/// use kafka_blocking::{Error, ErrorCode};
///
/// fn is_missing(error: &Error) -> bool {
///     matches!(error, Error::Broker(error) if error.code == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
/// }
/// assert!(!is_missing(&Error::Closed));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BrokerError {
    /// The request that was answered so.
    pub api: &'static str,
    /// The broker's code.
    pub code: ErrorCode,
    /// The topic, partition or group that it is about, and the broker's own words.
    pub detail: Box<str>,
}

impl fmt::Display for BrokerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}{}", self.api, self.code, Because(&self.detail))
    }
}

impl std::error::Error for BrokerError {}

/// What a deserializer failed on: inside [`Error::Deserialization`].
///
/// ```
/// # let broker = scripted_broker::ScriptedBroker::start();
/// # broker.create_topic("t", 1);
/// # broker.append("t", 0, ["1", "two", "3"]);
/// # let servers = broker.address();
/// use kafka_blocking::{Error, KafkaConsumer};
///
/// let consumer = KafkaConsumer::builder()
///     .topics("t")
///     .bootstrap_servers(servers)
///     .auto_offset_reset("earliest")
///     .consumer_timeout_ms(500)
///     .value_deserializer(|bytes: &[u8]| String::from_utf8_lossy(bytes).parse::<u8>())
///     .build()?;
/// let mut sum = 0;
/// for record in &consumer {
///     match record {
///         Ok(record) => sum += record.value().copied().unwrap_or(0),
///         Err(Error::Deserialization(error)) => {
///             assert_eq!((error.offset, error.value.as_deref()), (1, Some(&b"two"[..])));
///             consumer.seek(&error.partition, error.offset + 1)?; // without it the error comes again
///         }
///         Err(error) => return Err(error),
///     }
/// }
/// assert_eq!(sum, 4);
/// # Ok::<(), kafka_blocking::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeserializationError {
    /// The partition of the record.
    pub partition: TopicPartition,
    /// The offset of the record, where the position stays.
    pub offset: i64,
    /// What of the record could not be deserialized.
    pub part: RecordPart,
    /// The record's key, as it came.
    pub key: Option<Vec<u8>>,
    /// The record's value, as it came.
    pub value: Option<Vec<u8>>,
    /// What the deserializer said.
    pub source: Arc<dyn std::error::Error + Send + Sync>,
}

impl fmt::Display for DeserializationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = match self.part {
            RecordPart::Key => "key",
            RecordPart::Value => "value",
        };
        let Self { partition, offset, source, .. } = self;
        write!(f, "cannot deserialize the {part} of {partition} at offset {offset}: {source}")
    }
}

impl std::error::Error for DeserializationError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(self.source.as_ref())
    }
}

/// A part of a record that has a deserializer.
///
/// ```
/// use kafka_blocking::{Error, RecordPart};
///
/// fn is_about_the_key(error: &Error) -> bool {
///     matches!(error, Error::Deserialization(error) if error.part == RecordPart::Key)
/// }
/// assert!(!is_about_the_key(&Error::Closed));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecordPart {
    /// The key.
    Key,
    /// The value.
    Value,
}

/// What is wrong with an option: inside [`Error::Configuration`].
///
/// ```
/// use kafka_blocking::{ConsumerBuilder, Error};
///
/// let Err(Error::Configuration(error)) = ConsumerBuilder::new().max_poll_records(0).build() else {
///     panic!("0 records are not allowed");
/// };
/// assert_eq!((error.option.as_str(), error.value.as_str()), ("max_poll_records", "0"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigError {
    /// The option's name.
    pub option: String,
    /// The value that it was given, as text; secrets are left out.
    pub value: String,
    /// What is allowed instead, or why it is refused.
    pub allowed: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {:?}: {}", self.option, self.value, self.allowed)
    }
}

impl std::error::Error for ConfigError {}

/// Writes where logs part, or nothing where it is not known.
struct Divergence<'a>(&'a Option<i64>);

impl fmt::Display for Divergence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |offset| write!(f, ", to {offset}"))
    }
}

/// Writes `: cause`, or nothing where no cause is known.
struct Because<'a>(&'a str);

impl fmt::Display for Because<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, ": {}", self.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ConsumerRecord;

    #[test]
    fn a_result_of_a_record_is_hardly_larger_than_its_parts() {
        assert!(size_of::<Error>() <= 72, "{}", size_of::<Error>());
        assert_eq!(size_of::<Option<Result<ConsumerRecord>>>(), size_of::<Error>());
    }

    #[test]
    fn a_brokers_error_names_the_request_the_code_and_what_it_is_about() {
        let error = Error::broker("Fetch", ErrorCode::NOT_LEADER_OR_FOLLOWER, "t-0");
        assert!(error.to_string().starts_with("Fetch: NOT_LEADER_OR_FOLLOWER (6)"), "{error}");
        assert!(error.to_string().ends_with(": t-0"), "{error}");
        assert!(error.retriable());
    }
}
