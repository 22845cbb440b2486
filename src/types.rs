//! The small types that every layer shares.

mod isolation_level;
mod offsets;
#[cfg(feature = "serde")]
mod serialization;
pub(crate) mod topic_name;
mod topic_partition;

pub use isolation_level::IsolationLevel;
pub use offsets::{OffsetAndMetadata, OffsetAndTimestamp};
pub use topic_partition::TopicPartition;
