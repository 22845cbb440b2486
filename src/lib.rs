//! A synchronous, blocking client for Apache Kafka that mirrors kafka-python.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod error;
mod types;

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
