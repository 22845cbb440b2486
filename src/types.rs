//! The small types that every layer shares.

use std::{fmt, sync::Arc};

/// A topic and the number of one of its partitions.
///
/// Displays as `topic-0`; orders by topic, then number. Cloning costs a reference count.
///
/// ```
/// use kafka_blocking::TopicPartition;
///
/// let partition = TopicPartition::new("my-topic", 3);
/// assert_eq!(partition, ("my-topic", 3).into());
/// assert_eq!(partition.to_string(), "my-topic-3");
/// ```
///
/// kafka-python: `TopicPartition`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    topic: Arc<str>,
    partition: i32,
}

impl TopicPartition {
    /// Names a partition; whether it exists is seen when it is used.
    pub fn new(topic: impl Into<Arc<str>>, partition: i32) -> Self {
        Self { topic: topic.into(), partition }
    }

    /// The topic's name.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The number of the partition within its topic.
    #[must_use]
    pub fn partition(&self) -> i32 {
        self.partition
    }

    /// The topic's name, shared.
    pub(crate) fn shared_topic(&self) -> &Arc<str> {
        &self.topic
    }
}

impl<T: Into<Arc<str>>> From<(T, i32)> for TopicPartition {
    fn from((topic, partition): (T, i32)) -> Self {
        Self::new(topic, partition)
    }
}

impl From<&Self> for TopicPartition {
    fn from(other: &Self) -> Self {
        other.clone()
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic.escape_debug(), self.partition)
    }
}

impl fmt::Debug for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TopicPartition({:?}, {})", self.topic, self.partition)
    }
}
