//! A synchronous, blocking client for Apache Kafka that mirrors kafka-python: no async runtime, no C client underneath.
//!
//! ```
//! # let broker = scripted_broker::ScriptedBroker::start();
//! # broker.create_topic("my-topic", 1);
//! # broker.append("my-topic", 0, ["hello", "world"]);
//! # let servers = broker.address();
//! use kafka_blocking::KafkaConsumer;
//!
//! // KafkaConsumer('my-topic', bootstrap_servers=servers, auto_offset_reset='earliest', consumer_timeout_ms=1000)
//! let consumer = KafkaConsumer::builder()
//!     .topics("my-topic")
//!     .bootstrap_servers(servers)
//!     .auto_offset_reset("earliest")
//!     .consumer_timeout_ms(1000)
//!     .build()?;
//! for record in &consumer {
//!     let record = record?;
//!     println!("{}:{}:{} {:?}", record.topic(), record.partition(), record.offset(), record.value());
//! }
//! # Ok::<(), kafka_blocking::Error>(())
//! ```
//!
//! Four types matter, to be met in this order: [`KafkaConsumer`], made by a [`ConsumerBuilder`], gives
//! [`ConsumerRecord`]s, and everything that can go wrong is an [`Error`]. A [`ConsumerHandle`] stops a consumer from
//! elsewhere; [`ClientOptions`] are what several consumers of one cluster share. A [`ConsumerRebalanceListener`] is told which
//! partitions a group gives and takes.
//!
//! # What it promises
//!
//! - Every record of a partition is handed out once and in order, through leader changes, lost connections and
//!   restarts of brokers, from the position on.
//! - Every blocking call has a deadline and keeps it, whatever the cluster does.
//! - What brokers send is bounded before memory or time is spent on it; malformed data are an [`Error`] that says where.
//!
//! - A group hands every record out at least once, no partition has two owners, and nothing is committed that the program
//!   has not come back from.
//!
//! [Positions, resets and delivery](guide::positions) and [groups, rebalances and commits](guide::groups) say it at length;
//! [TLS, SASL and proxies](guide::security) have a page of their own.
//!
//! This version reads from brokers of Kafka 0.11 and later, alone or in a group of the classic protocol. Options that it does
//! not serve are refused when the consumer is built, with an error that says so.
//!
//! # Features
//!
//! `gzip`, `snappy`, `lz4` and `zstd`, all on by default: each reads batches that are compressed so.
//!
//! `tls`, on by default: brokers are spoken with in TLS, by OpenSSL (Debian: `libssl-dev` and `pkg-config` to build) where the
//! operating system has none of its own.
//!
//! `serde`, off by default: [`TopicPartition`], [`OffsetAndMetadata`] and [`OffsetAndTimestamp`] can be kept outside Kafka.
//!
//! `gssapi`, off by default: Kerberos, with the libraries of MIT Kerberos (Debian: `libkrb5-dev`, and `libclang-dev` to build).
//!
//! `testing`, off by default: [`testing`], a Kafka broker in the process for the tests of programs that use this crate.
//!
//! # Logging
//!
//! Through the crate `log`, with the targets `kafka_blocking::net` (connections), `kafka_blocking::metadata`,
//! `kafka_blocking::fetch` and `kafka_blocking::group`. `debug` says what happens and is not wrong, `warn` what a user should act on.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

// No part of the stable interface: open for the project's own tests, tools and scripted broker.
#[doc(hidden)]
pub mod assignors;
#[doc(hidden)]
pub mod client;
#[doc(hidden)]
pub mod consumer;
#[doc(hidden)]
pub mod coordinator;
#[doc(hidden)]
pub mod fetcher;
#[doc(hidden)]
pub mod net;
#[doc(hidden)]
pub mod protocol;
#[doc(hidden)]
pub mod records;
#[doc(hidden)]
pub mod subscriptions;
#[doc(hidden)]
pub mod wire;

#[cfg(feature = "testing")]
pub mod testing;

mod error;
mod options;
mod plants;
mod types;

/// Pages that are about more than one type.
pub mod guide {
    #[doc = include_str!("../docs/positions.md")]
    pub mod positions {}

    #[doc = include_str!("../docs/groups.md")]
    pub mod groups {}

    #[doc = include_str!("../docs/security.md")]
    pub mod security {}
}

/// What the setters of a builder take, and the types that those values become.
pub mod setting {
    pub use crate::{
        consumer::options::Topics,
        net::{
            proxy::Proxy, sasl::TokenSource, servers::Servers, socket_options::SocketOptions,
            tls::SslContext,
        },
        options::{Millis, Pem, Secret, Setting},
    };
}

pub use crate::{
    assignors::{AssignmentStrategy, GroupMember, PartitionAssignor, RebalanceProtocol},
    client::options::{ClientOptions, DnsLookup, SecurityProtocol},
    consumer::{
        ALL_ASSIGNED, BatchRecords, ConsumerGroupMetadata, ConsumerHandle,
        ConsumerRebalanceListener, ConsumerRecord, ConsumerRecords, Content, Deserializer,
        KafkaConsumer, PendingCommit, Raw, RecordBatch, RecordBuilder, Records, Utf8,
        options::{ConsumerBuilder, OffsetReset},
    },
    coordinator::GroupState,
    error::{
        BoxError, BrokerError, ConfigError, DeserializationError, Error, ErrorCode, RecordPart,
        Result,
    },
    net::{
        resolver::Resolver,
        sasl::{SaslMechanism, SaslSession, SaslStep, TokenProvider},
        socket_options::socket,
    },
    records::{Header, Headers, RecordRef, TimestampType},
    types::{IsolationLevel, OffsetAndMetadata, OffsetAndTimestamp, TopicPartition},
};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
