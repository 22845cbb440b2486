//! A synchronous, blocking client for Apache Kafka that mirrors kafka-python.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod error;
mod types;

// No part of the stable interface: open for the project's own tests, tools and scripted broker.
#[doc(hidden)]
pub mod protocol;
#[doc(hidden)]
pub mod wire;

pub use crate::{
    error::{ConfigError, Error, ErrorCode, Result},
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
