//! A synchronous, blocking client for Apache Kafka that mirrors kafka-python.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

#[doc(hidden)]
pub mod consumer;
mod error;
#[doc(hidden)]
pub mod net;
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
    consumer::options::{ConsumerBuilder, DnsLookup, OffsetReset},
    error::{ConfigError, Error, ErrorCode, Result},
    net::socket_options::socket,
    types::TopicPartition,
};
/// placeholder
pub struct ConsumerHandle;
impl ConsumerHandle {
    /// placeholder
    pub fn wakeup(&self) {}
    /// placeholder
    pub fn stop(&self) {}
}
