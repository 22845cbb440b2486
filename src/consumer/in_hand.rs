//! What was taken off the cursor and has not been given to the caller yet: it comes again where user code fails, or panics.

use super::{ConsumerRecord, ConsumerRecords, Content, KafkaConsumer};
use crate::{TopicPartition, subscriptions::PartitionState};

/// Puts a record back that was taken off the cursor, when it is dropped.
pub(super) struct Untaken<'a, K: ?Sized + Content, V: ?Sized + Content> {
    consumer: &'a KafkaConsumer<K, V>,
    record: &'a ConsumerRecord,
}

impl<'a, K: ?Sized + Content, V: ?Sized + Content> Untaken<'a, K, V> {
    pub(super) fn new(consumer: &'a KafkaConsumer<K, V>, record: &'a ConsumerRecord) -> Self {
        Self { consumer, record }
    }
}

impl<K: ?Sized + Content, V: ?Sized + Content> Drop for Untaken<'_, K, V> {
    fn drop(&mut self) {
        let Self { consumer, record } = self;
        let partition = (record.topic(), record.partition());
        if consumer.cursor.borrow_mut().untake(partition, record.offset()) {
            return;
        }
        // The deserializer has called the consumer, and so closed the chunk. Unless it went elsewhere, the record comes again.
        let partition = record.topic_partition();
        if position(consumer, &partition) == Some(record.offset() + 1) {
            let _ = consumer.seek(partition, record.offset());
        }
    }
}

/// What a poll has taken so far. Where it is not given to the caller, because a deserializer panics, it is fetched again.
pub(super) struct InHand<'a, K: ?Sized + Content, V: ?Sized + Content> {
    consumer: &'a KafkaConsumer<K, V>,
    pub(super) records: ConsumerRecords<K, V>,
}

impl<'a, K: ?Sized + Content, V: ?Sized + Content> InHand<'a, K, V> {
    pub(super) fn new(consumer: &'a KafkaConsumer<K, V>) -> Self {
        Self { consumer, records: ConsumerRecords::new() }
    }

    pub(super) fn give(mut self) -> ConsumerRecords<K, V> {
        std::mem::replace(&mut self.records, ConsumerRecords::new())
    }
}

impl<K: ?Sized + Content, V: ?Sized + Content> Drop for InHand<'_, K, V> {
    fn drop(&mut self) {
        for (partition, records) in self.records.iter() {
            // Fails only where the partition is not the consumer's any more.
            let _ = self.consumer.seek(partition, records[0].offset());
        }
    }
}

/// The position of a partition, if it has one.
fn position<K: ?Sized + Content, V: ?Sized + Content>(
    consumer: &KafkaConsumer<K, V>,
    partition: &TopicPartition,
) -> Option<i64> {
    let position = consumer.with_driver(|driver| {
        let subscriptions = &driver.machines.subscriptions;
        let state = subscriptions.state(subscriptions.id(partition)?);
        Ok(state.and_then(PartitionState::offset))
    });
    position.ok().flatten()
}
