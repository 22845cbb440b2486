//! Which partition is meant.

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
/// With the feature `serde` it is written as a map, `{"topic": "my-topic", "partition": 3}`, and read with its values
/// checked; so are the offsets, [`OffsetAndMetadata`](crate::OffsetAndMetadata) and
/// [`OffsetAndTimestamp`](crate::OffsetAndTimestamp). A program that keeps its offsets outside Kafka has one entry for each:
///
#[cfg_attr(feature = "serde", doc = "```")]
#[cfg_attr(not(feature = "serde"), doc = "```text")]
/// use kafka_blocking::{OffsetAndMetadata, TopicPartition};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct Stored {
///     #[serde(flatten)]
///     partition: TopicPartition,
///     #[serde(flatten)]
///     offset: OffsetAndMetadata,
/// }
///
/// let stored = Stored { partition: ("my-topic", 3).into(), offset: OffsetAndMetadata::new(42).with_metadata("page 7") };
/// let json = serde_json::to_string(&[&stored])?;
/// assert_eq!(json, r#"[{"topic":"my-topic","partition":3,"offset":42,"metadata":"page 7","leader_epoch":null}]"#);
///
/// let read: Vec<Stored> = serde_json::from_str(r#"[{"topic": "my-topic", "partition": 3, "offset": 42}]"#)?;
/// // consumer.seek(&read[0].partition, &read[0].offset)?;
/// assert_eq!(read[0].offset, OffsetAndMetadata::new(42));
/// # Ok::<(), serde_json::Error>(())
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
