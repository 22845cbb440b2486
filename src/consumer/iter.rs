//! The ways to iterate.

use super::{Content, Raw};
use crate::{ConsumerRecord, KafkaConsumer, Result};

/// An iterator over the records of a borrowed consumer: what `for record in &consumer` uses.
///
/// Each item is a [`Result`]; an error does not end the iteration. It ends after `consumer_timeout_ms` without a record,
/// or when the consumer is stopped or closed. After a time-out another loop, or another `next`, goes on where it ended.
///
/// ```
/// # let broker = scripted_broker::ScriptedBroker::start();
/// # broker.create_topic("t", 1);
/// # broker.append("t", 0, ["a", "b", "c"]);
/// # let consumer = kafka_blocking::KafkaConsumer::builder()
/// #     .bootstrap_servers(broker.address()).auto_offset_reset("earliest").consumer_timeout_ms(500).build()?;
/// consumer.assign([("t", 0)])?;
/// let values: Result<Vec<_>, _> = consumer.iter().map(|record| record.map(|r| r.offset())).collect();
/// assert_eq!(values?, [0, 1, 2]); // ends after consumer_timeout_ms
/// # Ok::<(), kafka_blocking::Error>(())
/// ```
#[derive(Debug)]
pub struct Records<'a, K: ?Sized + Content = Raw, V: ?Sized + Content = Raw> {
    consumer: &'a KafkaConsumer<K, V>,
}

impl<'a, K: ?Sized + Content, V: ?Sized + Content> Records<'a, K, V> {
    pub(super) fn new(consumer: &'a KafkaConsumer<K, V>) -> Self {
        Self { consumer }
    }
}

impl<K: ?Sized + Content, V: ?Sized + Content> Iterator for Records<'_, K, V> {
    type Item = Result<ConsumerRecord<K, V>>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.consumer.next()
    }
}

impl<'a, K: ?Sized + Content, V: ?Sized + Content> IntoIterator for &'a KafkaConsumer<K, V> {
    type Item = Result<ConsumerRecord<K, V>>;
    type IntoIter = Records<'a, K, V>;

    fn into_iter(self) -> Records<'a, K, V> {
        self.iter()
    }
}

/// A consumer that is handed to something which takes an iterator by value.
impl<K: ?Sized + Content, V: ?Sized + Content> Iterator for KafkaConsumer<K, V> {
    type Item = Result<ConsumerRecord<K, V>>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        Self::next(self)
    }
}
