//! A synchronous, blocking client for Apache Kafka that mirrors kafka-python.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod consumer;
mod error;
#[doc(hidden)]
pub mod records;
mod types;

pub use crate::{
    consumer::{ConsumerRecord, Content, Raw, RecordBuilder},
    error::{ConfigError, Error, ErrorCode, Result},
    records::{Header, Headers, RecordRef, TimestampType},
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
