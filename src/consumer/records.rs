//! What `poll` gives: records by partition.

use std::{fmt, vec};

use super::{Content, Raw};
use crate::{ConsumerRecord, TopicPartition};

/// Records by partition, in the order of their offsets within each.
///
/// Iterating by value gives a partition and its records at a time; partitions without records are not in it.
/// ```
/// # let broker = scripted_broker::ScriptedBroker::start();
/// # broker.create_topic("t", 1);
/// # broker.append("t", 0, ["a", "b", "c"]);
/// # let consumer = kafka_blocking::KafkaConsumer::builder()
/// #     .bootstrap_servers(broker.address()).auto_offset_reset("earliest").consumer_timeout_ms(500).build()?;
/// use std::time::Duration;
///
/// consumer.assign([("t", 0)])?;
/// let polled = consumer.poll(Duration::from_secs(5))?;
/// assert_eq!((polled.len(), polled.count()), (1, 3));
/// assert_eq!(polled.records(&("t", 0).into())[0].offset(), 0);
/// for record in polled.into_records() {
///     println!("{}", record.offset());
/// }
/// # Ok::<(), kafka_blocking::Error>(())
/// ```
///
/// kafka-python: the `dict` that `poll` returns.
pub struct ConsumerRecords<K: ?Sized + Content = Raw, V: ?Sized + Content = Raw> {
    partitions: Vec<(TopicPartition, Vec<ConsumerRecord<K, V>>)>,
    /// Which of them took the last record: its neighbour mostly belongs there too.
    last: usize,
    count: usize,
}

impl<K: ?Sized + Content, V: ?Sized + Content> ConsumerRecords<K, V> {
    pub(super) fn new() -> Self {
        Self { partitions: Vec::new(), last: 0, count: 0 }
    }

    /// Whether there are no records.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many records there are, in all partitions.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// How many partitions there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.partitions.len()
    }

    /// The records of a partition; none where it has none.
    #[must_use]
    pub fn records(&self, partition: &TopicPartition) -> &[ConsumerRecord<K, V>] {
        self.partitions.iter().find(|(p, _)| p == partition).map_or(&[], |(_, records)| records)
    }

    /// The partitions with their records.
    pub fn iter(&self) -> impl Iterator<Item = (&TopicPartition, &[ConsumerRecord<K, V>])> {
        self.partitions.iter().map(|(partition, records)| (partition, records.as_slice()))
    }

    /// The records of all partitions, one partition after the other.
    pub fn into_records(self) -> impl Iterator<Item = ConsumerRecord<K, V>> {
        self.partitions.into_iter().flat_map(|(_, records)| records)
    }

    pub(super) fn push(&mut self, record: ConsumerRecord<K, V>) {
        self.count += 1;
        let belongs = |(p, _): &(TopicPartition, _)| {
            p.partition() == record.partition() && p.topic() == record.topic()
        };
        if !self.partitions.get(self.last).is_some_and(belongs) {
            self.last = self.partitions.iter().position(belongs).unwrap_or_else(|| {
                self.partitions.push((record.topic_partition(), Vec::new()));
                self.partitions.len() - 1
            });
        }
        self.partitions[self.last].1.push(record);
    }
}

impl<K: ?Sized + Content, V: ?Sized + Content> IntoIterator for ConsumerRecords<K, V> {
    type Item = (TopicPartition, Vec<ConsumerRecord<K, V>>);
    type IntoIter = vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.partitions.into_iter()
    }
}

impl<K: ?Sized + Content, V: ?Sized + Content> fmt::Debug for ConsumerRecords<K, V>
where
    ConsumerRecord<K, V>: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}
