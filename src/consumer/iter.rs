//! The ways to iterate.

use crate::{ConsumerRecord, KafkaConsumer, Result};

/// An iterator over the records of a borrowed consumer: what `for record in &consumer` uses.
///
/// Each item is a [`Result`]; an error does not end the iteration. It ends after `consumer_timeout_ms` without a record,
/// or when the consumer is stopped or closed. After a time-out another loop, or another `next`, goes on where it ended.
#[derive(Debug)]
pub struct Records<'a> {
    consumer: &'a KafkaConsumer,
}

impl<'a> Records<'a> {
    pub(super) fn new(consumer: &'a KafkaConsumer) -> Self {
        Self { consumer }
    }
}

impl Iterator for Records<'_> {
    type Item = Result<ConsumerRecord>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.consumer.next()
    }
}

impl<'a> IntoIterator for &'a KafkaConsumer {
    type Item = Result<ConsumerRecord>;
    type IntoIter = Records<'a>;

    fn into_iter(self) -> Records<'a> {
        self.iter()
    }
}

/// A consumer that is handed to something which takes an iterator by value.
impl Iterator for KafkaConsumer {
    type Item = Result<ConsumerRecord>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        Self::next(self)
    }
}
