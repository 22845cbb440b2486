//! A synchronous, blocking client for Apache Kafka that mirrors kafka-python.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

// No part of the stable interface: open for the project's own tests, tools and scripted broker.
#[doc(hidden)]
pub mod client;
#[doc(hidden)]
pub mod consumer;
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

mod error;
mod options;
mod types;

/// What the setters of a builder take, and the types that those values become.
pub mod setting {
    pub use crate::{
        consumer::options::Topics,
        net::{servers::Servers, socket_options::SocketOptions},
        options::{Millis, Setting},
    };
}

pub use crate::{
    consumer::{
        ConsumerHandle, ConsumerRecord, ConsumerRecords, Content, KafkaConsumer, Raw,
        RecordBuilder, Records,
        options::{ConsumerBuilder, DnsLookup, OffsetReset},
    },
    error::{BrokerError, ConfigError, Error, ErrorCode, Result},
    net::{resolver::Resolver, socket_options::socket},
    records::{Header, Headers, RecordRef, TimestampType},
    types::TopicPartition,
};
